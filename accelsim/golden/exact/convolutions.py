"""Convolutions and pools in a machine's integers and floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.exact.products import float_sums, integer_sums
from accelsim.golden.interpreter import Array
from accelsim.golden.windows import pixels
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.pool import AveragePool, MaxPool


def conv(fold_inputs: int, graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Sums of a matrix product whose inputs are the rows, columns and channels of each window, in this order.

    Floats are summed as those of any product; padding counts as a product with zero.
    """
    op = node.op
    assert isinstance(op, Conv)  # noqa: S101 - as the table has it
    x, w = given
    element, formed = graph[node.inputs[0]].element, graph[node.output]
    windows = pixels(x, op.window, x.dtype.type(element.zero_point))
    channels, filters = w.shape[2], w.shape[3] // op.groups
    sums = []
    for g in range(op.groups):
        part = windows[..., g * channels : (g + 1) * channels]
        rows = part.reshape(-1, int(np.prod(part.shape[3:])))
        columns = w[..., g * filters : (g + 1) * filters].reshape(rows.shape[1], filters)
        if isinstance(element, Float):
            sums.append(float_sums(rows, columns, fold_inputs))
        else:
            zeros = (element.zero_point, graph[node.inputs[1]].element.zero_point)
            sums.append(integer_sums(rows, columns, *zeros).astype(formed.element.dtype))
    return (np.concatenate(sums, axis=-1).reshape(*windows.shape[:3], -1),)


def max_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Largest number of each window."""
    op, element = node.op, graph[node.inputs[0]].element
    assert isinstance(op, MaxPool)  # noqa: S101 - as the table has it
    least = -np.inf if isinstance(element, Float) else element.qmin
    return (pixels(given[0], op.window, given[0].dtype.type(least)).max(axis=(3, 4)),)


def average_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Sum of each window of integers, zero points taken off; mean of each window of floats."""
    op = node.op
    assert isinstance(op, AveragePool)  # noqa: S101 - as the table has it
    element = graph[node.inputs[0]].element
    if isinstance(element, Float):
        inside = pixels(np.ones_like(given[0][:1, :, :, :1]), op.window, np.float32(op.padded)).sum(axis=(3, 4))
        return (_means(pixels(given[0], op.window, np.float32(0)), inside),)
    windows = pixels(given[0].astype(np.int64) - element.zero_point, op.window, 0)
    return (windows.sum(axis=(3, 4)).astype(np.int32),)


def global_average_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Sum of each image of integers, zero points taken off; mean of each image of floats."""
    element = graph[node.inputs[0]].element
    if isinstance(element, Float):
        size = np.float32(given[0].shape[1] * given[0].shape[2])
        return (_means(given[0][:, None, None], size)[:, 0, 0],)
    return ((given[0].astype(np.int64) - element.zero_point).sum(axis=(1, 2)).astype(np.int32),)


def _means(windows: Array, counts: Array | np.float32) -> Array:
    """Sums in float32, pixel after pixel by rows and columns of each window, times the nearest float of 1 / count."""
    by_pixel = windows.reshape(*windows.shape[:3], -1, windows.shape[-1])
    total: Array = by_pixel[..., 0, :]
    for number in range(1, by_pixel.shape[3]):
        total = total + by_pixel[..., number, :]
    means: Array = total * (1 / np.asarray(counts, np.float64)).astype(np.float32)
    return means
