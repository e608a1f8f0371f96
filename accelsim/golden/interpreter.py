"""One walk over a graph, for whatever its operators mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import DefectError
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.op import Op
from accelsim.graph.value import Value

Array = NDArray[Any]
#: What an operator makes of its inputs' numbers, for a node of a graph.
Meaning = Callable[[Graph, Node, Sequence[Array]], tuple[Array, ...]]


def evaluate(
    graph: Graph,
    given: Mapping[str, Array],
    meanings: Mapping[type[Op], Meaning],
    constant: Callable[[Value], Array],
    wanted: Iterable[str] | None = None,
) -> dict[str, Array]:
    """Numbers of the values of a graph.

    Parameters
    ----------
    given
        Those of its inputs; their first axis may be another than the graph's, and that of all values follows.
    meanings
        What each operator means.
    constant
        Numbers of a constant.
    wanted
        Names of the values that are asked for; all that are formed if absent. Only what they need is evaluated, and
        kept no longer than until it has been read for the last time.

    Returns
    -------
    The numbers by name: those that are asked for, or of all values but constants.
    """
    asked = None if wanted is None else tuple(wanted)
    needed = None if asked is None else _needed(graph, asked)
    nodes = [node for node in graph.nodes if needed is None or not needed.isdisjoint(node.outputs)]
    last = {name: node.name for node in nodes for name in (*node.inputs, *node.outputs)}
    numbers: dict[str, Array] = dict(given)
    constants: dict[str, Array] = {}
    for node in nodes:
        if type(node.op) not in meanings:
            raise DefectError(f"node {node.name} of {graph.name}: {node.op.kind} has no meaning")
        arguments = []
        for name in node.inputs:
            if name not in numbers and name not in constants:
                constants[name] = constant(graph[name])
            arguments.append(numbers[name] if name in numbers else constants[name])
        formed = meanings[type(node.op)](graph, node, arguments)
        numbers.update(zip(node.outputs, formed, strict=True))
        del arguments, formed
        read = [name for name in (*node.inputs, *node.outputs) if last[name] == node.name]
        for name in read:
            constants.pop(name, None)
            if asked is not None and name not in asked:
                numbers.pop(name, None)
    return numbers if asked is None else {name: numbers[name] for name in asked}


def _needed(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Values that others are formed from, and they themselves."""
    needed = set(wanted)
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
    return needed
