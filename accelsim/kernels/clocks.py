"""Vector clocks: what an instruction may rely on when it starts.

The clock of an instruction counts, for each unit and moment (start, free, end), how many of the unit's instructions
have certainly passed that moment when it starts. It follows from the queue (the predecessor on the same unit is free)
and from waits (the producer has passed its moment, and everything its own clock holds has happened).

A clock is a row of `WORDS` numbers, that of moment m of unit u at u * MOMENTS + m. What an instruction needs is a row
of the same kind: how many must have passed. Both are worked out for one stretch of instructions after the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]

MOMENTS = 3
#: Words of a clock: those of 8 units, a round number; units that there are not have zeros.
WORDS = 8 * MOMENTS


@borrowing
def _learn(clocks: Int32, i: int, known: int, unit: int, count: int, moment: int) -> None:
    """Raise clock i to what another one knows, and to `count` instructions of a unit having passed a moment."""
    for k in range(WORDS):
        clocks[i, k] = max(clocks[i, k], clocks[known, k])
    for m in range(moment + 1):
        clocks[i, unit * MOMENTS + m] = max(clocks[i, unit * MOMENTS + m], count)


@borrowing
def _begin(clocks: Int32, i: int, previous: int, unit: int, free: int) -> None:
    """Set clock i to what the instruction before it on its unit knew, and that it is free."""
    if previous < 0:
        for k in range(WORDS):
            clocks[i, k] = 0
        return
    for k in range(WORDS):
        clocks[i, k] = clocks[previous, k]
    count = _number(clocks, previous, unit, free) + 1
    for m in range(free + 1):
        clocks[i, unit * MOMENTS + m] = count


@borrowing
def _number(clocks: Int32, i: int, unit: int, free: int) -> int:
    """Number of an instruction within its unit: as many are free before it."""
    return int(clocks[i, unit * MOMENTS + free])


@njit(cache=True)
def signals(signal: Int8, first: Int64) -> None:
    """Count how often each semaphore is raised.

    Parameters
    ----------
    signal
        Semaphores that instructions raise, negative where there is none; shape (n, MOMENTS).
    first
        Result, zeros, shape (semaphores + 1,): how often those of lower numbers are raised.
    """
    for i in range(len(signal)):
        for m in range(MOMENTS):
            if signal[i, m] >= 0:
                first[int(signal[i, m]) + 1] += 1
    for s in range(1, len(first)):
        first[s] += first[s - 1]


@njit(cache=True)
def givers(unit: Int8, signal: Int8, wait: Int8, value: Int32, first: Int64, given: Int32, by: Int64) -> bool:
    """Find who raises each semaphore, and whether waits can be met.

    Parameters
    ----------
    unit
        Unit of each instruction, shape (n,).
    signal, first
        As for `signals`.
    wait, value
        Semaphores that instructions wait for, negative where there is none, and the values, at least 1; shape
        (n, waits).
    given
        Result, shape (signals,): the instruction that raises semaphore s to v is given[first[s] + v - 1].
    by
        Result, shape (semaphores,): unit * MOMENTS + moment of those that raise it, -1 if nobody does.

    Returns
    -------
    Whether each semaphore has one producing unit and moment, and earlier instructions raise it to what is waited for.
    """
    reached = first.copy()
    by[:] = -1
    for i in range(len(unit)):
        for w in range(wait.shape[1]):
            s = wait[i, w]
            if s >= 0 and value[i, w] > reached[s] - first[s]:
                return False
        for m in range(MOMENTS):
            s = signal[i, m]
            if s >= 0:
                pair = unit[i] * MOMENTS + m
                if by[s] >= 0 and by[s] != pair:
                    return False
                by[s] = pair
                given[reached[s]] = i
                reached[s] += 1
    return True


@njit(cache=True)
def check(
    low: int,
    high: int,
    unit: Int8,
    wait: Int8,
    value: Int32,
    first: Int64,
    given: Int32,
    by: Int64,
    free: int,
    need: Int32,
    clocks: Int32,
    previous: Int64,
) -> int:
    """Find the first instruction of a stretch that starts without having waited for all that it needs.

    Parameters
    ----------
    low, high
        The stretch; those before it were checked.
    unit, wait, value, first, given, by
        As for `givers`, which found that all waits can be met.
    free
        Number of the moment at which the queue goes on.
    need
        From `hazards.find`, shape (high - low, WORDS).
    clocks
        Shape (n, WORDS): those of the stretch are a result.
    previous
        Last instruction of each unit so far, -1 for none; shape (units,). Goes on.

    Returns
    -------
    Number of the instruction, or -1 if all are ordered.
    """
    for i in range(low, high):
        _begin(clocks, i, previous[unit[i]], unit[i], free)
        previous[unit[i]] = i
        for w in range(wait.shape[1]):
            s = wait[i, w]
            if s >= 0:
                p, u, m = given[first[s] + value[i, w] - 1], by[s] // MOMENTS, by[s] % MOMENTS
                _learn(clocks, i, p, u, _number(clocks, p, u, free) + 1, m)
        lacks = False
        for k in range(WORDS):
            lacks |= need[i - low, k] > clocks[i, k]
        if lacks:
            return i
    return -1


@borrowing
def _implied(clocks: Int32, need: Int32, at: int, wanted: Int64, producers: Int64, a: int, count: int) -> bool:
    """Whether need number a of an instruction follows from one of its other needs, those that are struck out aside."""
    k = wanted[a]
    for b in range(count):
        o = wanted[b]
        if b == a or o < 0:
            continue
        later = o > k and o // MOMENTS == k // MOMENTS and need[at, o] >= need[at, k]
        if later or clocks[producers[b], k] >= need[at, k]:
            return True
    return False


@njit(cache=True)
def reduce(
    low: int,
    high: int,
    unit: Int8,
    first_of_unit: Int64,
    by_unit: Int32,
    free: int,
    need: Int32,
    clocks: Int32,
    previous: Int64,
    waiter: Int32,
    pair: Int8,
    producer: Int32,
) -> int:
    """Of what each instruction of a stretch needs, list what neither the queue nor its other needs imply.

    Parameters
    ----------
    low, high, unit, free, need, clocks, previous
        As for `check`.
    first_of_unit, by_unit
        Instruction number of the j-th instruction of unit u: by_unit[first_of_unit[u] + j].
    waiter, pair, producer
        Results, with room for all needs of the stretch: the instruction that waits, for which unit and moment, as
        unit * MOMENTS + moment, and for which instruction; sorted by waiter, then pair.

    Returns
    -------
    How many there are.
    """
    wanted, producers, found = np.empty(WORDS, np.int64), np.empty(WORDS, np.int64), 0
    for i in range(low, high):
        _begin(clocks, i, previous[unit[i]], unit[i], free)
        previous[unit[i]] = i
        at, count = i - low, 0
        for k in range(WORDS):
            if need[at, k] > clocks[i, k]:
                wanted[count] = k
                producers[count] = by_unit[first_of_unit[k // MOMENTS] + need[at, k] - 1]
                count += 1
        for a in range(count):
            if _implied(clocks, need, at, wanted, producers, a, count):
                wanted[a] = -1
        for a in range(count):
            k = wanted[a]
            if k >= 0:
                waiter[found], pair[found], producer[found] = i, k, producers[a]
                found += 1
                _learn(clocks, i, producers[a], k // MOMENTS, need[at, k], k % MOMENTS)
    return found


@njit(cache=True)
def write(waiter: Int32, pair: Int8, producer: Int32, semaphore: Int8, signal: Int8, wait: Int8, value: Int32) -> int:
    """Write waits, and the signals that they are for, into the instructions' records.

    Parameters
    ----------
    waiter, pair, producer
        As `reduce` lists them.
    semaphore
        Semaphore of each pair, shape (WORDS,).
    signal, wait, value
        Fields of the records, without any: results, shapes (n, MOMENTS) and (n, places). Waits fill the first places.

    Returns
    -------
    The first instruction that has too few places, or -1.
    """
    for w in range(len(waiter)):
        signal[producer[w], pair[w] % MOMENTS] = semaphore[pair[w]]
    rank, reached = np.empty((len(signal), MOMENTS), np.int32), np.zeros(128, np.int32)  # semaphores are int8
    w = 0
    for i in range(len(signal)):
        place = 0
        while w < len(waiter) and waiter[w] == i:
            if place == wait.shape[1]:
                return i
            wait[i, place] = semaphore[pair[w]]
            value[i, place] = rank[producer[w], pair[w] % MOMENTS]
            place += 1
            w += 1
        for m in range(MOMENTS):
            if signal[i, m] >= 0:
                reached[signal[i, m]] += 1
                rank[i, m] = reached[signal[i, m]]
    return -1
