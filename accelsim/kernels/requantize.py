"""Requantization of a tile of int32 sums to results of 8 or 16 bits: the rounding schemes that recipes make.

What the schemes are, and where they come from: `accelsim.datapath.requantize`. Here a row of a tile is one loop over
columns that LLVM makes vector instructions of.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing, inner

Results = NDArray[np.uint8] | NDArray[np.uint16]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]

#: Rounding schemes, scale m 2^(s - 31): once, ties up or away from zero; to 32 bits ties up, then a right shift, ties
#: away from zero or up. Scale m 2^-s, a float32: the zero point added behind rounding to nearest even, or before it.
ONCE_UP, ONCE_AWAY, TWICE_AWAY, TWICE_UP, FLOAT, FLOAT_SUM = range(6)
#: Shifts s for which the schemes are defined; a left shift is positive, of floats a right one.
LOWEST, HIGHEST, HIGHEST_FLOAT = -31, 30, 62
#: Products of floats are clamped to it before they are rounded, which no result of 16 bits tells.
LARGEST = np.float32(2.0**31)


class Channels(NamedTuple):
    """Constants of channels: int32, int32 and int8."""

    bias: Int32
    multiplier: Int32
    shift: Int8


def room(channels: int) -> Channels:
    """Room for the constants of so many channels."""
    return Channels(np.zeros(channels, np.int32), np.zeros(channels, np.int32), np.zeros(channels, np.int8))


@borrowing
def are_defined(mode: int, shift: Int8, channels: int) -> bool:
    """Whether a scheme is defined for the shifts of the first channels."""
    low = high = 0
    for c in range(np.uint64(channels)):
        s = int(np.int64(shift[c]))
        low, high = min(low, s), max(high, s)
    if mode >= FLOAT:
        return low >= 0 and high <= HIGHEST_FLOAT
    return low >= LOWEST and high <= HIGHEST


@borrowing
def repeat(constants: Channels, channel: int, first: int, amount: int) -> None:
    """Put a channel's constants to `amount` channels, from `first` on."""
    b, m, s = constants.bias[channel], constants.multiplier[channel], constants.shift[channel]
    for c in range(np.uint64(first), np.uint64(first + amount)):
        constants.bias[c], constants.multiplier[c], constants.shift[c] = b, m, s


@inner
def _half_up(value: int, right: int) -> int:
    """Shift right, ties towards plus infinity."""
    return (value + ((1 << right) >> 1)) >> right


@inner
def _half_away(value: int, right: int) -> int:
    """Shift right, ties away from zero."""
    return -_half_up(-value, right) if value < 0 else _half_up(value, right)


@inner
def _high(total: int, multiplier: int, shift: int) -> int:
    """Upper half of the doubled product, ties up; a left shift wraps to 32 bits."""
    shifted = total << max(shift, 0)
    low = ((shifted & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
    return _half_up(low * multiplier, 31)


@inner
def _once_up(total: int, multiplier: int, shift: int) -> int:
    return _half_up(total * multiplier, 31 - shift)


@inner
def _once_away(total: int, multiplier: int, shift: int) -> int:
    return _half_away(total * multiplier, 31 - shift)


@inner
def _twice_away(total: int, multiplier: int, shift: int) -> int:
    return _half_away(_high(total, multiplier, shift), max(-shift, 0))


@inner
def _twice_up(total: int, multiplier: int, shift: int) -> int:
    return _half_up(_high(total, multiplier, shift), max(-shift, 0))


@inner
def _product(total: int, multiplier: int, shift: int) -> np.float32:
    """float32 of a value times a float32 factor; powers of two divide exactly."""
    factor = np.float32(multiplier) / np.float32(1 << shift)
    return min(max(np.float32(total) * factor, -LARGEST), LARGEST)


@inner
def _float(total: int, multiplier: int, shift: int) -> int:
    return int(np.rint(_product(total, multiplier, shift)))


@inner
def _float_sum(total: int, multiplier: int, shift: int, zero_point: int) -> int:
    return int(np.rint(_product(total, multiplier, shift) + np.float32(zero_point)))


@inner
def result(mode: int, total: int, multiplier: int, shift: int, zero_point: int) -> int:
    """Scale one value by a rounding scheme, and add the zero point."""
    if mode == FLOAT_SUM:
        return _float_sum(total, multiplier, shift, zero_point)
    return scaled(mode, total, multiplier, shift) + zero_point


@inner
def scaled(mode: int, total: int, multiplier: int, shift: int) -> int:
    """Scale one value by a rounding scheme that leaves the zero point to whoever adds it."""
    if mode == ONCE_UP:
        return _once_up(total, multiplier, shift)
    if mode == ONCE_AWAY:
        return _once_away(total, multiplier, shift)
    if mode == TWICE_AWAY:
        return _twice_away(total, multiplier, shift)
    if mode == FLOAT:
        return _float(total, multiplier, shift)
    return _twice_up(total, multiplier, shift)


@borrowing
def row(
    mode: int, sums: Int32, first: int, constants: Channels, channel: int, columns: int, zero_point: int, qmin: int,
    qmax: int, out: Results, at: int,
) -> None:  # fmt: skip
    """Requantize a row; sums with their bias wrap at 32 bits.

    Parameters
    ----------
    mode
        Rounding scheme, one of those above.
    sums, first
        Sums, and place of the row's first.
    constants, channel
        Constants, and place of the first column's.
    zero_point, qmin, qmax
        Integer that stands for zero, smallest and largest result.
    out, at
        Results, the bits of signed or unsigned integers, and place of the row's first.
    """
    bias, multiplier, shift = constants
    bits = (1 << 8 * out.itemsize) - 1
    s, c, o = np.uint64(first), np.uint64(channel), np.uint64(at)
    if mode == ONCE_UP:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _once_up(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])))
            out[o + j] = min(max(q + zero_point, qmin), qmax) & bits
    elif mode == ONCE_AWAY:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _once_away(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])))
            out[o + j] = min(max(q + zero_point, qmin), qmax) & bits
    elif mode == TWICE_AWAY:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _twice_away(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])))
            out[o + j] = min(max(q + zero_point, qmin), qmax) & bits
    elif mode == FLOAT:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _float(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])))
            out[o + j] = min(max(q + zero_point, qmin), qmax) & bits
    elif mode == FLOAT_SUM:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _float_sum(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])), zero_point)
            out[o + j] = min(max(q, qmin), qmax) & bits
    else:
        for j in range(np.uint64(columns)):
            total = int(np.int32(np.int64(sums[s + j]) + bias[c + j]))
            q = _twice_up(total, int(np.int64(multiplier[c + j])), int(np.int64(shift[c + j])))
            out[o + j] = min(max(q + zero_point, qmin), qmax) & bits
