"""The requantize unit against the vectors of deployed libraries, against golden, and against exact fractions."""

from __future__ import annotations

import csv
import math
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compress.quantize.integers import Rounding
from accelsim.config.tech import Counters, Operation
from accelsim.datapath import requantize
from accelsim.golden.exact.rounding import FLOAT_ROUNDING, NAMES, ROUNDING, requantized
from accelsim.graph.ops.cast import float_multiplier

VECTORS = Path(__file__).parent.parent / "data" / "requant_vectors.csv"


def vectors(scheme: str) -> list[dict[str, str]]:
    with VECTORS.open() as file:
        return [row for row in csv.DictReader(file) if row["scheme"] == scheme]


SCHEMES = {
    "cmsis_nn_double_round",
    "gemmini_rounding_rshift_rne",
    "litert_ref_fully_connected",
    "onnxruntime_qlinearmatmul_s8",
    "tflite214_builtin_fully_connected",
    "tflite_double_round",
    "tflite_single_round",
    "xnnpack_qs8_fp32_rne",
    "xnnpack_qs8_rndnu",
}


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_vector_of_a_deployed_scheme(scheme: str) -> None:
    rows = vectors(scheme)
    assert len(rows) == 260
    acc, multiplier, shift, zero_point, out = (
        np.array([int(row[name]) for row in rows]) for name in ("acc", "multiplier", "shift", "zero_point", "out")
    )
    np.testing.assert_array_equal(requantize.requantize(acc, multiplier, shift, zero_point, scheme), out)
    if scheme in ROUNDING:
        golden = ROUNDING[scheme](acc, multiplier, shift)
        np.testing.assert_array_equal(np.clip(golden + zero_point, -128, 127), out)
    if scheme in FLOAT_ROUNDING:
        for zero in np.unique(zero_point):
            golden = FLOAT_ROUNDING[scheme](acc, multiplier, shift, int(zero))
            np.testing.assert_array_equal(np.clip(golden, -128, 127)[zero_point == zero], out[zero_point == zero])


def test_each_scheme_is_told_apart_from_the_others_by_its_vectors() -> None:
    same = [{"tflite_double_round", "cmsis_nn_double_round"}, {"xnnpack_qs8_fp32_rne", "onnxruntime_qlinearmatmul_s8"}]
    tflite = {s for s in SCHEMES if s.startswith(("tflite", "cmsis", "litert"))}
    for family in (tflite, SCHEMES - tflite - {"gemmini_rounding_rshift_rne"}):
        for scheme in family:
            rows = vectors(scheme)
            columns = ("acc", "multiplier", "shift", "zero_point", "out")
            *arguments, out = (np.array([int(row[name]) for row in rows]) for name in columns)
            for other in family - {scheme}:
                equal = np.array_equal(requantize.requantize(*arguments, other), out)
                assert equal == ({scheme, other} in same), (scheme, other)


ACC = st.integers(-(2**31), 2**31 - 1)
FLOATS = tuple(FLOAT_ROUNDING)
MULTIPLIER = st.integers(2**30, 2**31 - 1)


@given(ACC, MULTIPLIER, st.integers(-31, 0))
def test_single_rounding_is_the_nearest_integer_with_ties_up(acc: int, multiplier: int, shift: int) -> None:
    exact = Fraction(acc * multiplier) * Fraction(2) ** (shift - 31)
    expected = math.floor(exact + Fraction(1, 2))
    got = requantize.requantize([acc], [multiplier], [shift], 0, "tflite_single_round", qmin=-(2**40), qmax=2**40)
    assert got.tolist() == [expected]


def half_away(value: Fraction) -> int:
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return -magnitude if value < 0 else magnitude


@given(ACC, st.integers(-(2**15), 2**15 - 1), st.integers(0, 62), st.integers(-128, 127))
def test_nvdla_rounds_half_away_and_saturates_twice(acc: int, multiplier: int, shift: int, zero_point: int) -> None:
    rounded = half_away(Fraction(acc * multiplier, 2**shift))
    expected = min(max(min(max(rounded, -(2**16)), 2**16 - 1) + zero_point, -128), 127)
    got = requantize.requantize([acc], [multiplier], [shift], zero_point, "nvdla_half_away")
    assert got.tolist() == [expected]


@given(ACC, st.integers(0, 40))
def test_gemmini_rounds_to_even(acc: int, shift: int) -> None:
    got = requantize.requantize([acc], [1], [shift], 0, "gemmini_rounding_rshift_rne", qmin=-(2**40), qmax=2**40)
    assert got.tolist() == [round(Fraction(acc, 2**shift))]


@given(ACC, MULTIPLIER, st.integers(-31, 0))
def test_litert_rounds_once_with_ties_away(acc: int, multiplier: int, shift: int) -> None:
    exact = Fraction(acc * multiplier) * Fraction(2) ** (shift - 31)
    mode = "litert_ref_fully_connected"
    got = requantize.requantize([acc], [multiplier], [shift], 0, mode, qmin=-(2**40), qmax=2**40)
    assert got.tolist() == [half_away(exact)]


def test_a_channel_has_its_own_scale() -> None:
    acc = np.full((2, 3), 1000)
    got = requantize.requantize(acc, [1 << 30, 1 << 30, 3 << 29], [-3, -4, -4], [0, 1, 2], "tflite_single_round")
    assert got.tolist() == [[63, 32, 49]] * 2
    with pytest.raises(ValueError, match="must be a known rounding mode, not 'tflite_single'; did you mean"):
        requantize.requantize(1, 1, 1, 0, "tflite_single")


@pytest.mark.parametrize("mode", sorted(ROUNDING))
@given(st.data())
def test_unit_and_golden_agree(mode: str, data: st.DataObject) -> None:
    acc, multiplier = data.draw(ACC), data.draw(st.one_of(MULTIPLIER, st.just(0)))
    shift = data.draw(st.integers(-31, 8))
    arrays = [np.array([value], np.int64) for value in (acc, multiplier, shift)]
    got = requantize.requantize(*arrays, 0, mode, qmin=-(2**50), qmax=2**50)
    assert got.tolist() == ROUNDING[mode](*arrays).tolist()


@pytest.mark.parametrize("mode", FLOATS)
@given(ACC, st.integers(2**23, 2**24 - 1) | st.just(0), st.integers(0, 62), st.integers(-128, 255))
def test_unit_and_golden_agree_on_float_scales(
    mode: str, acc: int, multiplier: int, shift: int, zero_point: int
) -> None:
    arrays = [np.array([value], np.int64) for value in (acc, multiplier, shift)]
    got = requantize.requantize(*arrays, zero_point, mode, qmin=-32768, qmax=32767)
    assert got.tolist() == np.clip(requantized(mode, *arrays, zero_point), -32768, 32767).tolist()


def nearest(value: Fraction) -> Fraction:
    """Nearest number of 24 significant bits, ties to even: a float32 where its exponent does not matter."""
    if not value:
        return value
    unit = Fraction(2) ** (math.floor(math.log2(abs(value))) - 23)
    if abs(value) / unit >= 2**24 or abs(value) / unit < 2**23:  # the logarithm was rounded
        unit *= 2 if abs(value) / unit >= 2**24 else Fraction(1, 2)
    return round(value / unit) * unit


@given(ACC, st.integers(2**23, 2**24 - 1), st.integers(0, 62), st.integers(-128, 255))
def test_onnxruntimes_rule_in_exact_fractions(acc: int, multiplier: int, shift: int, zero_point: int) -> None:
    """y = clamp(rint(float32(acc) * scale) + zero point), each step rounded to nearest even."""
    product = nearest(nearest(Fraction(acc)) * Fraction(multiplier, 2**shift))
    for mode, exact in zip(FLOATS, (round(product) + zero_point, round(nearest(product + zero_point))), strict=True):
        got = requantize.requantize([acc], [multiplier], [shift], zero_point, mode)
        assert got.tolist() == [min(max(exact, -128), 127)], mode


@pytest.mark.parametrize(("acc", "expected"), [(2**24 + 1, 2**24), (2**24 + 3, 2**24 + 4), (-(2**25) - 2, -(2**25))])
def test_sums_above_24_bits_are_rounded_to_nearest_even_on_their_way(acc: int, expected: int) -> None:
    got = requantize.requantize([acc], [2**23], [23], 0, FLOATS[0], qmin=-(2**31), qmax=2**31 - 1)
    assert got.tolist() == [expected]


def test_where_the_zero_point_is_added_decides_ties() -> None:
    arguments = [1], [2**23], [24], 1  # 1 / 2 is 0 to even, and 0 + 1; 1 / 2 + 1 is 2 to even
    assert [requantize.requantize(*arguments, mode).tolist() for mode in FLOATS] == [[1], [2]]


def test_float_multipliers_are_the_factors_themselves() -> None:
    factors = np.array([1.0, 0.1, 2.0**-39, 1e-13, 123456.7, 2.0**23 + 1], np.float32)
    multiplier, shift = float_multiplier(factors)
    kept = np.array([1, 1, 1, 0, 1, 1])
    assert (multiplier * 2.0 ** -shift.astype(float)).tolist() == (factors.astype(np.float64) * kept).tolist()
    assert multiplier[kept == 1].min() >= 2**23
    for wrong in (0.0, -1.0, 2.0**24, np.nan):
        with pytest.raises(ValueError, match="float32 scale must be above 0 and below"):
            float_multiplier(np.array([wrong], np.float32))


def test_the_modes_of_golden_and_of_recipes_are_modes_of_the_unit() -> None:
    assert set(NAMES) <= set(requantize.MODES)
    assert set(FLOATS) < set(requantize.FLOAT_MODES)
    assert set(get_args(Rounding)) == set(ROUNDING)


def test_the_two_schemes_differ_where_they_should() -> None:
    # 2^29 * 3 at shift -1: 0.75 * 1 / 2 = 0.375 rounds to 0 once, but to 1 and then to 1 (tie away) twice
    once, twice = (requantize.requantize([1], [3 << 29], [-1], 0, mode).tolist() for mode in requantize.MODES[:2])
    assert (once, twice) == ([0], [1])


@pytest.mark.parametrize(
    ("rows", "columns", "lanes", "words", "expected"),
    [(10, 16, 16, 10, (10, 12)), (10, 17, 16, 10, (20, 22)), (10, 16, 4, 10, (40, 42)), (10, 16, 16, 30, (30, 32))],
)
def test_cycles_follow_lanes_ports_and_latency(
    rows: int, columns: int, lanes: int, words: int, expected: tuple[int, int]
) -> None:
    assert requantize.cycles(rows, columns, lanes, words, latency=3) == expected


def test_a_scale_beyond_float32_saturates_in_silence() -> None:
    got = requantize.requantize([5, 0, -5], [1 << 23] * 3, [-128] * 3, 0, "xnnpack_qs8_fp32_rne")
    assert got.tolist() == [127, 0, -128]


def test_events_are_counted_per_value() -> None:
    counters: Counters = {}
    requantize.events(counters, 10, "tflite_single_round")
    assert {(e.operation, e.bits, e.by): n for e, n in counters.items()} == {
        (Operation.INT_ADD, 32, 0): 20,
        (Operation.INT_MULTIPLY, 32, 32): 10,
        (Operation.INT_ADD, 64, 0): 10,
        (Operation.INT_SHIFT, 64, 0): 10,
    }


def test_events_of_float_scales_are_counted_per_value() -> None:
    found = []
    for mode in FLOATS:
        counters: Counters = {}
        requantize.events(counters, 10, mode)
        found.append({(e.operation, e.bits): n for e, n in counters.items()})
    behind = {(Operation.INT_ADD, 32): 30, (Operation.INT_SHIFT, 32): 20, (Operation.FLOAT_MULTIPLY, 32): 10}
    first = {**behind, (Operation.INT_ADD, 32): 20, (Operation.FLOAT_ADD, 32): 10}
    assert found == [behind, first]
