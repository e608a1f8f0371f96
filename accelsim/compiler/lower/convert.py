"""Conversions, ReLU that ends no layer, and copies."""

from __future__ import annotations

from accelsim.compiler.lower.work import ONE, VectorWork, element_type, range_of, rounding_of, scale_of
from accelsim.datapath import requantize
from accelsim.errors import CompileError
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.cast import Cast
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One conversion of each number, clamped if there is a ReLU."""
    name, node, source = group.name, group.head, group.head.inputs[0]
    given, result = graph[source].element, group.output.element
    types = {"source": element_type(name, given), "result": element_type(name, result)}
    low, high = range_of(result, group.nodes)
    if isinstance(given, Float) and isinstance(result, Float):
        function = Function(Operation.CONVERT, **types, low=low, high=high)
        return VectorWork((source,), group.nodes, group.output.name, function)
    casts = [part for part in group.nodes if isinstance(part.op, Cast)]
    if isinstance(given, Float) or isinstance(result, Float) or len(casts) > 1:
        raise CompileError(f"node {name}: numbers must be converted between integers, or between floats, once")
    multiplier, shift = ONE
    rounding = requantize.MODES.index("tflite_single_round")
    if casts:
        cast = casts[0].op
        assert isinstance(cast, Cast)  # noqa: S101 - as it was looked for
        if cast.lift or node is not casts[0]:
            raise CompileError(f"node {name}: a conversion must come first, and shift nothing")
        (multiplier, shift), rounding = scale_of(graph, node), rounding_of(name, cast)
    function = Function(
        Operation.CONVERT,
        **types,
        zero_point=given.zero_point,
        result_zero_point=result.zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=rounding,
        low=low,
        high=high,
    )
    return VectorWork((source,), group.nodes, group.output.name, function)
