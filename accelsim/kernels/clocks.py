"""Vector clocks: what an instruction may rely on when it starts.

The clock of an instruction counts, for each unit and moment (start, free, end), how many of the unit's instructions
have certainly passed that moment when it starts. It follows from the queue (the predecessor on the same unit is free)
and from waits (the producer has passed its moment, and everything its own clock holds has happened).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]


@borrowing
def join(clock: Int32, other: Int32) -> None:
    """Raise a clock, shape (units, moments), to the maximum with another."""
    for u in range(clock.shape[0]):
        for m in range(clock.shape[1]):
            clock[u, m] = max(clock[u, m], other[u, m])


@borrowing
def learn(clock: Int32, known: Int32, unit: int, count: int, moment: int) -> None:
    """Raise a clock to what another one knows, and to `count` instructions of a unit having passed a moment."""
    join(clock, known)
    for m in range(moment + 1):
        clock[unit, m] = max(clock[unit, m], count)


@njit(cache=True)
def check(
    unit: Int64,
    index: Int64,
    previous: Int64,
    producer: Int64,
    moment: Int64,
    free: int,
    need: Int32,
    clocks: Int32,
) -> int:
    """Find the first instruction that starts without having waited for all that it needs.

    Parameters
    ----------
    unit, index, previous
        Unit, number within the unit, and predecessor on the unit (-1 for none) of each instruction; shape (n,).
    producer, moment
        Instruction that each wait is for (-1 for no wait), and which of its moments; shape (n, waits).
    free
        Number of the moment at which the queue goes on.
    need
        From `hazards.find`, shape (n, units, moments).
    clocks
        Result, zeros, shape (n, units, moments).

    Returns
    -------
    Number of the instruction, or -1 if all are ordered.
    """
    for i in range(len(unit)):
        if previous[i] >= 0:
            learn(clocks[i], clocks[previous[i]], unit[i], index[i], free)
        for w in range(producer.shape[1]):
            p = producer[i, w]
            if p >= 0:
                learn(clocks[i], clocks[p], unit[p], index[p] + 1, moment[i, w])
        if (need[i] > clocks[i]).any():
            return i
    return -1


@njit(cache=True)
def reduce(
    unit: Int64,
    index: Int64,
    previous: Int64,
    first_of_unit: Int64,
    by_unit: Int64,
    free: int,
    need: Int32,
    clocks: Int32,
) -> None:
    """Strike out of `need` whatever the queue or the other needs of the same instruction imply.

    Parameters
    ----------
    unit, index, previous, free
        As for `check`.
    first_of_unit, by_unit
        Instruction number of the j-th instruction of unit u: by_unit[first_of_unit[u] + j].
    need
        Changed in place, shape (n, units, moments): what remains are the waits.
    clocks
        Zeros, shape (n, units, moments).
    """
    units, moments = need.shape[1], need.shape[2]
    others = np.zeros((units, moments), np.int32)
    for i in range(len(unit)):
        if previous[i] >= 0:
            learn(clocks[i], clocks[previous[i]], unit[i], index[i], free)
        for u in range(units):
            for m in range(moments):
                if need[i, u, m] <= clocks[i, u, m]:
                    need[i, u, m] = 0
        for u in range(units):
            for m in range(moments):
                wanted = need[i, u, m]
                if wanted == 0:
                    continue
                others[:] = 0
                for v in range(units):
                    for o in range(moments):
                        j = need[i, v, o] - 1
                        if j >= 0 and not (u == v and m == o):
                            learn(others, clocks[by_unit[first_of_unit[v] + j]], v, j + 1, o)
                if others[u, m] >= wanted:
                    need[i, u, m] = 0
        for u in range(units):
            for m in range(moments):
                j = need[i, u, m] - 1
                if j >= 0:
                    learn(clocks[i], clocks[by_unit[first_of_unit[u] + j]], u, j + 1, m)
