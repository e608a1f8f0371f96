"""Counting zeros of 8-bit matrices at the speed of memory."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

#: Rows that a counter of one byte counts.
_BYTE_ROWS = 255


@njit(cache=True)
def nonzero_columns(x: Bytes, counts: Int64) -> None:
    """Add the nonzeros of each column of a (rows, columns) matrix to its count, shape (columns,)."""
    rows, columns = x.shape
    few = np.zeros(columns, np.uint8)
    for first in range(0, rows, _BYTE_ROWS):
        for i in range(np.uint64(first), np.uint64(min(first + _BYTE_ROWS, rows))):
            for j in range(np.uint64(columns)):
                few[j] += np.uint8(x[i, j] != 0)
        for j in range(np.uint64(columns)):
            counts[j] += np.int64(few[j])
            few[j] = 0


@njit(cache=True)
def nonzero_rows(x: Bytes, counts: Int64) -> None:
    """Add the nonzeros of each row of a (rows, columns) matrix to its count, shape (rows,)."""
    rows, columns = x.shape
    for i in range(np.uint64(rows)):
        total = 0
        for j in range(np.uint64(columns)):
            total += int(x[i, j] != 0)
        counts[i] += total


@njit(cache=True)
def most_of_group(w: Bytes, group: int) -> int:
    """Count the nonzeros of each group along K of a column of a (k, n) matrix; return the most."""
    depth, columns = w.shape
    found = np.zeros(columns, np.uint16)  # a group of 256 does not fit a byte
    most = 0
    for first in range(0, depth, group):
        found[:] = 0
        for k in range(np.uint64(first), np.uint64(min(first + group, depth))):
            for j in range(np.uint64(columns)):
                found[j] += np.uint16(w[k, j] != 0)
        for j in range(np.uint64(columns)):
            most = max(most, int(np.int64(found[j])))
    return most


@njit(cache=True)
def relative_entries(w: Bytes, lanes: int, index_bits: int, entries: Int32, padding: Int32) -> None:
    """Count the entries of relative indices (`accelsim.formats.relative`).

    Parameters
    ----------
    w
        Matrix, shape (k, n); output n belongs to lane n modulo `lanes`.
    lanes, index_bits
        Lanes, and bits of an index.
    entries, padding
        Results, zeros, shape (k, lanes): entries of each input and lane, and those among them that are padding.
    """
    depth, columns = w.shape
    place = np.zeros(columns + 1, np.int64)
    slots, lane_of = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    for j in range(columns):
        slots[j], lane_of[j] = j // lanes, j % lanes
    last = np.zeros(lanes, np.int64)
    for k in range(depth):
        amount = np.uint64(0)
        for j in range(np.uint64(columns)):  # without a branch: whether a weight is 0 cannot be foreseen
            place[amount] = j
            amount += np.uint64(w[k, j] != 0)
        last[:] = -1
        for i in range(amount):
            output = np.uint64(place[i])
            lane, slot = np.uint64(lane_of[output]), slots[output]
            pads = (slot - last[lane] - 1) >> index_bits
            entries[k, lane] += np.int32(pads + 1)
            padding[k, lane] += np.int32(pads)
            last[lane] = slot
