"""Pass 1: layers to matrix products that the array can add up without overflow."""

from __future__ import annotations

import dataclasses

import numpy as np

from accelsim.compiler.lowering import Gemm, Lowering
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DefectError
from accelsim.golden.network import IntegerLayer


def map_layers(lowering: Lowering, machine: Machine) -> Lowering:  # noqa: ARG001 - one signature for all passes
    """Turn each layer into a matrix product over the whole batch."""
    gemms = []
    for layer in lowering.network.layers:
        _bound_sums(layer)
        gemms.append(Gemm(layer, len(lowering.inputs), layer.inputs, layer.outputs))
    return dataclasses.replace(lowering, gemms=tuple(gemms))


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001
    """The products chain."""
    for before, after in zip(lowering.gemms, lowering.gemms[1:], strict=False):
        if before.n != after.k or before.m != after.m:
            raise DefectError(f"layer {after.layer.name}: inputs must be {before.n}, not {after.k}")
    if lowering.inputs.shape[1] != lowering.gemms[0].k:
        raise DefectError(f"inputs must have {lowering.gemms[0].k} features, not {lowering.inputs.shape[1]}")


def _bound_sums(layer: IntegerLayer) -> None:
    """Refuse a layer whose sums could leave int32 for some input.

    Raises
    ------
    CompileError
        If the largest sum that the weights allow is above 2^31 - 1.
    """
    largest = max(abs(layer.input.qmin), layer.input.qmax)
    sums = largest * np.abs(layer.weight.astype(np.int64)).sum(axis=0) + np.abs(layer.bias.astype(np.int64))
    if sums.max() >= 2**31:
        raise CompileError(
            f"layer {layer.name}: sums must fit an int32 accumulator, but output {int(sums.argmax())} "
            f"can reach {int(sums.max())}; split its {layer.inputs} inputs"
        )
