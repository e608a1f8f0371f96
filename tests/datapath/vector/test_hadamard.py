"""The butterflies against the matrix, its orthogonality, and the bounds on its outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import hadamard
from accelsim.golden import vector as golden


def sylvester(levels: int) -> NDArray[np.float64]:
    """The matrix by its recursion; float64, whose products are exact here and quick."""
    matrix = np.ones((1, 1))
    for _ in range(levels):
        matrix = np.kron([[1, 1], [1, -1]], matrix)
    return matrix


@pytest.mark.parametrize("levels", range(1, 11))
def test_the_transform_is_sylvesters_matrix(levels: int) -> None:
    matrix = hadamard.transform(np.eye(2**levels, dtype=np.int8), levels)
    np.testing.assert_array_equal(matrix, sylvester(levels))
    np.testing.assert_array_equal(matrix.astype(np.float64) @ matrix, 2**levels * np.eye(2**levels))


@given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32))
def test_blocks_equal_golden_and_transform_back(levels: int, blocks: int, rows: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-128, 128, (rows, blocks * 2**levels)).astype(np.int8)
    y = hadamard.transform(x, levels)
    np.testing.assert_array_equal(y, golden.hadamard(x, levels))
    np.testing.assert_array_equal(hadamard.transform(y, levels), x.astype(np.int64) << levels)
    # the optional shift: nearest, ties up
    for right in (0, levels // 2, levels):
        exact = np.clip(np.floor(y / 2**right + 0.5), -128, 127)
        np.testing.assert_array_equal(hadamard.narrow(y, right), exact)


@pytest.mark.parametrize("levels", [1, 3, 8])
def test_outputs_reach_and_keep_their_bounds(levels: int) -> None:
    matrix = sylvester(levels)
    largest = np.where(matrix > 0, 127, -128).astype(np.int8)
    smallest = np.where(matrix > 0, -128, 127).astype(np.int8)
    for x in (largest, smallest):
        y = hadamard.transform(x, levels)
        assert y.min() >= -(2**15)
        assert y.max() < 2**15
    assert hadamard.transform(smallest, levels)[0, 0] == -(2**levels) * 128
    assert hadamard.transform(largest, levels)[0, 0] == 2**levels * 127
    assert hadamard.transform(largest, levels).diagonal()[1:].tolist() == [2 ** (levels - 1) * 255] * (2**levels - 1)
    assert hadamard.output_bits(levels) == 16


def test_nine_levels_need_int32() -> None:
    assert hadamard.output_bits(9) == 32
    assert hadamard.transform(np.full(512, -128, np.int8), 9)[0] == -(2**16)


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8, not 12"):
        hadamard.transform(np.zeros((1, 12), np.int8), 3)
    for levels in (0, 25):
        with pytest.raises(ValueError, match=f"1 to 24 levels, not {levels}"):
            hadamard.transform(np.zeros((1, 12), np.int8), levels)


def test_each_level_is_a_pass_and_only_the_outer_ones_use_the_ports() -> None:
    assert hadamard.cycles(4, 64, 16, 0, levels=6, narrowed=False) == (6 * 16, 6 * 16)
    assert hadamard.cycles(4, 64, 16, 0, levels=6, narrowed=True) == (6 * 16, 6 * 16 + 2)
    assert hadamard.cycles(4, 64, 16, 40, levels=6, narrowed=False) == (4 * 16 + 2 * 40, 4 * 16 + 2 * 40)
    assert hadamard.cycles(4, 64, 16, 40, levels=1, narrowed=False) == (40, 40)


def test_events_count_sums_and_row_registers_between_levels() -> None:
    counters: Counters = {}
    hadamard.events(counters, 100, levels=4, narrowed=True)
    assert {(e.component, e.operation, e.bits): times for e, times in counters.items()} == {
        (Component.VECTOR, Operation.INT_ADD, 16): 500,
        (Component.VECTOR, Operation.REGISTER_WRITE, 16): 300,
        (Component.VECTOR, Operation.REGISTER_READ, 16): 300,
        (Component.VECTOR, Operation.INT_SHIFT, 16): 100,
    }
