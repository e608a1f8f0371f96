"""Layers of a recipe's types whose tensors have no values: what a compiler needs to know of time."""

from __future__ import annotations

import numpy as np

from accelsim.compress.quantize import binary, floats, integers
from accelsim.compress.recipe import Quantizer
from accelsim.golden.network import Binary, CompressedLayer, FloatFormat, FloatLayer, IntegerLayer, Quantization
from accelsim.workload.network import Linear, Network, without_values


def outline(network: Network, steps: list[Quantizer]) -> list[CompressedLayer]:
    """Each layer in the type of its step; scales are 1 and zero points 0, which no time depends on."""
    return [_outline(layer, step) for layer, step in zip(network.layers, steps, strict=True)]


def _outline(layer: Linear, step: Quantizer) -> CompressedLayer:
    match step:
        case floats.Floats():
            kind = FloatFormat(step.scheme)
            return FloatLayer(layer.name, layer.weight, layer.bias, layer.relu, kind, kind, layer.pattern)
        case integers.Integers():
            unsigned = Quantization(1.0, 0, signed=False, bits=step.bits)
            return _integers(layer, unsigned, step.chosen_rounding, wide=step.bits == 16)
        case binary.Signs():
            return _integers(layer, Binary(1.0), binary.ROUNDING, wide=False)


def _integers(layer: Linear, kind: Quantization | Binary, rounding: str, *, wide: bool) -> IntegerLayer:
    n = layer.outputs
    return IntegerLayer(
        name=layer.name,
        weight=without_values(np.int16(0) if wide else np.int8(0), *layer.weight.shape),
        bias=without_values(np.int64(0) if wide else np.int32(0), n),
        multiplier=without_values(np.int32(0), n),
        shift=without_values(np.int8(0), n),
        rounding=rounding,
        relu=layer.relu,
        input=kind,
        output=kind,
        pattern=layer.pattern,
    )
