"""Windows of bytes between DRAM and a memory on chip, run by run; `accelsim.isa.descriptors` says what they are."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

# a descriptor's words: five a dimension of each kind, then those that are single
COUNTS, DRAM_STRIDES, STRIDES, ROW_STEPS, COLUMN_STEPS, HEIGHT = range(0, 30, 5)
WIDTH, RUN_BYTES, FILL = HEIGHT + 1, HEIGHT + 2, HEIGHT + 3
DIMENSIONS = 5


@njit(cache=True)
def _step(d: Int64, index: Int64, place: Int64) -> None:
    """Go on to the next run: its place in DRAM and on chip, its row and its column."""
    for axis in range(DIMENSIONS - 1, -1, -1):
        index[axis] += 1
        if index[axis] < d[axis]:
            for i in range(4):
                place[i] += d[DRAM_STRIDES + DIMENSIONS * i + axis]
            return
        index[axis] = 0
        for i in range(4):
            place[i] -= (d[axis] - 1) * d[DRAM_STRIDES + DIMENSIONS * i + axis]


@njit(cache=True)
def _runs(d: Int64) -> int:
    runs = 1
    for axis in range(DIMENSIONS):
        runs *= d[axis]
    return runs


@njit(cache=True)
def gather(d: Int64, row: int, column: int, dram: Bytes, at_dram: int, chip: Bytes, at: int) -> None:
    """Read a window whose first coordinates are given from DRAM, and fill what lies outside the image.

    Parameters
    ----------
    d
        Descriptor.
    at_dram, at
        Places of the window's first run.
    """
    index = np.zeros(DIMENSIONS, np.int64)
    place = np.array([at_dram, at, row, column])
    size, height, width, fill = d[RUN_BYTES], d[HEIGHT], d[WIDTH], np.uint8(d[FILL])
    for _ in range(_runs(d)):
        if 0 <= place[2] < height and 0 <= place[3] < width:
            lanes.copy(dram, place[0], chip, place[1], size)
        else:
            chip[place[1] : place[1] + size] = fill
        _step(d, index, place)


@njit(cache=True)
def scatter(d: Int64, chip: Bytes, at: int, dram: Bytes, at_dram: int) -> None:
    """Write a window to DRAM; see `gather`."""
    index = np.zeros(DIMENSIONS, np.int64)
    place = np.array([at_dram, at, 0, 0])
    for _ in range(_runs(d)):
        lanes.copy(chip, place[1], dram, place[0], d[RUN_BYTES])
        _step(d, index, place)
