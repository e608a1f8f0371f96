"""Functions of 8-bit integers by a table."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.lower.work import VectorWork, element_type
from accelsim.errors import CompileError
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.isa.functions import Function, Operation

#: Bits of what is looked up, and of an entry.
TABLE_BITS = 8


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One look-up of each byte; entries stand in memory in the order of the bytes' bits."""
    name, (source, table) = group.name, group.head.inputs
    given, result = graph[source].element, group.output.element
    if group.epilogue or not isinstance(given, Integer):
        raise CompileError(f"node {name}: nothing must be fused behind a table")
    if not given.bits == result.memory_bits == TABLE_BITS:
        raise CompileError(f"node {name}: a table must be of 8-bit integers and hold such, not {result} of {given}")
    function = Function(Operation.LOOK_UP, source=element_type(name, given), result=element_type(name, result))
    entries = graph[table].numbers
    ordered = np.roll(entries, given.qmin)  # the byte of q is q modulo 256
    return VectorWork((source,), group.nodes, group.output.name, function, ordered.view(np.uint8))
