"""How far one output is from another, and what that does to the task."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def sqnr_db(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Signal to quantization noise ratio in decibels; None if there is no noise, no signal, or one is not finite."""
    scale = _peak(reference)
    if scale is None:
        return None
    noise = float(np.square(reference / scale - given / scale).sum())
    signal = float(np.square(reference / scale).sum())
    return 10 * math.log10(signal / noise) if noise and math.isfinite(noise) else None


def cosine(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Cosine of the angle between two tensors; None if one of them is zero or not finite."""
    scale, other = _peak(reference), _peak(given)
    if scale is None or other is None:
        return None
    a, b = reference / scale, given / other
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def _peak(values: NDArray[np.float64]) -> float | None:
    """Largest magnitude, by which squares are kept from overflowing; None if it is zero or not finite."""
    peak = float(np.abs(values).max())
    return peak if peak and math.isfinite(peak) else None


def accuracy(outputs: NDArray[np.generic], labels: NDArray[np.int64]) -> float:
    """Fraction of samples whose largest output is the label; the first of equal outputs counts.

    Parameters
    ----------
    outputs
        Shape (batch, classes), integer or float.
    labels
        Shape (batch,).
    """
    return float((outputs.argmax(axis=1) == labels).mean())
