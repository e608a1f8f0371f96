"""The integer network evaluated by numpy: int64 sums and requantization written from its definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.network import Binary, IntegerLayer, IntegerNetwork
from accelsim.workload.network import Inputs, each

Int64 = NDArray[np.int64]


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


ROUNDING: dict[str, Callable[[Int64, Int64, Int64], Int64]] = {
    "tflite_single_round": single_round,
    "tflite_double_round": double_round,
    "tflite214_builtin_fully_connected": double_round_up,
    "litert_ref_fully_connected": single_round_away,
    "tflite_int64_reduced": reduced_multiplier,
}


def layer_output(layer: IntegerLayer, x: NDArray[np.generic]) -> NDArray[np.generic]:
    """Output of one layer.

    Parameters
    ----------
    x
        Input integers, shape (M, K), of the layer's input type.

    Returns
    -------
    Output integers, shape (M, N), of the layer's output type.
    """
    # |sum| <= K * 2^16 * 2^15 stays below 2^53 for every K < 2^22, so float64 products are exact
    products = x.astype(np.float64) @ layer.weight.astype(np.float64)
    total = products.astype(np.int64) + layer.bias.astype(np.int64)
    scaled = ROUNDING[layer.rounding](total, layer.multiplier.astype(np.int64), layer.shift.astype(np.int64))
    if isinstance(layer.output, Binary):
        return np.where(scaled >= 1, 1, -1).astype(np.int8)
    return np.clip(scaled + layer.output.zero_point, *layer.clamp).astype(layer.output.dtype)


def forward(network: IntegerNetwork, x: Inputs[np.generic]) -> list[NDArray[np.generic]]:
    """Output of every layer, in order, for integer inputs of shape (M, K), or those of each independent layer."""
    outputs: list[NDArray[np.generic]] = []
    given = each(x)
    for i, layer in enumerate(network.layers):
        before = outputs[-1] if i and not network.independent else given[i]
        outputs.append(layer_output(layer, before))
    return outputs
