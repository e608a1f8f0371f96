"""N:M weights in the machine's layout: values row by row, then their positions in the group (`accelsim.formats.nm`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing

Bytes = NDArray[np.uint8]


@borrowing
def expand(memory: Bytes, at: int, depth: int, columns: int, kept: int, group: int, bits: int, out: Bytes) -> bool:
    """Put stored weights where they belong in a dense matrix.

    Parameters
    ----------
    memory, at
        Bytes, and place of the first value.
    depth, columns
        Sides of the matrix.
    kept, group, bits
        N and M, and bits of a position.
    out
        Dense bytes, row by row; the rows of the last group are all written.

    Returns
    -------
    Whether an encoder could have written the bytes: positions lie in the group and ascend, and what stands behind the
    last input or position is 0.
    """
    groups = (depth + group - 1) // group
    values = groups * kept * columns
    first = at + values
    out[: groups * group * columns] = 0
    for g in range(groups):
        for j in range(columns):
            last = -1
            for slot in range(kept):
                i = (g * kept + slot) * columns + j
                position = 0
                for b in range(bits):
                    bit = i * bits + b
                    position |= int(np.int64(memory[first + bit // 8]) >> (bit % 8) & 1) << b
                k = g * group + position
                value = memory[at + i]
                if position <= last or position >= group or (k >= depth and value != 0):
                    return False
                out[k * columns + j] = value
                last = position
    used = values * bits % 8
    return used == 0 or memory[first + values * bits // 8] >> used == 0
