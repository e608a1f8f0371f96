"""The vector unit's functions from their definitions: exact integer roots and quotients, row by row.

Every rounding is written out, "nearest, ties up" as floor((2 p + q) / (2 q)). Static parameters are plain integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.exact.rounding import ROUNDING

Int64 = NDArray[np.int64]

_INT32 = (-(2**31), 2**31 - 1)


def nearest(dividend: Int64 | int, divisor: Int64 | int) -> Int64:
    """Quotient by a positive divisor to nearest, ties up, of values below 2^61."""
    quotient: Int64 = np.floor_divide(2 * np.asarray(dividend, np.int64) + divisor, 2 * np.asarray(divisor, np.int64))
    return quotient


def requantized(total: Int64, multiplier: Int64 | int, shift: Int64 | int, mode: str) -> Int64:
    """Scale by multiplier 2^(shift - 31) in a rounding mode of `exact.rounding.ROUNDING`."""
    return ROUNDING[mode](total, np.asarray(multiplier, np.int64), np.asarray(shift, np.int64))


def add_integers(
    a: NDArray[np.generic],
    b: NDArray[np.generic],
    zero_points: tuple[int, int, int],
    factors: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    mode: str,
    left: int = 20,
    bits: int = 8,
) -> Int64:
    """Add two tensors at different scales: both operands in units of 2^-left, rescaled, added, rescaled.

    `zero_points` and `factors` (multiplier and shift) of the first operand, of the second and of the output; `left` is
    20 for 8 bits and 15 for 16, and the output has as many as `bits`.
    """
    first = requantized((a.astype(np.int64) - zero_points[0]) * 2**left, *factors[0], mode)
    second = requantized((b.astype(np.int64) - zero_points[1]) * 2**left, *factors[1], mode)
    half = 2 ** (bits - 1)
    return np.clip(requantized(first + second, *factors[2], mode) + zero_points[2], -half, half - 1)


def normalize(
    x: NDArray[np.generic],
    *,
    centred: bool,
    zero_point: int,
    weights: Int64 | None,
    epsilon: int,
    gamma: Int64,
    beta: Int64,
    multiplier: Int64,
    shift: Int64,
    output_zero_point: int,
    mode: str,
) -> Int64:
    """RMSNorm, or LayerNorm if `centred`, of the last axis: integer arithmetic of the unit, with exact roots.

    The deviation from the mean is taken C times, so that it is an integer; C^2 times the variance is then the sum of
    its squares over C. `weights` multiply the squares (ORI-LN).
    """
    rows = x.reshape(-1, x.shape[-1]).astype(np.int64) - zero_point
    channels = x.shape[-1]
    bits = 39 - (math.ceil(math.log2(channels) / 2) if centred else 0)
    out = np.empty_like(rows)
    for row, values in enumerate(rows):
        deviation = channels * values - values.sum() if centred else values
        squares = [int(d) ** 2 for d in deviation]
        if weights is not None:
            squares = [square * int(weight) for square, weight in zip(squares, weights, strict=True)]
        spread = sum(squares) // (channels if centred else 1) + epsilon
        root = math.isqrt(spread * 2**32)
        reciprocal = (2 * 2 ** (16 + bits) + root) // (2 * root) if root else 0
        scaled = nearest(deviation * reciprocal * gamma, 2**16) + beta
        out[row] = np.clip(requantized(scaled, multiplier, shift, mode) + output_zero_point, -128, 127)
    return out.reshape(x.shape)


def exponential(distance: int, multiplier: int, right: int) -> int:
    """I-BERT's exponential of minus a distance on a grid of 2^-14, in units of 0.3585 * 2^-28."""
    ln2 = round(2**14 * math.log(2))
    q: int = min((2 * distance * multiplier + 2**right) // 2 ** (right + 1), 30 * ln2)
    halvings, rest = divmod(q, ln2)
    polynomial: int = (math.floor(1.353 * 2**14) - rest) ** 2 + math.floor(0.344 / 0.3585 * 2**28)
    return polynomial >> halvings


def shares(exponentials: list[int], dividend_bits: int, output_bits: int) -> list[int]:
    """Exponentials over their sum by a rounded reciprocal, in unsigned Q0.output_bits."""
    total = sum(exponentials)
    reciprocal = (2 * 2**dividend_bits + total) // (2 * total)
    unit = 2 ** (dividend_bits - output_bits)
    return [min((2 * e * reciprocal + unit) // (2 * unit), 2**output_bits - 1) for e in exponentials]


def softmax(x: NDArray[np.generic], multiplier: int, right: int, output_bits: int) -> Int64:
    """Softmax of the last axis by I-BERT's polynomial."""
    out = []
    for row in x.reshape(-1, x.shape[-1]).tolist():
        largest = max(row)
        known = {value: exponential(largest - value, multiplier, right) for value in set(row)}
        out.append(shares([known[value] for value in row], 61, output_bits))
    return np.array(out, np.int64).reshape(x.shape)


def softmax_table(x: NDArray[np.generic], table: NDArray[np.uint16], output_bits: int) -> Int64:
    """Softmax of the last axis of 8-bit integers by a table of exponentials."""
    entries = table.tolist()
    rows = x.reshape(-1, x.shape[-1]).tolist()
    out = [shares([entries[max(row) - value] for value in row], 47, output_bits) for row in rows]
    return np.array(out, np.int64).reshape(x.shape)


def gelu(
    x: NDArray[np.generic],
    zero_point: int,
    grid: tuple[int, int],
    multiplier: int,
    shift: int,
    output_zero_point: int,
    mode: str,
) -> Int64:
    """GELU by I-BERT's polynomial; `grid` is multiplier and right shift onto a grid of 2^-10."""
    edge, one = math.floor(1.769 * 2**10), math.floor(2**20 / 0.2888)
    products = {}
    for value in np.unique(x).tolist():
        a = value - zero_point
        u = min((2 * abs(a) * grid[0] + 2 ** grid[1]) // 2 ** (grid[1] + 1), edge)
        erf = one - (edge - u) ** 2
        products[value] = abs(a) * (one + erf) if a > 0 else -abs(a) * (one - erf)
    total = np.array([products[value] for value in x.ravel().tolist()], np.int64).reshape(x.shape)
    return np.clip(requantized(total, multiplier, shift, mode) + output_zero_point, -128, 127)


def hadamard(x: NDArray[np.generic], levels: int) -> Int64:
    """Product of each block of 2^levels channels with the matrix of (-1)^popcount(i & j)."""
    size = 2**levels
    ones = np.bitwise_count(np.arange(size)[:, None] & np.arange(size))
    matrix = np.where(ones % 2, -1.0, 1.0)
    blocks = x.reshape(*x.shape[:-1], -1, size).astype(np.float64) @ matrix  # sums below 2^53 are exact
    return blocks.reshape(x.shape).astype(np.int64)


def saturated_sum(sums: NDArray[np.generic], addend: NDArray[np.generic]) -> Int64:
    """Sum of int32 values, saturated at int32: bias, or residual at the accumulator's scale."""
    return np.clip(sums.astype(np.int64) + addend.astype(np.int64), *_INT32)


def fp8(code: int, exponent_bits: int) -> float:
    """Value of an fp8 byte with 4 or 5 bits of exponent (E4M3 or E5M2)."""
    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    exponent, mantissa = divmod(code % 128, 2**mantissa_bits)
    sign = -1.0 if code >= 128 else 1.0
    if exponent_bits == 4 and code % 128 == 127:
        return math.copysign(math.nan, sign)
    if exponent_bits == 5 and exponent == 31:
        return math.copysign(math.nan if mantissa else math.inf, sign)
    significand = mantissa / 2**mantissa_bits + (exponent > 0)
    return sign * math.ldexp(significand, max(exponent, 1) - bias)
