"""Matrix products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.file import shown
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation


def matmul(c: Translation, n: OnnxNode) -> Tensor:
    """A product of matrices, or of two stacks of them."""
    a, b = n.real(0), n.real(1)
    if not a.rank or not b.rank or a.shape[-1] != b.shape[max(0, b.rank - 2)]:
        raise RefusedError(f"factors must be (..., M, K) and (..., K, N), not {shown(a.shape)} and {shown(b.shape)}")
    x, w = factors(c, a, b)
    if a.rank == 1:
        x = c.reshaped(x, (1, *x.shape))
    if b.rank == 1:
        w = c.reshaped(w, (*w.shape, 1))
    x, w = _stacked(c, x, w)
    value = c.put(MatMul(), x, w, name=n.name)
    kept = [*value.shape[:-2], *value.shape[-2:-1] * (a.rank > 1), *value.shape[-1:] * (b.rank > 1)]
    return c.tensor(c.reshaped(value, tuple(kept)), a.dtype)


def factors(c: Translation, a: Tensor, b: Tensor) -> tuple[Value, Value]:
    """Values of two factors; of a flattened image the weights' rows are put in the order of its numbers."""
    if a.block and a.rank == 2 and b.rank == 2:
        channels, height, width = a.block
        rows = np.arange(a.shape[-1]).reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
        if b.known:
            return a.value, c.constant(b.numbers[rows], f"{c.name}.weight", b.value.element)
        return a.value, c.put(Gather(0), c.plain(b), c.constant(rows))
    return c.plain(a), c.plain(b)


def _stacked(c: Translation, x: Value, w: Value) -> tuple[Value, Value]:
    """Factors of as many matrices each; one matrix on the right goes with all on the left."""
    if len(w.shape) == 2:
        return x, w
    try:
        stack = np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    except ValueError:
        raise RefusedError(f"factors must be stacks that fit, not {shown(x.shape)} and {shown(w.shape)}") from None
    return _repeated(c, x, stack), _repeated(c, w, stack)


def _repeated(c: Translation, x: Value, stack: Shape) -> Value:
    if x.shape[:-2] == stack:
        return x
    shape = (*[1] * (len(stack) + 2 - len(x.shape)), *x.shape)
    times = (*(a // b for a, b in zip(stack, shape[:-2], strict=True)), 1, 1)
    return c.put(Expand(times), c.reshaped(x, shape))


def gemm(c: Translation, n: OnnxNode) -> Tensor:
    """Alpha A B + beta C, A and B perhaps transposed."""
    a, b = n.real(0), n.real(1)
    if a.rank != 2 or b.rank != 2:
        raise RefusedError(f"factors must be matrices, not {shown(a.shape)} and {shown(b.shape)}")
    if n.integer("transA", 0):
        a = _transposed(c, a)
    if n.integer("transB", 0):
        b = _transposed(c, b)
    if a.shape[1] != b.shape[0]:
        raise RefusedError(f"factors must be (M, K) and (K, N), not {shown(a.shape)} and {shown(b.shape)}")
    alpha, beta = n.number("alpha", 1.0), n.number("beta", 1.0)
    if alpha != 1 and b.known:
        b = c.known_tensor((b.numbers.astype(np.float64) * alpha).astype(np.float32), f"{n.name}.weight")
    x, w = factors(c, a, b)
    sums = c.put(MatMul(), x, w, name=n.name)
    if alpha != 1 and not b.known:
        sums = c.put(Mul(), sums, c.scalar(alpha))
    if n.has(2) and beta:
        sums = _added(c, n, sums, beta)
    return c.tensor(sums, a.dtype)


def _added(c: Translation, n: OnnxNode, sums: Value, beta: float) -> Value:
    """Sums and beta times the third input."""
    addend = n.real(2)
    if np.broadcast_shapes(sums.shape, addend.shape) != sums.shape:
        raise RefusedError(f"C must fit {shown(sums.shape)}, not be {shown(addend.shape)}")
    value = c.plain(addend)
    if addend.known and addend.rank == 2 and addend.shape[0] == 1:
        value = c.reshaped(value, addend.shape[1:])
    if beta != 1:
        value = c.put(Mul(), value, c.scalar(beta))
    if value.data is not None and value.shape in {(), (1,)} and sums.features > 1:  # a bias has a number a feature
        c.require_room(4 * sums.features)
        value = c.constant(np.broadcast_to(value.numbers, (sums.features,)).copy(), f"{n.name}.bias")
    return c.put(Add(), sums, value, name=f"{n.name}.add")


def _transposed(c: Translation, x: Tensor) -> Tensor:
    if x.known:
        return c.known_tensor(np.ascontiguousarray(x.numbers.T), f"{c.name}.weight", x.dtype)
    value = c.put(Transpose((1, 0)), c.plain(x))
    return replace(x, value=value, shape=value.shape, axes=(0, 1), block=())
