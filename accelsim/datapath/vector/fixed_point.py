"""What the vector unit's kernels are made of: scales M * 2^shift, division, square root, and passes over a row.

A kernel's arithmetic is integer; real scales become M * 2^shift beforehand, by the functions here that take floats
(Jacob et al. 2018, arXiv:1712.05877, section 2.2). The lanes take one group of values a cycle. A kernel's time is that
of its passes: the rows follow each other, and within a row a pass begins when the results of the one before are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.units import ceil_div

Int64 = NDArray[np.int64]

#: Longest row, which the widths of all sums are sized for.
MAX_CHANNELS = 2**15


def fixed_point(real: ArrayLike, bits: int) -> tuple[Int64, Int64]:
    """Express positive reals as M * 2^shift with M of `bits` bits.

    Parameters
    ----------
    real
        float64, any shape, finite and above 0.
    bits
        Width of M: 2^(bits - 1) <= M < 2^bits, so the relative error is at most 2^-bits.

    Returns
    -------
    M and shift, int64 of the same shape.

    Raises
    ------
    ValueError
        If a value is not finite and positive.
    """
    values = np.asarray(real, np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("a scale must be finite and above 0")
    mantissa, exponent = np.frexp(values)
    multiplier = np.floor(np.ldexp(mantissa, bits) + 0.5).astype(np.int64)
    carry = multiplier == 1 << bits
    return np.where(carry, 1 << (bits - 1), multiplier), exponent.astype(np.int64) - bits + carry


def tflite_scale(real: ArrayLike) -> tuple[Int64, Int64]:
    """Express positive reals below 2^30 as M * 2^(shift - 31), as the Q31 modes of `requantize` take them.

    M lies in [2^30, 2^31); a scale below 2^-32 becomes 0, as an int32 times it rounds to 0.

    Raises
    ------
    ValueError
        If a value is not positive or too large.
    """
    multiplier, shift = fixed_point(real, 31)
    shift = shift + 31
    if (shift > 30).any():
        raise ValueError("a requantize scale must be below 2^30")
    vanishing = shift < -31
    return np.where(vanishing, 0, multiplier), np.where(vanishing, 0, shift)


def shift_round(value: Int64, right: ArrayLike) -> Int64:
    """Shift right by `right` >= 0 bits, to nearest, ties towards plus infinity; |value| < 2^62, right <= 62."""
    right = np.asarray(right, np.int64)
    rounded: Int64 = (value + (np.left_shift(np.int64(1), right) >> 1)) >> right
    return rounded


def divide_round(dividend: Int64 | int, divisor: Int64) -> Int64:
    """Quotient to nearest, ties towards plus infinity: half the divisor is added, then the division rounds down."""
    quotient: Int64 = (dividend + (divisor >> 1)) // divisor
    return quotient


def root(value: Int64, bits: int, fraction_bits: int) -> Int64:
    """Compute floor(2^fraction_bits * sqrt(value)) exactly, one bit of the root an iteration.

    The remainder never exceeds twice the root, so its register has 3 bits more than the root of
    ceil(bits / 2) + fraction_bits bits, which is also the number of iterations.

    Parameters
    ----------
    value
        Integers in [0, 2^bits), any shape.
    bits, fraction_bits
        Width of the values and of the root's fraction; ceil(bits / 2) + fraction_bits <= 60.
    """
    found = np.zeros_like(value)
    remainder = np.zeros_like(value)
    for position in reversed(range(-fraction_bits, ceil_div(bits, 2))):
        pair = value >> 2 * position & 3 if position >= 0 else 0
        remainder = remainder << 2 | pair
        trial = found << 2 | 1
        one = remainder >= trial
        remainder = remainder - np.where(one, trial, 0)
        found = found << 1 | one
    return found


@dataclass(frozen=True, slots=True)
class VectorPass:
    """A row's values streaming through the lanes, a group a cycle.

    Parameters
    ----------
    name
        What the pass is for.
    stages
        Pipeline stages of a lane, one cycle each.
    reduces
        Whether the values of a group then meet in a tree, one level a cycle, whose root is accumulated in one more.
    port
        Whether the pass moves words through the scratchpads' ports, or only row registers.
    """

    name: str
    stages: tuple[str, ...]
    reduces: bool = False
    port: bool = True

    def latency(self, lanes: int) -> int:
        """Cycles from a value's entry until its result, or its part of the sum, stands in a register."""
        return len(self.stages) + ((lanes - 1).bit_length() + 1 if self.reduces else 0)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Work on a row's scalars, for which the lanes wait: cycles of a recurrence, one bit each, or of a few stages."""

    name: str
    cycles: int


def cycles(passes: Sequence[VectorPass | Scalar], rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles until the unit takes the next tile, and until the last result of a rows x columns tile.

    A pass takes ceil(columns / lanes) cycles a row, or more if the ports are slower. The next pass of the row waits
    for its last result, latency - 1 cycles more; the next row only for the lanes.

    Parameters
    ----------
    passes
        What is done to each row, in order; the last one streams.
    words
        Accesses of the busiest port in one pass over the whole tile, at most one a cycle.
    """
    stream = rows * ceil_div(columns, lanes)
    free = drain = 0
    for step in passes:
        free += rows * drain  # of the step before
        if isinstance(step, Scalar):
            free, drain = free + rows * step.cycles, 0
        else:
            free += max(stream, words) if step.port else stream
            drain = step.latency(lanes) - 1
    return free, free + drain
