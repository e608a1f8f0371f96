"""Whether strided ranges of bytes share some, or hold each other.

A range is `rows` runs of `row_bytes` bytes, the first at `address`, each `stride` bytes after the one before; runs do
not overlap, and runs that touch are one. Arrays hold the fields of many ranges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing

Int64 = NDArray[np.int64]

ADDRESS, STRIDE, ROWS, ROW_BYTES, END, FIELDS = range(6)


@borrowing
def _run_meets(r: Int64, a: int, low: int, high: int) -> bool:
    """Whether range a has a byte in [low, high)."""
    row = 0
    behind = low - r[a, ADDRESS] - r[a, ROW_BYTES]
    if behind >= 0 and r[a, ROWS] > 1:
        row = behind // r[a, STRIDE] + 1
    elif behind >= 0:
        row = 1
    return bool(row < r[a, ROWS] and r[a, ADDRESS] + row * r[a, STRIDE] < high)


@borrowing
def _run_held(r: Int64, a: int, low: int, high: int) -> bool:
    """Whether one run of range a has all bytes of [low, high)."""
    row = (low - r[a, ADDRESS]) // r[a, STRIDE] if r[a, ROWS] > 1 else 0
    begin = r[a, ADDRESS] + row * r[a, STRIDE]
    return bool(0 <= row < r[a, ROWS] and begin <= low and high <= begin + r[a, ROW_BYTES])


@borrowing
def _columns_meet(r: Int64, a: int, b: int) -> bool:
    """Whether runs of a and b would meet if both had all rows: modulo what divides both strides."""
    common, rest = r[a, STRIDE], r[b, STRIDE]
    while rest:
        common, rest = rest, common % rest
    ahead = (r[b, ADDRESS] - r[a, ADDRESS]) % common
    return bool(ahead < r[a, ROW_BYTES] or ahead + r[b, ROW_BYTES] > common)


@borrowing
def _rows_meet(r: Int64, a: int, b: int) -> bool:
    """Whether a run of a meets one of b."""
    if r[a, ROWS] > r[b, ROWS]:
        a, b = b, a
    for row in range(max(0, (r[b, ADDRESS] - r[a, ADDRESS]) // r[a, STRIDE]), r[a, ROWS]):
        low = r[a, ADDRESS] + row * r[a, STRIDE]
        if low >= r[b, END]:
            return False
        if _run_meets(r, b, low, low + r[a, ROW_BYTES]):
            return True
    return False


@borrowing
def overlap(r: Int64, a: int, b: int) -> bool:
    """Whether ranges a and b share a byte.

    Parameters
    ----------
    r
        Fields of ranges, shape (ranges, FIELDS).
    """
    if r[a, END] <= r[b, ADDRESS] or r[b, END] <= r[a, ADDRESS]:
        return False
    if r[a, ROWS] == 1:
        return _run_meets(r, b, r[a, ADDRESS], r[a, END])
    if r[b, ROWS] == 1:
        return _run_meets(r, a, r[b, ADDRESS], r[b, END])
    if r[a, STRIDE] == r[b, STRIDE]:
        # run j of b begins in the column of a's runs, `ahead` rows after run j of a
        ahead = (r[b, ADDRESS] - r[a, ADDRESS]) // r[a, STRIDE]
        column = r[b, ADDRESS] - r[a, ADDRESS] - ahead * r[a, STRIDE]
        same = ahead < r[a, ROWS] and ahead + r[b, ROWS] > 0 and column < r[a, ROW_BYTES]
        next_ = ahead + 1 < r[a, ROWS] and ahead + 1 + r[b, ROWS] > 0 and column + r[b, ROW_BYTES] > r[a, STRIDE]
        return bool(same or next_)
    return bool(_columns_meet(r, a, b) and _rows_meet(r, a, b))


@borrowing
def holds(r: Int64, a: int, b: int) -> bool:
    """Whether range a has all bytes of range b."""
    if r[b, ADDRESS] < r[a, ADDRESS] or r[b, END] > r[a, END]:
        return False
    if r[a, ROWS] == 1:
        return True
    if r[b, ROWS] == 1:
        return _run_held(r, a, r[b, ADDRESS], r[b, END])
    if r[a, STRIDE] == r[b, STRIDE]:
        # the last run lies where the first does, and b ends before a
        return _run_held(r, a, r[b, ADDRESS], r[b, ADDRESS] + r[b, ROW_BYTES])
    for row in range(r[b, ROWS]):
        low = r[b, ADDRESS] + row * r[b, STRIDE]
        if not _run_held(r, a, low, low + r[b, ROW_BYTES]):
            return False
    return True


@borrowing
def reach(r: Int64, a: int, at: int) -> int:
    """End of the run of range a that has the byte `at`, or -1."""
    if at < r[a, ADDRESS] or at >= r[a, END]:
        return -1
    row = (at - r[a, ADDRESS]) // r[a, STRIDE] if r[a, ROWS] > 1 else 0
    end = r[a, ADDRESS] + row * r[a, STRIDE] + r[a, ROW_BYTES]
    return int(end) if row < r[a, ROWS] and at < end else -1


@borrowing
def alike(r: Int64, a: int, low: int, high: int, stride: int) -> int:
    """How many rows, `stride` bytes apart and the first [low, high), lie one after the other in single runs of range a.

    [low, high) does; the rows after it are followed as far as it costs nothing to know.
    """
    if r[a, ROWS] == 1:
        return int((r[a, END] - high) // stride + 1) if stride > 0 else 1
    return int(r[a, ROWS] - (low - r[a, ADDRESS]) // r[a, STRIDE]) if r[a, STRIDE] == stride else 1
