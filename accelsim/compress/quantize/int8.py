"""int8 after training: weights symmetric per channel, activations per tensor from calibration data.

The arithmetic is that of the lecture notes (q_Y = M (q_W q_X + q_bias) + Z_Y, with Z_W = 0 and S_b = S_W S_X) and of
Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, arXiv:1712.05877.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.config.model import Frozen, quantity
from accelsim.errors import WorkloadError
from accelsim.golden.network import IntegerLayer, Quantization
from accelsim.workload.network import Linear

Float64 = NDArray[np.float64]

#: Largest magnitude of a quantized bias; the rest of an int32 is for the zero point's share and the products.
BIAS_LIMIT = 2.0**30


class Int8(Frozen):
    """The recipe step."""

    scheme: Literal["int8"] = quantity("name", "Name of the scheme")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")
    rounding: Literal[
        "tflite_single_round",
        "tflite_double_round",
        "tflite214_builtin_fully_connected",
        "litert_ref_fully_connected",
    ] = quantity("name", "Rounding of the requantize unit", default="tflite_single_round")


def activation_range(values: Float64) -> Quantization:
    """Choose type, scale and zero point of a tensor from the values that it takes.

    A tensor without negative values, as after ReLU, is unsigned with zero point 0, so that a real zero is the
    integer zero. Any other is signed and asymmetric: its range, widened to include zero, fills all 256 steps.
    """
    low = min(float(values.min()), 0.0)
    high = max(float(values.max()), 0.0)
    if low == 0:
        return Quantization(high / 255 or 1.0, 0, signed=False)
    scale = (high - low) / 255 or 1.0
    return Quantization(scale, round(-128 - low / scale), signed=True)


def quantize_layer(layer: Linear, step: Int8, given: Quantization, result: Quantization) -> IntegerLayer:
    """Quantize one layer between two activation ranges.

    Raises
    ------
    WorkloadError
        If the bias or a scale leaves the range of int32.
    """
    peak = np.abs(layer.weight).max(axis=0).astype(np.float64)
    # a channel of zeros may have any scale: take the layer's largest, or 1 if all are zero
    weight_scale = np.where(peak > 0, peak, float(peak.max()) or 1.0) / 127
    # where a bias is huge beside its weights, they get a coarser step, so that it fits 31 bits
    weight_scale = np.maximum(weight_scale, np.abs(layer.bias.astype(np.float64)) / (given.scale * BIAS_LIMIT))
    weight = np.rint(layer.weight / weight_scale).astype(np.int8)
    bias = np.rint(layer.bias / (given.scale * weight_scale)) - given.zero_point * weight.sum(axis=0, dtype=np.int64)
    if (np.abs(bias) >= 2.0**31).any():
        raise WorkloadError(f"layer {layer.name}: the bias must fit 32 bits at the scale of its products")
    try:
        multiplier, shift = quantize_multiplier(given.scale * weight_scale / result.scale)
    except ValueError as error:
        raise WorkloadError(f"layer {layer.name}: {error}") from None
    return IntegerLayer(
        name=layer.name,
        weight=weight,
        bias=bias.astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=step.rounding,
        relu=layer.relu,
        input=given,
        output=result,
    )
