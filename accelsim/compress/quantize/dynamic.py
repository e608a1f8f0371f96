"""Integers whose scales are found as activations come: a row's, or a group's of a row, over its largest magnitude.

Activations stay floats of 16 bits between layers; a layer's are rounded on chip, and its sums scaled back: vector-wise
int8 (Dettmers et al., "LLM.int8()", NeurIPS 2022, arXiv:2208.07339, section 2.1) where a group is all inputs, and what
the lecture notes warn of, scaling in the main loop, where a group is fewer (W4A4: Atom, Zhao et al., MLSys 2024,
arXiv:2310.19102). The last `wide` inputs of a layer, outliers or those of a low-rank branch, stay floats.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.config.model import Frozen, Integer, quantity
from accelsim.errors import WorkloadError
from accelsim.golden.network import FloatFormat, FloatLayer, IntegerPart
from accelsim.workload.network import Linear, without_values

_BITS = {"dynamic_int8": 8, "dynamic_int4": 4}


class DynamicIntegers(Frozen):
    """The recipe step."""

    scheme: Literal["dynamic_int8", "dynamic_int4"] = quantity("name", "Name of the scheme: the integers' type")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")
    group: Integer | None = quantity(
        "inputs", "Inputs that share a scale, in a row of activations and a column of weights; all if absent",
        default=None, ge=2,
    )  # fmt: skip
    floats: Literal["fp16", "bf16"] = quantity(
        "name", "Type of activations between layers, and of inputs that stay floats", default="fp16"
    )

    @property
    def bits(self) -> int:
        """Bits of an integer."""
        return _BITS[self.scheme]

    @property
    def operand(self) -> Literal["fp16", "bf16"]:
        """Type of a layer's activations in memory."""
        return self.floats


def quantize_layer(layer: Linear, step: DynamicIntegers) -> FloatLayer:
    """Quantize one layer's weights, group by group, symmetric to 0.

    Raises
    ------
    WorkloadError
        If a weight that stays a float is beyond the type's largest value, or steps are fixed that groups don't have.
    """
    kind = FloatFormat(step.floats)
    few = layer.inputs - layer.wide
    if layer.weight_step is not None and step.group is not None:
        raise WorkloadError(f"layer {layer.name}: group must be absent, because each output's weights have one step")
    wide = kind.quantize(layer.weight[few:]).astype(np.float32)
    if not np.isfinite(wide).all():
        raise WorkloadError(f"layer {layer.name}: weights must fit {step.floats}, but some overflow")
    part = None
    if few:
        group = min(step.group or few, few)
        weight = layer.weight[:few].astype(np.float64)
        scale = group_steps(weight, group, step.bits)
        if layer.weight_step is not None:
            scale = np.broadcast_to(layer.weight_step, scale.shape)
        part = IntegerPart(step.bits, group, rounded(weight, scale, group, step.bits), scale.astype(np.float32))
    bias = layer.bias.astype(np.float32)
    return FloatLayer(layer.name, wide, bias, layer.relu, kind, kind, integers=part, appends=layer.appends)


def outlined(layer: Linear, step: DynamicIntegers) -> FloatLayer:
    """The layer with shapes alone."""
    kind, group = FloatFormat(step.floats), min(step.group or layer.inputs, layer.inputs)
    part = IntegerPart(
        step.bits,
        group,
        without_values(np.int8(0), *layer.weight.shape),
        without_values(np.float32(0), -(-layer.inputs // group), layer.outputs),
    )
    nothing = without_values(np.float32(0), 0, layer.outputs)
    return FloatLayer(layer.name, nothing, layer.bias, layer.relu, kind, kind, layer.pattern, part)


def group_steps(weight: NDArray[np.float64], group: int, bits: int) -> NDArray[np.float64]:
    """Steps of symmetric integers, shape (groups, N), so that each group's largest weight fits; 1 where all are 0."""
    firsts = np.arange(0, len(weight), group)
    peaks: NDArray[np.float64] = np.maximum.reduceat(np.abs(weight), firsts, axis=0)
    steps: NDArray[np.float64] = np.where(peaks > 0, peaks, 1.0).astype(np.float32) / (2 ** (bits - 1) - 1)
    return steps


def rounded(weight: NDArray[np.float64], steps: NDArray[np.float64], group: int, bits: int) -> NDArray[np.int8]:
    """Integers of (K, N) weights for the steps of their groups."""
    largest = 2 ** (bits - 1) - 1
    q = np.rint(weight / np.repeat(steps, group, axis=0)[: len(weight)])
    integers: NDArray[np.int8] = np.clip(q, -largest, largest).astype(np.int8)
    return integers
