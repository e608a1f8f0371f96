"""Counts against numpy's, and those of relative indices against what the codec encodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.formats import relative
from accelsim.kernels import counting

SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))
DENSITIES = st.sampled_from([0.0, 0.1, 0.5, 1.0])


def matrix(sides: tuple[int, int], density: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    w = rng.integers(0, 256, sides).astype(np.uint8)
    w[rng.random(sides) >= density] = 0
    return w


@given(SIDES, DENSITIES, st.integers(0, 2**32), st.booleans())
def test_nonzeros_of_columns_and_rows(sides: tuple[int, int], density: float, seed: int, strided: bool) -> None:
    w = matrix(sides, density, seed)
    if strided:
        w = np.repeat(w, 2, axis=1)[::-1, ::2]
    columns, rows = np.full(sides[1], 5), np.full(sides[0], 5)
    counting.nonzero_columns(w, columns)
    counting.nonzero_rows(w, rows)
    np.testing.assert_array_equal(columns, 5 + np.count_nonzero(w, axis=0))
    np.testing.assert_array_equal(rows, 5 + np.count_nonzero(w, axis=1))


@pytest.mark.parametrize("rows", [254, 255, 256, 600])
def test_more_rows_than_a_byte_counts(rows: int) -> None:
    counts = np.zeros(3, np.int64)
    counting.nonzero_columns(np.ones((rows, 3), np.uint8), counts)
    assert counts.tolist() == [rows] * 3


@given(SIDES, DENSITIES, st.integers(0, 2**32), st.integers(2, 9))
def test_the_fullest_group_of_a_column(sides: tuple[int, int], density: float, seed: int, group: int) -> None:
    w = matrix(sides, density, seed)
    most = max(np.count_nonzero(w[k : k + group], axis=0).max() for k in range(0, len(w), group))
    assert counting.most_of_group(w, group) == most


def test_a_group_of_256_nonzeros_is_not_an_empty_one() -> None:
    assert counting.most_of_group(np.ones((256, 1), np.uint8), 256) == 256


@given(SIDES, DENSITIES, st.integers(0, 2**32), st.integers(1, 7), st.integers(1, 5))
def test_entries_are_those_that_the_codec_writes(
    sides: tuple[int, int], density: float, seed: int, lanes: int, index_bits: int
) -> None:
    w = matrix(sides, density, seed)
    encoded = relative.encode(w, lanes, index_bits)
    entries, padding = relative.entries(w, lanes, index_bits)
    np.testing.assert_array_equal(entries, encoded.counts)
    np.testing.assert_array_equal(padding, encoded.padding_counts)
