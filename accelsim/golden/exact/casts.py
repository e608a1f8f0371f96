"""Conversions between a machine's integers, signs and floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.exact.rounding import requantized
from accelsim.golden.interpreter import Array
from accelsim.graph.element import Float, Signs
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.cast import Cast, DynamicQuantize


def cast(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Requantize, round, or take signs."""
    op = node.op
    assert isinstance(op, Cast)  # noqa: S101 - as the table has it
    x = given[0]
    if isinstance(op.to, Float):
        return (op.to.quantize(x),)
    centred = x.astype(np.int64) - graph[node.inputs[0]].element.zero_point
    if isinstance(op.to, Signs):
        return (np.where(centred >= 0, 1, -1).astype(np.int8),)
    factors = given[1].astype(np.int64), given[2].astype(np.int64)
    scaled = requantized(op.rounding, centred << op.lift, *factors, op.to.zero_point)
    return (np.clip(scaled, op.to.qmin, op.to.qmax).astype(op.to.dtype),)


def dynamic_quantize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, Array]:  # noqa: ARG001
    """Integers of each group over the largest magnitude of its row, and that magnitude over the largest integer."""
    op = node.op
    assert isinstance(op, DynamicQuantize)  # noqa: S101 - as the table has it
    x = given[0]
    largest = np.float32(2 ** (op.bits - 1) - 1)
    integers = np.zeros(x.shape, np.int8)
    scales = []
    for first in range(0, x.shape[-1], op.group):
        part = x[..., first : first + op.group]
        peak = np.abs(part).max(axis=-1, keepdims=True)
        factor = np.divide(largest, peak, out=np.zeros_like(peak), where=peak > 0)
        integers[..., first : first + op.group] = np.clip(np.rint(part * factor), -largest, largest)
        scales.append(peak / largest)
    return integers, np.concatenate(scales, axis=-1)
