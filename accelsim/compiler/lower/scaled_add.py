"""Sums of two tensors of integers by float32 factors."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.lower.work import VectorWork, element_type, float_bits, range_of, require_two
from accelsim.datapath import requantize
from accelsim.datapath.vector.float_scale import LEAST_FACTOR, MOST_FACTOR, MOST_FIXED
from accelsim.errors import CompileError
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One addition of two tiles by two fused multiply-adds."""
    name, result = group.name, group.output.element
    *parts, factors = group.head.inputs
    require_two(graph, name, parts)
    first, other, fixed = graph[factors].numbers.astype(np.float32)
    inside = all(LEAST_FACTOR <= factor <= MOST_FACTOR for factor in (first, other))
    if not inside or abs(fixed) > MOST_FIXED:
        raise CompileError(
            f"node {name}: factors must be {LEAST_FACTOR} to {MOST_FACTOR} on the vector unit, not {first} and {other}"
        )
    low, high = range_of(result, group.epilogue)
    function = Function(
        Operation.ADD,
        source=element_type(name, graph[parts[0]].element),
        other=element_type(name, graph[parts[1]].element),
        result=element_type(name, result),
        multiplier=float_bits(first),
        other_multiplier=float_bits(other),
        result_multiplier=float_bits(fixed),
        rounding=requantize.MODES.index(requantize.ZERO_POINT_FIRST),
        low=low,
        high=high,
    )
    return VectorWork(tuple(parts), group.nodes, group.output.name, function)
