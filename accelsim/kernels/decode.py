"""Expanding runs of zeros: how many cycles a stream of entries takes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def run_cycles(outputs: NDArray[np.int64], entry: NDArray[np.bool_], symbols: int, width: int) -> int:
    """Count cycles of a stream whose items write their outputs in order.

    Parameters
    ----------
    outputs
        Outputs that each item writes, at least 1, over several cycles if need be; shape (items,).
    entry
        Whether the item is an entry that must be read, or zeros that the end of a column asks for; shape (items,).
    symbols, width
        Entries that are read, and outputs that are written, in one cycle at most.

    Returns
    -------
    Cycles until the last output is written.
    """
    cycles = 0
    room = 0
    unread = 0
    for i in range(len(outputs)):
        if entry[i]:
            if room == 0 or unread == 0:
                cycles += 1
                room, unread = width, symbols
            unread -= 1
        rest = outputs[i] - room
        if rest <= 0:
            room = -rest
        else:
            more = (rest + width - 1) // width
            cycles += more
            room, unread = more * width - rest, symbols
    return cycles
