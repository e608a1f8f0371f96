"""Matrix products as arrays add them up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.interpreter import Array
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.matmul import ScaledMatMul

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


def matmul(fold_inputs: int, graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Integer sums, or float32 sums fold by fold, onto those that are there."""
    x, w = given[:2]
    before = given[2] if len(given) == 3 else None
    if isinstance(graph[node.inputs[0]].element, Float):
        return (float_sums(x, w, fold_inputs, before),)
    zeros = [graph[name].element.zero_point for name in node.inputs[:2]]
    sums = integer_sums(x, w, *zeros)
    formed = graph[node.output].element.dtype
    return ((sums if before is None else sums + before).astype(formed),)


def integer_sums(x: Array, w: Array, x_zero: int = 0, w_zero: int = 0) -> Int64:
    """Sums of products of integers less their zero points.

    |sum| <= K * 2^16 * 2^15 stays below 2^53 for every K < 2^22, so float64 products are exact.
    """
    sums: Int64 = ((x.astype(np.float64) - x_zero) @ (w.astype(np.float64) - w_zero)).astype(np.int64)
    return sums


def float_sums(x: Float32, w: Float32, fold_inputs: int, before: Float32 | None = None) -> Float32:
    """Sums of (..., M, K) and (..., K, N) floats, fold by fold, onto those that are there."""
    total = before
    for first in range(0, w.shape[-2], fold_inputs):
        fold = np.zeros((*x.shape[:-1], w.shape[-1]), np.float32)
        for k in range(first, min(first + fold_inputs, w.shape[-2])):
            fold = fold + x[..., k, None] * w[..., k, None, :]
        total = fold if total is None else total + fold
    assert total is not None  # noqa: S101 - there is an input
    return total


def scaled_matmul(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Integer sums of each group, scaled and added up in float32."""
    op = node.op
    assert isinstance(op, ScaledMatMul)  # noqa: S101 - as the table has it
    q, scales, w, w_scales = given
    total: Float32 | None = None
    for number in range(len(w_scales)):
        part = slice(number * op.group, (number + 1) * op.group)
        sums = integer_sums(q[..., part], w[part]).astype(np.float32)
        scaled = sums * scales[..., number, None] * w_scales[number]
        total = scaled if total is None else total + scaled
    assert total is not None  # noqa: S101 - there is a group
    return (total,)
