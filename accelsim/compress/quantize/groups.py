"""Weights of few bits that become int8 on chip: a small integer scale for each group, so that all products are int8's.

`progressive` is QServe's W4A8 (Lin et al., MLSys 2025, arXiv:2405.04532, section 4.1; the lecture notes' "INT4 to
INT8"): int8 for each output first, within +-119, so that the second level's rounding stays inside int8, and then
unsigned integers with a scale and a zero point for each group. `vector` is VS-Quant's (Dai et al., MLSys 2021,
arXiv:2102.04503): signed integers whose vectors have scales of 4 bits, and each output a real one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.groups import GroupedTensor, Progressive, VectorScaled
from accelsim.formats.vector_scale import VectorScale

Float64 = NDArray[np.float64]
Scales = Literal["progressive", "vector"]

#: QServe's protective range of the first level.
PROTECTED = 119


class Grouped(NamedTuple):
    """Grouped integers, and the real value of a step of the int8 that they stand for, float64, shape (N,)."""

    tensor: GroupedTensor
    step: Float64


def grouped(weight: Float64, bits: int, group: int, scales: Scales) -> Grouped:
    """Quantize weights of shape (K, N) on two levels.

    Raises
    ------
    ValueError
        If int8 can't hold a vector's largest integer times its largest scale.
    """
    return progressive(weight, bits, group) if scales == "progressive" else vector_scaled(weight, bits, group)


def progressive(weight: Float64, bits: int, group: int) -> Grouped:
    """Round to int8 for each output, and then to unsigned integers of so many bits for each group."""
    peak = np.abs(weight).max(axis=0)
    step = np.where(peak > 0, peak, float(peak.max()) or 1.0) / PROTECTED
    wide = np.rint(weight / step)
    firsts = np.arange(0, len(weight), group)
    low = np.minimum(np.minimum.reduceat(wide, firsts, axis=0), 0)
    high = np.maximum(np.maximum.reduceat(wide, firsts, axis=0), 0)
    largest = 2**bits - 1
    scale = np.maximum(np.rint((high - low) / largest), 1)
    zero = np.clip(np.rint(-low / scale), 0, largest)
    rows = (np.repeat(part, group, axis=0)[: len(weight)] for part in (scale, zero))
    of_row, zero_of_row = rows
    q = np.clip(np.rint(wide / of_row) + zero_of_row, 0, largest).astype(np.uint8)
    return Grouped(Progressive(bits, group).encode_parts(q, scale.astype(np.int64), zero.astype(np.int64)), step)


def vector_scaled(weight: Float64, bits: int, group: int) -> Grouped:
    """Round to signed integers of so many bits, with a 4-bit scale for each vector."""
    codec = VectorScaled(bits, group)
    most = (2 ** (bits - 1) - 1) * (2**codec.scale_bits - 1)
    if most > np.iinfo(np.int8).max:
        raise ValueError(f"int8 must hold integers of {bits} bits times scales of {codec.scale_bits}, up to {most}")
    found = VectorScale(bits, group, codec.scale_bits).encode(weight.astype(np.float32))
    tensor = codec.encode_parts(found.elements, found.scales.astype(np.int64), None)
    gammas = found.gammas.astype(np.float64)
    return Grouped(tensor, np.where(gammas > 0, gammas, 1.0))
