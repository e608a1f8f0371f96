"""Pass 1: layers to matrix products that the array can add up without overflow."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np

from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DefectError
from accelsim.golden.network import IntegerLayer


def map_layers(lowering: Lowering, machine: Machine) -> Lowering:
    """Turn each layer into a matrix product over the whole batch, in the dataflow of the machine's datapath."""
    flows = []
    for layer in lowering.network.layers:
        _bound_sums(layer)
        flows.append(dataflow(Gemm(layer, len(lowering.inputs), layer.inputs, layer.outputs), machine))
    return dataclasses.replace(lowering, flows=tuple(flows))


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001 - one signature for all passes
    """The products chain."""
    gemms = [flow.gemm for flow in lowering.flows]
    for before, after in pairwise(gemms):
        if before.n != after.k or before.m != after.m:
            raise DefectError(f"layer {after.layer.name}: inputs must be {before.n}, not {after.k}")
    if lowering.inputs.shape[1] != gemms[0].k:
        raise DefectError(f"inputs must have {gemms[0].k} features, not {lowering.inputs.shape[1]}")


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
