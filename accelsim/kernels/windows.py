"""Windows of bytes between DRAM and a memory on chip, run by run; `accelsim.isa.descriptors` says what they are."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes
from accelsim.kernels.borrowing import inner

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

# a descriptor's words: five a dimension of each kind, then those that are single
COUNTS, DRAM_STRIDES, STRIDES, ROW_STEPS, COLUMN_STEPS, HEIGHT = range(0, 30, 5)
WIDTH, RUN_BYTES, FILL = HEIGHT + 1, HEIGHT + 2, HEIGHT + 3
DIMENSIONS = 5


@inner
def _step(d: Int64, index: Int64, place: Int64) -> None:
    """Go on to the next line of runs: its place in DRAM and on chip, its row and its column."""
    for axis in range(DIMENSIONS - 2, -1, -1):
        index[axis] += 1
        if index[axis] < d[axis]:
            for i in range(4):
                place[i] += d[DRAM_STRIDES + DIMENSIONS * i + axis]
            return
        index[axis] = 0
        for i in range(4):
            place[i] -= (d[axis] - 1) * d[DRAM_STRIDES + DIMENSIONS * i + axis]


@inner
def _lines(d: Int64) -> int:
    """Lines of runs: those of the last dimension are one."""
    lines = 1
    for axis in range(DIMENSIONS - 1):
        lines *= d[axis]
    return lines


@inner
def _inside(first: int, step: int, count: int, size: int) -> tuple[int, int]:
    """Indices, from the first to below the last, whose coordinates first + step * index lie in an image's axis."""
    if step == 0:
        return (0, count) if 0 <= first < size else (0, 0)
    low = 0 if first >= 0 else -(first // step)
    high = 0 if first >= size else (size - 1 - first) // step + 1
    return min(low, count), min(high, count)


@inner
def _copy(
    source: Bytes, at: int, stride: int, out: Bytes, at_out: int, stride_out: int, runs: int, size: int
) -> None:  # fmt: skip
    """Copy runs of bytes: one of all of them if they follow each other on both sides."""
    if stride == size and stride_out == size:
        lanes.copy(source, at, out, at_out, runs * size)
        return
    for i in range(runs):
        lanes.copy(source, at + i * stride, out, at_out + i * stride_out, size)


@inner
def _fill(out: Bytes, at: int, stride: int, runs: int, size: int, value: int) -> None:
    """Set runs of bytes."""
    for i in range(runs):
        for byte in range(np.uint64(at + i * stride), np.uint64(at + i * stride + size)):
            out[byte] = value


@njit(cache=True)
def gather(
    d: Int64, row: int, column: int, start: Bytes, unwritten: int, dram: Bytes, at_dram: int, chip: Bytes, at: int
) -> None:  # fmt: skip
    """Read a window whose first coordinates are given from DRAM, and fill what lies outside the image.

    Parameters
    ----------
    d
        Descriptor.
    start, unwritten
        First bytes of the DRAM, and how many of them are read there.
    at_dram, at
        Places of the window's first run.
    """
    index = np.zeros(DIMENSIONS, np.int64)
    place = np.array([at_dram, at, row, column])
    size, height, width, fill = d[RUN_BYTES], d[HEIGHT], d[WIDTH], d[FILL]
    last = DIMENSIONS - 1
    count, far, near = d[COUNTS + last], d[DRAM_STRIDES + last], d[STRIDES + last]
    down, across = d[ROW_STEPS + last], d[COLUMN_STEPS + last]
    for _ in range(_lines(d)):
        first_row, end_row = _inside(place[2], down, count, height)
        first, end = _inside(place[3], across, count, width)
        first, end = max(first, first_row), min(end, end_row)
        if first >= end:
            _fill(chip, place[1], near, count, size, fill)
        else:
            _fill(chip, place[1], near, first, size, fill)
            source, to = place[0] + first * far, place[1] + first * near
            if source < unwritten:
                _copy(start, source, far, chip, to, near, end - first, size)
            else:
                _copy(dram, source, far, chip, to, near, end - first, size)
            _fill(chip, place[1] + end * near, near, count - end, size, fill)
        _step(d, index, place)


@njit(cache=True)
def scatter(d: Int64, chip: Bytes, at: int, dram: Bytes, at_dram: int) -> None:
    """Write a window to DRAM; see `gather`."""
    index = np.zeros(DIMENSIONS, np.int64)
    place = np.array([at_dram, at, 0, 0])
    last = DIMENSIONS - 1
    count, far, near = d[COUNTS + last], d[DRAM_STRIDES + last], d[STRIDES + last]
    for _ in range(_lines(d)):
        _copy(chip, place[1], near, dram, place[0], far, count, d[RUN_BYTES])
        _step(d, index, place)
