"""Scales that are float32: what lanes with a float multiplier do to integers in the schemes of onnxruntime.

A value becomes a float32 and is multiplied by the scale; the product, or its sum with the zero point, becomes the
nearest integer. A sum of two tensors of at most 8 bits takes two fused multiply-adds, each rounded once
(MlasQLinearAdd with AVX2): y = round(a s_a + (b s_b + f)), where s_a and s_b are the operands' scales over the
result's, and f = z - (s_a z_a + s_b z_b) holds all zero points. Factors lie in [2^-20, 2^8], so that float64 holds
a s + f exactly: 8 bits times 24 whose last one is 2^-43 or more, and f, which is below 2^18 and less fine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector.fixed_point import Int64, VectorPass

Float32 = NDArray[np.float32]

#: Factors of a sum of two tensors.
LEAST_FACTOR, MOST_FACTOR = np.float32(2.0**-20), np.float32(2.0**8)
#: Largest magnitude of what holds the zero points of a sum.
MOST_FIXED = np.float32(2.0**18)

ADD = VectorPass("add at two scales", ("to float", "multiply and add", "multiply and add", "round", "saturate"))

_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 32)
_FLOAT_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)
_FLOAT_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)


def multiply_add(x: NDArray[np.generic], factor: np.float32, addend: Float32 | np.float32) -> Float32:
    """Fused multiply-add, rounded once to float32, of integers of at most 8 bits."""
    found: Float32 = (x.astype(np.float64) * np.float64(factor) + np.asarray(addend, np.float64)).astype(np.float32)
    return found


def add(a: Int64, b: Int64, factors: tuple[np.float32, np.float32, np.float32], *, qmin: int, qmax: int) -> Int64:
    """Sum of two tensors of at most 8 bits.

    Parameters
    ----------
    factors
        s_a, s_b and f as the module has them.
    """
    first, other, fixed = factors
    total = multiply_add(a, first, multiply_add(b, other, fixed))
    return np.clip(np.rint(total).astype(np.int64), qmin, qmax)


def add_events(counters: Counters, values: int) -> None:
    """Count two integers to floats, two products and sums, and rounding; the clamp is wiring."""
    count(counters, _SHIFT, 3 * values)
    count(counters, _FLOAT_MULTIPLY, 2 * values)
    count(counters, _FLOAT_ADD, 2 * values)
    count(counters, _ADD_32, values)


def scale_events(counters: Counters, values: int, *, zero_point_first: bool) -> None:
    """Count what scales a value: the shift to its leading one, product, rounding, and the zero point."""
    count(counters, _SHIFT, 2 * values)
    count(counters, _FLOAT_MULTIPLY, values)
    count(counters, _ADD_32, (1 if zero_point_first else 2) * values)
    if zero_point_first:
        count(counters, _FLOAT_ADD, values)
