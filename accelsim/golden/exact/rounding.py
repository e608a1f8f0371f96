"""Rounding schemes of requantization, written from their definitions on int64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]


def single_round(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Round total * multiplier * 2^(shift - 31) once, ties up: TFLite's single rounding."""
    right = 31 - shift
    rounded: Int64 = np.floor_divide(total * multiplier + 2 ** (right - 1), 2**right)
    return rounded


def _high(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Upper half of the doubled product, ties up, after a left shift that wraps at 32 bits."""
    left = 2 ** np.maximum(shift, 0)
    wrapped = (total * left + 2**31) % 2**32 - 2**31
    high: Int64 = np.floor_divide(wrapped * multiplier + 2**30, 2**31)
    return high


def double_round(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Round to 32 bits, ties up, then shift right, ties away from zero: gemmlowp's and TFLite's double rounding."""
    high = _high(total, multiplier, shift)
    power = 2 ** np.maximum(-shift, 0)
    magnitude = (2 * np.abs(high) + power) // (2 * power)
    rounded: Int64 = np.sign(high) * magnitude
    return rounded


def single_round_away(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Round total * multiplier * 2^(shift - 31) once, ties away from zero: LiteRT's reference kernel."""
    product = total * multiplier
    right = 31 - shift
    rounded: Int64 = np.sign(product) * ((np.abs(product) + 2 ** (right - 1)) // 2**right)
    return rounded


def double_round_up(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Round to 32 bits and then after the right shift, ties up both times: ruy, under TFLite's optimized kernels."""
    high = _high(total, multiplier, shift)
    power = 2 ** np.maximum(-shift, 0)
    rounded: Int64 = np.floor_divide(2 * high + power, 2 * power)
    return rounded


def reduced_multiplier(total: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """Round total * m * 2^(shift - 15) once, ties up, m the multiplier rounded to 15 bits: TFLite's for int64 sums."""
    small = np.where(multiplier < 0x7FFF0000, (multiplier + 2**15) // 2**16, 0x7FFF)
    right = 15 - shift
    rounded: Int64 = np.floor_divide(total * small + 2 ** (right - 1), 2**right)
    return rounded


def _product(total: Int64, multiplier: Int64, shift: Int64) -> Float32:
    """float32(total) times the float32 factor multiplier * 2^-shift, each rounded to nearest even."""
    factor = (multiplier / np.exp2(shift)).astype(np.float32)  # of at most 24 bits, which float64 divides exactly
    product: Float32 = total.astype(np.float32) * factor
    return product


def float_factor(total: Int64, multiplier: Int64, shift: Int64, zero_point: int) -> Int64:
    """Nearest integer, ties to even, of float32(total) times a float32 factor, and the zero point: QLinearConv's."""
    rounded: Int64 = np.rint(_product(total, multiplier, shift)).astype(np.int64) + zero_point
    return rounded


def float_sum(total: Int64, multiplier: Int64, shift: Int64, zero_point: int) -> Int64:
    """The same where the zero point is added in float32, before the sum is rounded: QLinearMul's."""
    rounded: Int64 = np.rint(_product(total, multiplier, shift) + np.float32(zero_point)).astype(np.int64)
    return rounded


#: Schemes of integer multipliers; whoever uses them adds the zero point.
ROUNDING: dict[str, Callable[[Int64, Int64, Int64], Int64]] = {
    "tflite_single_round": single_round,
    "tflite_double_round": double_round,
    "tflite214_builtin_fully_connected": double_round_up,
    "litert_ref_fully_connected": single_round_away,
    "tflite_int64_reduced": reduced_multiplier,
}
#: Schemes of float32 factors, onnxruntime's, zero point included.
FLOAT_ROUNDING: dict[str, Callable[[Int64, Int64, Int64, int], Int64]] = {
    "onnxruntime_qlinearmatmul_s8": float_factor,
    "onnxruntime_qlinearmul": float_sum,
}
#: All schemes that a conversion may have.
NAMES = (*ROUNDING, *FLOAT_ROUNDING)


def requantized(rounding: str, total: Int64, multiplier: Int64, shift: Int64, zero_point: int) -> Int64:
    """Scale by a scheme, and add the zero point."""
    if rounding in FLOAT_ROUNDING:
        return FLOAT_ROUNDING[rounding](total, multiplier, shift, zero_point)
    return ROUNDING[rounding](total, multiplier, shift) + zero_point
