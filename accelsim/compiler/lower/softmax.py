"""Softmax of rows of integers of 8 or 16 bits."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.lower.work import RowFunction, VectorWork, element_type, places_of, require_rows
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.mask import EVERYTHING
from accelsim.isa import constants
from accelsim.isa.opcodes import SOFTMAX, Exponential


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction a tile of whole rows, by the polynomial."""
    op, (source,) = group.head.op, group.head.inputs
    assert isinstance(op, IntegerSoftmax)  # noqa: S101 - as the table has it
    scores, masked = graph[source], op.mask != EVERYTHING
    require_rows(group.name, scores, (8, 16))
    result = ElementType.INT16 if op.bits == 16 else ElementType.UINT8  # by its bytes
    queries, keys = op.places(scores.shape)
    kind = Exponential.MASKED if masked else Exponential.POLYNOMIAL
    function = RowFunction(SOFTMAX, element_type(group.name, scores.element), result, kind, queries if masked else 0)
    block = constants.pack_grid(op.multiplier, op.right)
    if masked:
        block += constants.pack_mask(places_of(op.mask, queries, keys))
    return VectorWork((source,), group.nodes, group.output.name, function, np.frombuffer(block, np.uint8))
