"""The queues' recurrence against lanes stepped cycle by cycle, and cases small enough to follow by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_lanes_registers import run

from accelsim.kernels import sparse_lanes

STAGES = 5  # matrix read and four of arithmetic follow the last read of pointers or entries


def read_cycles(nonzero: list[list[bool]], counts: list[list[int]], depth: int) -> list[int]:
    lanes = len(counts[0])
    out = np.empty(len(nonzero), np.int64)
    scratch = np.full(lanes, 99, np.int64), np.full(depth, 99, np.int64)
    sparse_lanes.cycles(np.array(nonzero), np.array(counts, np.int32), depth, *scratch, out)
    return out.tolist()


def test_one_lane_reads_a_column_after_the_other_without_a_gap() -> None:
    assert read_cycles([[True, True, True]], [[3], [2], [4]], 8) == [1 + 3 + 2 + 4]


def test_a_column_without_entries_costs_the_cycle_of_its_pointers() -> None:
    assert read_cycles([[True, True, True]], [[3], [0], [4]], 8) == [1 + 3 + 1 + 4]


def test_zero_activations_cost_nothing_and_a_vector_of_zeros_reads_nothing() -> None:
    assert read_cycles([[True, False, True], [False] * 3], [[3], [9], [4]], 8) == [1 + 3 + 4, 0]


def test_a_full_queue_stalls_the_broadcast_to_every_lane() -> None:
    # lane 0 takes activation 0 in cycle 1 and reads until 10; with one slot, activation 2 waits until 1 is taken in 11
    counts = [[10, 1], [1, 1], [1, 10]]
    assert read_cycles([[True] * 3], counts, 1) == [11 + 1 + 10]
    assert read_cycles([[True] * 3], counts, 2) == [3 + 10]  # with two slots it was broadcast in cycle 2


def test_each_vector_begins_with_empty_queues() -> None:
    rng = np.random.default_rng(0)
    nonzero, counts = (rng.random((6, 30)) < 0.5).tolist(), rng.integers(0, 6, (30, 5)).tolist()
    together = read_cycles(nonzero, counts, 3)
    assert together == [read_cycles([row], counts, 3)[0] for row in nonzero]


@given(
    k=st.integers(0, 30),
    n=st.integers(1, 40),
    lanes=st.integers(1, 6),
    depth=st.integers(1, 5),
    index_bits=st.integers(1, 4),
    densities=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200)
def test_the_recurrence_equals_lanes_stepped_cycle_by_cycle(
    k: int, n: int, lanes: int, depth: int, index_bits: int, densities: tuple[float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    w = rng.integers(1, 128, (k, n)) * (rng.random((k, n)) < densities[0])
    x = rng.integers(1, 256, k) * (rng.random(k) < densities[1])
    sums, cycles, columns = run(x.tolist(), w, lanes, depth, index_bits)
    np.testing.assert_array_equal(sums, x @ w)
    counts = np.array([[len(columns[lane][row]) for lane in range(lanes)] for row in range(k)], np.int32)
    out = np.zeros(1, np.int64)
    nonzero = (x != 0)[None]
    sparse_lanes.cycles(
        nonzero, counts.reshape(k, lanes), depth, np.zeros(lanes, np.int64), np.zeros(depth, np.int64), out
    )
    assert cycles == (out[0] + STAGES if x.any() else 1)


def test_entries_multiply_into_the_outputs_that_their_zeros_lead_to() -> None:
    # lane 0 of 2 holds outputs 0, 2, 4; the entry skips one zero slot: output 2. Lane 1 begins with output 1
    starts = np.array([[0, 1], [1, 3]])
    values, indices = np.array([5, 7, -1], np.int16), np.array([1, 0, 1], np.uint8)
    out = np.zeros((2, 6), np.int64)
    sparse_lanes.multiply(np.array([[2], [0]]), starts, values, indices, out)
    assert out.tolist() == [[0, 14, 10, 0, 0, -2], [0] * 6]
