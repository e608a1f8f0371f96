"""What no unit does, as work for the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.config.arch import Machine
from accelsim.config.operands import INTEGERS
from accelsim.errors import CompileError
from accelsim.golden import exact
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node


@dataclass(frozen=True, slots=True, eq=False)
class HostWork:
    """Nodes that the host computes one after the other, whatever they are.

    Parameters
    ----------
    sources
        Values that they read and that are no constants.
    constants
        Constants that they read: the host knows them.
    nodes
        What is computed, in order.
    target
        Value that the last one forms.
    """

    sources: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[Node, ...]
    target: str


def lower(graph: Graph, nodes: Sequence[Node], machine: Machine) -> HostWork:
    """Nodes, each the only reader of the one before it.

    Raises
    ------
    CompileError
        If one of them has no meaning, or memory can't hold what they read or form.
    """
    meanings, formed = exact.meanings(machine.fold_inputs), {node.output for node in nodes}
    for node in nodes:
        if type(node.op) not in meanings or len(node.outputs) > 1:
            raise CompileError(
                f"node {node.name}: {node.op.kind} must be what {machine.name} has a unit for, or its host"
            )
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name not in formed)
    target = nodes[-1].output
    for name in (*read, target):
        element = graph[name].element
        wide = isinstance(element, Integer) and element.memory_bits not in INTEGERS and not graph.constant(name)
        if wide or getattr(element.scale, "size", 1) > 1:
            raise CompileError(f"node {nodes[-1].name}: {name} must be of a type that lies in DRAM, not {element}")
    constants = tuple(name for name in read if graph.constant(name))
    return HostWork(tuple(name for name in read if name not in constants), constants, tuple(nodes), target)
