"""Windows of convolutions and pools as ONNX describes them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from accelsim.graph.ops.window import Window
from accelsim.graph.value import Value
from accelsim.units import ceil_div
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import NEW, Tensor
from accelsim.workload.importers.onnx.translation import Translation

#: Axes of images, and of rows as images of one pixel's height.
_AXES = {3: (0, NEW, 2, 1), 4: (0, 2, 3, 1)}


class Images(NamedTuple):
    """Images of a graph, (samples, height, width, channels), and the axes of the model's tensor there."""

    value: Value
    axes: tuple[int, ...]

    def formed(self, value: Value, x: Tensor) -> Tensor:
        """What is formed of them as a tensor of the model."""
        shape = [0] * x.rank
        for place, axis in enumerate(self.axes):
            if axis != NEW:
                shape[axis] = value.shape[place]
        return Tensor(value, tuple(shape), x.dtype, self.axes)


def images(c: Translation, x: Tensor) -> Images:
    """A tensor of rows or of images, channels second, as images of the graph.

    Raises
    ------
    RefusedError
        If it has more or fewer axes.
    """
    if x.rank not in _AXES:
        raise RefusedError(f"must have 1 or 2 axes of pixels, not {x.rank - 2}")
    return Images(c.arranged(x, _AXES[x.rank]), _AXES[x.rank])


class Attributes(NamedTuple):
    """Strides, dilations and padding, down and across.

    Parameters
    ----------
    padding
        Above, left, below, right.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]
    auto: str


def attributes(n: OnnxNode, rank: int) -> Attributes:
    """A node's attributes of windows of 1 or 2 axes."""
    auto = n.text("auto_pad", "NOTSET")
    if auto not in {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}:
        raise RefusedError(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {auto[:20]!r}")
    pads = _numbers(n, "pads", 2 * rank, 0, 0) if auto == "NOTSET" else [0] * 2 * rank
    before, behind = pads[:rank], pads[rank:]
    filled = [0] * (2 - rank)
    top, left, bottom, right = *filled, *before, *filled, *behind
    return Attributes(
        _pair(_numbers(n, "strides", rank, 1, 1)),
        _pair(_numbers(n, "dilations", rank, 1, 1)),
        (top, left, bottom, right),
        auto,
    )


def kernel_of(n: OnnxNode, rank: int) -> tuple[int, int]:
    """A node's kernel."""
    if n.integer_row("kernel_shape") is None:
        raise RefusedError("must have a kernel_shape")
    return _pair(_numbers(n, "kernel_shape", rank, 1, 1))


def window(kernel: tuple[int, int], found: Attributes, pixels: tuple[int, int], *, ceil: bool = False) -> Window:
    """The window, padded so that it forms as many pixels as ONNX says.

    Parameters
    ----------
    ceil
        Whether the last window may hang over the edge, if it begins inside.
    """
    made = Window(kernel, found.stride, found.padding, found.dilation)
    before, behind = list(found.padding[:2]), list(found.padding[2:])
    for axis, (size, reach, stride) in enumerate(zip(pixels, made.reach, found.stride, strict=True)):
        if found.auto.startswith("SAME"):
            total = (ceil_div(size, stride) - 1) * stride + reach - size
            if total < 0:  # runtimes do not agree what that means
                raise RefusedError(f"auto_pad {found.auto} must not cut pixels: the stride is larger than the kernel")
            low, high = total // 2, total - total // 2
            before[axis], behind[axis] = (low, high) if found.auto == "SAME_UPPER" else (high, low)
        elif ceil:
            padded = size + before[axis] + behind[axis]
            formed = ceil_div(padded - reach, stride) + 1
            if (formed - 1) * stride >= size + before[axis]:
                formed -= 1
            behind[axis] += max(0, (formed - 1) * stride + reach - padded)
    return replace(made, padding=(before[0], before[1], behind[0], behind[1]))


def _pair(numbers: list[int]) -> tuple[int, int]:
    """Numbers of one or two axes, down and across."""
    down, across = (1, *numbers) if len(numbers) == 1 else numbers
    return down, across


def _numbers(n: OnnxNode, name: str, count: int, usual: int, least: int) -> list[int]:
    found = n.integer_row(name)
    numbers = [usual] * count if found is None else found
    if len(numbers) != count or any(not least <= number < 2**31 for number in numbers):
        raise RefusedError(f"{name} must be {count} numbers of {least} or more, not {numbers[:8]}")
    return numbers
