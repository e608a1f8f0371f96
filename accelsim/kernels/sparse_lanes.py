"""Sparse vector lanes behind activation queues: what a product takes, and what it gives."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@njit(cache=True)
def cycles(
    nonzero: NDArray[np.bool_], counts: NDArray[np.int32], fifo_depth: int, finish: Int64, left: Int64, out: Int64
) -> None:
    """Find when the last lane has read its last entry, for each vector of activations.

    Activation j is broadcast one cycle after activation j - 1 or later: when the slowest lane has taken activation
    j - fifo_depth out of its queue. A lane takes it a cycle after the broadcast or later: when it has read the entries
    of the one before, one a cycle; an input without entries costs the cycle in which its pointers are read.

    Parameters
    ----------
    nonzero
        Which activations are not zero, shape (m, k).
    counts
        Entries of each input and lane, shape (k, lanes).
    fifo_depth
        Activations that each lane's queue holds.
    finish
        Scratch, shape (lanes,): cycle in which each lane may take its next activation.
    left
        Scratch, shape (fifo_depth,): cycle in which the slowest lane took activation j, at j modulo fifo_depth.
    out
        Result, shape (m,): cycles from the first broadcast; 0 for a vector of zeros.
    """
    for i in range(nonzero.shape[0]):
        finish[:] = 0
        j = 0
        push = -1
        for k in range(nonzero.shape[1]):
            if not nonzero[i, k]:
                continue
            push += 1
            if j >= fifo_depth:
                push = max(push, left[j % fifo_depth])
            slowest = 0
            for lane in range(counts.shape[1]):
                start = max(push + 1, finish[lane])
                finish[lane] = start + max(1, counts[k, lane])
                slowest = max(slowest, start)
            left[j % fifo_depth] = slowest
            j += 1
        last = 0
        for lane in range(counts.shape[1]):
            last = max(last, finish[lane])
        out[i] = last


@njit(cache=True)
def words(nonzero: NDArray[np.bool_], pointers: Int64, together: int) -> int:
    """Words that the lanes fetch for vectors of activations; the one that a lane fetched last for a vector stays there.

    Parameters
    ----------
    nonzero
        Which activations are not zero, shape (m, k).
    pointers
        Entries of each lane before each input, shape (lanes, k + 1).
    together
        Entries of a word.
    """
    found = 0
    for i in range(nonzero.shape[0]):
        for lane in range(pointers.shape[0]):
            held = -1
            for k in range(nonzero.shape[1]):
                first, end = pointers[lane, k], pointers[lane, k + 1]
                if nonzero[i, k] and end > first:
                    low, high = first // together, (end - 1) // together
                    found += high - low + (low != held)
                    held = high
    return found


@njit(cache=True)
def multiply(
    activations: Int64, starts: Int64, values: NDArray[np.int16], indices: NDArray[np.uint8], out: Int64
) -> None:
    """Multiply vectors of activations by encoded entries, lane by lane.

    Parameters
    ----------
    activations
        Shape (m, k).
    starts
        First entry of each lane and input, shape (lanes, k + 1).
    values, indices
        Entries, shape (entries,): the value, and the zeros before it.
    out
        Sums, zeros, shape (m, n); output n belongs to lane n modulo lanes.
    """
    lanes = starts.shape[0]
    for i in range(activations.shape[0]):
        for k in range(activations.shape[1]):
            x = activations[i, k]
            if x == 0:
                continue
            for lane in range(lanes):
                slot = -1
                for e in range(starts[lane, k], starts[lane, k + 1]):
                    slot += int(indices[e]) + 1
                    out[i, slot * lanes + lane] += x * values[e]
