"""Which layers are alike to a compiler, so that what one of them takes tells what the others take."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np

from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.gemm import Gemm
from accelsim.config.arch import Machine
from accelsim.golden.network import CompressedLayer, CompressedNetwork, IntegerLayer
from accelsim.workload import blocks
from accelsim.workload.blocks import Blocks
from accelsim.workload.network import Inputs, each


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


def shortened(
    network: CompressedNetwork, inputs: Inputs[np.generic], repeated: Blocks, kept: int
) -> tuple[CompressedNetwork, Inputs[np.generic]]:
    """The network and its inputs without the blocks after the first `kept` ones."""
    layers = repeated.shortened(network.layers, kept)
    short = dataclasses.replace(network, layers=layers)  # type: ignore[arg-type] # of a network's own kind
    return short, repeated.shortened(inputs, kept) if isinstance(inputs, tuple) else inputs
