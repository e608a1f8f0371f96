"""Normalizations of rows of 8-bit integers."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.lower.work import RowFunction, VectorWork, element_type, require_rows
from accelsim.datapath.vector.norm import Norm
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.isa import constants
from accelsim.isa.opcodes import NORMALIZE, Normalization


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction a tile of whole rows; gamma, beta and the scale stand in the weight scratchpad."""
    op, (source, *parts) = group.head.op, group.head.inputs
    assert isinstance(op, IntegerNorm)  # noqa: S101 - as the table has it
    require_rows(group.name, graph[source])
    gamma, beta, multiplier, shift = (graph[name].numbers.astype(np.int64) for name in parts)
    given = graph[source].element
    norm = Norm(op.centred, given.zero_point, gamma, beta, multiplier, shift, op.to.zero_point, op.rounding, op.epsilon)
    kind = Normalization.LAYER if op.centred else Normalization.RMS
    types = element_type(group.name, given), element_type(group.name, op.to)
    block = np.frombuffer(constants.pack_norm(norm), np.uint8)
    return VectorWork((source,), group.nodes, group.output.name, RowFunction(NORMALIZE, *types, kind), block)
