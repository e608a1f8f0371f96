"""Which layers are alike to a compiler, so that what one of them takes tells what the others take."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.golden.network import CompressedLayer, CompressedNetwork, IntegerLayer
from accelsim.workload import blocks
from accelsim.workload.blocks import Blocks
from accelsim.workload.network import Inputs, each

ItemT = TypeVar("ItemT")


def find(network: CompressedNetwork, inputs: Inputs[np.generic], machine: Machine, kept: int) -> Blocks | None:
    """Find the blocks of alike layers of which most are left out if the first `kept` ones are kept.

    There are none where more than shapes may decide what is counted: values of weights and activations, or a second
    level, whose hits depend on where in DRAM all layers lie.
    """
    if network.layers[0].pattern is None or machine.l2:
        return None
    layers: Sequence[CompressedLayer] = network.layers
    rows = [len(x) for x in each(inputs)]
    if not network.independent:
        rows *= len(layers)
    gemms = [Gemm(layer, m, layer.inputs, layer.outputs) for layer, m in zip(layers, rows, strict=True)]
    flows = [dataflow(gemm, machine) for gemm in gemms]  # all at once, as a product may be like its own flow alone
    kinds: list[Hashable] = [(flow.likeness, _types(flow.gemm.layer)) for flow in flows]
    return blocks.find(kinds, kept)


def _types(layer: CompressedLayer) -> Hashable:
    """What of a layer is in its instructions, beside its shape."""
    types = [(q.operand, q.signed) for q in (layer.input, layer.output)]
    return tuple(types), layer.relu, layer.rounding if isinstance(layer, IntegerLayer) else None


def leave_out(lowering: Lowering, machine: Machine) -> Lowering:  # noqa: ARG001 - one signature for all passes
    """Forget the layers that are left out; of a chain, the layer behind them reads what the one before them stored.

    Where all others lie in DRAM stays as it is: a banked DRAM's times depend on it.
    """
    low, high = lowering.left_out.start, lowering.left_out.stop
    if low == high:
        return lowering

    def kept(items: Sequence[ItemT]) -> tuple[ItemT, ...]:
        return (*items[:low], *items[high:])

    network, placements = lowering.network, list(kept(lowering.placements))
    if not network.independent:
        placements[low:] = [
            dataclasses.replace(placement, source=before.target)
            for before, placement in pairwise(placements[low - 1 :])
        ]
    return dataclasses.replace(
        lowering,
        network=dataclasses.replace(network, layers=kept(network.layers)),  # type: ignore[arg-type] # of its own kind
        inputs=kept(lowering.inputs) if network.independent else lowering.inputs,
        flows=kept(lowering.flows),
        tilings=kept(lowering.tilings),
        placements=tuple(placements),
    )
