"""The requantize unit against the vectors of deployed libraries, against golden, and against exact fractions."""

from __future__ import annotations

import csv
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.config.tech import Counters, Operation
from accelsim.datapath import requantize
from accelsim.golden.integer import ROUNDING

VECTORS = Path(__file__).parent.parent / "data" / "requant_vectors.csv"


def vectors(scheme: str) -> list[dict[str, str]]:
    with VECTORS.open() as file:
        return [row for row in csv.DictReader(file) if row["scheme"] == scheme]


@pytest.mark.parametrize(
    ("scheme", "mode"),
    [
        ("tflite_single_round", "tflite_single_round"),
        ("tflite_double_round", "tflite_double_round"),
        ("cmsis_nn_double_round", "tflite_double_round"),  # SEMANTICS: equal for multipliers above INT32_MIN
    ],
)
def test_every_vector_of_a_deployed_scheme(scheme: str, mode: str) -> None:
    rows = vectors(scheme)
    assert len(rows) == 260
    acc, multiplier, shift, zero_point, out = (
        np.array([int(row[name]) for row in rows]) for name in ("acc", "multiplier", "shift", "zero_point", "out")
    )
    np.testing.assert_array_equal(requantize.requantize(acc, multiplier, shift, zero_point, mode), out)
    golden = ROUNDING[mode](acc, multiplier, shift)
    np.testing.assert_array_equal(np.clip(golden + zero_point, -128, 127), out)


ACC = st.integers(-(2**31), 2**31 - 1)
MULTIPLIER = st.integers(2**30, 2**31 - 1)


@given(ACC, MULTIPLIER, st.integers(-31, 0))
def test_single_rounding_is_the_nearest_integer_with_ties_up(acc: int, multiplier: int, shift: int) -> None:
    exact = Fraction(acc * multiplier) * Fraction(2) ** (shift - 31)
    expected = math.floor(exact + Fraction(1, 2))
    got = requantize.requantize([acc], [multiplier], [shift], 0, "tflite_single_round", qmin=-(2**40), qmax=2**40)
    assert got.tolist() == [expected]


@pytest.mark.parametrize("mode", requantize.MODES)
@given(st.data())
def test_unit_and_golden_agree(mode: str, data: st.DataObject) -> None:
    acc, multiplier = data.draw(ACC), data.draw(st.one_of(MULTIPLIER, st.just(0)))
    shift = data.draw(st.integers(-31, 8))
    arrays = [np.array([value], np.int64) for value in (acc, multiplier, shift)]
    got = requantize.requantize(*arrays, 0, mode, qmin=-(2**50), qmax=2**50)
    assert got.tolist() == ROUNDING[mode](*arrays).tolist()


def test_modes_are_those_of_golden() -> None:
    assert set(requantize.MODES) == set(ROUNDING)


def test_the_two_schemes_differ_where_they_should() -> None:
    # 2^29 * 3 at shift -1: 0.75 * 1 / 2 = 0.375 rounds to 0 once, but to 1 and then to 1 (tie away) twice
    once, twice = (requantize.requantize([1], [3 << 29], [-1], 0, mode).tolist() for mode in requantize.MODES)
    assert (once, twice) == ([0], [1])


@pytest.mark.parametrize(
    ("rows", "columns", "lanes", "words", "expected"),
    [(10, 16, 16, 10, (10, 12)), (10, 17, 16, 10, (20, 22)), (10, 16, 4, 10, (40, 42)), (10, 16, 16, 30, (30, 32))],
)
def test_cycles_follow_lanes_ports_and_latency(
    rows: int, columns: int, lanes: int, words: int, expected: tuple[int, int]
) -> None:
    assert requantize.cycles(rows, columns, lanes, words, latency=3) == expected


def test_events_are_counted_per_value() -> None:
    counters: Counters = {}
    requantize.events(counters, 10)
    assert {(e.operation, e.bits, e.by): n for e, n in counters.items()} == {
        (Operation.INT_ADD, 32, 0): 20,
        (Operation.INT_MULTIPLY, 32, 32): 10,
        (Operation.INT_ADD, 64, 0): 10,
        (Operation.INT_SHIFT, 64, 0): 10,
    }
