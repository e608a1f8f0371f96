"""Inputs change places between the groups of an N:M pattern."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@njit(cache=True)
def _rank(values: Float64, order: Int64, group: int, kept: int, number: int, best: Float64) -> float:
    """Rank each output's values of a group of inputs; loops over outputs are innermost, so that they are vectors.

    Parameters
    ----------
    number
        Of the group.
    best
        Shape (kept + 1, outputs); the largest values, and then the first that does not stay, 0 if all do.

    Returns
    -------
    Sum of all that stays.
    """
    outputs = values.shape[1]
    best[:] = 0.0
    left = np.empty(outputs, np.float64)
    for place in range(number * group, (number + 1) * group):
        left[:] = values[order[place]]
        for b in range(kept + 1):  # the smallest falls out at the end
            row = best[b]
            for n in range(outputs):
                one, other = row[n], left[n]
                row[n] = max(other, one)
                left[n] = min(one, other)
    total = 0.0
    for b in range(kept):
        for n in range(outputs):
            total += best[b, n]
    return total


@njit(cache=True)
def _gain(mine: Float64, theirs: Float64, best: Float64, each: Float64) -> float:
    """What a group keeps more with `theirs` in the place of `mine`, one of its own.

    Without `mine` the last of the others that stays is the first that did not where `mine` stayed.

    Parameters
    ----------
    mine, theirs
        Magnitudes, shape (outputs,).
    best
        Those of the group, ranked, shape (kept + 1, outputs).
    each
        Room for the gain of each output, shape (outputs,).
    """
    high, low = best[-2], best[-1]
    for n in range(len(mine)):
        m, t, h = mine[n], theirs[n], high[n]
        last = low[n] if m >= h else h
        each[n] = (max(last, t)) - (max(last, m))
    total = 0.0
    for n in range(len(mine)):
        total += each[n]
    return total


@njit(cache=True)
def sweep(values: Float64, order: Int64, partners: Int64, group: int, kept: int) -> float:
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
    Share of all that is kept that was gained; 0 if no input changed places.
    """
    gained = 0.0
    groups, outputs = len(order) // group, values.shape[1]
    best = np.empty((groups, kept + 1, outputs), np.float64)
    each = np.empty(outputs, np.float64)
    total = np.empty(groups, np.float64)
    for g in range(groups):
        total[g] = _rank(values, order, group, kept, g, best[g])
    for a in range(groups * group):
        mine = a // group
        most, with_ = 1e-12 * total[mine], -1
        for b in partners[a % len(partners)]:
            theirs = b // group
            if theirs == mine:
                continue
            gain = _gain(values[order[a]], values[order[b]], best[mine], each)
            gain += _gain(values[order[b]], values[order[a]], best[theirs], each)
            if gain > most:
                most, with_ = gain, b
        if with_ >= 0:
            order[a], order[with_] = order[with_], order[a]
            for g in (mine, with_ // group):
                total[g] = _rank(values, order, group, kept, g, best[g])
            gained += most
    return gained / total.sum() if gained else 0.0
