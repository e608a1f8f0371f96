"""Tiles through the vector unit: what map and reduce do with integers of at most 16 bits, and what move does.

What instructions do is defined by `accelsim.sim.tiles`, which also does what is left to it here. A function of one
byte is a table of 256 results; of two bytes each is a table of what it stands for at the common scale. Elements of
16 bits, and packed ones, are taken one by one.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes, requantize
from accelsim.kernels.borrowing import inner

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
CONVERT, ADD, MULTIPLY, LOOK_UP, MAXIMUM, SUM, COPY, TRANSPOSE, FILL, ROTATE, ROTATE_NEIGHBOURS = range(11)
INT8, UINT8, INT16, _, _, _, _, INT4, UINT4, INT2, UINT2 = range(11)
#: Bits by which operands are shifted left before they are added, of at most 8 bits or more, and what int32 holds.
LEFT_SHIFT, LEFT_SHIFT_16, INT32_MIN, INT32_MAX = 20, 15, -(2**31), 2**31 - 1
SIGN = 128
#: Pairs of bytes: a tile of two operands that has more elements is looked up in a table of all their results.
PAIRS = 2**16


@inner
def _values(element: int, zero_point: int, values: Int64) -> None:
    """What each byte stands for, int64, shape (256,)."""
    flip = SIGN if element == INT8 else 0
    for byte in range(256):
        values[byte] = (byte ^ flip) - flip - zero_point


@inner
def _rescale(mode: int, values: Int64, multiplier: int, shift: int) -> None:
    """Bring the values of bytes to a common scale."""
    for byte in range(256):
        scaled = requantize.scaled(mode, values[byte] << LEFT_SHIFT, multiplier, shift)
        values[byte] = min(max(scaled, INT32_MIN), INT32_MAX)


@njit(cache=True)
def map_tile(p: Int64, f: Int64, mode: int, source: Bytes, other: Bytes, weight: Bytes, out: Bytes) -> bool:
    """Do what a map does, if its elements are integers of at most 16 bits, and its rounding scheme is known.

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
    known = _is_known(f[SOURCE]) and _is_known(f[OTHER]) and _is_known(f[RESULT])
    if not known or (operation != LOOK_UP and mode < 0):
        return False
    if operation in (ROTATE, ROTATE_NEIGHBOURS):
        _turn(p, f, mode, source, other, out)
        return True
    floats = operation == ADD and mode >= requantize.FLOAT
    if max(f[SOURCE], f[OTHER], f[RESULT]) > UINT8:
        if floats:
            return False
        _map_each(p, f, mode, source, other, out)
        return True
    address, stride, rows, columns, result, result_stride = p[2], p[3], p[4], p[5], p[7], p[8]
    a, b = np.empty(256, np.int64), np.empty(256, np.int64)
    if operation in (CONVERT, LOOK_UP):
        table = np.empty(256, np.uint8)
        if operation == LOOK_UP:
            lanes.copy(weight, p[12], table, 0, 256)
        else:
            _values(f[SOURCE], f[ZERO_POINT], a)
            for byte in range(256):
                q = requantize.result(mode, a[byte], f[MULTIPLIER], f[SHIFT], f[RESULT_ZERO_POINT])
                table[byte] = min(max(q, f[LOW]), f[HIGH]) & 255
        for row in range(rows):
            x, o = np.uint64(address + row * stride), np.uint64(result + row * result_stride)
            for j in range(np.uint64(columns)):
                out[o + j] = table[source[x + j]]
        return True
    _values(f[SOURCE], f[ZERO_POINT], a)
    _values(f[OTHER], f[OTHER_ZERO_POINT], b)
    factors = np.zeros(3, np.float64)
    if floats:
        bits = np.array([f[MULTIPLIER], f[OTHER_MULTIPLIER], f[RESULT_MULTIPLIER]]).astype(np.uint32)
        factors[:] = bits.view(np.float32)
    elif operation == ADD:
        _rescale(mode, a, f[MULTIPLIER], f[SHIFT])
        _rescale(mode, b, f[OTHER_MULTIPLIER], f[OTHER_SHIFT])
    adds, low, high = operation == ADD, f[LOW], f[HIGH]
    multiplier, shift, zero_point = f[RESULT_MULTIPLIER], f[RESULT_SHIFT], f[RESULT_ZERO_POINT]
    many = rows * columns > PAIRS
    results = np.empty(PAIRS if many else 0, np.uint8)
    for pair in range(np.uint64(results.size)):
        one, two = a[pair >> np.uint64(8)], b[pair & np.uint64(255)]
        if floats:
            results[pair] = _sum_of_floats(one, two, factors, low, high)
        else:
            results[pair] = _of_two(adds, mode, one, two, multiplier, shift, zero_point, low, high)
    for row in range(rows):
        x, o = np.uint64(address + row * stride), np.uint64(result + row * result_stride)
        y = np.uint64(p[10] + row * p[11])
        if many:
            for j in range(np.uint64(columns)):
                out[o + j] = results[np.uint64(source[x + j]) << np.uint64(8) | np.uint64(other[y + j])]
        elif floats:
            for j in range(np.uint64(columns)):
                out[o + j] = _sum_of_floats(a[source[x + j]], b[other[y + j]], factors, low, high)
        else:
            for j in range(np.uint64(columns)):
                one, two = a[source[x + j]], b[other[y + j]]
                out[o + j] = _of_two(adds, mode, one, two, multiplier, shift, zero_point, low, high)
    return True


@inner
def _of_two(
    adds: bool, mode: int, one: int, two: int, multiplier: int, shift: int, zero_point: int, low: int, high: int
) -> int:  # fmt: skip
    """Byte of the sum of two values, or of their product."""
    total = one + two if adds else one * two
    q = requantize.result(mode, total, multiplier, shift, zero_point)
    return min(max(q, low), high) & 255


@inner
def _sum_of_floats(one: int, two: int, factors: NDArray[np.float64], low: int, high: int) -> int:
    """Byte of two fused multiply-adds, as `datapath.vector.float_scale` has them; float64 holds each sum exactly."""
    addend = np.float32(np.float64(two) * factors[1] + factors[2])
    total = np.float32(np.float64(one) * factors[0] + np.float64(addend))
    return min(max(int(np.rint(total)), low), high) & 255


@inner
def _is_known(element: int) -> bool:
    """Whether an element is an integer of at most 16 bits."""
    return element <= INT16 or element >= INT4


@inner
def _bits(element: int) -> int:
    """Bits of an integer of at most 16 bits."""
    if element >= INT2:
        return 2
    if element >= INT4:
        return 4
    return 16 if element == INT16 else 8


@inner
def _number(memory: Bytes, element: int, row: int, column: int) -> int:
    """Integer of at most 16 bits of the row that begins at an address."""
    bits = _bits(element)
    if bits == 16:
        at = row + 2 * column
        field = int(np.int64(memory[at])) | int(np.int64(memory[at + 1])) << 8
    else:
        place = column * bits
        field = int(np.int64(memory[row + place // 8])) >> place % 8 & ((1 << bits) - 1)
    if element in (UINT8, UINT4, UINT2):
        return field
    sign = 1 << (bits - 1)
    return (field ^ sign) - sign


@inner
def _put_row(numbers: Int64, element: int, memory: Bytes, row: int) -> None:
    """Write integers of at most 16 bits to the row that begins at an address; what its last byte has over is 0."""
    bits = _bits(element)
    if bits == 16:
        for column in range(numbers.size):
            memory[row + 2 * column] = numbers[column] & 255
            memory[row + 2 * column + 1] = numbers[column] >> 8 & 255
        return
    memory[row : row + (numbers.size * bits + 7) // 8] = 0
    for column in range(numbers.size):
        place = column * bits
        memory[row + place // 8] |= (numbers[column] & ((1 << bits) - 1)) << place % 8


@inner
def _common(mode: int, value: int, left: int, multiplier: int, shift: int) -> int:
    """A value at the common scale of a sum."""
    return min(max(requantize.scaled(mode, value << left, multiplier, shift), INT32_MIN), INT32_MAX)


@njit(cache=True)
def _map_each(p: Int64, f: Int64, mode: int, source: Bytes, other: Bytes, out: Bytes) -> None:
    """Do what a map without a table does, where some of its elements have 16 bits, or fewer than 8."""
    operation, of_source, of_other, of_result = f[OPERATION], f[SOURCE], f[OTHER], f[RESULT]
    left = LEFT_SHIFT_16 if INT16 in (of_source, of_other) else LEFT_SHIFT
    multiplier, shift, zero_point, other_zero_point = f[MULTIPLIER], f[SHIFT], f[ZERO_POINT], f[OTHER_ZERO_POINT]
    low, high, result_zero_point = f[LOW], f[HIGH], f[RESULT_ZERO_POINT]
    results = np.empty(p[5], np.int64)
    for row in range(p[4]):
        x, y = p[2] + row * p[3], p[10] + row * p[11]
        for j in range(p[5]):
            value = _number(source, of_source, x, j) - zero_point
            if operation == CONVERT:
                q = requantize.result(mode, value, multiplier, shift, result_zero_point)
            else:
                two = _number(other, of_other, y, j) - other_zero_point
                if operation == ADD:
                    total = _common(mode, value, left, multiplier, shift)
                    total += _common(mode, two, left, f[OTHER_MULTIPLIER], f[OTHER_SHIFT])
                else:
                    total = value * two
                q = requantize.result(mode, total, f[RESULT_MULTIPLIER], f[RESULT_SHIFT], result_zero_point)
            results[j] = min(max(q, low), high)
        _put_row(results, of_result, out, p[7] + row * p[8])


@njit(cache=True)
def _turn(p: Int64, f: Int64, mode: int, source: Bytes, other: Bytes, out: Bytes) -> None:
    """Do what a map of pairs does; a row is read whole before it is written, maybe where it stood."""
    half, step = (1, 2) if f[OPERATION] == ROTATE_NEIGHBOURS else (p[5] // 2, 1)
    results = np.empty(p[5], np.int64)
    for row in range(p[4]):
        x, y = p[2] + row * p[3], p[10] + row * p[11]
        for pair in range(p[5] // 2):
            i = pair * step
            a = _number(source, f[SOURCE], x, i) - f[ZERO_POINT]
            b = _number(source, f[SOURCE], x, i + half) - f[ZERO_POINT]
            cos = _number(other, f[OTHER], y, i) - f[OTHER_ZERO_POINT]
            sin = _number(other, f[OTHER], y, i + half) - f[OTHER_ZERO_POINT]
            results[i], results[i + half] = a * cos - b * sin, a * sin + b * cos
        for j in range(p[5]):
            q = requantize.result(mode, results[j], f[RESULT_MULTIPLIER], f[RESULT_SHIFT], f[RESULT_ZERO_POINT])
            results[j] = min(max(q, f[LOW]), f[HIGH])
        _put_row(results, f[RESULT], out, p[7] + row * p[8])


@njit(cache=True)
def reduce_image(p: Int64, f: Int64, mode: int, source: Bytes, out: Bytes) -> bool:
    """Do what a reduce does, if `map_tile` would with such elements."""
    maximum = f[OPERATION] == MAXIMUM
    if not (_is_known(f[SOURCE]) and _is_known(f[RESULT])) or not (maximum or mode >= 0):
        return False
    if max(f[SOURCE], f[RESULT]) > UINT8:
        _reduce_each(p, f, mode, source, out)
        return True
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
                    q = requantize.result(mode, total, f[RESULT_MULTIPLIER], f[RESULT_SHIFT], f[RESULT_ZERO_POINT])
                    out[o + c] = min(max(q, f[LOW]), f[HIGH]) & 255
    return True


@njit(cache=True)
def _reduce_each(p: Int64, f: Int64, mode: int, source: Bytes, out: Bytes) -> None:
    """Do what a reduce does where some of its elements have 16 bits, or fewer than 8."""
    stride, line, columns, maximum = p[3], p[4], p[7], f[OPERATION] == MAXIMUM
    low, high, zero_point = f[LOW], f[HIGH], f[RESULT_ZERO_POINT]
    found = np.empty(columns, np.int64)
    for y in range(p[5]):
        for x in range(p[6]):
            first = p[2] + y * f[ROW_STEP] * line + x * f[COLUMN_STEP] * stride
            found[:] = INT32_MIN if maximum else 0
            for i in range(f[WINDOW_ROWS]):
                for j in range(f[WINDOW_COLUMNS]):
                    at = first + i * line + j * stride
                    for c in range(columns):
                        value = _number(source, f[SOURCE], at, c)
                        found[c] = max(found[c], value) if maximum else found[c] + value - f[ZERO_POINT]
            if not maximum:
                for c in range(columns):
                    q = requantize.result(mode, found[c], f[RESULT_MULTIPLIER], f[RESULT_SHIFT], zero_point)
                    found[c] = min(max(q, low), high)
            _put_row(found, f[RESULT], out, p[9] + y * p[11] + x * p[10])


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
