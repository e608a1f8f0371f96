"""RMSNorm and LayerNorm over the last axis in pure fixed point, with outlier weights (ORI-LN) if given.

RMSNorm is O = M 2^shift (x - z) gamma / sqrt(sum_m W_m (x_m - z)^2) with W = 1; the input's scale cancels. If channel m
was divided by lambda_m before quantization, W_m = M_lambda 2^shift_lambda stands for lambda_m^2 and gamma holds
lambda * gamma (ORI-LN). LayerNorm takes d = C (x - z) - sum (x - z) for (x - z) and C sum (x - z)^2 - (sum (x - z))^2,
which is C^2 times the variance, for the sum of squares: both exact, so the mean is never rounded.

Of a row of at most 2^15 values, every intermediate and its width:

=========================  =========  ==================================================================================
a = x - z                  8 + sign   LayerNorm: d, |d| <= 255 C, 23 + sign
S = sum W a^2              31         255^2 2^15 < 2^31; with W < 2^16: 47; LayerNorm: C^2 (255 / 2)^2 < 2^44 as the
                                      difference of products below 2^46; with epsilon in registers of 32, 48 and 46
R = floor(2^16 sqrt S)     32         48 / 2 + 16 = 40 with W; LayerNorm: 39; exact, one bit an iteration
D = round(2^(16 + k) / R)  40         k = 39; LayerNorm: 39 - ceil(log2(C) / 2)
n = a D                    40 + sign  a^2 <= S as W >= 1, so |a| / sqrt(S) <= 1; LayerNorm: |d| / sqrt(S) < sqrt(C)
G = round(n gamma / 2^16)  31 + sign  |gamma| <= 128, so |G| <= 2^30 (1 + 2^-14)
G + beta                   31 + sign  |beta| <= 2^29
=========================  =========  ==================================================================================

Roundings are to nearest, ties up; `requantize` in the given mode takes G + beta to the output's scale. A row whose S is
0 becomes beta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import requantize
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import MAX_CHANNELS, Int64, Scalar, VectorPass, divide_round, shift_round

ROOT_FRACTION_BITS = 16
NORMAL_BITS = 39
#: Quotient bits of the reciprocal: S >= 1, so D <= 2^39.
RECIPROCAL_BITS = NORMAL_BITS + 1
GAMMA_SHIFT = 16
BETA_BITS = 29
LAMBDA_BITS = 8
#: Largest shift of an outlier weight: 8 bits of M_lambda make W < 2^16.
LAMBDA_SHIFT = 8

_SQUARE = Event(Component.VECTOR, Operation.INT_MULTIPLY, 9, 9)
_WEIGHT = Event(Component.VECTOR, Operation.INT_MULTIPLY, 16, LAMBDA_BITS)
_WEIGHT_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 32)
_ADD_INPUT = Event(Component.VECTOR, Operation.INT_ADD, 9)
_ADD_SUM = Event(Component.VECTOR, Operation.INT_ADD, 24)
_TIMES_CHANNELS = Event(Component.VECTOR, Operation.INT_MULTIPLY, 9, 16)
_SQUARES_TIMES_CHANNELS = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 16)
_SQUARED_SUM = Event(Component.VECTOR, Operation.INT_MULTIPLY, 24, 24)
_TIMES_GAMMA = Event(Component.VECTOR, Operation.INT_MULTIPLY, 41, 8)
_ROUND_GAMMA = Event(Component.VECTOR, Operation.INT_ADD, 48)
_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_REQUANTIZE = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_ROUND = Event(Component.VECTOR, Operation.INT_ADD, 64)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)


@dataclass(frozen=True, slots=True)
class Norm:
    """Static parameters of one normalization of C channels.

    Parameters
    ----------
    centred
        LayerNorm if true, RMSNorm if false.
    zero_point, output_zero_point
        Integers that stand for zero.
    gamma
        int8 values, shape (C,).
    beta
        Integers at the scale of G, at most 2^29 in magnitude, shape (C,).
    multiplier, shift
        What `requantize` takes in mode `mode`, scalar or of shape (C,).
    epsilon
        Integer added to S, below the bound of S.
    lambda_multiplier, lambda_shift
        Outlier weights M in [1, 255] and shift in [0, 8], shape (C,); None for W = 1. RMSNorm only.
    """

    centred: bool
    zero_point: int
    gamma: Int64
    beta: Int64
    multiplier: Int64
    shift: Int64
    output_zero_point: int
    mode: str
    epsilon: int = 0
    lambda_multiplier: Int64 | None = None
    lambda_shift: Int64 | None = None

    @property
    def sum_bits(self) -> int:
        """Width of S with epsilon."""
        return _sum_bits(centred=self.centred, weighted=self.lambda_multiplier is not None)


def _sum_bits(*, centred: bool, weighted: bool) -> int:
    if centred:
        return 46
    return 48 if weighted else 32


def _normal_bits(channels: int, *, centred: bool) -> int:
    """Bits k of 2^k / sqrt(S), so that |a| 2^k / sqrt(S) <= 2^39."""
    levels = (channels - 1).bit_length()
    return NORMAL_BITS - (levels + 1) // 2 if centred else NORMAL_BITS


def normalize(x: NDArray[np.generic], norm: Norm) -> Int64:
    """Normalize the last axis of 8-bit integers; int64 of the same shape, values of int8.

    Raises
    ------
    ValueError
        If a row is longer than 2^15 values.
    """
    channels = x.shape[-1]
    if channels > MAX_CHANNELS:
        raise ValueError(f"a row must have at most {MAX_CHANNELS} channels, not {channels}")
    a = x.astype(np.int64) - norm.zero_point
    squares = a * a
    if norm.lambda_multiplier is not None and norm.lambda_shift is not None:
        squares = squares * norm.lambda_multiplier << norm.lambda_shift
    spread = squares.sum(axis=-1, keepdims=True)
    if norm.centred:
        total = a.sum(axis=-1, keepdims=True)
        spread = channels * spread - total * total
        a = channels * a - total
    spread = spread + norm.epsilon
    root = fixed_point.root(spread, norm.sum_bits, ROOT_FRACTION_BITS)
    dividend = 1 << (ROOT_FRACTION_BITS + _normal_bits(channels, centred=norm.centred))
    reciprocal = divide_round(dividend, np.maximum(root, 1))  # where the root is 0, a is 0
    scaled = shift_round(a * reciprocal * norm.gamma, GAMMA_SHIFT) + norm.beta
    return requantize(scaled, norm.multiplier, norm.shift, norm.output_zero_point, norm.mode)


def outlier_weights(factors: NDArray[np.floating]) -> tuple[Int64, Int64, int]:
    """Express lambda^2 as M * 2^(shift + exponent) with the exponent common to all channels.

    A weight within 2^-8 of the largest keeps 8 significant bits; smaller ones keep the bits that are left, and the
    smallest is 1.

    Returns
    -------
    M in [1, 255] and shift in [0, 8], of the factors' shape, and the exponent.
    """
    multiplier, shift = fixed_point.fixed_point(np.asarray(factors, np.float64) ** 2, LAMBDA_BITS)
    exponent = int(shift.max()) - LAMBDA_SHIFT
    below = np.minimum(np.maximum(exponent - shift, 0), LAMBDA_BITS + 1)
    return np.maximum(shift_round(multiplier, below), 1), np.maximum(shift - exponent, 0), exponent


def prepare(
    gamma: NDArray[np.floating],
    *,
    centred: bool,
    input_scale: float,
    zero_point: int,
    output_scale: float,
    output_zero_point: int,
    beta: ArrayLike = 0.0,
    factors: NDArray[np.floating] | None = None,
    epsilon: float = 0.0,
    mode: str = "tflite_single_round",
) -> Norm:
    """Static parameters from real ones; gamma takes a power of two a channel for its scale, so M is common to all.

    Parameters
    ----------
    gamma, beta
        The layer's real parameters, shape (C,).
    factors
        lambda, by which the channels were divided before quantization, shape (C,); None for RMSNorm or LayerNorm as
        they are.
    epsilon
        Real epsilon of the layer; the input's scale serves it alone.
    mode
        A rounding mode of `requantize` with Q31 multipliers.

    Raises
    ------
    ValueError
        If LayerNorm is given factors, or epsilon dwarfs every input.
    """
    if centred and factors is not None:
        raise ValueError("outlier weights must be given to RMSNorm only")
    channels = len(gamma)
    gamma = gamma.astype(np.float64)
    weights: tuple[Int64, Int64] | tuple[None, None] = (None, None)
    exponent = 0
    if factors is not None:
        *pair, exponent = outlier_weights(factors)
        weights = (pair[0], pair[1])
        gamma = gamma * factors
    # x / rms is sqrt(C) 2^(-exponent / 2) a / sqrt(S), LayerNorm's counterpart d / sqrt(S): G's unit over gamma's scale
    unit = 2.0 ** (GAMMA_SHIFT - _normal_bits(channels, centred=centred))
    unit *= 1.0 if centred else np.sqrt(channels * 2.0**-exponent)
    offset = np.broadcast_to(np.asarray(beta, np.float64), gamma.shape)
    needed = np.maximum(np.abs(gamma) / 127, np.abs(offset) / (unit * 2**BETA_BITS))
    needed = np.where(needed > 0, needed, needed.max() if needed.max() > 0 else 1.0)
    gamma_scale = 2.0 ** np.frexp(needed)[1]
    multiplier, shift = fixed_point.tflite_scale(gamma_scale * unit / output_scale)
    added = round(epsilon / (input_scale**2 * 2.0**exponent) * channels ** (2 if centred else 1))
    limit = 1 << (_sum_bits(centred=centred, weighted=factors is not None) - 1)
    if not 0 <= added < limit:
        raise ValueError(f"epsilon must be in [0, {limit}) squared steps of the input, not {added}")
    return Norm(
        centred=centred,
        zero_point=zero_point,
        gamma=np.rint(gamma / gamma_scale).astype(np.int64),
        beta=np.rint(offset / (gamma_scale * unit)).astype(np.int64),
        multiplier=multiplier,
        shift=shift,
        output_zero_point=output_zero_point,
        mode=mode,
        epsilon=added,
        lambda_multiplier=weights[0],
        lambda_shift=weights[1],
    )


def passes(*, centred: bool, weighted: bool) -> tuple[VectorPass | Scalar, ...]:
    """What is done to a row: its sums, the reciprocal square root, the scaling; the input is read twice."""
    weigh = ("times lambda squared", "shift") if weighted else ()
    centre = ("times channels", "subtract sum") if centred else ()
    variance = (Scalar("variance: products, difference", 2),) if centred else ()
    root_iterations = _sum_bits(centred=centred, weighted=weighted) // 2 + ROOT_FRACTION_BITS
    return (
        VectorPass("sum of squares", ("subtract zero point", "square", *weigh), reduces=True),
        *variance,
        Scalar("square root", root_iterations),
        Scalar("reciprocal", RECIPROCAL_BITS),
        VectorPass(
            "scale",
            (
                "subtract zero point",
                *centre,
                "times reciprocal",
                "times gamma",
                "round and add beta",
                "multiply",
                "rounding shift",
                "saturate",
            ),
        ),
    )


def cycles(
    rows: int, columns: int, lanes: int, words: int, *, centred: bool, weighted: bool = False
) -> tuple[int, int]:
    """Cycles of a rows x columns tile; see `fixed_point.cycles`."""
    return fixed_point.cycles(passes(centred=centred, weighted=weighted), rows, columns, lanes, words)


def events(counters: Counters, rows: int, columns: int, *, centred: bool, weighted: bool = False) -> None:
    """Count both passes and, a row, one trial subtraction for each bit of root and reciprocal.

    Shifts by a constant and the saturation are wiring.
    """
    values = rows * columns
    sum_bits = _sum_bits(centred=centred, weighted=weighted)
    root_bits = sum_bits // 2 + ROOT_FRACTION_BITS
    count(counters, _ADD_INPUT, 2 * values)
    count(counters, _SQUARE, values)
    if weighted:
        count(counters, _WEIGHT, values)
        count(counters, _WEIGHT_SHIFT, values)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, sum_bits), values)
    if centred:
        count(counters, _ADD_SUM, 2 * values)  # the sum of the first pass, and its subtraction in the second
        count(counters, _TIMES_CHANNELS, values)
        count(counters, _SQUARES_TIMES_CHANNELS, rows)
        count(counters, _SQUARED_SUM, rows)
        count(counters, Event(Component.VECTOR, Operation.INT_ADD, sum_bits), rows)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, root_bits + 3), rows * root_bits)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, root_bits + 1), rows * RECIPROCAL_BITS)
    count(counters, Event(Component.VECTOR, Operation.INT_MULTIPLY, 24 if centred else 9, RECIPROCAL_BITS), values)
    count(counters, _TIMES_GAMMA, values)
    count(counters, _ROUND_GAMMA, values)
    count(counters, _ADD_32, 2 * values)  # beta and the output's zero point
    count(counters, _REQUANTIZE, values)
    count(counters, _ROUND, values)
    count(counters, _SHIFT, values)
