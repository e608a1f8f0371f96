"""Softmax and normalizations of rows in 8-bit integers: what the vector unit's constants are for real parameters.

A normalized number comes out of the unit in steps that its widths fix (`datapath.vector.norm`): of LayerNorm 2^(16 - k)
with k = 39 - ceil(log2(features) / 2), of RMSNorm sqrt(features) 2^(16 - 39). Gamma takes a power of two a feature for
its scale, so that one multiplier serves all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.graph.element import Integer

Float64 = NDArray[np.float64]

#: Shares of a row, as softmax forms them.
SHARES = Integer(2.0**-8, 0, signed=False)
#: Bits of a difference's fraction on the polynomial's grid, and of the multiplier that brings it there.
GRID_BITS, MULTIPLIER_BITS = 14, 16
#: Smallest and largest scale of what softmax takes.
SCALES = (2.0**-40, 2.0)
#: Bits of the normalized number, what is taken off after gamma, and bits of beta.
NORMAL_BITS, GAMMA_SHIFT, BETA_BITS = 39, 16, 29
#: Bits of the sum of squares that epsilon is added to, of RMSNorm and of LayerNorm.
SUM_BITS, CENTRED_SUM_BITS = 31, 45


def softmax_grid(scale: float) -> tuple[int, int]:
    """Multiplier of 16 bits and right shift that bring integers of a scale to the polynomial's grid of 2^-14.

    Raises
    ------
    ValueError
        If the scale is not one that softmax takes.
    """
    low, high = SCALES
    if not low <= scale <= high:
        raise ValueError(f"what softmax takes must have a scale of 2^-40 to 2, not {scale:.4g}")
    mantissa, exponent = np.frexp(scale * 2.0**GRID_BITS)
    multiplier = int(np.floor(mantissa * 2.0**MULTIPLIER_BITS + 0.5))
    right = MULTIPLIER_BITS - int(exponent)
    return (multiplier // 2, right - 1) if multiplier == 2**MULTIPLIER_BITS else (multiplier, right)


@dataclass(frozen=True, slots=True)
class NormConstants:
    """Constants of `IntegerNorm`: int8 (features,), int32 (features,), int32 (1,), int8 (features,), and epsilon."""

    gamma: NDArray[np.int8]
    beta: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    epsilon: int


def norm_constants(
    gamma: Float64, beta: Float64, epsilon: float, given_scale: float, result_scale: float, *, centred: bool
) -> NormConstants:
    """Constants for real gamma and beta, shape (features,), and the scales of what is read and formed.

    Raises
    ------
    ValueError
        If a scale leaves the range of the unit, or epsilon is larger than every sum of squares.
    """
    features = len(gamma)
    normal_bits = NORMAL_BITS - ((features - 1).bit_length() + 1) // 2 * centred
    unit = 2.0 ** (GAMMA_SHIFT - normal_bits) * (1.0 if centred else np.sqrt(features))
    needed = np.maximum(np.abs(gamma) / 127, np.abs(beta) / (unit * 2**BETA_BITS))
    needed = np.where(needed > 0, needed, needed.max() or 1.0)
    step = 2.0 ** np.frexp(needed)[1]
    multiplier, shift = quantize_multiplier(step * unit / result_scale)
    live = multiplier > 0  # a feature whose scale vanishes is 0
    added = round(epsilon / given_scale**2 * features ** (2 if centred else 1))
    most = 2 ** (CENTRED_SUM_BITS if centred else SUM_BITS)
    if added >= most:
        raise ValueError(f"epsilon must be below {most} squared steps of what is normalized, not {added}")
    return NormConstants(
        gamma=(np.rint(gamma / step) * live).astype(np.int8),
        beta=(np.rint(beta / (step * unit)) * live).astype(np.int32),
        multiplier=multiplier.max(keepdims=True),
        shift=shift,
        epsilon=added,
    )
