"""Squares on the vector unit, as compiler/lower would have them."""

from __future__ import annotations

from accelsim.compiler.lower.work import VectorWork, conversion_behind, element_type, range_of
from accelsim.errors import CompileError
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.cast import Cast
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One multiplication of a tile with itself, the conversion behind it included."""
    name, (source,), result = group.name, group.head.inputs, group.output.element
    given = graph[source].element
    if sum(isinstance(node.op, Cast) for node in group.epilogue) != 1:
        raise CompileError(f"node {name}: a square must be brought to the scale, or the type, of a result once")
    low, high = range_of(result, group.epilogue)
    kind = element_type(name, given)
    function = Function(
        Operation.MULTIPLY, source=kind, other=kind, result=element_type(name, result), low=low, high=high
    )
    if not isinstance(given, Float):
        multiplier, shift, rounding = conversion_behind(graph, group, "square")
        function = function._replace(
            zero_point=given.zero_point,
            other_zero_point=given.zero_point,
            result_zero_point=result.zero_point,
            result_multiplier=multiplier,
            result_shift=shift,
            rounding=rounding,
        )
    return VectorWork((source, source), group.nodes, group.output.name, function)
