"""Pairs of features turned by angles of a table."""

from __future__ import annotations

from accelsim.compiler.lower.work import VectorWork, conversion_behind, element_type, range_of
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.rotate import Rotate
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction a tile of whole rows and of the table's; of integers the conversion behind it is part of it."""
    name, op, result = group.name, group.head.op, group.output.element
    assert isinstance(op, Rotate)  # noqa: S101 - as the table has it
    operation = Operation.ROTATE_NEIGHBOURS if op.interleaved else Operation.ROTATE
    low, high = range_of(result, group.epilogue)
    x, table = (graph[part].element for part in group.head.inputs)
    types = {"source": element_type(name, x), "other": element_type(name, table), "result": element_type(name, result)}
    if isinstance(result, Float):
        function = Function(operation, **types, low=low, high=high)
        return VectorWork(group.head.inputs, group.nodes, group.output.name, function)
    multiplier, shift, rounding = conversion_behind(graph, group, "rotation")
    function = Function(
        operation,
        **types,
        zero_point=x.zero_point,
        other_zero_point=table.zero_point,
        result_zero_point=result.zero_point,
        result_multiplier=multiplier,
        result_shift=shift,
        rounding=rounding,
        low=low,
        high=high,
    )
    return VectorWork(group.head.inputs, group.nodes, group.output.name, function)
