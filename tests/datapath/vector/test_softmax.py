"""Softmax against golden arithmetic, bounds on every width, and the real function within its derived errors."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import softmax
from accelsim.golden import vector as golden

#: Relative error of I-BERT's quadratic with the unit's constants; exhaustive below.
POLYNOMIAL_ERROR = 3.14e-3

SCALES = st.floats(2**-20, 2)
BITS: st.SearchStrategy[Literal[8, 16]] = st.sampled_from([8, 16])


@st.composite
def tiles(draw: st.DrawFn, low: int = -128, high: int = 127) -> NDArray[np.int64]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 80)))
    x = rng.integers(low, high + 1, shape)
    kind = draw(st.sampled_from(["random", "equal", "one", "ends"]))
    if kind == "equal":
        x[:] = draw(st.integers(low, high))
    elif kind == "one":
        x[:] = low
        x[:, draw(st.integers(0, shape[1] - 1))] = high
    elif kind == "ends":
        x[:] = rng.choice([low, high], shape)
    return x


def real(x: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    powers = np.exp((x - x.max(axis=-1, keepdims=True)) * scale)
    return powers / powers.sum(axis=-1, keepdims=True)


@given(tiles(low=-(2**31), high=2**31 - 1), st.floats(2**-40, 2**-20), BITS)
def test_the_polynomial_of_int32_scores_equals_golden(x: NDArray[np.int64], scale: float, bits: Literal[8, 16]) -> None:
    grid = softmax.grid_scale(scale)
    np.testing.assert_array_equal(softmax.softmax(x, *grid, bits), golden.softmax(x, *grid, bits))


@given(tiles(), SCALES, BITS)
def test_the_polynomial_of_int8_scores_equals_golden(x: NDArray[np.int64], scale: float, bits: Literal[8, 16]) -> None:
    grid = softmax.grid_scale(scale)
    x = x.astype(np.int8)
    np.testing.assert_array_equal(softmax.softmax(x, *grid, bits), golden.softmax(x, *grid, bits))


@given(tiles(), SCALES, BITS, st.booleans())
def test_the_table_equals_golden(x: NDArray[np.int64], scale: float, bits: Literal[8, 16], signed: bool) -> None:
    codes = x.astype(np.int8) if signed else (x + 128).astype(np.uint8)
    table = softmax.exponential_table(scale)
    np.testing.assert_array_equal(softmax.softmax_table(codes, table, bits), golden.softmax_table(codes, table, bits))


def test_the_division_by_ln_2_is_exact_and_the_quadratic_as_close_as_stated() -> None:
    distance = np.arange(softmax.CLAMP + 1)
    unit = 0.3585 * 2.0**-28
    # scale 1 on the grid: distance in units of 2^-14
    got = softmax.exponential(distance, 1, 0)
    halvings, rest = np.divmod(distance, softmax.LN2)
    expected = ((softmax.LINEAR - rest) ** 2 + softmax.CONSTANT) >> halvings
    np.testing.assert_array_equal(got, expected)
    first = np.arange(softmax.LN2)
    error = got[first] * unit / np.exp(-first / 2**14) - 1
    assert 3.12e-3 < np.abs(error).max() < POLYNOMIAL_ERROR
    assert got[0] < 2**30
    assert got[0] > 2**29
    assert got[-1] == 0


def share_bounds(
    shares: NDArray[np.float64], error: float, absolute: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest share if every exponential errs by a factor within 1 +- error, and sums by `absolute`."""
    up, down = 1 + error, 1 - error
    return (
        shares * down / (shares * down + (1 - shares) * up) - absolute,
        shares * up / (shares * up + (1 - shares) * down) + absolute,
    )


@given(tiles(), SCALES, BITS)
def test_the_polynomial_is_softmax_within_its_errors(x: NDArray[np.int64], scale: float, bits: Literal[8, 16]) -> None:
    got = softmax.softmax(x, *softmax.grid_scale(scale), bits)
    # the grid: half a unit, M's 2^-16 of it, and ln 2's rounding once a halving; all of 2^-14
    farthest = min(float((x.max() - x.min()) * scale * 2**14), softmax.CLAMP + 1.0)
    halvings = math.ceil(farthest / softmax.LN2)
    grid = (0.5 + farthest * 2**-16 + halvings * abs(softmax.LN2 - math.log(2) * 2**14)) * 2**-14
    error = (1 + POLYNOMIAL_ERROR) * math.exp(grid) - 1
    # each shift, and each clamped exponential, loses less than 2 units of 0.3585 2^-28 of a sum of at least 1
    absolute = (x.shape[-1] + 1) * 2 * 0.3585 * 2**-28 + 2**-32
    low, high = share_bounds(real(x, scale), error, absolute)
    top = (2**bits - 1) / 2**bits
    assert (got / 2**bits >= np.minimum(low, top) - 0.5 / 2**bits).all()
    assert (got / 2**bits <= np.minimum(high + 0.5 / 2**bits, top)).all()


@given(tiles(), SCALES, BITS)
def test_the_table_is_softmax_within_half_a_unit_an_entry(
    x: NDArray[np.int64], scale: float, bits: Literal[8, 16]
) -> None:
    got = softmax.softmax_table(x.astype(np.int8), softmax.exponential_table(scale), bits)
    shares = real(x, scale)
    half = 0.5 / 65535
    # the maximum's own entry is exact, so the sum stays at least 1
    absolute = half * (1 + shares * x.shape[-1]) + 2**-32
    exact = np.minimum(shares, (2**bits - 1) / 2**bits)
    assert (np.abs(got / 2**bits - exact) <= absolute + 0.5 / 2**bits).all()


def test_for_int8_scores_the_table_beats_the_polynomial_at_16_bits() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (200, 64))
    exact = real(x, 0.05)
    polynomial = softmax.softmax(x, *softmax.grid_scale(0.05), 16) / 2**16
    table = softmax.softmax_table(x.astype(np.int8), softmax.exponential_table(0.05), 16) / 2**16
    assert np.abs(table - exact).max() < np.abs(polynomial - exact).max() / 5


def test_the_reciprocal_is_rounded_to_nearest() -> None:
    # 512 equal shares are half an LSB of Q0.8 each; 2^61 over their sum is 6013184.91, rounded up, so they reach it
    assert softmax.softmax(np.zeros(512, np.int8), *softmax.grid_scale(1.0), 8).tolist() == [1] * 512


@pytest.mark.parametrize("columns", [1, 2**15])
def test_no_intermediate_leaves_its_width(columns: int) -> None:
    for x in (np.zeros((1, columns), np.int64), np.eye(1, columns, dtype=np.int64) * (2**32 - 1)):
        # the grid's coarsest and finest scales
        for scale in (2**-40, 2.0):
            multiplier, right = softmax.grid_scale(scale)
            assert 2**15 <= multiplier < 2**16
            distance = (x.max() - x).ravel().tolist()
            assert max(distance) * multiplier + 2**right < 2**62
            powers = [golden.exponential(d, multiplier, right) for d in set(distance)]
            assert max(powers) < 2**30
        total = sum(golden.exponential(d, *softmax.grid_scale(2.0)) for d in distance)
        assert 2**29 < total < 2**45
        reciprocal = (2 * 2**61 + total) // (2 * total)
        assert reciprocal < 2**32
        assert max(powers) * reciprocal + 2**52 < 2**62
        np.testing.assert_array_equal(
            softmax.softmax(x, *softmax.grid_scale(2.0), 16), golden.softmax(x, *softmax.grid_scale(2.0), 16)
        )
    total = columns * 65535
    assert 65535 <= total < 2**31
    assert (2 * 2**47 + 65535) // (2 * 65535) < 2**32


@pytest.mark.parametrize("scale", [2**-41, 2.01, math.nan])
def test_a_scale_off_the_grid_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="must be in \\[2\\^-40, 2\\]"):
        softmax.grid_scale(scale)


def test_a_longer_row_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 32768 values, not 32769"):
        softmax.softmax(np.zeros(2**15 + 1, np.int8), 2**15, 10, 8)


def test_a_row_takes_three_passes_and_one_reciprocal() -> None:
    # 3 groups of 16; maximum: 4 levels and its register; 7 or 2 stages, 4 levels, accumulator; 32 bits; 2 stages
    for table, stages in ((False, 7), (True, 2)):
        interval = (3 + 4) + (3 + stages + 4) + 32 + 3
        assert softmax.cycles(1, 40, 16, 0, table=table) == (interval, interval + 1)
        assert softmax.cycles(6, 40, 16, 0, table=table) == (6 * interval, 6 * interval + 1)
        assert softmax.cycles(6, 40, 16, 60, table=table)[0] == 6 * interval + 3 * (60 - 18)


def test_events_count_the_passes_and_the_row_registers() -> None:
    counters: Counters = {}
    softmax.events(counters, 2, 10, table=True)
    assert {(e.operation, e.bits, e.by): times for e, times in counters.items()} == {
        (Operation.INT_COMPARE, 32, 0): 20,
        (Operation.INT_ADD, 32, 0): 20,
        (Operation.REGISTER_WRITE, 16, 0): 20,
        (Operation.REGISTER_READ, 16, 0): 40,
        (Operation.INT_ADD, 31, 0): 20,
        (Operation.INT_ADD, 46, 0): 64,
        (Operation.INT_MULTIPLY, 16, 32): 20,
        (Operation.INT_ADD, 62, 0): 20,
    }
    assert {e.component for e in counters} == {Component.VECTOR}
    counters = {}
    softmax.events(counters, 2, 10, table=False)
    found = {(e.operation, e.bits, e.by): times for e, times in counters.items()}
    multiplies = {key[1:]: times for key, times in found.items() if key[0] is Operation.INT_MULTIPLY}
    assert multiplies == {(32, 16): 20, (19, 19): 20, (5, 14): 20, (15, 15): 20, (30, 32): 20}
    assert found[Operation.REGISTER_READ, 30, 0] == found[Operation.REGISTER_WRITE, 30, 0] == 20
    assert found[Operation.INT_SHIFT, 30, 0] == found[Operation.INT_SHIFT, 48, 0] == 20
    assert found[Operation.INT_ADD, 45, 0] == 20
