"""Tiles through the vector unit: what map, reduce and move do with elements of 8 bits, and map of 16 bits too.

What instructions do is defined by `accelsim.sim.tiles`, which also does what is left to it here. A function of one
byte is a table of 256 results; of two bytes each is a table of what it stands for at the common scale.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes, requantize

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

# a function's words, as `isa.functions` has them
(
    OPERATION,
    SOURCE,
    OTHER,
    RESULT,
    ZERO_POINT,
    OTHER_ZERO_POINT,
    RESULT_ZERO_POINT,
    MULTIPLIER,
    SHIFT,
    OTHER_MULTIPLIER,
    OTHER_SHIFT,
    RESULT_MULTIPLIER,
    RESULT_SHIFT,
    ROUNDING,
    LOW,
    HIGH,
    WINDOW_ROWS,
    WINDOW_COLUMNS,
    ROW_STEP,
    COLUMN_STEP,
) = range(20)
#: Operations and types, in the order of `isa.functions.Operation` and `datapath.vector.elements.Element`.
CONVERT, ADD, MULTIPLY, LOOK_UP, MAXIMUM, SUM, COPY, TRANSPOSE, FILL = range(9)
INT8, UINT8, INT16 = range(3)
#: Bits by which operands are shifted left before they are added, of 8 bits or more, and what int32 holds.
LEFT_SHIFT, LEFT_SHIFT_16, INT32_MIN, INT32_MAX = 20, 15, -(2**31), 2**31 - 1
SIGN = 128


@njit(cache=True)
def _values(element: int, zero_point: int, values: Int64) -> None:
    """What each byte stands for, int64, shape (256,)."""
    flip = SIGN if element == INT8 else 0
    for byte in range(256):
        values[byte] = (byte ^ flip) - flip - zero_point


@njit(cache=True)
def _rescale(mode: int, values: Int64, multiplier: int, shift: int) -> None:
    """Bring the values of bytes to a common scale."""
    for byte in range(256):
        scaled = requantize.scaled(mode, values[byte] << LEFT_SHIFT, multiplier, shift)
        values[byte] = min(max(scaled, INT32_MIN), INT32_MAX)


@njit(cache=True)
def map_tile(p: Int64, f: Int64, mode: int, source: Bytes, other: Bytes, weight: Bytes, out: Bytes) -> bool:
    """Do what a map does, if all its elements are bytes, or some of 16 bits, and its rounding scheme is known.

    Parameters
    ----------
    p, f
        Operands and function.
    mode
        Rounding scheme of `kernels.requantize`, or -1.
    source, other, weight, out
        Memories of the tiles, and the one that holds tables.
    """
    operation = f[OPERATION]
    widest = max(f[SOURCE], f[OTHER], f[RESULT])
    if widest > INT16 or (operation != LOOK_UP and mode < 0):
        return False
    if widest == INT16:
        return _map_wide(p, f, mode, source, other, out)
    address, stride, rows, columns, result, result_stride = p[2], p[3], p[4], p[5], p[7], p[8]
    a, b = np.empty(256, np.int64), np.empty(256, np.int64)
    if operation in (CONVERT, LOOK_UP):
        table = np.empty(256, np.uint8)
        if operation == LOOK_UP:
            lanes.copy(weight, p[12], table, 0, 256)
        else:
            _values(f[SOURCE], f[ZERO_POINT], a)
            for byte in range(256):
                q = requantize.scaled(mode, a[byte], f[MULTIPLIER], f[SHIFT]) + f[RESULT_ZERO_POINT]
                table[byte] = min(max(q, f[LOW]), f[HIGH]) & 255
        for row in range(rows):
            x, o = np.uint64(address + row * stride), np.uint64(result + row * result_stride)
            for j in range(np.uint64(columns)):
                out[o + j] = table[source[x + j]]
        return True
    _values(f[SOURCE], f[ZERO_POINT], a)
    _values(f[OTHER], f[OTHER_ZERO_POINT], b)
    if operation == ADD:
        _rescale(mode, a, f[MULTIPLIER], f[SHIFT])
        _rescale(mode, b, f[OTHER_MULTIPLIER], f[OTHER_SHIFT])
    multiplier, shift, zero_point = f[RESULT_MULTIPLIER], f[RESULT_SHIFT], f[RESULT_ZERO_POINT]
    low, high, adds = f[LOW], f[HIGH], operation == ADD
    for row in range(rows):
        x, o = np.uint64(address + row * stride), np.uint64(result + row * result_stride)
        y = np.uint64(p[10] + row * p[11])
        for j in range(np.uint64(columns)):
            one, two = a[source[x + j]], b[other[y + j]]
            total = one + two if adds else one * two
            q = requantize.scaled(mode, total, multiplier, shift) + zero_point
            out[o + j] = min(max(q, low), high) & 255
    return True


@njit(cache=True)
def _number(memory: Bytes, element: int, at: int) -> int:
    """Integer of 8 or 16 bits at an address."""
    low = int(np.int64(memory[at]))
    if element == UINT8:
        return low
    if element == INT8:
        return (low ^ SIGN) - SIGN
    return ((low | int(np.int64(memory[at + 1])) << 8) ^ 0x8000) - 0x8000


@njit(cache=True)
def _common(mode: int, value: int, multiplier: int, shift: int) -> int:
    """A value at the common scale of a sum."""
    return min(max(requantize.scaled(mode, value << LEFT_SHIFT_16, multiplier, shift), INT32_MIN), INT32_MAX)


@njit(cache=True)
def _map_wide(p: Int64, f: Int64, mode: int, source: Bytes, other: Bytes, out: Bytes) -> bool:
    """Do what a conversion of bytes and 16-bit integers does, or a sum of which an operand has 16 bits."""
    operation, of_source, of_other, of_result = f[OPERATION], f[SOURCE], f[OTHER], f[RESULT]
    adds = operation == ADD and max(of_source, of_other) == INT16
    if not adds and operation != CONVERT:
        return False
    bytes_, other_bytes, result_bytes = 1 + (of_source == INT16), 1 + (of_other == INT16), 1 + (of_result == INT16)
    multiplier, shift, zero_point, other_zero_point = f[MULTIPLIER], f[SHIFT], f[ZERO_POINT], f[OTHER_ZERO_POINT]
    low, high, result_zero_point = f[LOW], f[HIGH], f[RESULT_ZERO_POINT]
    for row in range(p[4]):
        x, o, y = p[2] + row * p[3], p[7] + row * p[8], p[10] + row * p[11]
        for j in range(p[5]):
            value = _number(source, of_source, x + j * bytes_) - zero_point
            if adds:
                two = _number(other, of_other, y + j * other_bytes) - other_zero_point
                total = _common(mode, value, multiplier, shift)
                total += _common(mode, two, f[OTHER_MULTIPLIER], f[OTHER_SHIFT])
                q = requantize.scaled(mode, total, f[RESULT_MULTIPLIER], f[RESULT_SHIFT])
            else:
                q = requantize.scaled(mode, value, multiplier, shift)
            q = min(max(q + result_zero_point, low), high)
            out[o + j * result_bytes] = q & 255
            if result_bytes == 2:
                out[o + j * 2 + 1] = q >> 8 & 255
    return True


@njit(cache=True)
def reduce_image(p: Int64, f: Int64, mode: int, source: Bytes, out: Bytes) -> bool:
    """Do what a reduce does, if all its elements are bytes and its rounding scheme is known; see `map_tile`."""
    maximum = f[OPERATION] == MAXIMUM
    if f[SOURCE] > UINT8 or f[RESULT] > UINT8 or not (maximum or mode >= 0):
        return False
    stride, line, height, width, columns = p[3], p[4], p[5], p[6], np.uint64(p[7])
    flip = SIGN if f[SOURCE] == INT8 else 0
    flipped = np.uint8(flip)
    totals = np.empty(columns, np.int32)
    pixels = f[WINDOW_ROWS] * f[WINDOW_COLUMNS]
    offset = pixels * (f[ZERO_POINT] + flip)
    for y in range(height):
        for x in range(width):
            o = np.uint64(p[9] + y * p[11] + x * p[10])
            first = p[2] + y * f[ROW_STEP] * line + x * f[COLUMN_STEP] * stride
            totals[:] = 0
            for pixel in range(pixels):
                at = np.uint64(first + pixel // f[WINDOW_COLUMNS] * line + pixel % f[WINDOW_COLUMNS] * stride)
                if maximum and pixel == 0:
                    for c in range(columns):
                        out[o + c] = source[at + c]
                elif maximum:
                    for c in range(columns):
                        out[o + c] = max(out[o + c] ^ flipped, source[at + c] ^ flipped) ^ flipped
                else:
                    for c in range(columns):
                        totals[c] += np.int32(source[at + c] ^ flipped)
            if not maximum:
                for c in range(columns):
                    total = np.int64(totals[c]) - offset
                    q = requantize.scaled(mode, total, f[RESULT_MULTIPLIER], f[RESULT_SHIFT]) + f[RESULT_ZERO_POINT]
                    out[o + c] = min(max(q, f[LOW]), f[HIGH]) & 255
    return True


@njit(cache=True)
def move_tile(p: Int64, f: Int64, width: int, source: Bytes, out: Bytes) -> bool:
    """Do what a move does, unless rows and columns are exchanged where they stand.

    Parameters
    ----------
    width
        Bytes of an element.
    """
    operation, result, result_stride, rows, columns = f[OPERATION], p[2], p[3], p[4], p[5]
    address, stride = p[7], p[8]
    if operation == TRANSPOSE:
        if p[1] == p[6] and result == address:
            return False
        for row in range(np.uint64(rows)):
            for column in range(np.uint64(columns)):
                x = np.uint64(address) + row * np.uint64(stride) + column * np.uint64(width)
                o = np.uint64(result) + column * np.uint64(result_stride) + row * np.uint64(width)
                for byte in range(np.uint64(width)):
                    out[o + byte] = source[x + byte]
        return True
    for row in range(rows):
        at = result + row * result_stride
        if operation == FILL:
            out[at : at + columns * width] = np.uint8(f[LOW])
        else:
            lanes.copy(source, address + row * stride, out, at, columns * width)
    return True
