"""Floats of 32 to 8 bits after training: weights, biases in float32, and activations rounded to the type."""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.golden.network import FloatFormat, FloatLayer
from accelsim.workload.network import Linear


class Floats(Frozen):
    """The recipe step."""

    scheme: Literal["fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2"] = quantity("name", "Name of the type")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    @property
    def operand(self) -> OperandType:
        """Type of a layer's activations in memory."""
        return self.scheme


def round_layer(layer: Linear, step: Floats) -> FloatLayer:
    """Round one layer's weights to the type.

    Raises
    ------
    WorkloadError
        If a weight is beyond the largest value of the type.
    """
    kind = FloatFormat(step.scheme)
    weight = kind.quantize(layer.weight).astype(np.float32)
    if not np.isfinite(weight).all():
        raise WorkloadError(f"layer {layer.name}: weights must fit {step.scheme}, but some overflow")
    bias = layer.bias.astype(np.float32)
    return FloatLayer(layer.name, weight, bias, layer.relu, kind, kind, appends=layer.appends)
