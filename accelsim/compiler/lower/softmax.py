"""Softmax of rows of 8-bit integers."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.lower.work import RowFunction, VectorWork, element_type, require_rows
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.isa import constants
from accelsim.isa.opcodes import SOFTMAX, Exponential


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction a tile of whole rows, by the polynomial."""
    op, (source,) = group.head.op, group.head.inputs
    assert isinstance(op, IntegerSoftmax)  # noqa: S101 - as the table has it
    require_rows(group.name, graph[source])
    result = ElementType.INT16 if op.bits == 16 else ElementType.UINT8  # by its bytes
    function = RowFunction(SOFTMAX, element_type(group.name, graph[source].element), result, Exponential.POLYNOMIAL)
    block = np.frombuffer(constants.pack_grid(op.multiplier, op.right), np.uint8)
    return VectorWork((source,), group.nodes, group.output.name, function, block)
