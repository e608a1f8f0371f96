"""fp8 and int8 to float32: the bits of the fp8 value in the float32's fields, then one product with the scale.

E4M3 has bias 7, no infinity, and NaN where all bits but the sign are set; E5M2 has bias 15, infinities and NaNs as IEEE
(Micikevicius et al. 2022, arXiv:2209.05433, Table 1). Every fp8 value is a normal float32, so the conversion is exact.
An integer x - z of 9 bits is exact in float32 as well. The product is rounded once, to nearest even.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import VectorPass

Fp8 = Literal["fp8_e4m3", "fp8_e5m2"]

_MANTISSA_BITS: dict[Fp8, int] = {"fp8_e4m3": 3, "fp8_e5m2": 2}
_FLOAT32_MANTISSA_BITS, _FLOAT32_BIAS = 23, 127
_QUIET_NAN, _INFINITY = 0x7FC00000, 0x7F800000

DEQUANTIZE = VectorPass("dequantize", ("convert", "multiply", "round"))

_REBIAS = Event(Component.VECTOR, Operation.INT_ADD, 8)
_NORMALIZE_FP8 = Event(Component.VECTOR, Operation.INT_SHIFT, 3)
_ZERO_POINT = Event(Component.VECTOR, Operation.INT_ADD, 9)
_NORMALIZE_INT = Event(Component.VECTOR, Operation.INT_SHIFT, 9)
_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)


def fp8_to_float32(codes: NDArray[np.uint8], fp8: Fp8) -> NDArray[np.float32]:
    """Value of each fp8 byte; NaNs become quiet ones and keep their sign."""
    bits = codes.astype(np.uint32)
    width = _MANTISSA_BITS[fp8]
    sign = (bits & 0x80) << 24
    exponent = (bits & 0x7F) >> width
    mantissa = bits & ((1 << width) - 1)
    top = 0x7F >> width
    rebias = _FLOAT32_BIAS - (top >> 1)
    # a subnormal is mantissa * 2^(1 - bias - width): its leading one, at position 0 to 2, becomes the implicit one
    leading = (mantissa > 1).astype(np.uint32) + (mantissa > 3)
    subnormal_exponent = rebias + 1 - width + leading
    subnormal_mantissa = (mantissa << (width - leading)) & ((1 << width) - 1)
    subnormal = exponent == 0
    found = np.where(subnormal, subnormal_exponent, exponent + rebias) << _FLOAT32_MANTISSA_BITS
    found |= np.where(subnormal, subnormal_mantissa, mantissa) << (_FLOAT32_MANTISSA_BITS - width)
    found = np.where(subnormal & (mantissa == 0), 0, found)
    if fp8 == "fp8_e4m3":
        found = np.where((bits & 0x7F) == 0x7F, _QUIET_NAN, found)
    else:
        found = np.where(exponent == top, np.where(mantissa == 0, _INFINITY, _QUIET_NAN), found)
    return (found.astype(np.uint32) | sign).view(np.float32)


def _scaled(values: NDArray[np.float32], scale: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # IEEE's results are the unit's
        return values * np.asarray(scale, np.float32)


def dequantize_fp8(codes: NDArray[np.uint8], scale: ArrayLike, fp8: Fp8) -> NDArray[np.float32]:
    """Values times a float32 scale: one for all, or one a channel of the last axis."""
    return _scaled(fp8_to_float32(codes, fp8), scale)


def dequantize_int8(x: NDArray[np.generic], zero_point: ArrayLike, scale: ArrayLike) -> NDArray[np.float32]:
    """(x - z) scale of 8-bit integers; zero point and scale one for all, or one a channel of the last axis."""
    return _scaled((x.astype(np.int64) - np.asarray(zero_point, np.int64)).astype(np.float32), scale)


def cycles(rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles of a rows x columns tile; see `fixed_point.cycles`."""
    return fixed_point.cycles((DEQUANTIZE,), rows, columns, lanes, words)


def fp8_events(counters: Counters, values: int) -> None:
    """Count the new exponent, the shift of a subnormal's mantissa, and the product."""
    count(counters, _REBIAS, values)
    count(counters, _NORMALIZE_FP8, values)
    count(counters, _MULTIPLY, values)


def int8_events(counters: Counters, values: int) -> None:
    """Count the zero point, the exponent, the shift to the leading one, and the product."""
    count(counters, _ZERO_POINT, values)
    count(counters, _REBIAS, values)
    count(counters, _NORMALIZE_INT, values)
    count(counters, _MULTIPLY, values)
