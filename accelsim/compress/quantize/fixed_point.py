"""Real scales as integer multiplier and shift, for hardware without floating point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Largest left shift that leaves room for an int32 (SEMANTICS: shift in [-31, 30]).
MAX_SHIFT = 30


def quantize_multiplier(scale: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Express positive scales as multiplier * 2^(shift - 31), TFLite's QuantizeMultiplier.

    Parameters
    ----------
    scale
        float64, any shape, finite and above 0, below 2^30 after rounding to 31 bits.

    Returns
    -------
    multiplier
        int32 in [2^30, 2^31), or 0 where the scale is below 2^-32.
    shift
        int8, positive = left.

    Raises
    ------
    ValueError
        If a scale is not positive or too large.
    """
    mantissa, exponent = np.frexp(scale)
    multiplier = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
    carry = multiplier == 2**31
    multiplier = np.where(carry, 2**30, multiplier)
    exponent = exponent + carry
    if not (scale > 0).all() or not np.isfinite(scale).all() or not (exponent <= MAX_SHIFT).all():
        raise ValueError(f"a requantize scale must be above 0 and below 2^{MAX_SHIFT}")
    vanishing = exponent < -31
    return np.where(vanishing, 0, multiplier).astype(np.int32), np.where(vanishing, 0, exponent).astype(np.int8)
