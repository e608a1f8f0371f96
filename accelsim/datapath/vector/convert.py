"""Elements of one type to another: integers by a scale M * 2^shift, floats by a float32, clamped to a range.

=======================  =======================================================
integers to integers     clamp(round((x - z) M 2^shift) + z'), in a Q31 mode, or by a float32 in onnxruntime's
integers to floats       clamp((x - z) s): one product of float32
floats to integers       clamp(round(x s) + z'): to nearest, ties to even; NaN becomes z'
floats to floats         clamp(x)
=======================  =======================================================

A clamp is a ReLU where it begins at what stands for zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import FLOAT_MODES, ZERO_POINT_FIRST
from accelsim.datapath.vector import dequantize, float_scale
from accelsim.datapath.vector.fixed_point import Int64, VectorPass

Float32 = NDArray[np.float32]

INTEGERS = VectorPass("requantize", ("subtract zero point", "multiply", "rounding shift", "saturate"))
TO_FLOATS = VectorPass("dequantize", (*dequantize.DEQUANTIZE.stages, "clamp"))
TO_INTEGERS = VectorPass("quantize", ("multiply", "round", "saturate"))
FLOATS = VectorPass("clamp", ("clamp", "round"))

_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_ADD_64 = Event(Component.VECTOR, Operation.INT_ADD, 64)
_MULTIPLY = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_NORMALIZE = Event(Component.VECTOR, Operation.INT_SHIFT, 32)
_FLOAT_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)


def clamp(x: Float32, low: np.float32, high: np.float32) -> Float32:
    """Clamp floats; NaN stays."""
    return np.minimum(np.maximum(x, low), high)


def to_floats(x: Int64, zero_point: int, scale: np.float32) -> Float32:
    """(x - z) s; x - z is rounded to float32 first, which is exact up to 24 bits."""
    return dequantize.dequantize_int8(x, zero_point, scale)


def to_integers(x: Float32, scale: np.float32, zero_point: int, low: int, high: int) -> Int64:
    """Round(x s) + z, clamped."""
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.nan_to_num(x * scale, nan=0.0, posinf=np.inf, neginf=-np.inf).astype(np.float64)
    nearest = np.rint(np.clip(product, -(2.0**40), 2.0**40)).astype(np.int64)
    found: Int64 = np.minimum(np.maximum(nearest + zero_point, low), high)
    return found


def integers_events(counters: Counters, values: int, mode: str) -> None:
    """Count both zero points, the product, the rounding sum and the shift; the clamp is wiring."""
    if mode in FLOAT_MODES:
        count(counters, _ADD_32, values)
        float_scale.scale_events(counters, values, zero_point_first=mode == ZERO_POINT_FIRST)
        return
    count(counters, _ADD_32, 2 * values)
    count(counters, _MULTIPLY, values)
    count(counters, _ADD_64, values)
    count(counters, _SHIFT, values)


def to_floats_events(counters: Counters, values: int) -> None:
    """Count the zero point, the shift to the leading one, the product and two comparisons."""
    count(counters, _ADD_32, values)
    count(counters, _NORMALIZE, values)
    count(counters, _FLOAT_MULTIPLY, values)
    count(counters, _COMPARE, 2 * values)


def to_integers_events(counters: Counters, values: int) -> None:
    """Count the product, the shift and the sum of rounding, and the zero point."""
    count(counters, _FLOAT_MULTIPLY, values)
    count(counters, _NORMALIZE, values)
    count(counters, _ADD_32, 2 * values)


def floats_events(counters: Counters, values: int) -> None:
    """Count two comparisons, and the increment of rounding."""
    count(counters, _COMPARE, 2 * values)
    count(counters, _ADD_32, values)
