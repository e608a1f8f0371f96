"""Products of two tiles, value by value, and their sums as floats: gates, masks and scales.

Of 8-bit integers (a - z_a) (b - z_b) has 16 bits and sign; `requantize` takes it to the result's scale. Narrower ones
pass the same multiplier. Floats are
multiplied and added in float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import FLOAT_MODES, ZERO_POINT_FIRST
from accelsim.datapath.vector import float_scale
from accelsim.datapath.vector.fixed_point import Int64, VectorPass

Float32 = NDArray[np.float32]

MULTIPLY_INT8 = VectorPass(
    "multiply", ("subtract zero points", "multiply", "multiply by scale", "rounding shift", "saturate")
)
MULTIPLY_FLOAT = VectorPass("multiply", ("multiply", "clamp", "round"))
ADD_FLOAT = VectorPass("add", ("add", "clamp", "round"))

_ADD_9 = Event(Component.VECTOR, Operation.INT_ADD, 9)
_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_ADD_64 = Event(Component.VECTOR, Operation.INT_ADD, 64)
_MULTIPLY_9 = Event(Component.VECTOR, Operation.INT_MULTIPLY, 9, 9)
_MULTIPLY = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_FLOAT_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_FLOAT_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)


def multiply_int8(a: Int64, b: Int64, zero_points: tuple[int, int]) -> Int64:
    """Exact products of what two tiles of 8 bits or fewer stand for, at most 255^2 in magnitude."""
    return (a - zero_points[0]) * (b - zero_points[1])


def multiply_float(a: Float32, b: Float32) -> Float32:
    """Products of float32."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # IEEE's results are the unit's
        return a * b


def add_float(a: Float32, b: Float32) -> Float32:
    """Sums of float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return a + b


def multiply_int8_events(counters: Counters, values: int, mode: str) -> None:
    """Count three zero points, the product, and its scale's product, rounding sum and shift."""
    count(counters, _ADD_9, 2 * values)
    count(counters, _MULTIPLY_9, values)
    if mode in FLOAT_MODES:
        float_scale.scale_events(counters, values, zero_point_first=mode == ZERO_POINT_FIRST)
        return
    count(counters, _MULTIPLY, values)
    count(counters, _ADD_64, values)
    count(counters, _SHIFT, values)
    count(counters, _ADD_32, values)


def multiply_float_events(counters: Counters, values: int) -> None:
    """Count the product, two comparisons, and the increment of rounding."""
    count(counters, _FLOAT_MULTIPLY, values)
    count(counters, _COMPARE, 2 * values)
    count(counters, _ADD_32, values)


def add_float_events(counters: Counters, values: int) -> None:
    """Count the sum, two comparisons, and the increment of rounding."""
    count(counters, _FLOAT_ADD, values)
    count(counters, _COMPARE, 2 * values)
    count(counters, _ADD_32, values)
