"""Convolutions."""

from __future__ import annotations

import numpy as np

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Value
from accelsim.workload.importers.onnx.families.windows import attributes, images, window
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import NEW, Tensor, turned
from accelsim.workload.importers.onnx.translation import Translation


def conv(c: Translation, n: OnnxNode) -> Tensor:
    """A convolution, and its bias."""
    x, w = n.real(0), n.real(1)
    found = images(c, x)
    groups = n.integer("group", 1)
    if w.rank != x.rank or min(w.shape, default=0) < 1:
        raise RefusedError(f"filters must have as many axes as the images, {x.rank}, not {w.rank}")
    if groups < 1:
        raise RefusedError(f"group must be 1 or more, not {groups}")
    filters = filters_of(c, n, w)
    pixels = found.value.shape[1:3]
    shape = window((filters.shape[0], filters.shape[1]), attributes(n, x.rank - 2), (pixels[0], pixels[1]))
    sums = c.put(Conv(shape, groups), found.value, filters, name=n.name)
    return found.formed(biased(c, n, sums, 2), x)


def filters_of(c: Translation, n: OnnxNode, w: Tensor) -> Value:
    """Filters (F, channels / groups, height, width) as (height, width, channels / groups, F)."""
    axes = (2, 3, 1, 0) if w.rank == 4 else (NEW, 2, 1, 0)
    if not w.known:
        return c.arranged(w, axes)
    numbers = w.numbers if w.rank == 4 else w.numbers[:, :, None]
    return c.constant(turned(numbers, (2, 3, 1, 0)), f"{n.name}.weight", w.value.element)


def biased(c: Translation, n: OnnxNode, sums: Value, number: int) -> Value:
    """Sums with the bias of an input, if it is there."""
    bias = n.optional(number)
    if bias is None:
        return sums
    if bias.shape != (sums.features,):
        raise RefusedError(f"its bias must be {sums.features} numbers, one a filter")
    return c.put(Add(), sums, c.plain(bias), name=f"{n.name}.add")


def conv_transpose(c: Translation, n: OnnxNode) -> Tensor:
    """A convolution of images with zeros between their pixels, by filters that are turned around."""
    x, w = n.real(0), n.real(1)
    found, rank, groups = images(c, x), x.rank - 2, n.integer("group", 1)
    if w.rank != x.rank or groups < 1 or w.shape[0] % groups or w.shape[0] != x.shape[1]:
        raise RefusedError("filters must have the images' channels, and groups must divide them")
    samples, height, width, channels = found.value.shape
    kernel = (1, *w.shape[2:]) if rank == 1 else w.shape[2:]
    given = attributes(n, rank)
    reach = Window((kernel[0], kernel[1]), dilation=given.dilation).reach
    more = _pair(n.integer_row("output_padding"), rank)
    before, behind = list(given.padding[:2]), list(given.padding[2:])
    wanted = n.integer_row("output_shape")
    for axis, size in enumerate((height, width)):
        full = (size - 1) * given.stride[axis] + reach[axis] + more[axis]
        if wanted is not None and axis >= 2 - rank:
            total = full - wanted[-2 + axis]
        elif given.auto.startswith("SAME"):
            total = full - size * given.stride[axis]
        else:
            continue
        half = total // 2
        before[axis], behind[axis] = (half, total - half) if given.auto == "SAME_UPPER" else (total - half, half)
    value = found.value
    if given.stride != (1, 1):
        down, across = given.stride
        value = c.reshaped(value, (samples, height, 1, width, 1, channels))
        value = c.put(Pad((0,) * 6, (0, 0, down - 1, 0, across - 1, 0)), value)
        value = c.reshaped(value, (samples, height * down, width * across, channels))
    low = [reach[axis] - 1 - before[axis] for axis in (0, 1)]
    high = [reach[axis] - 1 - behind[axis] + more[axis] - (given.stride[axis] - 1) for axis in (0, 1)]
    for axis in (0, 1):
        cut = max(0, -low[axis]), max(0, -high[axis])
        if any(cut):
            value = c.put(Slice(axis + 1, cut[0], value.shape[axis + 1] - cut[1]), value)
    padding = (max(0, low[0]), max(0, low[1]), max(0, high[0]), max(0, high[1]))
    made = Window((kernel[0], kernel[1]), (1, 1), padding, given.dilation)
    sums = c.put(Conv(made, groups), value, _turned_around(c, w, groups, kernel), name=n.name)
    return found.formed(biased(c, n, sums, 2), x)


def _turned_around(c: Translation, w: Tensor, groups: int, kernel: tuple[int, ...]) -> Value:
    """Filters (channels, F / groups, height, width) as (height, width, channels / groups, F), pixels backwards."""
    channels, filters = w.shape[0] // groups, w.shape[1]
    value = c.reshaped(c.plain(w), (groups, channels, filters, *kernel))
    value = c.put(Transpose((3, 4, 1, 0, 2)), value)
    value = c.reshaped(value, (*kernel, channels, groups * filters))
    for axis, size in enumerate(kernel):
        if size > 1:
            value = c.put(Gather(axis), value, c.constant(np.arange(size)[::-1].copy()))
    return value


def _pair(numbers: list[int] | None, rank: int) -> tuple[int, int]:
    """Pixels that are formed more, down and across."""
    if numbers is None:
        return 0, 0
    if len(numbers) != rank or min(numbers) < 0:
        raise RefusedError(f"output_padding must be {rank} numbers of 0 or more")
    return (0, numbers[0]) if rank == 1 else (numbers[0], numbers[1])
