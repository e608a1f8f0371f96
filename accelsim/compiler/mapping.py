"""Pass 1: layers to matrix products that the array can add up without overflow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.errors import CompileError, DefectError
from accelsim.golden.network import CompressedLayer, IntegerLayer


def map_layers(lowering: Lowering, machine: Machine) -> Lowering:
    """Turn each layer into a matrix product over its whole input, in the dataflow of the machine's datapath."""
    flows = []
    layers: Sequence[CompressedLayer] = lowering.network.layers
    for number, layer in enumerate(layers):
        if layer.input.operand != machine.matrix.operands:
            raise CompileError(
                f"layer {layer.name}: operands must be {machine.matrix.operands}, the type of {machine.name}, "
                f"but recipe {lowering.network.recipe} makes them {layer.input.operand}"
            )
        looked_up = isinstance(machine.matrix, WeightStationary) and machine.matrix.lookup
        if layer.lookup != looked_up:
            raise CompileError(
                f"layer {layer.name}: weights must be {'numbers of shared values' if looked_up else 'values'} on "
                f"{machine.name}, not {'values' if looked_up else 'numbers of shared ones'} as recipe "
                f"{lowering.network.recipe} makes them"
            )
        if isinstance(layer, IntegerLayer) and lowering.values:
            _bound_sums(layer)
        rows = len(lowering.inputs[number if lowering.network.independent else 0])
        flows.append(dataflow(Gemm(layer, rows, layer.inputs, layer.outputs), machine))
    return dataclasses.replace(lowering, flows=tuple(flows))


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001 - one signature for all passes
    """The products chain, unless they are independent, and read the inputs that there are."""
    gemms = [flow.gemm for flow in lowering.flows]
    independent = lowering.network.independent
    for before, after in pairwise(() if independent else gemms):
        outputs = before.n + (before.k if before.layer.appends else 0)
        if outputs != after.k or before.m != after.m:
            raise DefectError(f"layer {after.layer.name}: inputs must be {outputs}, not {after.k}")
    for gemm, x in zip(gemms if independent else gemms[:1], lowering.inputs, strict=True):
        if x.shape != (gemm.m, gemm.k):
            raise DefectError(f"layer {gemm.layer.name}: inputs must have shape {(gemm.m, gemm.k)}, not {x.shape}")


def _bound_sums(layer: IntegerLayer) -> None:
    """Refuse a layer whose sums could leave their accumulator for some input.

    That is int32 for operands of up to 8 bits. Of the int64 for int16, 48 bits may be used: requantization multiplies
    by 15 more.

    Raises
    ------
    CompileError
        If the largest sum that the weights allow is above 2^31 - 1, or 2^47 - 1.
    """
    bits = 48 if layer.input.operand == "int16" else 32
    largest = max(abs(layer.input.qmin), layer.input.qmax)
    bias = max(-int(layer.bias.min()), int(layer.bias.max()))
    # most layers are so far below the limit that their shapes and types say it
    if layer.inputs * largest * -int(np.iinfo(layer.weight.dtype).min) + bias < 2 ** (bits - 1):
        return
    # in Python's integers, which do not overflow
    weights = np.abs(layer.weight.astype(np.int64)).sum(axis=0).tolist()
    biases = np.abs(layer.bias.astype(np.int64)).tolist()
    sums = [largest * weight + bias for weight, bias in zip(weights, biases, strict=True)]
    if max(sums) >= 2 ** (bits - 1):
        raise CompileError(
            f"layer {layer.name}: sums must fit an int{bits} accumulator, but output {sums.index(max(sums))} "
            f"can reach {max(sums)}; split its {layer.inputs} inputs"
        )
