"""Softmax over the last axis in integers: I-BERT's polynomial, or a table of 256 exponentials, and one division a row.

The polynomial (Kim et al. 2021, arXiv:2101.01321, section 3.5): with q = x - max on a grid of 2^-14, q = p - z ln 2,
exp(p) on (-ln 2, 0] is 0.3585 (p + 1.353)^2 + 0.344 and the result is shifted right by z. The quadratic errs by at most
3.14e-3 of the value, which moves a share by at most half of that: 0.4 of an LSB of Q0.8, but 103 of Q0.16.

Of a row of at most 2^15 values, every intermediate and its width:

====================  =======  ===============================================================================
q = round(d M 2^-r)   19       d = max - x below 2^32, M of 16 bits; clamped at 30 ln 2, where exp is below 2^-29
z = q / ln 2          5        times ceil(2^32 / 11357), shifted right by 32: exact for every q of the clamped range
exp                   30       (22167^2 + 257578233) = 0.698 * 2^30 at p = 0, before the shift by z
sum                   45       2^15 exponentials; at least the maximum's own, above 2^29
D = round(2^61/sum)   32       the reciprocal, one quotient bit an iteration
exp D                 61 + 1   exp <= sum, so at most 2^61 + exp / 2
====================  =======  ===============================================================================

The table's exponentials have 16 bits: the sum is below 2^31, D = round(2^47 / sum) has 32 bits, exp D at most
2^47 + exp / 2. Results are unsigned Q0.8 or Q0.16, to nearest, ties up; 1 is held as 255 or 65535.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import MAX_CHANNELS, Int64, Scalar, VectorPass, divide_round, shift_round

GRID_BITS = 14
LN2 = round(math.log(2) * 2**GRID_BITS)
#: Powers of two after which the exponential counts as 0 (I-BERT's n).
MAX_HALVINGS = 30
CLAMP = MAX_HALVINGS * LN2
#: 1.353 and 0.344 / 0.3585 of I-BERT's polynomial on the grid, rounded down as there.
LINEAR = int(1.353 * 2**GRID_BITS)
CONSTANT = int(0.344 / 0.3585 * 2 ** (2 * GRID_BITS))
_LN2_RECIPROCAL = -(-(2**32) // LN2)

#: Width of the numerator of the reciprocal, by the exponentials' width.
POLYNOMIAL_DIVIDEND = 61
TABLE_DIVIDEND = 47
TABLE_ONE = 2**16 - 1
RECIPROCAL_BITS = 32

MULTIPLIER_BITS = 16

Bools = NDArray[np.bool_]
#: A row sees all of its values.
EVERYTHING: Bools = np.ones((), np.bool_)

_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_PLACE = Event(Component.VECTOR, Operation.INT_COMPARE, 16)
_SUBTRACT = Event(Component.VECTOR, Operation.INT_ADD, 32)
_TO_GRID = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, MULTIPLIER_BITS)
_ROUND_48 = Event(Component.VECTOR, Operation.INT_ADD, 48)
_SHIFT_48 = Event(Component.VECTOR, Operation.INT_SHIFT, 48)
_BY_LN2 = Event(Component.VECTOR, Operation.INT_MULTIPLY, 19, 19)
_REMAINDER = Event(Component.VECTOR, Operation.INT_MULTIPLY, 5, 14)
_ADD_19 = Event(Component.VECTOR, Operation.INT_ADD, 19)
_SQUARE = Event(Component.VECTOR, Operation.INT_MULTIPLY, 15, 15)
_ADD_30 = Event(Component.VECTOR, Operation.INT_ADD, 30)
_SHIFT_30 = Event(Component.VECTOR, Operation.INT_SHIFT, 30)
_DIVIDE = Event(Component.VECTOR, Operation.INT_ADD, 46)
_ROUND_62 = Event(Component.VECTOR, Operation.INT_ADD, 62)


def grid_scale(scale: float) -> tuple[int, int]:
    """Express the input's scale on the grid, scale 2^14 = M 2^-right with M of 16 bits.

    Raises
    ------
    ValueError
        If the scale is not in [2^-40, 2].
    """
    if not 2.0**-40 <= scale <= 2:
        raise ValueError(f"a softmax input's scale must be in [2^-40, 2], not {scale}")
    multiplier, shift = fixed_point.fixed_point(scale * 2**GRID_BITS, MULTIPLIER_BITS)
    return int(multiplier), -int(shift)


def exponential(distance: Int64, multiplier: int, right: int) -> Int64:
    """I-BERT's exp(-distance * scale), in units of 0.3585 * 2^-28.

    Parameters
    ----------
    distance
        max - x, integers in [0, 2^32).
    multiplier, right
        The scale on the grid, as `grid_scale` gives it.
    """
    q = np.minimum(shift_round(distance * multiplier, right), CLAMP)
    halvings = q * _LN2_RECIPROCAL >> 32
    p = halvings * LN2 - q
    found: Int64 = ((p + LINEAR) ** 2 + CONSTANT) >> halvings
    return found


def _share(exponentials: Int64, seen: Bools, dividend_bits: int, output_bits: int) -> Int64:
    """Each exponential over the sum of those that its row sees, in unsigned Q0.output_bits; 0 for all others."""
    exponentials = np.where(seen, exponentials, 0)
    total = exponentials.sum(axis=-1, keepdims=True)
    reciprocal = divide_round(1 << dividend_bits, total)
    shares = shift_round(exponentials * reciprocal, dividend_bits - output_bits)
    return np.minimum(shares, (1 << output_bits) - 1)


def _distance(x: NDArray[np.generic], seen: Bools) -> Int64:
    """Distances to the largest value that a row sees; 0 of what it does not see."""
    if x.shape[-1] > MAX_CHANNELS:
        raise ValueError(f"a row must have at most {MAX_CHANNELS} values, not {x.shape[-1]}")
    wide = x.astype(np.int64)
    largest = np.where(seen, wide, np.iinfo(np.int64).min).max(axis=-1, keepdims=True)
    return np.where(seen, largest - wide, 0)


def softmax(
    x: NDArray[np.generic], multiplier: int, right: int, output_bits: Literal[8, 16], seen: Bools = EVERYTHING
) -> Int64:
    """Softmax of the last axis by the polynomial.

    Parameters
    ----------
    x
        Integers of at most 32 bits.
    multiplier, right
        Their scale on the grid, as `grid_scale` gives it.
    output_bits
        8 for Q0.8, 16 for Q0.16.
    seen
        Values that a row shares itself among, one or more; bool, a shape that broadcasts to that of x.

    Raises
    ------
    ValueError
        If a row is longer than 2^15 values.
    """
    return _share(exponential(_distance(x, seen), multiplier, right), seen, POLYNOMIAL_DIVIDEND, output_bits)


def exponential_table(scale: float) -> NDArray[np.uint16]:
    """256 exponentials round(65535 exp(-i scale)), for distances i of 8-bit inputs."""
    table: NDArray[np.uint16] = np.rint(TABLE_ONE * np.exp(-scale * np.arange(256))).astype(np.uint16)
    return table


def softmax_table(x: NDArray[np.generic], table: NDArray[np.uint16], output_bits: Literal[8, 16]) -> Int64:
    """Softmax of the last axis of 8-bit integers, int8 or uint8, by a table; as `softmax` otherwise."""
    return _share(table[_distance(x, EVERYTHING)].astype(np.int64), EVERYTHING, TABLE_DIVIDEND, output_bits)


def passes(*, table: bool) -> tuple[VectorPass | Scalar, ...]:
    """What is done to a row: its maximum, exponentials and their sum, one division, the shares.

    The input is read twice; the exponentials wait in row registers for the last pass.
    """
    exponent = (
        ("look up",)
        if table
        else ("times scale", "rounding shift", "divide by ln 2", "remainder", "square", "add and shift")
    )
    return (
        VectorPass("maximum", (), reduces=True),
        VectorPass("exponentials and their sum", ("subtract from maximum", *exponent), reduces=True),
        Scalar("reciprocal", RECIPROCAL_BITS),
        VectorPass("share", ("times reciprocal", "round and saturate")),
    )


def cycles(rows: int, columns: int, lanes: int, words: int, *, table: bool) -> tuple[int, int]:
    """Cycles of a rows x columns tile; see `fixed_point.cycles`."""
    return fixed_point.cycles(passes(table=table), rows, columns, lanes, words)


def events(counters: Counters, rows: int, columns: int, *, table: bool, masked: bool = False) -> None:
    """Count the three passes and, a row, one trial subtraction for each bit of the reciprocal.

    A mask costs three comparisons of a value's place in each pass over the input.

    The table is a register file of 256 words; shifts by a constant and the saturation are wiring.
    """
    values = rows * columns
    width, sum_bits = (16, 31) if table else (30, 45)
    count(counters, _COMPARE, values)
    count(counters, _PLACE, 6 * values if masked else 0)
    count(counters, _SUBTRACT, values)
    if not table:
        count(counters, _TO_GRID, values)
        count(counters, _ROUND_48, values)
        count(counters, _SHIFT_48, values)
        count(counters, _BY_LN2, values)
        count(counters, _REMAINDER, values)
        count(counters, _ADD_19, 2 * values)  # the remainder, and the polynomial's linear term
        count(counters, _SQUARE, values)
        count(counters, _ADD_30, values)
        count(counters, _SHIFT_30, values)
    looked_up = values if table else 0
    count(counters, Event(Component.VECTOR, Operation.REGISTER_WRITE, width), values)
    count(counters, Event(Component.VECTOR, Operation.REGISTER_READ, width), values + looked_up)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, sum_bits), values)
    count(counters, _DIVIDE, rows * RECIPROCAL_BITS)
    count(counters, Event(Component.VECTOR, Operation.INT_MULTIPLY, width, RECIPROCAL_BITS), values)
    count(counters, _ROUND_62, values)


def table_events(counters: Counters) -> None:
    """Count the writes that fill the register file."""
    count(counters, Event(Component.VECTOR, Operation.REGISTER_WRITE, 16), 256)
