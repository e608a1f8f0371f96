"""Signs for weights and activations: XNOR-Net (Rastegari et al., ECCV 2016, arXiv:1603.05279).

W is approximated by alpha sign(W) with alpha = mean |W| of an output, which minimizes |W - alpha B|^2 over B of signs
(section 3.1; the lecture notes derive the same); activations by beta sign(x) with one beta a tensor, mean |x| of the
calibration data. The sign takes the place of ReLU: after ReLU every sign would be +1.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.integers import integer_layer, mean_magnitude
from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.golden.network import Binary, IntegerLayer, Quantization
from accelsim.workload.network import Inputs, Linear, Network, each

Float64 = NDArray[np.float64]

#: Rounding of the product by 1 that leaves a sum as it is.
ROUNDING = "tflite_single_round"


class Signs(Frozen):
    """The recipe step."""

    scheme: Literal["binary"] = quantity("name", "Name of the scheme")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    @property
    def operand(self) -> OperandType:
        """Type of a layer's activations in memory."""
        return self.scheme


def activation_scale(values: NDArray[np.float64]) -> Binary:
    """Scale of a tensor's signs."""
    return Binary(float(np.abs(values).mean()) or 1.0)


def tensor_type(reader: Linear | None, values: NDArray[np.float64]) -> Binary:
    """Type of a tensor of signs: what training fixed for the layer that reads it, else by the values that it takes."""
    if reader is not None and reader.input_step is not None:
        return Binary(reader.input_step)
    return activation_scale(values)


def forward(network: Network, x: Inputs[np.floating]) -> list[Float64]:
    """Output of every layer of signs in real numbers, shape (M, N): beta alpha sign(x) sign(W) + b."""
    outputs: list[Float64] = []
    given = each(x)
    for i, layer in enumerate(network.layers):
        before = outputs[-1] if i and not network.independent else given[i].astype(np.float64)
        beta, signs = tensor_type(layer, before), np.where(layer.weight >= 0, 1.0, -1.0)
        sums: Float64 = beta.quantize(before).astype(np.float64) @ signs
        outputs.append(beta.scale * mean_magnitude(layer) * sums + layer.bias)
    return outputs


def binarize_layer(layer: Linear, given: Binary, result: Binary | Quantization) -> IntegerLayer:
    """Take the signs of one layer's weights; outputs are signs too, or integers as those of any other sums.

    An output's sign is that of its sum plus an integer threshold:
    alpha beta s + b >= 0 for the integer sum s is s + floor(b / (alpha beta)) >= 0. Requantization by 1 with the clamp
    [0, 1] gives that sign's bit from s + floor(b / (alpha beta)) + 1.

    Raises
    ------
    WorkloadError
        If a bias is too large beside its weights.
    """
    alpha = mean_magnitude(layer)
    signs = np.where(layer.weight >= 0, 1, -1).astype(np.int8)
    if isinstance(result, Quantization):
        without_relu = dataclasses.replace(layer, relu=False)  # as of all layers between signs
        return integer_layer(without_relu, signs, alpha, given, result, ROUNDING)
    threshold = np.floor(layer.bias / (alpha * given.scale)) + 1
    if (np.abs(threshold) >= 2.0**30).any():
        raise WorkloadError(f"layer {layer.name}: biases must be below 2^30 times the scale of a sum of signs")
    outputs = layer.weight.shape[1]
    return IntegerLayer(
        name=layer.name,
        weight=signs,
        bias=threshold.astype(np.int32),
        multiplier=np.full(outputs, 2**30, np.int32),
        shift=np.ones(outputs, np.int8),
        rounding=ROUNDING,
        relu=False,
        input=given,
        output=result,
    )
