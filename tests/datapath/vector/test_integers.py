"""Rows to integers and sums back to floats, against exact fractions and plain loops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import integers

halves = st.floats(-60000, 60000, width=16).map(float)
tiles = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=halves)


@given(values=tiles, bits=st.sampled_from([4, 8]))
def test_each_row_is_rounded_over_its_largest_magnitude(values: NDArray[np.float32], bits: int) -> None:
    found = integers.quantize(values, bits)
    largest = 2 ** (bits - 1) - 1
    for row, q, scale in zip(values, found.integers.tolist(), found.scales.tolist(), strict=True):
        peak = max(abs(Fraction(float(x))) for x in row)
        if not peak:
            assert (set(q), scale) == ({0}, 0.0)
            continue
        assert max(map(abs, q)) == largest
        assert scale == np.float32(peak / largest)
        for x, integer in zip(row, q, strict=True):
            exact = Fraction(float(x)) * largest / peak
            assert abs(integer - exact) <= Fraction(1, 2) + abs(exact) * Fraction(1, 2**22)


def test_ties_go_to_even_and_ranges_are_symmetric() -> None:
    values = np.array([[127.0, 0.5, 1.5, -2.5, -127.0]], np.float32)
    assert integers.quantize(values, 8).integers.tolist() == [[127, 0, 2, -2, -127]]
    assert integers.quantize(np.array([[7.0, 3.5, -7.0]], np.float32), 4).integers.tolist() == [[7, 4, -7]]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_smallest_float16_has_a_scale(bits: int) -> None:
    tiny = np.array([[2.0**-24, -(2.0**-24), 0]], np.float32)
    largest = 2 ** (bits - 1) - 1
    found = integers.quantize(tiny, bits)
    assert found.integers.tolist() == [[largest, -largest, 0]]
    assert found.scales[0] > 0


@given(
    sums=hnp.arrays(np.int64, (3, 4), elements=st.integers(-(2**31), 2**31 - 1)),
    rows=hnp.arrays(np.float32, 3, elements=st.floats(0, 2**30, width=32)),
    columns=hnp.arrays(np.float32, 4, elements=st.floats(0, 2**30, width=32)),
)
def test_a_sum_is_rounded_and_multiplied_twice(
    sums: NDArray[np.int64], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> None:
    got = integers.dequantize_sums(sums, rows, columns)
    for i, j in np.ndindex(3, 4):
        once = np.float32(np.float64(np.float32(sums[i, j])) * np.float64(rows[i]))  # 24 bits times 24 are exact
        assert got[i, j] == np.float32(np.float64(once) * np.float64(columns[j]))


def test_cycles_are_two_passes_with_the_quotients_between() -> None:
    # 16 lanes: a tree of 4 levels, its root and the comparison; then 24 bits of a quotient
    assert integers.quantize_cycles(100, 64, 16, 0) == (800, 802)
    assert integers.quantize_cycles(1, 16, 16, 0) == (1 + 5 + 24 + 1, 33)
    assert integers.quantize_cycles(100, 64, 16, 1000) == (2000, 2002)  # ports slower than lanes
    assert integers.dequantize_cycles(100, 40, 16, 0) == (300, 303)


def test_events() -> None:
    counters: Counters = {}
    integers.quantize_events(counters, 3, 10)
    integers.dequantize_events(counters, 20, accumulate=True)
    integers.dequantize_events(counters, 5, accumulate=False)
    by_operation = {
        (event.operation, event.bits): count for event, count in counters.items() if event.component == Component.VECTOR
    }
    assert by_operation == {
        (Operation.INT_COMPARE, 16): 30,
        (Operation.INT_ADD, 25): 3 * 48,
        (Operation.FLOAT_MULTIPLY, 32): 30 + 50,
        (Operation.INT_ADD, 32): 30,
        (Operation.INT_SHIFT, 32): 25,
        (Operation.FLOAT_ADD, 32): 20,
    }
