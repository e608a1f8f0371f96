"""The requantize unit: 32-bit sums to 8-bit integers by an integer multiplier and a shift.

The scale of the lecture notes, M * 2^shift, is multiplier * 2^(shift - 31) here, with TFLite's sign of the shift
(positive = left). Pipeline: multiply | rounding shift | saturate, one value a cycle a lane.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count

Int64 = NDArray[np.int64]

_BIAS_ADD = Event(Component.REQUANTIZE, Operation.INT_ADD, 32)
_MULTIPLY = Event(Component.REQUANTIZE, Operation.INT_MULTIPLY, 32, 32)
_ROUNDING_ADD = Event(Component.REQUANTIZE, Operation.INT_ADD, 64)
_SHIFT = Event(Component.REQUANTIZE, Operation.INT_SHIFT, 64)


def _tflite_single_round(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    right = 31 - shift
    return (acc * multiplier + (np.int64(1) << (right - 1))) >> right


def _tflite_double_round(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    # the left shift wraps as the library's int32 does; int64 to int32 keeps the low half
    shifted = (acc << np.maximum(shift, 0)).astype(np.int32).astype(np.int64)
    high = (shifted * multiplier + (1 << 30)) >> 31
    right = np.maximum(-shift, 0)
    mask = (np.int64(1) << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


_SCHEMES: dict[str, Callable[[Int64, Int64, Int64], Int64]] = {
    "tflite_single_round": _tflite_single_round,
    "tflite_double_round": _tflite_double_round,
}
#: Names of the rounding schemes; their order is their number in an instruction.
MODES = tuple(_SCHEMES)


def requantize(
    acc: ArrayLike,
    multiplier: ArrayLike,
    shift: ArrayLike,
    zero_point: ArrayLike,
    mode: str,
    *,
    qmin: int = -128,
    qmax: int = 127,
) -> NDArray[np.int64]:
    """Scale, round, add the zero point and clamp.

    Parameters
    ----------
    acc
        Sums, int32 values of any shape.
    multiplier, shift, zero_point
        Integers that broadcast against `acc`: multiplier in [0, 2^31), shift in [-31, 30], positive = left.
    mode
        One of `MODES`: TFLite's single rounding (once, ties up) or double rounding (to 32 bits with ties up, then
        the right shift with ties away from zero).

    Returns
    -------
    int64 of the broadcast shape, inside [qmin, qmax].
    """
    operands = (np.asarray(value, dtype=np.int64) for value in (acc, multiplier, shift))
    return np.clip(_SCHEMES[mode](*operands) + np.asarray(zero_point, dtype=np.int64), qmin, qmax)


def cycles(rows: int, columns: int, lanes: int, words: int, latency: int) -> tuple[int, int]:
    """Cycles until the unit takes the next tile, and until the last result of a rows x columns tile.

    Each row of sums takes ceil(columns / lanes) cycles, or more if a port needs `words` accesses in all; a result
    leaves `latency` edges after its sum entered.
    """
    free = max(rows * -(-columns // lanes), words)
    return free, free + latency - 1


def events(counters: Counters, values: int) -> None:
    """Count bias sum, product, rounding sum, shift, and the sum with the zero point; the clamp is wiring."""
    count(counters, _BIAS_ADD, 2 * values)
    count(counters, _MULTIPLY, values)
    count(counters, _ROUNDING_ADD, values)
    count(counters, _SHIFT, values)
