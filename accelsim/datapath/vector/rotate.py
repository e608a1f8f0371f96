"""Pairs of values turned by a cosine and a sine each, as rotary embeddings turn them.

Of a pair (a, b), (a cos - b sin, a sin + b cos): each lane multiplies its own value and its partner's, which it gets
from the lane, or the word, that holds it. Of integers of 16 bits less their zero points the products have 32 bits and
sign, and their sum one more; `requantize` takes it to the result's scale. Floats are multiplied in float32, and each
product and the sum are rounded.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import FLOAT_MODES, ZERO_POINT_FIRST
from accelsim.datapath.vector import float_scale
from accelsim.datapath.vector.elements import Element
from accelsim.datapath.vector.fixed_point import VectorPass

ValuesT = TypeVar("ValuesT", NDArray[np.int64], NDArray[np.float32])

INTEGERS = VectorPass(
    "rotate",
    (
        "subtract zero points", "exchange with the partner", "multiply", "multiply the partner and add",
        "multiply by scale", "rounding shift", "saturate",
    ),
)  # fmt: skip
FLOATS = VectorPass(
    "rotate", ("exchange with the partner", "multiply", "multiply the partner", "add", "clamp", "round")
)

_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_ADD_64 = Event(Component.VECTOR, Operation.INT_ADD, 64)
_MULTIPLY = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_FLOAT_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_FLOAT_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)


def partners(features: int, *, interleaved: bool) -> tuple[slice, slice]:
    """Where the first and the second of each pair of a row stand."""
    half = features // 2
    return (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(0, half), slice(half, None))


def rotate(x: ValuesT, table: ValuesT, *, interleaved: bool) -> ValuesT:
    """Exact sums of products of integers less their zero points, or those of float32; shapes (rows, columns)."""
    first, second = partners(x.shape[-1], interleaved=interleaved)
    a, b, cos, sin = x[..., first], x[..., second], table[..., first], table[..., second]
    found = np.empty_like(x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # IEEE's results are the unit's
        found[..., first] = a * cos - b * sin
        found[..., second] = a * sin + b * cos
    return found


def integers_events(counters: Counters, values: int, operands: tuple[Element, Element], mode: str) -> None:
    """Count three zero points, the partner's register, two products, their sum, and the scale."""
    own, factor = (element.bits + 1 for element in operands)  # x - z has a bit more than x
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, own), values)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, factor), values)
    _exchanged(counters, values, operands[0].bits)
    count(counters, Event(Component.VECTOR, Operation.INT_MULTIPLY, own, factor), 2 * values)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, own + factor), values)
    if mode in FLOAT_MODES:
        float_scale.scale_events(counters, values, zero_point_first=mode == ZERO_POINT_FIRST)
        return
    count(counters, _MULTIPLY, values)
    count(counters, _ADD_64, values)
    count(counters, _SHIFT, values)
    count(counters, _ADD_32, values)


def floats_events(counters: Counters, values: int, element: Element) -> None:
    """Count the partner's register, two products, their sum, two comparisons, and the increment of rounding."""
    _exchanged(counters, values, element.bits)
    count(counters, _FLOAT_MULTIPLY, 2 * values)
    count(counters, _FLOAT_ADD, values)
    count(counters, _COMPARE, 2 * values)
    count(counters, _ADD_32, values)


def _exchanged(counters: Counters, values: int, bits: int) -> None:
    """Count a register that a value waits in for its partner."""
    count(counters, Event(Component.VECTOR, Operation.REGISTER_WRITE, bits), values)
    count(counters, Event(Component.VECTOR, Operation.REGISTER_READ, bits), values)
