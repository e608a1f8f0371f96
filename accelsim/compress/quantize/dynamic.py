"""Integers whose scales are found as activations come: a row's, or a group's of a row, over its largest magnitude.

Activations stay floats of 16 bits between layers; a layer's are rounded on chip, and its sums scaled back: vector-wise
int8 (Dettmers et al., "LLM.int8()", NeurIPS 2022, arXiv:2208.07339, section 2.1) where a group is all inputs, and what
the lecture notes warn of, scaling in the main loop, where a group is fewer (W4A4: Atom, Zhao et al., MLSys 2024,
arXiv:2310.19102). Products that a rewrite wants in floats of 16 bits, of outliers
or of a low-rank branch, stay so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.floats import rounded_weight
from accelsim.compress.quantize.typed import Floating, Part
from accelsim.compress.rewrite import require_matrix
from accelsim.config.model import Frozen, Integer, quantity
from accelsim.errors import WorkloadError
from accelsim.graph.element import WIDE, Float
from accelsim.graph.element import Integer as IntegerElement
from accelsim.graph.layer import Layer
from accelsim.graph.value import Value, without_numbers

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


def quantize_layer(layer: Layer, step: DynamicIntegers) -> Floating:
    """Quantize one layer's weights, group by group, symmetric to 0.

    Raises
    ------
    WorkloadError
        If a weight that stays a float is beyond the type's largest value, or steps are fixed that groups don't have.
    """
    require_matrix(layer, step.scheme)
    kind, parts = Float(step.floats), []
    if layer.weight.step is not None and step.group is not None:
        raise WorkloadError(f"layer {layer.name}: group must be absent, because each output's weights have one step")
    for node in layer.products:
        weight = layer.graph[node.inputs[1]]
        if weight.element == WIDE:
            parts.append(Part(node, rounded_weight(layer, weight, kind)))
            continue
        k, n = weight.shape
        group = min(step.group or k, k)
        name, shape = f"{node.name}.scales", (-(-k // group), n)
        if weight.outlined:
            integers, scale = without_numbers(np.int8, weight.shape), without_numbers(np.float32, shape)
        else:
            numbers = weight.numbers.astype(np.float64)
            steps = group_steps(numbers, group, step.bits)
            if weight.step is not None:
                steps = np.broadcast_to(weight.step, steps.shape)
            integers, scale = rounded(numbers, steps, group, step.bits), steps.astype(np.float32)
        element = IntegerElement(1.0, 0, signed=True, bits=step.bits)
        few = replace(weight, element=element, data=integers, step=None)
        parts.append(Part(node, few, Value(name, shape, Float("fp32"), scale, weight.outlined), group))
    return Floating(layer, kind, tuple(parts))


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
