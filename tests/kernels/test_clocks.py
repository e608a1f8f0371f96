"""Vector clocks on programs small enough to follow by hand."""

from __future__ import annotations

import numpy as np

from accelsim.kernels import clocks

START, FREE, END = 0, 1, 2


def test_a_wait_tells_all_that_its_producer_knew() -> None:
    # unit 0: instructions 0 and 1; unit 1: instruction 2 waits for the end of 1; unit 2: 3 waits for the start of 2
    unit, index = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 0])
    previous = np.array([-1, 0, -1, -1])
    producer, moment = np.array([[-1], [-1], [1], [2]]), np.array([[-1], [-1], [END], [START]])
    need = np.zeros((4, 3, 3), np.int32)
    known = np.zeros_like(need)
    need[3, 0, END] = 2  # instruction 3 relies on the end of 1
    assert clocks.check(unit, index, previous, producer, moment, FREE, need, known) == -1
    assert known[1].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]  # the predecessor is free, its end is not known
    assert known[2].tolist() == [[2, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert known[3].tolist() == [[2, 2, 2], [1, 0, 0], [0, 0, 0]]
    need[3, 1, END] = 1  # it does not know the end of 2
    assert clocks.check(unit, index, previous, producer, moment, FREE, need, np.zeros_like(need)) == 3


def test_reduce_keeps_only_what_nothing_else_implies() -> None:
    unit, index, previous = np.array([0, 1, 2]), np.array([0, 0, 0]), np.array([-1, -1, -1])
    first, by_unit = np.array([0, 1, 2, 3]), np.array([0, 1, 2])
    need = np.zeros((3, 3, 3), np.int32)
    need[1, 0, END] = 1
    need[2, 0, END] = 1  # implied by the end of 1, which waited for it
    need[2, 1, FREE] = 1  # implied by its end
    need[2, 1, END] = 1
    clocks.reduce(unit, index, previous, first, by_unit, FREE, need, np.zeros_like(need))
    assert np.argwhere(need).tolist() == [[1, 0, END], [2, 1, END]]
