"""Ranges that leave the largest values out, so that all others are rounded more finely.

Which range loses least in the square is searched among fractions of the whole one, as in OCTAV's and LAPQ's problem
statement (Banner et al., NeurIPS 2019, arXiv:1810.05723, section 3; Nahshon et al., arXiv:1911.07190); a percentile
leaves a share of the values out, whatever they are (Wu et al., arXiv:2004.09602, section 3.3).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

#: How a range is chosen: the whole one, the one of the least squared error, or that of a share of the values.
Clip = Literal["max", "mse", "percentile"]
#: Fractions of the whole range that are tried, the whole one first: of equal errors the widest range wins.
FRACTIONS = np.linspace(1.0, 0.2, 81)


def least_squared_step(weight: Float64, step: Float64, bits: int) -> Float64:
    """Steps, shape (N,), at most those given, whose symmetric integers are nearest to weights of shape (K, N)."""
    largest = 2 ** (bits - 1) - 1
    best, least = step.copy(), np.full(step.shape, np.inf)
    for fraction in FRACTIONS:
        tried = step * fraction
        error = np.square(np.clip(np.rint(weight / tried), -largest, largest) * tried - weight).sum(axis=0)
        best, least = np.where(error < least, tried, best), np.minimum(error, least)
    return best


def least_squared_range(values: Float64, low: float, high: float, bits: int) -> tuple[float, float]:
    """Part of a range, in proportion, whose 2^bits steps are nearest to the values."""
    best, least = (low, high), np.inf
    for fraction in FRACTIONS.tolist():
        tried = low * fraction, high * fraction
        step = (tried[1] - tried[0]) / (2**bits - 1) or 1.0
        rounded = np.rint((np.clip(values, *tried) - tried[0]) / step) * step + tried[0]
        error = float(np.square(rounded - values).sum())
        if error < least:
            best, least = tried, error
    return best


def percentile_range(values: Float64, percentile: float) -> tuple[float, float]:
    """Range that holds so many percent of the values on the side of each sign."""
    positive, negative = values[values > 0], values[values < 0]
    high = float(np.percentile(positive, percentile)) if positive.size else 0.0
    low = float(np.percentile(negative, 100 - percentile)) if negative.size else 0.0
    return low, high
