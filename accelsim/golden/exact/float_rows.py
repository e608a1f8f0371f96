"""Softmax and normalizations of rows of floats, of float32 operations alone, as `float_functions` has them.

A row's sum is a tree over its columns, whatever lanes form it: neighbours are added in pairs, columns 0 and 1, 2 and 3,
and so on, then the sums in the same way until one is left; zeros of positive sign fill a row up to a power of two. A
mean is that sum times the nearest float32 to 1 / columns.

===========  ==========================================================================================================
rms_norm     x i gamma with i = 1 / sqrt(mean of x^2 + epsilon), from left to right
layer_norm   d i gamma + beta with d = x - mean and i = 1 / sqrt(mean of d^2 + epsilon); beta is 0 where there is none
l2_norm      x i with i = 1 / max(sqrt(sum of x^2), epsilon)
softmax      e i with e = exp(scale x - m), m the largest scale x that the row sees, and i = 1 / sum of e
===========  ==========================================================================================================

Of what a query does not see e is 0, and so is the share, whatever the score. A row that sees nothing, or minus infinity
alone, is all 0. Where it sees a NaN or plus infinity, all that it sees becomes NaN. scale and epsilon are float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.exact import host
from accelsim.golden.exact.float_functions import ONE, Float32, exponential, of_floats, result
from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.norm import LayerNorm, RmsNorm


def total(values: Float32) -> Float32:
    """Sum of each row, shape (..., 1)."""
    columns = values.shape[-1]
    filled = np.zeros((*values.shape[:-1], 1 << (columns - 1).bit_length()), np.float32)
    filled[..., :columns] = values
    while filled.shape[-1] > 1:
        filled = filled[..., 0::2] + filled[..., 1::2]
    return filled


def mean(values: Float32) -> Float32:
    """Mean of each row, shape (..., 1)."""
    return total(values) * (ONE / np.float32(values.shape[-1]))


def rms_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """By the root of the row's mean square."""
    assert isinstance(node.op, RmsNorm)  # noqa: S101 - as the table has it
    if not of_floats(graph, node):
        return host.compute(graph, node, given)
    x, gamma = (part.astype(np.float32) for part in given)
    inverse = ONE / np.sqrt(mean(x * x) + np.float32(node.op.epsilon))
    return result(graph, node, x * inverse * gamma)


def layer_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """By mean and variance of the row."""
    assert isinstance(node.op, LayerNorm)  # noqa: S101 - as the table has it
    if not of_floats(graph, node):
        return host.compute(graph, node, given)
    x, gamma, *rest = (part.astype(np.float32) for part in given)
    beta = rest[0] if rest else np.zeros_like(gamma)
    centred = x - mean(x)
    inverse = ONE / np.sqrt(mean(centred * centred) + np.float32(node.op.epsilon))
    return result(graph, node, centred * inverse * gamma + beta)


def l2_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """By the row's length."""
    assert isinstance(node.op, L2Norm)  # noqa: S101 - as the table has it
    if not of_floats(graph, node):
        return host.compute(graph, node, given)
    x = given[0].astype(np.float32)
    length: Float32 = np.maximum(np.sqrt(total(x * x)), np.float32(node.op.epsilon))
    return result(graph, node, x * (ONE / length))


def softmax(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """Exponentials over their sum."""
    if not of_floats(graph, node):
        return host.compute(graph, node, given)
    return result(graph, node, _shares(given[0].astype(np.float32), np.ones((), np.bool_)))


def masked_softmax(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """Exponentials of what a query sees over their sum."""
    op = node.op
    assert isinstance(op, MaskedSoftmax)  # noqa: S101 - as the table has it
    if not of_floats(graph, node):
        return host.compute(graph, node, given)
    x = given[0].astype(np.float32)
    seen = op.mask.seen(*x.shape[-2:])
    if op.pad is not None:
        seen = seen & (given[1] != op.pad).reshape(len(x), *[1] * (x.ndim - 2), x.shape[-1])
    return result(graph, node, _shares(x * np.float32(op.scale), seen))


def _shares(scores: Float32, seen: NDArray[np.bool_]) -> Float32:
    """Shares of each row of scores that are scaled, of what is seen of it."""
    seen = np.broadcast_to(seen, scores.shape)
    largest = np.where(seen, scores, np.float32(-np.inf)).max(axis=-1, keepdims=True)
    largest = np.where(largest == -np.inf, np.float32(0), largest)
    exponentials = np.where(seen, exponential(scores - largest), np.float32(0))
    sums = total(exponentials)
    inverse = np.where(sums == 0, np.float32(0), ONE / sums)
    return np.where(seen, exponentials * inverse, np.float32(0))
