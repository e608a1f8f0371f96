"""Sums of two tensors: integers of two scales TFLite's way, or floats."""

from __future__ import annotations

from accelsim.compiler.lower.work import VectorWork, conversion_behind, element_type, range_of, require_two, scale_of
from accelsim.datapath.vector.elementwise import left_shift
from accelsim.errors import CompileError
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.cast import Cast
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One addition of two tiles; of integers both conversions before it are part of it."""
    name, result = group.name, group.output.element
    require_two(graph, name, group.head.inputs)
    low, high = range_of(result, group.epilogue)
    if isinstance(result, Float):
        first, other = (element_type(name, graph[part].element) for part in group.head.inputs)
        function = Function(Operation.ADD, first, other, element_type(name, result), low=low, high=high)
        return VectorWork(group.head.inputs, group.nodes, group.output.name, function)
    before, lifts = [], []
    for part in group.head.inputs:
        node = graph.producer(part)
        if node is None or not isinstance(node.op, Cast):
            raise CompileError(f"node {name}: integers must be brought to one scale to be added")
        before.append(node)
        lifts.append(node.op.lift)
    sources, scales = [node.inputs[0] for node in before], [scale_of(graph, node) for node in before]
    multiplier, shift, rounding = conversion_behind(graph, group, "sum")
    a, b = (graph[source].element for source in sources)
    first, other = element_type(name, a), element_type(name, b)
    left = left_shift(first, other)
    if lifts != [left, left]:
        raise CompileError(f"node {name}: integers must be brought to one scale, {left} bits finer, to be added")
    function = Function(
        Operation.ADD,
        source=first,
        other=other,
        result=element_type(name, result),
        zero_point=a.zero_point,
        other_zero_point=b.zero_point,
        result_zero_point=result.zero_point,
        multiplier=scales[0][0],
        shift=scales[0][1],
        other_multiplier=scales[1][0],
        other_shift=scales[1][1],
        result_multiplier=multiplier,
        result_shift=shift,
        rounding=rounding,
        low=low,
        high=high,
    )
    nodes = (*before, *group.nodes)
    return VectorWork(tuple(sources), nodes, group.output.name, function)
