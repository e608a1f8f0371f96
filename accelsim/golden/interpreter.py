"""One walk over a graph, for whatever its operators mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from accelsim.errors import DefectError
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.op import Op

Array = NDArray[Any]
#: What an operator makes of its inputs' numbers, for a node of a graph.
Meaning = Callable[[Graph, Node, Sequence[Array]], tuple[Array, ...]]


def evaluate(
    graph: Graph,
    given: Mapping[str, Array],
    meanings: Mapping[type[Op], Meaning],
    constant: Callable[[Array], Array],
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
        Turns a constant's data into numbers.
    wanted
        Names of the values that are asked for; all that are formed if absent. Only what they need is evaluated.

    Returns
    -------
    The numbers by name: those that are asked for, or of all values but constants.
    """
    asked = None if wanted is None else tuple(wanted)
    needed = None if asked is None else _needed(graph, asked)
    numbers: dict[str, Array] = dict(given)
    constants: dict[str, Array] = {}
    for node in graph.nodes:
        if needed is not None and needed.isdisjoint(node.outputs):
            continue
        if type(node.op) not in meanings:
            raise DefectError(f"node {node.name} of {graph.name}: {type(node.op).__name__} has no meaning")
        arguments = []
        for name in node.inputs:
            if name not in numbers and name not in constants:
                constants[name] = constant(graph[name].numbers)
            arguments.append(numbers[name] if name in numbers else constants[name])
        formed = meanings[type(node.op)](graph, node, arguments)
        numbers.update(zip(node.outputs, formed, strict=True))
    return numbers if asked is None else {name: numbers[name] for name in asked}


def _needed(graph: Graph, wanted: Iterable[str]) -> set[str]:
    """Values that others are formed from, and they themselves."""
    needed = set(wanted)
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
    return needed
