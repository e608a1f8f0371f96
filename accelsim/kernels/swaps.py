"""Inputs change places between the groups of an N:M pattern."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@njit(cache=True)
def _kept(values: Float64, order: Int64, first: int, group: int, out: int, into: int, kept: int) -> float:
    """Sum of each output's `kept` largest of a group of inputs, with the input `into` in the place `out`."""
    best = np.empty(kept, np.float64)
    total = 0.0
    for n in range(values.shape[1]):
        best[:] = 0.0
        for place in range(first, first + group):
            value = values[into if place == out else order[place], n]
            for b in range(kept):  # the smallest falls out at the end
                if value > best[b]:
                    best[b], value = value, best[b]
        for b in range(kept):
            total += best[b]
    return total


@njit(cache=True)
def sweep(values: Float64, order: Int64, partners: Int64, group: int, kept: int) -> bool:
    """Let each input change places with the partner that gains most, if any gains.

    Parameters
    ----------
    values
        Magnitudes, shape (inputs, outputs).
    order
        Input at each place, shape (places,); changed. Groups are whole.
    partners
        Places to try for each place, shape (places, tries), or (1, tries) for the same ones.

    Returns
    -------
    Whether any did.
    """
    changed = False
    places = len(order) // group * group
    for a in range(places):
        mine = a // group * group
        here = _kept(values, order, mine, group, -1, 0, kept)
        most, with_ = 1e-12 * here, -1
        for b in partners[a % len(partners)]:
            theirs = b // group * group
            if theirs == mine:
                continue
            gain = _kept(values, order, mine, group, a, order[b], kept) - here
            gain += _kept(values, order, theirs, group, b, order[a], kept)
            gain -= _kept(values, order, theirs, group, -1, 0, kept)
            if gain > most:
                most, with_ = gain, b
        if with_ >= 0:
            order[a], order[with_] = order[with_], order[a]
            changed = True
    return changed
