"""The requantize unit: 32-bit sums to 8-bit integers by an integer multiplier and a shift.

Every mode is a deployed scheme, bit for bit. Pipeline: multiply | rounding shift | saturate, one value a cycle a lane.
The scale M * 2^shift of the lecture notes is held like this (multiplier m, shift s):

=================================  ==================  ============================================================
mode                               scale               rounding
=================================  ==================  ============================================================
tflite_single_round                m 2^(s - 31)        once, ties up (TFLite, CMSIS-NN with single rounding)
tflite_double_round                m 2^(s - 31)        to 32 bits ties up, then right shift ties away (gemmlowp)
cmsis_nn_double_round              m 2^(s - 31)        the same: CMSIS-NN's default
tflite214_builtin_fully_connected  m 2^(s - 31)        to 32 bits ties up, then right shift ties up (ruy)
litert_ref_fully_connected         m 2^(s - 31)        once, ties away from zero (LiteRT's reference kernel)
xnnpack_qs8_rndnu                  m 2^-s              once, ties up; m has 24 bits; clamped before the zero point
xnnpack_qs8_fp32_rne               float32(m 2^-s)     product and integer rounded to nearest even in float32
onnxruntime_qlinearmatmul_s8       float32(m 2^-s)     the same: QLinearConv, QLinearMatMul, means of images
onnxruntime_qlinearmul             float32(m 2^-s)     product, its sum with the zero point and integer rounded to
                                                       nearest even: QLinearMul, means of windows
gemmini_rounding_rshift_rne        2^-s                right shift, ties to even (RISC-V vxrm rne); m is not used
nvdla_half_away                    m 2^-s              ties away from zero, saturated to 17 bits before the zero point
tflite_int64_reduced               m 2^(s - 31)        once, ties up, m rounded to 15 bits: TFLite's for int64 sums
=================================  ==================  ============================================================

Sources: the semantics that were read from, and checked against, the libraries themselves (tests/data/README.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.errors import unknown_name

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

_BIAS_ADD = Event(Component.REQUANTIZE, Operation.INT_ADD, 32)
_MULTIPLY = Event(Component.REQUANTIZE, Operation.INT_MULTIPLY, 32, 32)
_NORMALIZE = Event(Component.REQUANTIZE, Operation.INT_SHIFT, 32)
_FLOAT_ADD = Event(Component.REQUANTIZE, Operation.FLOAT_ADD, 32)
_FLOAT_MULTIPLY = Event(Component.REQUANTIZE, Operation.FLOAT_MULTIPLY, 32)
_ROUNDING_ADD = Event(Component.REQUANTIZE, Operation.INT_ADD, 64)
_SHIFT = Event(Component.REQUANTIZE, Operation.INT_SHIFT, 64)


def _half(right: Int64) -> Int64:
    """Half a unit of what a right shift keeps; 0 for no shift."""
    half: Int64 = np.left_shift(np.int64(1), right) >> 1
    return half


def _half_up(value: Int64, right: Int64) -> Int64:
    """Shift right, ties towards plus infinity."""
    rounded: Int64 = np.right_shift(value + _half(right), right)
    return rounded


def _half_away(value: Int64, right: Int64) -> Int64:
    """Shift right, ties away from zero."""
    rounded: Int64 = np.sign(value) * _half_up(np.abs(value), right)
    return rounded


def _high(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Upper half of the doubled product, ties up; a left shift wraps as the library's int32 does."""
    shifted = (acc << np.maximum(shift, 0)).astype(np.int32).astype(np.int64)  # keeps the low half
    return _half_up(shifted * multiplier, np.asarray(31))


def _tflite_single_round(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_up(acc * multiplier, 31 - shift)


def _tflite_double_round(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_away(_high(acc, multiplier, shift), np.maximum(-shift, 0))


def _ruy(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_up(_high(acc, multiplier, shift), np.maximum(-shift, 0))


def _litert(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_away(acc * multiplier, 31 - shift)


def _rndnu(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_up(acc * multiplier, shift)


def _product(acc: Int64, multiplier: Int64, shift: Int64) -> Float32:
    # the significand has 24 bits, so the scale is exact; integer sums beyond 2^24 are rounded on their way to float32
    with np.errstate(over="ignore", invalid="ignore"):  # a scale beyond float32 is infinite; nothing times it is 0
        scale = np.ldexp(multiplier.astype(np.float32), -shift.astype(np.int32))
        product = np.nan_to_num(acc.astype(np.float32) * scale, nan=0.0, posinf=np.inf, neginf=-np.inf)
    found: Float32 = np.clip(product, np.float32(-(2.0**31)), np.float32(2.0**31))
    return found


def _fp32(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return np.rint(_product(acc, multiplier, shift)).astype(np.int64)


def _gemmini(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:  # noqa: ARG001 - the scale is a power of two
    quotient = acc >> shift
    rest, half = acc - (quotient << shift), _half(shift)
    odd = (quotient & 1) == 1
    rounded: Int64 = quotient + ((rest > half) | ((rest == half) & odd & (shift > 0)))
    return rounded


def _nvdla(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return np.clip(_half_away(acc * multiplier, shift), -(2**16), 2**16 - 1)


def _reduced(acc: Int64, multiplier: Int64, shift: Int64) -> Int64:
    return _half_up(acc * np.minimum((multiplier + 0x8000) >> 16, 0x7FFF), 15 - shift)


_SCHEMES: dict[str, Callable[[Int64, Int64, Int64], Int64]] = {
    "tflite_single_round": _tflite_single_round,
    "tflite_double_round": _tflite_double_round,
    "cmsis_nn_double_round": _tflite_double_round,
    "tflite214_builtin_fully_connected": _ruy,
    "litert_ref_fully_connected": _litert,
    "xnnpack_qs8_rndnu": _rndnu,
    "xnnpack_qs8_fp32_rne": _fp32,
    "onnxruntime_qlinearmatmul_s8": _fp32,
    "gemmini_rounding_rshift_rne": _gemmini,
    "nvdla_half_away": _nvdla,
    "tflite_int64_reduced": _reduced,
}
#: Scheme that adds the zero point to the product before it rounds, so that it can't stand apart from it.
ZERO_POINT_FIRST = "onnxruntime_qlinearmul"
#: Names of the rounding schemes; their order is their number in an instruction.
MODES = (*_SCHEMES, ZERO_POINT_FIRST)
#: Schemes whose multiplier is a float's, with 24 bits, and the largest right shift of it.
FLOAT_MODES = ("xnnpack_qs8_fp32_rne", "onnxruntime_qlinearmatmul_s8", ZERO_POINT_FIRST)
MOST_FLOAT_SHIFT = 62
#: Schemes whose scale is multiplier * 2^(shift - 31), and the largest shift of each: a multiplier of 31 bits, or of 15
#: in `tflite_int64_reduced`, is always shifted right by one bit or more.
MOST_SHIFT = {
    "tflite_single_round": 30,
    "tflite_double_round": 30,
    "cmsis_nn_double_round": 30,
    "tflite214_builtin_fully_connected": 30,
    "litert_ref_fully_connected": 30,
    "tflite_int64_reduced": 14,
}
Q31_MODES = tuple(MOST_SHIFT)


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
        Sums, int32 values of any shape; of 48 bits with `tflite_int64_reduced`.
    multiplier, shift, zero_point
        Integers that broadcast against `acc`: one for all, or one a channel. What they mean depends on the mode, as
        the table of this module says. TFLite's: multiplier in [0, 2^31), shift in [-31, 30] ([-31, 14] for
        `tflite_int64_reduced`), positive = left. The
        others': multiplier below 2^24 (NVDLA: an int16), shift in [0, 62], positive = right.
    mode
        One of `MODES`.
    qmin, qmax
        Range of the results: of int8 unless given.

    Returns
    -------
    int64 of the broadcast shape, inside [qmin, qmax].

    Raises
    ------
    ValueError
        If the mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(unknown_name("rounding mode", mode, MODES))
    operands = [np.asarray(value, dtype=np.int64) for value in (acc, multiplier, shift)]
    zero = np.asarray(zero_point, dtype=np.int64)
    if mode == ZERO_POINT_FIRST:
        scaled = np.rint(_product(*operands) + zero.astype(np.float32)).astype(np.int64)
    else:
        scaled = _SCHEMES[mode](*operands) + zero
    found: Int64 = np.clip(scaled, qmin, qmax)
    return found


def cycles(rows: int, columns: int, lanes: int, words: int, latency: int) -> tuple[int, int]:
    """Cycles until the unit takes the next tile, and until the last result of a rows x columns tile.

    Each row of sums takes ceil(columns / lanes) cycles, or more if a port needs `words` accesses in all; a result
    leaves `latency` edges after its sum entered.
    """
    free = max(rows * -(-columns // lanes), words)
    return free, free + latency - 1


def events(counters: Counters, values: int, mode: str) -> None:
    """Count bias sum, product, rounding sum, shift, and the sum with the zero point; the clamp is wiring.

    Of floats: the bias, the shift to the leading one, the product, the shift and the sum of rounding, the zero point,
    by a float's adder where it comes first.
    """
    if mode in FLOAT_MODES:
        count(counters, _BIAS_ADD, (2 if mode == ZERO_POINT_FIRST else 3) * values)
        count(counters, _NORMALIZE, 2 * values)
        count(counters, _FLOAT_MULTIPLY, values)
        if mode == ZERO_POINT_FIRST:
            count(counters, _FLOAT_ADD, values)
        return
    count(counters, _BIAS_ADD, 2 * values)
    count(counters, _MULTIPLY, values)
    count(counters, _ROUNDING_ADD, values)
    count(counters, _SHIFT, values)
