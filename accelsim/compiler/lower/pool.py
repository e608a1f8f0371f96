"""Maxima and means of windows."""

from __future__ import annotations

from accelsim.compiler.image import Image, fill_byte, whole_channels
from accelsim.compiler.lower.work import (
    VectorWork,
    conversion_behind,
    element_type,
    float_bits,
    range_of,
)
from accelsim.errors import CompileError
from accelsim.graph.element import Element, Float
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.pool import AveragePool, MaxPool
from accelsim.graph.ops.window import Window
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One reduction of the windows; of a mean of integers the conversion behind it is part of it."""
    name, (source,) = group.name, group.head.inputs
    given, result = graph[source].element, group.output.element
    op = group.head.op
    samples, height, width, channels = graph[source].shape
    window = op.window if isinstance(op, MaxPool | AveragePool) else Window((height, width))
    if window.dilation != (1, 1):
        raise CompileError(f"node {name}: windows must have no dilation on the vector unit, not {window.dilation}")
    fill = _fill(name, given, window, largest=isinstance(op, MaxPool))
    image = Image(samples, height, width, whole_channels(channels, given.memory_bits), window, fill)
    steps = {
        "window_rows": window.kernel[0],
        "window_columns": window.kernel[1],
        "row_step": window.stride[0],
        "column_step": window.stride[1],
    }
    types = {"source": element_type(name, given), "result": element_type(name, result)}
    if isinstance(op, MaxPool):
        if group.epilogue:
            raise CompileError(f"node {name}: nothing must be fused behind a maximum")
        return VectorWork(
            (source,), group.nodes, group.output.name, Function(Operation.MAXIMUM, **types, **steps), image=image
        )
    low, high = range_of(result, group.epilogue)
    if isinstance(given, Float):
        if isinstance(op, AveragePool) and any(window.padding) and not op.padded:
            raise CompileError(f"node {name}: windows must have as many pixels each for one mean, not {window}")
        count = window.kernel[0] * window.kernel[1]
        function = Function(
            Operation.SUM, **types, result_multiplier=float_bits(1 / count), low=low, high=high, **steps
        )
        return VectorWork((source,), group.nodes, group.output.name, function, image=image)
    multiplier, shift, rounding = conversion_behind(graph, group, "sum")
    function = Function(
        Operation.SUM,
        **types,
        zero_point=given.zero_point,
        result_zero_point=result.zero_point,
        result_multiplier=multiplier,
        result_shift=shift,
        rounding=rounding,
        low=low,
        high=high,
        **steps,
    )
    return VectorWork((source,), group.nodes, group.output.name, function, image=image)


def _fill(name: str, element: Element, window: Window, *, largest: bool) -> int:
    """Byte around the images: what stands for zero, or what is never the largest."""
    if not any(window.padding):
        return 0
    if largest and isinstance(element, Float):
        raise CompileError(f"node {name}: windows of floats must have no padding to find the largest of, not {window}")
    value = element.zero_point
    if largest and not isinstance(element, Float):
        value = element.qmin
    if element.memory_bits > 8 and value:
        raise CompileError(f"node {name}: numbers must be of 8 bits to be padded, not {element}")
    return fill_byte(value, element.memory_bits)
