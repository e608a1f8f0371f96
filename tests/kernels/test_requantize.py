"""Rows of requantized sums against the vectors of deployed libraries, and against golden."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.golden.exact.rounding import ROUNDING, requantized
from accelsim.kernels import requantize
from accelsim.kernels.requantize import Channels

VECTORS = Path(__file__).parent.parent / "data" / "requant_vectors.csv"
MODES = {
    "tflite_single_round": requantize.ONCE_UP,
    "litert_ref_fully_connected": requantize.ONCE_AWAY,
    "tflite_double_round": requantize.TWICE_AWAY,
    "cmsis_nn_double_round": requantize.TWICE_AWAY,
    "tflite214_builtin_fully_connected": requantize.TWICE_UP,
    "xnnpack_qs8_fp32_rne": requantize.FLOAT,
    "onnxruntime_qlinearmatmul_s8": requantize.FLOAT,
}


@pytest.mark.parametrize("scheme", MODES)
def test_every_vector_of_a_deployed_scheme(scheme: str) -> None:
    with VECTORS.open() as file:
        rows = [row for row in csv.DictReader(file) if row["scheme"] == scheme]
    assert len(rows) == 260
    names = ("acc", "multiplier", "shift", "zero_point", "out")
    acc, multiplier, shift, zero_points, expected = (np.array([int(row[name]) for row in rows]) for name in names)
    constants = Channels(np.zeros(len(rows), np.int32), multiplier.astype(np.int32), shift.astype(np.int8))
    for zero_point in np.unique(zero_points):
        got, chosen = np.zeros(len(rows), np.uint8), zero_points == zero_point
        requantize.row(
            MODES[scheme], acc.astype(np.int32), 0, constants, 0, len(rows), int(zero_point), -128, 127, got, 0
        )
        np.testing.assert_array_equal(got.view(np.int8)[chosen], expected[chosen])


INT32 = st.integers(-(2**31), 2**31 - 1)


#: Multipliers and shifts: of 31 bits, or of a float's 24.
FIXED = st.tuples(INT32, INT32, st.integers(0, 2**31 - 1), st.integers(-31, 7))
FLOATS = st.tuples(INT32, INT32, st.integers(2**23, 2**24 - 1) | st.just(0), st.integers(0, 62))


@given(
    st.one_of(
        st.tuples(
            st.sampled_from(sorted(set(MODES) & set(ROUNDING))),
            st.lists(FIXED, min_size=1, max_size=40),
        ),
        st.tuples(
            st.sampled_from(["onnxruntime_qlinearmatmul_s8", "onnxruntime_qlinearmul"]),
            st.lists(FLOATS, min_size=1, max_size=40),
        ),
    ),
    st.integers(-128, 255),
    st.sampled_from([(np.uint8, -128, 127), (np.uint8, 0, 255), (np.uint8, -5, 90), (np.uint16, -(2**15), 2**15 - 1)]),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
)
def test_rows_at_any_place_equal_golden(
    drawn: tuple[str, list[tuple[int, int, int, int]]], zero_point: int, results: tuple[type, int, int],
    at: tuple[int, ...],
) -> None:  # fmt: skip
    scheme, values = drawn
    kind, *clamp = results
    sums, bias, multiplier, shift = np.array(values).T
    # bounds of a sum and its bias: what the schemes are defined for
    bias = np.clip(sums + bias, -(2**31), 2**31 - 1) - sums
    bias = np.clip(bias, -(2**31), 2**31 - 1)
    first, channel, place = at
    n = len(sums)

    def behind(data: NDArray[np.int64], gap: int, kind: type[np.generic]) -> NDArray[np.generic]:
        return np.concatenate((np.full(gap, 77), data)).astype(kind)

    constants = Channels(
        behind(bias, channel, np.int32), behind(multiplier, channel, np.int32), behind(shift, channel, np.int8)
    )
    out = np.full(place + n + 2, 99, kind)
    mode = MODES.get(scheme, requantize.FLOAT_SUM)
    requantize.row(mode, behind(sums, first, np.int32), first, constants, channel, n, zero_point, *clamp, out, place)
    expected = np.clip(requantized(scheme, sums + bias, multiplier, shift, zero_point), *clamp)
    np.testing.assert_array_equal(out[place : place + n], expected.astype(kind))
    assert (out[:place] == 99).all()
    assert (out[place + n :] == 99).all()


@pytest.mark.parametrize(("shifts", "defined"), [([-31, 30], True), ([0, -32], False), ([31, 0], False), ([5], True)])
def test_shifts_outside_the_schemes_are_found(shifts: list[int], defined: bool) -> None:
    assert requantize.are_defined(requantize.TWICE_UP, np.array([*shifts, 99], np.int8), len(shifts)) == defined


@pytest.mark.parametrize(("shifts", "defined"), [([0, 62], True), ([0, -1], False), ([63, 0], False)])
def test_shifts_of_floats_are_to_the_right(shifts: list[int], defined: bool) -> None:
    assert requantize.are_defined(requantize.FLOAT, np.array([*shifts, 99], np.int8), len(shifts)) == defined


def test_a_channels_constants_are_repeated_behind_all_channels() -> None:
    constants = requantize.room(5)
    constants.bias[:2], constants.multiplier[:2], constants.shift[:2] = (1, 2), (3, 4), (5, 6)
    requantize.repeat(constants, 1, 2, 3)
    assert [c.tolist() for c in constants] == [[1, 2, 2, 2, 2], [3, 4, 4, 4, 4], [5, 6, 6, 6, 6]]
