"""Pass 6: the program."""

from __future__ import annotations

import dataclasses

from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.isa.program import Header, LayerInfo, Program, RegionInfo
from accelsim.isa.verify import verify
from accelsim.provenance import content_hash


def emit(lowering: Lowering, machine: Machine) -> Lowering:
    """Join instructions, image and header."""
    network = lowering.network
    m = len(lowering.inputs)
    first = network.input
    regions = [
        RegionInfo(
            name="input",
            role="input",
            address=lowering.placements[0].source,
            rows=m,
            columns=network.layers[0].inputs,
            signed=first.signed,
            scale=first.scale,
            zero_point=first.zero_point,
        )
    ]
    layers = []
    for gemm, tiling, placement in zip(lowering.gemms, lowering.tilings, lowering.placements, strict=True):
        layer = gemm.layer
        regions.append(
            RegionInfo(
                name=layer.name + ".output",
                role="output",
                address=placement.target,
                rows=gemm.m,
                columns=gemm.n,
                signed=layer.output.signed,
                scale=layer.output.scale,
                zero_point=layer.output.zero_point,
            )
        )
        layers.append(
            LayerInfo(
                name=layer.name,
                m=gemm.m,
                k=gemm.k,
                n=gemm.n,
                m_tile=tiling.tile_m,
                k_tile=tiling.tile_k,
                n_tile=tiling.tile_n,
                loops=tiling.loops,
                slots={
                    "activation": tiling.activations,
                    "weight": tiling.weights,
                    "accumulator": tiling.sums,
                    "output": tiling.outputs,
                },
                weights=layer.weight.size,
                stored_bits=layer.stored_bits,
                output=layer.name + ".output",
            )
        )
    header = Header(
        workload=network.name,
        recipe=network.recipe,
        arch=machine.name,
        arch_sha256=content_hash(machine.model_dump(mode="json")),
        dram_bytes=lowering.dram_bytes,
        layers=layers,
        regions=regions,
    )
    return dataclasses.replace(lowering, program=Program(header, lowering.instructions, lowering.image))


def check(lowering: Lowering, machine: Machine) -> None:
    """`verify` accepts the program."""
    assert lowering.program  # noqa: S101 - the pass above made it
    verify(lowering.program, machine)
