"""Layers of a recipe's types whose tensors have no values: what a compiler needs to know of time."""

from __future__ import annotations

import numpy as np

from accelsim.compress.quantize import binary, dynamic, floats, integers
from accelsim.compress.recipe import Quantizer
from accelsim.golden.network import Binary, CompressedLayer, FloatFormat, FloatLayer, IntegerLayer, Quantization
from accelsim.workload.network import Linear, Network, without_values


def outline(network: Network, steps: list[Quantizer]) -> list[CompressedLayer]:
    """Each layer in the type of its step; scales are 1 and zero points 0, which no time depends on."""
    last = None if network.independent else network.layers[-1]
    return [_outline(layer, step, last=layer is last) for layer, step in zip(network.layers, steps, strict=True)]


def _outline(layer: Linear, step: Quantizer, *, last: bool) -> CompressedLayer:
    match step:
        case floats.Floats():
            kind = FloatFormat(step.scheme)
            return FloatLayer(layer.name, layer.weight, layer.bias, layer.relu, kind, kind, layer.pattern)
        case dynamic.DynamicIntegers():
            return dynamic.outlined(layer, step)
        case integers.Integers():
            narrow = _unsigned(step.bits)
            result = _unsigned(max(step.bits, integers.LAST_BITS)) if last else narrow
            return _integers(layer, narrow, result, step.chosen_rounding, wide=step.bits == 16)
        case binary.Signs():
            signs = Binary(1.0)
            return _integers(
                layer, signs, _unsigned(integers.LAST_BITS) if last else signs, binary.ROUNDING, wide=False
            )


def _unsigned(bits: int) -> Quantization:
    return Quantization(1.0, 0, signed=False, bits=bits)


def _integers(
    layer: Linear, given: Quantization | Binary, result: Quantization | Binary, rounding: str, *, wide: bool
) -> IntegerLayer:
    n = layer.outputs
    return IntegerLayer(
        name=layer.name,
        weight=without_values(np.int16(0) if wide else np.int8(0), *layer.weight.shape),
        bias=without_values(np.int64(0) if wide else np.int32(0), n),
        multiplier=without_values(np.int32(0), n),
        shift=without_values(np.int8(0), n),
        rounding=rounding,
        relu=layer.relu,
        input=given,
        output=result,
        pattern=layer.pattern,
    )
