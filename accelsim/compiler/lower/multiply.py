"""Products of two tensors, number by number, and pairs of features turned by angles of a table."""

from __future__ import annotations

from accelsim.compiler.lower.work import VectorWork, conversion_behind, element_type, range_of, require_two
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.rotate import Rotate
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction of two tiles; of integers the conversion behind it is part of it."""
    name, result, op = group.name, group.output.element, group.head.op
    if isinstance(op, Rotate):
        operation, what = Operation.ROTATE_NEIGHBOURS if op.interleaved else Operation.ROTATE, "rotation"
    else:
        operation, what = Operation.MULTIPLY, "product"
        require_two(graph, name, group.head.inputs)
    low, high = range_of(result, group.epilogue)
    a, b = (graph[part].element for part in group.head.inputs)
    types = {"source": element_type(name, a), "other": element_type(name, b), "result": element_type(name, result)}
    if isinstance(result, Float):
        function = Function(operation, **types, low=low, high=high)
        return VectorWork(group.head.inputs, group.nodes, group.output.name, function)
    multiplier, shift, rounding = conversion_behind(graph, group, what)
    function = Function(
        operation,
        **types,
        zero_point=a.zero_point,
        other_zero_point=b.zero_point,
        result_zero_point=result.zero_point,
        result_multiplier=multiplier,
        result_shift=shift,
        rounding=rounding,
        low=low,
        high=high,
    )
    return VectorWork(group.head.inputs, group.nodes, group.output.name, function)
