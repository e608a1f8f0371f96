"""Attention's softmax and positions, and what makes a sentence of its tokens, in real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.rotary_embedding import RotaryEmbedding
from accelsim.graph.ops.token_mean import TokenMean


def masked_softmax(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Exponentials of what a query sees over their sum."""
    op = node.op
    assert isinstance(op, MaskedSoftmax)  # noqa: S101 - as the table has it
    queries, keys = given[0].shape[-2:]
    scores = given[0] * op.scale
    if op.mask.causal:
        scores += np.where(op.mask.seen(queries, keys), 0, -np.inf).astype(scores.dtype)
    if op.pad is not None:
        shape = (len(scores), *[1] * (scores.ndim - 2), keys)
        scores += np.where(given[1] == op.pad, -np.inf, 0).astype(scores.dtype).reshape(shape)
    largest = scores.max(axis=-1, keepdims=True)
    largest[largest == -np.inf] = 0
    scores -= largest
    shares = np.exp(scores, out=scores)
    # the largest exponential is 1, but where nothing is seen
    shares /= np.maximum(shares.sum(axis=-1, keepdims=True), np.finfo(shares.dtype).tiny)
    return (shares,)


def rotary_embedding(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Pairs turned; angles are float64 whatever x is."""
    op = node.op
    assert isinstance(op, RotaryEmbedding)  # noqa: S101 - as the table has it
    x, frequencies = given
    angles = np.arange(x.shape[-2])[:, None] * frequencies.astype(np.float64)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    pairs = len(frequencies)
    first = slice(0, 2 * pairs, 2) if op.interleaved else slice(0, pairs)
    second = slice(1, 2 * pairs, 2) if op.interleaved else slice(pairs, 2 * pairs)
    turned = np.empty_like(x)
    turned[..., 2 * pairs :] = x[..., 2 * pairs :]
    for one, other, sign in ((first, second, -sin), (second, first, sin)):
        np.multiply(x[..., one], cos, out=turned[..., one])
        turned[..., one] += x[..., other] * sign
    return (turned,)


def token_mean(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Sums of the tokens that count over their number."""
    op = node.op
    assert isinstance(op, TokenMean)  # noqa: S101 - as the table has it
    x = given[0]
    if op.pad is None:
        return (x.mean(axis=1),)
    counts = (given[1] != op.pad)[..., None]
    return ((x * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1).astype(x.dtype),)


def l2_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Rows over their length."""
    op = node.op
    assert isinstance(op, L2Norm)  # noqa: S101 - as the table has it
    x = given[0]
    return (x / np.maximum(np.sqrt(np.square(x).sum(axis=-1, keepdims=True)), op.epsilon),)
