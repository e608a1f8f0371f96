"""Bursts that a DMA with buffers requests, against a queue of them."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.memory.region import Region, Runs, lines
from accelsim.memory.requests import requested

RUNS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 70)), min_size=1, max_size=60)


@given(runs=RUNS, burst_bytes=st.sampled_from([1, 8, 64]), buffers=st.integers(1, 12))
def test_what_is_in_a_buffer_is_not_requested_again(
    runs: list[tuple[int, int]], burst_bytes: int, buffers: int
) -> None:
    address, size = np.array(runs, np.int64).T
    kept: deque[int] = deque(maxlen=buffers)
    expected = []
    for first, count in runs:
        for burst in range(first // burst_bytes, (first + count - 1) // burst_bytes + 1):
            if burst not in kept:
                kept.append(burst)
                expected.append(burst)
    asked = requested(Runs(address, size), burst_bytes, buffers)
    assert lines(asked, burst_bytes).tolist() == expected
    assert asked.bytes == burst_bytes * len(expected)


def test_one_buffer_joins_rows_that_meet_in_a_burst() -> None:
    rows = Region(60, 70, 4, 10)  # bytes 60-69, 130-139, 200-209, 270-279
    np.testing.assert_array_equal(lines(requested(rows, 64, 1), 64), lines(rows, 64))
    again = Runs(np.array([0, 64, 0, 64, 128, 0]), np.full(6, 8))
    assert lines(requested(again, 64, 1), 64).tolist() == [0, 1, 0, 1, 2, 0]
    assert lines(requested(again, 64, 2), 64).tolist() == [0, 1, 2, 0]
    assert lines(requested(again, 64, 3), 64).tolist() == [0, 1, 2]


def test_nothing_is_requested_for_nothing() -> None:
    assert requested(Runs(np.zeros(0, np.int64), np.zeros(0, np.int64)), 64, 4).bytes == 0
