"""How far one output is from another, and what that does to the task."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def sqnr_db(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Signal to quantization noise ratio in decibels; None if there is no noise or no signal."""
    noise = float(np.square(reference - given).sum())
    signal = float(np.square(reference).sum())
    return 10 * math.log10(signal / noise) if noise and signal else None


def cosine(reference: NDArray[np.float64], given: NDArray[np.float64]) -> float | None:
    """Cosine of the angle between two tensors; None if one of them is zero."""
    norms = float(np.linalg.norm(reference) * np.linalg.norm(given))
    return float(np.vdot(reference, given)) / norms if norms else None


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
