"""Pools."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.window import Window
from accelsim.workload.importers.onnx.families.windows import attributes, images, kernel_of, window
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation


def _window(n: OnnxNode, x: Tensor, pixels: tuple[int, ...]) -> Window:
    kernel, given = kernel_of(n, x.rank - 2), attributes(n, x.rank - 2)
    return window(kernel, given, (pixels[0], pixels[1]), ceil=bool(n.integer("ceil_mode", 0)))


def max_pool(c: Translation, n: OnnxNode) -> Tensor:
    """The largest of each window."""
    n.one_output()
    x = n.given(0)
    found = images(c, x)
    return found.formed(c.put(MaxPool(_window(n, x, found.value.shape[1:3])), found.value, name=n.name), x)


def average_pool(c: Translation, n: OnnxNode) -> Tensor:
    """The mean of each window; of padding none counts that hangs over what the node itself adds."""
    x = n.real(0)
    found = images(c, x)
    value, made = found.value, _window(n, x, found.value.shape[1:3])
    padded = bool(n.integer("count_include_pad", 0))
    own = attributes(n, x.rank - 2)
    if padded and own.auto == "NOTSET" and made.padding != own.padding:
        top, left, bottom, right = own.padding
        if any(own.padding):
            value = c.put(Pad((0, top, left, 0), (0, bottom, right, 0)), value)
        made = replace(made, padding=(0, 0, made.padding[2] - bottom, made.padding[3] - right))
        padded = False
    return found.formed(c.put(AveragePool(made, padded), value, name=n.name), x)


def global_average_pool(c: Translation, n: OnnxNode) -> Tensor:
    """The mean of each image."""
    x = n.real(0)
    value = c.put(GlobalAveragePool(), images(c, x).value, name=n.name)
    return Tensor(value, (*x.shape[:2], *[1] * (x.rank - 2)), x.dtype, (0, 1))


def global_max_pool(c: Translation, n: OnnxNode) -> Tensor:
    """The largest pixel of each image."""
    x = n.given(0)
    found = images(c, x)
    height, width = found.value.shape[1:3]
    return found.formed(c.put(MaxPool(Window((height, width))), found.value, name=n.name), x)


def lp_pool(c: Translation, n: OnnxNode) -> Tensor:
    """The p-norm of each window."""
    x, p = n.real(0), n.integer("p", 2)
    if p < 1:
        raise RefusedError(f"p must be 1 or more, not {p}")
    found = images(c, x)
    value = c.put(Function("absolute"), found.value)
    value = c.put(Function("power", float(p)), value) if p > 1 else value
    made = _window(n, x, found.value.shape[1:3])
    size = c.scalar(made.kernel[0] * made.kernel[1])
    sums = c.put(Mul(), c.put(AveragePool(made, padded=True), value), size)
    return found.formed(c.put(Function("power", 1 / p), sums, name=n.name) if p > 1 else sums, x)
