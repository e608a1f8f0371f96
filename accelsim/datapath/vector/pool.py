"""Maxima and sums over windows of an image: pooling, also of the whole image, and of rows.

The channels of a pixel stand side by side and are spread over the lanes. A window's pixels follow each other, each
as many groups of lanes as its channels take; the results so far stand in row registers. With the window's last
pixel they leave: a maximum as it is, a sum by the result's scale, which is pipelined behind it. So an image takes
a cycle for each group of each pixel of each window, or more if the ports are slower.

A sum of integers is that of x - z, which int32 holds: of at most 2^15 values of 16 bits and sign. It is taken to the
result's scale, in which the division by the window's size is included. Floats are added in float32, in the order of the
window's rows and columns, and the sum is multiplied by a float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import FLOAT_MODES, ZERO_POINT_FIRST
from accelsim.datapath.vector import float_scale
from accelsim.datapath.vector.fixed_point import Int64, VectorPass

Float32 = NDArray[np.float32]

#: Values of a window, at most.
MAX_WINDOW = 2**15

MAXIMUM = VectorPass("maximum", ("compare",))
SUM = VectorPass("sum", ("subtract zero point", "add", "multiply", "rounding shift", "saturate"))
SUM_FLOAT = VectorPass("sum", ("add", "multiply", "clamp", "round"))

_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_ADD_64 = Event(Component.VECTOR, Operation.INT_ADD, 64)
_MULTIPLY = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_FLOAT_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)
_FLOAT_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_SO_FAR = (Operation.REGISTER_READ, Operation.REGISTER_WRITE)


def maximum(windows: Int64 | Float32) -> Int64 | Float32:
    """Largest value of each window, shape (windows, window, channels) to (windows, channels); NaN if there is one."""
    found: Int64 | Float32 = windows.max(axis=1)
    return found


def total(windows: Int64, zero_point: int) -> Int64:
    """Sum of x - z of each window, shape (windows, window, channels) to (windows, channels)."""
    found: Int64 = (windows - zero_point).sum(axis=1)
    return found


def total_float(windows: Float32, scale: np.float32) -> Float32:
    """Sum of each window in its order times a scale, shape (windows, window, channels) to (windows, channels)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found: Float32 = np.add.accumulate(windows, axis=1, dtype=np.float32)[:, -1]
        return found * scale


def maximum_events(counters: Counters, values: int, read: int) -> None:
    """Count a comparison a value that is read, and the row registers' accesses; `values` leave."""
    count(counters, _COMPARE, read)
    _registers(counters, values, read)


def sum_events(counters: Counters, values: int, read: int, mode: str) -> None:
    """Count zero point and sum of each value that is read, and the scaling of those that leave."""
    count(counters, _ADD_32, 2 * read)
    if mode in FLOAT_MODES:
        float_scale.scale_events(counters, values, zero_point_first=mode == ZERO_POINT_FIRST)
    else:
        count(counters, _ADD_32, values)
        count(counters, _MULTIPLY, values)
        count(counters, _ADD_64, values)
        count(counters, _SHIFT, values)
    _registers(counters, values, read)


def sum_float_events(counters: Counters, values: int, read: int) -> None:
    """Count the sum of each value that is read, and product, comparisons and rounding of those that leave."""
    count(counters, _FLOAT_ADD, read)
    count(counters, _FLOAT_MULTIPLY, values)
    count(counters, _COMPARE, 2 * values)
    count(counters, _ADD_32, values)
    _registers(counters, values, read)


def _registers(counters: Counters, values: int, read: int) -> None:
    """Count what is kept of a window between its pixels."""
    for operation in _SO_FAR:
        if read > values:
            count(counters, Event(Component.VECTOR, operation, 32), read - values)
