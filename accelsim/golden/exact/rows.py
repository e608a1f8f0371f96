"""Softmax and normalizations of rows in integers: the definitions of `golden.vector`, whole tensors at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.exact.rounding import ROUNDING
from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax

Int64 = NDArray[np.int64]

#: Natural logarithm of 2 on the grid of 2^-14, and the polynomial's constants there, rounded down.
LN2 = round(2**14 * math.log(2))
LINEAR, CONSTANT = math.floor(1.353 * 2**14), math.floor(0.344 / 0.3585 * 2**28)
#: Powers of two after which an exponential counts as 0.
MOST_HALVINGS = 30


def softmax(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Shares of each row; every intermediate stays below 2^63 (`datapath.vector.softmax` lists their widths)."""
    op = node.op
    assert isinstance(op, IntegerSoftmax)  # noqa: S101 - as the table has it
    x = given[0].astype(np.int64)
    seen = op.mask.seen(*op.places(x.shape))
    largest = np.where(seen, x, np.iinfo(np.int64).min).max(axis=-1, keepdims=True)
    distance = np.where(seen, largest - x, 0)
    q = np.minimum((distance * op.multiplier + 2**op.right // 2) >> op.right, MOST_HALVINGS * LN2)
    halvings, rest = np.divmod(q, LN2)
    exponentials = np.where(seen, ((LINEAR - rest) ** 2 + CONSTANT) >> halvings, 0)
    total = exponentials.sum(axis=-1, keepdims=True)
    reciprocal = (2 * 2**61 + total) // (2 * total)
    unit = 2 ** (61 - op.bits)
    shares = np.minimum((exponentials * reciprocal + unit // 2) // unit, 2**op.bits - 1)
    return (shares.astype(graph[node.output].element.dtype),)


def normalize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Normalized rows; one integer root and one quotient a row, in Python's integers."""
    op = node.op
    assert isinstance(op, IntegerNorm)  # noqa: S101 - as the table has it
    x, gamma, beta, multiplier, shift = (part.astype(np.int64) for part in given)
    values = x - graph[node.inputs[0]].element.zero_point
    features = x.shape[-1]
    bits = 39 - (math.ceil(math.log2(features) / 2) if op.centred else 0)
    if op.centred:  # features times the deviation from the mean is an integer
        values = features * values - values.sum(axis=-1, keepdims=True)
    spread = np.square(values).sum(axis=-1, keepdims=True) // (features if op.centred else 1) + op.epsilon
    scaled = values * _reciprocals(spread, 16 + bits) * gamma
    total = ((scaled + 2**15) >> 16) + beta
    scaled = ROUNDING[op.rounding](total, multiplier, shift) + op.to.zero_point
    return (np.clip(scaled, op.to.qmin, op.to.qmax).astype(op.to.dtype),)


def _reciprocals(spread: Int64, bits: int) -> Int64:
    """2^bits over floor(2^16 sqrt(spread)), to nearest, ties up; 0 over 0."""
    roots = [math.isqrt(value << 32) for value in spread.ravel().tolist()]
    quotients = [(2 * 2**bits + root) // (2 * root) if root else 0 for root in roots]
    return np.array(quotients, np.int64).reshape(spread.shape)
