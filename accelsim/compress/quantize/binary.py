"""Signs for weights and activations: XNOR-Net (Rastegari et al., ECCV 2016, arXiv:1603.05279).

W is approximated by alpha sign(W) with alpha = mean |W| of an output, which minimizes |W - alpha B|^2 over B of signs
(section 3.1; the lecture notes derive the same); activations by beta sign(x) with one beta a tensor, mean |x| of the
calibration data. The sign takes the place of ReLU: after ReLU every sign would be +1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.integers import bias_of, integer_layer, mean_magnitude, outlined
from accelsim.compress.quantize.typed import Static
from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.graph.element import Integer
from accelsim.graph.element import Signs as SignsElement
from accelsim.graph.layer import Layer
from accelsim.graph.value import Value, without_numbers

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


def tensor_type(value: Value, values: Float64) -> SignsElement:
    """Type of a tensor of signs: what training fixed for it, else the mean magnitude of the values that it takes."""
    if value.step is not None:
        return SignsElement(float(value.step[0]))
    return SignsElement(float(np.abs(values).mean()) or 1.0)


def forward(layer: Layer, given: SignsElement, values: Float64) -> Float64:
    """Output of a layer of signs in real numbers, shape (M, N): beta alpha sign(x) sign(W) + b."""
    signs = np.where(layer.matrix >= 0, 1.0, -1.0)
    sums: Float64 = given.quantize(values).astype(np.float64) @ signs
    return given.scale * mean_magnitude(layer) * sums + bias_of(layer)


def binarize_layer(layer: Layer, given: SignsElement, result: SignsElement | Integer) -> Static:
    """Take the signs of one layer's weights; outputs are signs too, or integers as those of any other sums.

    An output's sign is that of its sum plus an integer threshold: alpha beta s + b >= 0 for the integer sum s is
    s + floor(b / (alpha beta)) >= 0.

    Raises
    ------
    WorkloadError
        If a bias is too large beside its weights.
    """
    alpha = mean_magnitude(layer)
    signs = np.where(layer.weight.numbers >= 0, 1, -1).astype(np.int8)
    # a scale of its own for each output is none of a sign: sums have it
    weight = replace(layer.weight, element=Integer(alpha, 0, signed=True, bits=8), data=signs, step=None)
    if isinstance(result, Integer):
        return integer_layer(layer, weight, given, result, ROUNDING, relu=False)  # as of all layers between signs
    threshold = np.floor(bias_of(layer) / (alpha * given.scale))
    if (np.abs(threshold + 1) >= 2.0**30).any():
        raise WorkloadError(f"layer {layer.name}: biases must be below 2^30 times the scale of a sum of signs")
    return Static(layer, weight, given, result, threshold.astype(np.int32), None, None, ROUNDING, relu=None)


def outline_layer(layer: Layer, given: SignsElement, result: SignsElement | Integer) -> Static:
    """The layer with shapes alone."""
    data = without_numbers(np.int8, layer.weight.shape)
    weight = replace(layer.weight, element=Integer(1.0, 0, signed=True, bits=8), data=data, step=None, outlined=True)
    return replace(outlined(layer, weight, given, result, ROUNDING), relu=None)
