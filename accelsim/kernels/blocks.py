"""Blocks of a matrix, each written as one run of bytes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]


@njit(cache=True)
def put(
    matrix: Bytes, pitch: int, row: Int64, rows: Int64, column: Int64, columns: Int64, out: Bytes, at: Int64
) -> None:
    """Copy the rows of each block one after the other.

    Parameters
    ----------
    matrix, pitch
        Bytes of all rows, and from row to row.
    row, rows, column, columns
        First row of each block and how many it has; the same of its columns, a byte each. Shape (blocks,).
    out, at
        Result, and where each block begins there.
    """
    for block in range(len(at)):
        first, size = row[block] * pitch + column[block], columns[block]
        for i in range(rows[block]):
            lanes.copy(matrix, first + i * pitch, out, at[block] + i * size, size)
