"""Floats of 32 to 8 bits after training: weights, biases in float32, and activations rounded to the type."""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.formats.microscale import Microscale
from accelsim.formats.storage import MxName, Storage
from accelsim.golden.network import FloatFormat, FloatLayer
from accelsim.workload.network import Linear

#: Inputs of a microscaling block (OCP Microscaling Formats, version 1.0, table 1).
BLOCK = 32


class Floats(Frozen):
    """The recipe step."""

    scheme: Literal["fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2"] = quantity("name", "Name of the type")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    weights: MxName | None = quantity(
        "name",
        "Microscaling format of the weights, 32 inputs a block; the decode unit expands them to the type; none if "
        "absent",
        default=None,
    )

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
    kind, storage, weight = FloatFormat(step.scheme), None, layer.weight
    if step.weights:
        storage = Storage(step.weights, 0, BLOCK)
        codec = storage.codec(1)
        assert isinstance(codec, Microscale)  # noqa: S101 - that of its name
        weight = codec.quantize(layer.weight)
    weight, blocks = kind.quantize(weight).astype(np.float32), weight
    if not np.isfinite(weight).all():
        raise WorkloadError(f"layer {layer.name}: weights must fit {step.scheme}, but some overflow")
    if step.weights and not np.array_equal(weight, blocks):
        raise WorkloadError(f"layer {layer.name}: weights as {step.weights} must be numbers of {step.scheme} too")
    bias = layer.bias.astype(np.float32)
    return FloatLayer(layer.name, weight, bias, layer.relu, kind, kind, appends=layer.appends, storage=storage)
