"""Softmax and normalizations of rows: whole tensors at once against the plain definitions of golden.vector."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.golden import exact
from accelsim.golden import vector as plain
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.value import Value

SEEDS = st.integers(0, 2**32)
SIDES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 70))


def evaluated(
    op: Op, x: NDArray[np.generic], element: Integer, **constants: NDArray[np.generic]
) -> NDArray[np.generic]:
    """What a node forms of a tensor."""
    known = {"x": Value("x", x.shape, element)}
    for name, data in constants.items():
        bits = 8 * data.dtype.itemsize
        known[name] = Value(name, data.shape, Integer(1.0, 0, signed=True, bits=bits), data)
    graph = Graph.formed("one", known, [Node("n", op, ("x", *constants), ("y",))], ("x",), ("y",))
    return exact.evaluate(graph, (x,), 1)["y"]


def rows(rng: np.random.Generator, shape: tuple[int, ...], element: Integer) -> NDArray[np.generic]:
    """Random integers, of a wide or a narrow range, some rows of one value."""
    x = rng.integers(element.qmin, element.qmax, shape, endpoint=True)
    if rng.random() < 0.3:
        x = np.clip(x // 2**20, element.qmin, element.qmax)
    x[rng.random(shape[:-1]) < 0.2] = int(rng.integers(element.qmin, element.qmax))
    return x.astype(element.dtype)


@given(SIDES, SEEDS, st.sampled_from([(8, True), (8, False), (32, True)]), st.sampled_from([8, 16]),
       st.integers(1, 2**16 - 1), st.integers(0, 62))  # fmt: skip
def test_shares_are_those_of_the_polynomial(
    shape: tuple[int, ...], seed: int, kind: tuple[int, bool], bits: int, multiplier: int, right: int
) -> None:
    element = Integer(0.1, 0, signed=kind[1], bits=kind[0])
    x = rows(np.random.default_rng(seed), shape, element)
    got = evaluated(IntegerSoftmax(multiplier, right, bits), x, element)
    assert got.dtype == np.dtype(f"u{bits // 8}")
    np.testing.assert_array_equal(got, plain.softmax(x, multiplier, right, bits))


@given(
    st.integers(1, 2), st.integers(1, 6), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2), st.booleans(), SEEDS,
    st.sampled_from([8, 16, 32]),
)  # fmt: skip
def test_what_a_row_does_not_see_has_no_share(
    heads: int, queries: int, before: int, window: int, sinks: int, causal: bool, seed: int, bits: int
) -> None:
    element = Integer(0.1, 0, signed=True, bits=bits)
    keys, window = queries + before, window if causal else 0
    x = rows(np.random.default_rng(seed), (heads, queries, keys), element)
    mask = Mask(causal, window, sinks if window else 0)
    got = evaluated(IntegerSoftmax(65535, 20, mask=mask), x, element)
    for head, query in np.ndindex(heads, queries):
        place = query + before
        seen = [key for key in range(keys) if not (causal and key > place)
                and (not window or key > place - window or key < mask.sinks)]  # fmt: skip
        right = np.zeros(keys, np.int64)
        right[seen] = plain.softmax(x[head, query, seen], 65535, 20, 8)
        np.testing.assert_array_equal(got[head, query], right)


@given(SEEDS, st.booleans(), st.booleans(), st.integers(-5, 5))
def test_pairs_turn_as_complex_integers_do(seed: int, interleaved: bool, wide: bool, zero_point: int) -> None:
    rng, element = np.random.default_rng(seed), Integer(0.1, zero_point, signed=True, bits=16 if wide else 8)
    table_element = Integer(1 / 127, 0, signed=True)
    x = rng.integers(element.qmin, element.qmax + 1, (2, 3, 6)).astype(element.dtype)
    table = rng.integers(-127, 128, x.shape).astype(np.int8)
    values = {"x": Value("x", x.shape, element), "t": Value("t", x.shape, table_element)}
    graph = Graph.formed("turn", values, [Node("n", Rotate(interleaved), ("x", "t"), ("y",))], ("x", "t"), ("y",))
    got = exact.evaluate(graph, (x, table), 1)["y"]
    order = np.arange(6).reshape(3, 2).T if interleaved else np.arange(6).reshape(2, 3)
    real, imaginary = (x.astype(np.int64) - zero_point)[..., order].transpose(2, 0, 1, 3)
    cos, sin = table.astype(np.int64)[..., order].transpose(2, 0, 1, 3)
    turned = (real + 1j * imaginary) * (cos + 1j * sin)  # below 2^53, so exact
    np.testing.assert_array_equal(got[..., order[0]], turned.real)
    np.testing.assert_array_equal(got[..., order[1]], turned.imag)


@given(SIDES, SEEDS, st.booleans(), st.booleans(), st.sampled_from(sorted(ROUNDING)), st.integers(0, 2**31 - 1))
def test_normalized_rows_are_those_of_the_definition(
    shape: tuple[int, ...], seed: int, signed: bool, centred: bool, rounding: str, epsilon: int
) -> None:
    rng, features = np.random.default_rng(seed), shape[-1]
    element = Integer(0.1, 0, signed=signed)
    element = Integer(0.1, int(rng.integers(element.qmin, element.qmax)), signed=signed)
    x, to = rows(rng, shape, element), Integer(0.1, int(rng.integers(-128, 128)), signed=True)
    gamma, beta = rng.integers(-128, 128, features).astype(np.int8), rng.integers(-(2**29), 2**29, features)
    shift = rng.integers(-31, 0, features)
    multiplier = rng.integers(2**30, 2**31, 1)
    if rng.random() < 0.5:
        epsilon >>= int(rng.integers(0, 32))
    else:  # small numbers below a large epsilon: of what gamma is rounded to, each step is one of the result
        x = np.clip(element.zero_point + rng.integers(-3, 4, shape), element.qmin, element.qmax).astype(element.dtype)
        gamma, beta, epsilon = gamma % 4, beta % 100, 2**31 - 1 - epsilon % 2**20
        shift = rng.integers(-1, 2, features)
    constants = (gamma, beta.astype(np.int32), multiplier.astype(np.int32), shift.astype(np.int8))
    names = ("gamma", "beta", "multiplier", "shift")
    got = evaluated(IntegerNorm(to, centred, epsilon, rounding), x, element, **dict(zip(names, constants, strict=True)))
    expected = plain.normalize(
        x, centred=centred, zero_point=element.zero_point, weights=None, epsilon=epsilon,
        gamma=gamma.astype(np.int64), beta=beta, multiplier=multiplier, shift=shift, output_zero_point=to.zero_point,
        mode=rounding,
    )  # fmt: skip
    np.testing.assert_array_equal(got, expected)


def test_a_long_row_stays_inside_its_widths() -> None:
    """2^15 numbers, as far from zero and from each other as they can be."""
    element, ends = Integer(0.1, -128, signed=True), np.array([-128, 127], np.int8)
    x = np.stack([np.full(2**15, 127, np.int8), np.tile(ends, 2**14), np.repeat(ends, 2**14)])
    shares = evaluated(IntegerSoftmax(65535, 0), x, element)
    np.testing.assert_array_equal(shares, plain.softmax(x, 65535, 0, 8))
    to, ones = Integer(0.1, 0, signed=True), np.ones(2**15, np.int8)
    for centred in (True, False):
        op = IntegerNorm(to, centred, 1, "tflite_single_round")
        got = evaluated(
            op, x, element, gamma=127 * ones, beta=ones.astype(np.int32), multiplier=np.array([2**30], np.int32),
            shift=-20 * ones,
        )  # fmt: skip
        expected = plain.normalize(
            x, centred=centred, zero_point=-128, weights=None, epsilon=1, gamma=np.full(2**15, 127),
            beta=np.ones(2**15, np.int64),
            multiplier=np.array([2**30]), shift=np.full(2**15, -20), output_zero_point=0, mode="tflite_single_round",
        )  # fmt: skip
        np.testing.assert_array_equal(got, expected)


def test_what_is_no_row_of_integers_is_refused() -> None:
    wide = Value("x", (2, 3), Integer(1.0, 0, signed=True, bits=4))
    with pytest.raises(UnfitError, match="x must be integers of 8, 16 or 32 bits, not int4"):
        IntegerSoftmax(1, 0).infer(wide)
    byte, four = Value("x", (2, 3), Integer(1.0, 0, signed=True)), np.ones(4, np.int8)
    parts = [Value(name, (4,), byte.element, four) for name in ("gamma", "beta", "multiplier", "shift")]
    norm = IntegerNorm(byte.element, centred=True, epsilon=0, rounding="tflite_single_round")
    with pytest.raises(UnfitError, match="gamma, beta and shift must have 3 numbers, and one multiplier"):
        norm.infer(byte, *parts)
    with pytest.raises(UnfitError, match="x must become signed integers, not uint8"):
        IntegerNorm(Integer(1.0, 0, signed=False), centred=True, epsilon=0, rounding="").infer(byte, *parts)
