"""Equal things under one number: a program repeats itself, so what is worked out once holds for many."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import inner

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Keys = NDArray[np.integer]
Rows = NDArray[np.integer]

#: 2^31 over the golden ratio, made odd: Knuth's multiplicative hash.
_SPREAD = 1327217885
_LOW = 2**31 - 1


@inner
def _mix(hash_: int, value: int | np.int64) -> int:
    """Hash of one value more, below 2^62; no product of it overflows."""
    both = hash_ ^ value
    product = ((both ^ (both >> 31)) & _LOW) * _SPREAD
    return int(product ^ (product >> 31))  # tables take the low bits, which the high ones of a value must reach


@njit(cache=True)
def _grown(table: Int32, hashes: Int64, count: int) -> Int32:
    """A table twice as large that holds the same numbers."""
    larger = np.full(2 * len(table), -1, np.int32)
    mask = len(larger) - 1
    for number in range(count):
        at = hashes[number] & mask
        while larger[at] >= 0:
            at = (at + 1) & mask
        larger[at] = number
    return larger


@njit(cache=True)
def _longer(array: Int64) -> Int64:
    longer = np.zeros(2 * len(array), np.int64)
    for i in range(len(array)):  # numba's copying of arrays takes seconds to compile
        longer[i] = array[i]
    return longer


@inner
def _row_hash(key: Keys, rows: Rows, i: int) -> int:
    hash_ = _mix(0, np.int64(key[i]))
    for j in range(rows.shape[1]):
        hash_ = _mix(hash_, np.int64(rows[i, j]))
    return hash_


@inner
def _rows_equal(key: Keys, rows: Rows, a: int, b: int) -> bool:
    equal = key[a] == key[b]
    for j in range(rows.shape[1]):
        equal &= rows[a, j] == rows[b, j]
    return bool(equal)


@njit(cache=True)
def of_rows(key: Keys, rows: Rows, number: Int32) -> Int64:
    """Number equal rows alike, in the order in which they come first.

    Rows mostly follow the last row, or the one before it, as they did the last time. That is looked at first, and needs
    no hash.

    Parameters
    ----------
    key, rows
        Columns of integers of any types, of which the first stands by itself: shapes (n,) and (n, columns).
    number
        Result, shape (n,).

    Returns
    -------
    First row of each number, shape (numbers,).
    """
    table = np.full(1024, -1, np.int32)
    first, hashes, count = np.zeros(512, np.int64), np.zeros(512, np.int64), 0
    # what followed each number the last time, and what followed that; numbers of the last row and of the one before it
    next_, second, last, before = np.zeros(512, np.int64), np.zeros(512, np.int64), 0, 0
    for i in range(len(key)):
        guess = second[before]
        if not (count and _rows_equal(key, rows, first[guess], i)):
            guess = next_[last]
            if not (count and _rows_equal(key, rows, first[guess], i)):
                guess = -1
        if guess >= 0:
            next_[last] = second[before] = number[i] = guess
            last, before = guess, last
            continue
        hash_ = _row_hash(key, rows, i)
        at = hash_ & (len(table) - 1)
        while table[at] >= 0 and (hashes[table[at]] != hash_ or not _rows_equal(key, rows, first[table[at]], i)):
            at = (at + 1) & (len(table) - 1)
        if table[at] < 0:
            if count == len(first):
                first, hashes, next_, second = _longer(first), _longer(hashes), _longer(next_), _longer(second)
                table = _grown(table, hashes, count)
                at = hash_ & (len(table) - 1)
                while table[at] >= 0:
                    at = (at + 1) & (len(table) - 1)
            table[at] = count
            first[count], hashes[count] = i, hash_
            count += 1
        next_[last] = second[before] = number[i] = table[at]
        last, before = table[at], last
    return first[:count].copy()


@njit(cache=True)
def in_order(number: NDArray[np.int8], first: Int64, sorted_: Int32) -> None:
    """Sort by a small number, what has the same in its own order.

    Parameters
    ----------
    number
        Shape (n,), 0 to numbers - 1.
    first
        Result, zeros, shape (numbers + 1,): where in `sorted_` those of each number begin; last, n.
    sorted_
        Result, shape (n,).
    """
    for i in range(len(number)):
        first[number[i] + 1] += 1
    for k in range(1, len(first)):
        first[k] += first[k - 1]
    place = first.copy()
    for i in range(len(number)):
        sorted_[place[number[i]]] = i
        place[number[i]] += 1


@njit(cache=True)
def rests(opcode: NDArray[np.uint8], operands: Int64, modulus: Int64, rows: Int64) -> None:
    """Leave of each operand what remains after whole words.

    Parameters
    ----------
    opcode, operands
        Fields of the records, shapes (n,) and (n, operands).
    modulus
        Divisor of each operand of each opcode, shape (opcodes, operands); 0 leaves the operand as it is.
    rows
        Result, shape (n, operands).
    """
    for i in range(len(opcode)):
        for j in range(operands.shape[1]):
            value, divisor = operands[i, j], modulus[opcode[i], j]
            rows[i, j] = value % divisor if divisor else value
