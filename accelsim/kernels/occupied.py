"""What a scratchpad holds after tiles have filled its slots; `accelsim.compiler.residency` says what it is for."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import inner

Int64 = NDArray[np.int64]
#: First byte of each range, the one behind its last, and the last step that uses what it holds.
Ranges = tuple[Int64, Int64, Int64]


@njit(cache=True)
def _part(ranges: Ranges, count: int) -> Ranges:
    low, high, last = ranges
    return low[:count].copy(), high[:count].copy(), last[:count].copy()


@inner
def _first_above(ascending: Int64, value: int) -> int:
    """Number of the first of ascending values that is above a value."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] > value:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True)
def _order(values: Int64) -> Int64:
    """Numbers of a few values as they ascend."""
    order = np.empty(len(values), np.int64)
    for i in range(len(values)):
        place = i
        while place > 0 and values[order[place - 1]] > values[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i
    return order


@njit(cache=True)
def legal(high: Int64, low: Int64, last: Int64, begins: Int64, ends: Int64) -> Int64:
    """First step before which nothing uses any more what [begins, ends) hold, 0 if they hold nothing.

    Parameters
    ----------
    high, low, last
        Of ranges that are held, ascending and disjoint.
    """
    found = np.zeros(len(begins), np.int64)
    for i in range(len(begins)):
        held = _first_above(high, begins[i])
        while held < len(low) and low[held] < ends[i]:
            found[i] = max(found[i], last[held] + 1)
            held += 1
    return found


@njit(cache=True)
def left_by(addresses: Int64, sizes: Int64, last: Int64) -> Ranges:
    """What fills leave in their slots, ascending: the last one in whole, of those before it what reaches further.

    Parameters
    ----------
    addresses
        First byte of each slot, of which fill i takes number i modulo their count.
    sizes, last
        Bytes of each fill, and the last step that uses it.
    """
    slots, fills, count = len(addresses), len(sizes), 0
    ranges = (np.empty(fills, np.int64), np.empty(fills, np.int64), np.empty(fills, np.int64))
    for slot in _order(addresses):
        reach = 0
        if slot >= fills:
            continue
        for fill in range(slot + (fills - 1 - slot) // slots * slots, -1, -slots):
            if sizes[fill] > reach:
                ranges[0][count], ranges[1][count] = addresses[slot] + reach, addresses[slot] + sizes[fill]
                ranges[2][count] = last[fill]
                reach = sizes[fill]
                count += 1
    return _part(ranges, count)


@njit(cache=True)
def overwritten(held: Ranges, by: Ranges) -> Ranges:
    """What is held after other ranges were put over these: they in whole, of these what is left."""
    most = len(held[0]) + 2 * len(by[0])
    ranges = (np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64))
    count, i, j = 0, 0, 0
    begin = held[0][0] if len(held[0]) else 0  # of what is left of range i
    while i < len(held[0]) or j < len(by[0]):
        over = j < len(by[0])
        if i < len(held[0]) and (not over or begin < by[0][j]):
            # the part before the next range that lies over it
            end = min(held[1][i], by[0][j]) if over else held[1][i]
            ranges[0][count], ranges[1][count], ranges[2][count] = begin, end, held[2][i]
            begin = end
        else:
            ranges[0][count], ranges[1][count], ranges[2][count] = by[0][j], by[1][j], by[2][j]
            begin = max(begin, by[1][j])
            j += 1
        count += 1
        while i < len(held[0]) and begin >= held[1][i]:
            i += 1
            if i < len(held[0]):
                begin = max(begin, held[0][i])
    return _part(ranges, count)
