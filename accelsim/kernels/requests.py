"""Bursts that are not among those that were requested last."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@njit(cache=True)
def first_of_last(number: Int64, last: Int64, buffers: int, new: NDArray[np.bool_]) -> None:
    """Find which of some bursts are requested by who keeps those that it requested last.

    Parameters
    ----------
    number
        Number of each burst that is needed, in order, shape (n,).
    last
        Which request, counted from 0, was the last one of each number; below -buffers for none. Goes on.
    buffers
        Requests that are kept.
    new
        Result, shape (n,): whether it is requested.
    """
    requests = 0
    for i in range(len(number)):
        new[i] = requests - last[number[i]] > buffers
        if new[i]:
            last[number[i]] = requests
            requests += 1
