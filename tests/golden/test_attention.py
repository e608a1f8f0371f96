"""Operators of language models against their definitions in plain numpy, and what does not fit them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.errors import DefectError
from accelsim.golden import exact, real
from accelsim.graph.element import REAL, Float, Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.rotary_embedding import RotaryEmbedding
from accelsim.graph.ops.token_mean import TokenMean
from accelsim.graph.value import Value

SEEDS = st.integers(0, 2**32)


def one(op: Op, *given_: NDArray[Any]) -> Graph:
    """A graph of one node."""
    names = [f"x{i}" for i in range(len(given_))]
    values = {
        name: Value(name, x.shape, REAL if x.dtype == np.float32 else Plain(x.dtype.name))
        for name, x in zip(names, given_, strict=True)
    }
    return Graph.formed("one", values, [Node("n", op, tuple(names), ("y",))], names, ("y",))


def found(op: Op, *given_: NDArray[Any]) -> NDArray[Any]:
    """Real numbers, after float32 ones, and a vector unit's or a host's rounded ones, were found near them."""
    graph = one(op, *given_)
    right = real.evaluate(graph, given_)["y"]
    assert right.shape == graph["y"].shape
    narrow = real.evaluate(graph, given_, precision="float32")["y"]
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, right, rtol=1e-4, atol=1e-5)
    formed = exact.evaluate(graph, given_, 1)["y"]
    if isinstance(op, MaskedSoftmax | L2Norm | Function):  # of float32 operations
        np.testing.assert_allclose(formed, right, rtol=2e-6, atol=1e-7)
    else:
        np.testing.assert_array_equal(formed, right.astype(np.float32))
    return right


@given(
    heads=st.integers(1, 3), queries=st.integers(1, 6), before=st.integers(0, 4), window=st.integers(0, 5),
    sinks=st.integers(0, 2), causal=st.booleans(), padded=st.booleans(), scale=st.floats(0.1, 3), seed=SEEDS,
)  # fmt: skip
def test_a_query_shares_itself_among_what_it_sees(
    heads: int,
    queries: int,
    before: int,
    window: int,
    sinks: int,
    causal: bool,
    padded: bool,
    scale: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    keys = queries + before
    x = rng.normal(size=(2, heads, queries, keys)).astype(np.float32)
    ids = rng.integers(7, 9, (2, keys))
    window = window if causal else 0
    sinks = sinks if window else 0
    op = MaskedSoftmax(scale, Mask(causal, window, sinks), pad=7 if padded else None)
    shares = found(op, x, *((ids,) if padded else ()))
    for sample, head, query in np.ndindex(2, heads, queries):
        place = query + before
        seen = [key for key in range(keys)
                if not (padded and ids[sample, key] == 7)
                and not (causal and key > place) and not (window and sinks <= key <= place - window)]  # fmt: skip
        weights = {key: math.exp(scale * float(x[sample, head, query, key])) for key in seen}
        right = [weights.get(key, 0.0) / sum(weights.values()) if seen else 0.0 for key in range(keys)]
        np.testing.assert_allclose(shares[sample, head, query], right, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 3), st.booleans(), SEEDS)
def test_pairs_turn_as_complex_numbers_do(places: int, pairs: int, more: int, interleaved: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, places, 2 * pairs + more)).astype(np.float32)
    frequencies = rng.uniform(0, 2, pairs).astype(np.float32)
    turned = found(RotaryEmbedding(interleaved), x, frequencies)
    order = np.arange(2 * pairs).reshape(pairs, 2) if interleaved else np.arange(2 * pairs).reshape(2, pairs).T
    first, second = order.T
    angles = np.arange(places)[:, None] * frequencies.astype(np.float64)
    right = (x[..., first] + 1j * x[..., second]) * np.exp(1j * angles)
    np.testing.assert_allclose(turned[..., first] + 1j * turned[..., second], right, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(turned[..., 2 * pairs :], x[..., 2 * pairs :])


def test_means_of_tokens_leave_padding_out() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    ids = np.array([[5, 0, 6], [0, 0, 0]])
    np.testing.assert_allclose(found(TokenMean(0), x, ids), [(x[0, 0] + x[0, 2]) / 2.0, np.zeros(4)])
    np.testing.assert_allclose(found(TokenMean(), x), x.mean(axis=1))


def test_rows_of_length_one() -> None:
    x = np.array([[3, 4], [0, 0], [-2, 0]], np.float32)
    np.testing.assert_allclose(found(L2Norm(1e-12), x), [[0.6, 0.8], [0, 0], [-1, 0]])


def test_gelu_by_a_hyperbolic_tangent() -> None:
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], np.float32)
    right = [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x.tolist()]
    np.testing.assert_allclose(found(Function("gelu_tanh"), x), right, rtol=1e-12)
    assert not np.array_equal(found(Function("gelu"), x), right)


def test_narrow_floats_are_rounded_once() -> None:
    x = np.random.default_rng(3).normal(size=(1, 4, 6)).astype(np.float16).astype(np.float32)
    frequencies = np.array([1.0, 0.1, 0.01], np.float32)
    values = {"x": Value("x", x.shape, Float("fp16")), "f": Value("f", (3,), REAL, frequencies)}
    graph = Graph.formed("one", values, [Node("n", RotaryEmbedding(), ("x", "f"), ("y",))], ("x",), ("y",))
    assert graph["y"].element == Float("fp16")
    right = real.evaluate(graph, (x,))["y"].astype(np.float32).astype(np.float16)
    np.testing.assert_array_equal(exact.evaluate(graph, (x,), 1)["y"], right)


F, IDS = np.float32, np.int64


@pytest.mark.parametrize(
    ("op", "given_", "message"),
    [
        (MaskedSoftmax(), [np.zeros(4, F)], "must have queries and keys, not 1 axes alone"),
        (MaskedSoftmax(mask=Mask(causal=True)), [np.zeros((3, 2), F)], "as many keys as queries or more, not 2 for 3"),
        (MaskedSoftmax(mask=Mask(window=2)), [np.zeros((2, 2), F)], "a window must be causal and 1 key or more, not 2"),
        (
            MaskedSoftmax(mask=Mask(True, sinks=1)),
            [np.zeros((2, 2), F)],
            "sinks must be 0 or more, and stand beside a window",
        ),
        (MaskedSoftmax(mask=Mask(causal=True, window=-1)), [np.zeros((2, 2), F)], "a window must be causal"),
        (MaskedSoftmax(pad=0), [np.zeros((2, 2), F)], "there must be ids of the keys where a token is padding"),
        (MaskedSoftmax(), [np.zeros((2, 2), F), np.zeros((2, 2), IDS)], "there must be ids"),
        (MaskedSoftmax(pad=0), [np.zeros((2, 3, 4), F), np.zeros((2, 3), IDS)], r"x1 must be ids of shape .2, 4., not"),
        (RotaryEmbedding(), [np.zeros(4, F), np.zeros(2, F)], "must have positions and features"),
        (RotaryEmbedding(), [np.zeros((4, 4), F), np.zeros(3, F)], "must be frequencies of at most 2 pairs, not .3,"),
        (RotaryEmbedding(), [np.zeros((4, 4), F), np.zeros((1, 2), F)], "must be frequencies of at most 2 pairs"),
        (TokenMean(), [np.zeros((4, 4), F)], "x0 must have 3 axes, not 2"),
        (TokenMean(1), [np.zeros((1, 4, 4), F)], "there must be ids of the tokens"),
        (TokenMean(1), [np.zeros((1, 4, 4), F), np.zeros((1, 3), IDS)], "x1 must be ids of shape .1, 4., not .1, 3."),
        (Gather(2), [np.zeros((4, 4), F), np.zeros(3, IDS)], "x0 must have an axis 2, not 2 axes alone"),
        (Gather(), [np.zeros((4, 4), F), np.zeros(3, F)], "x1 must be integers, not fp32"),
    ],
)
def test_what_does_not_fit_is_refused(op: Op, given_: list[NDArray[Any]], message: str) -> None:
    with pytest.raises(DefectError, match=message):
        one(op, *given_)
