"""Tiles of bytes through the vector unit: what map, reduce and move do, where all elements have 8 bits.

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
INT8, UINT8 = range(2)
#: Bits by which 8-bit operands are shifted left before they are added, and what int32 holds.
LEFT_SHIFT, INT32_MIN, INT32_MAX = 20, -(2**31), 2**31 - 1
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
    """Do what a map does, if all its elements are bytes and its rounding scheme is known.

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
    if f[SOURCE] > UINT8 or f[RESULT] > UINT8 or f[OTHER] > UINT8 or (operation != LOOK_UP and mode < 0):
        return False
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
