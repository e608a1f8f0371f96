"""Pass 6: the program."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.lowering import Lowering
from accelsim.compiler.tiles import Place, oriented
from accelsim.config.arch import Machine
from accelsim.config.operands import OPERANDS
from accelsim.golden.network import TensorType
from accelsim.isa.program import Header, LayerInfo, Program, RegionInfo
from accelsim.provenance import content_hash


def emit(lowering: Lowering, machine: Machine) -> Lowering:
    """Join instructions, image and header.

    The program is not verified here but by whoever executes or keeps it.
    """
    network = lowering.network
    regions = []
    layers = []
    for number, (flow, tiling, placement) in enumerate(
        zip(lowering.flows, lowering.tilings, lowering.placements, strict=True)
    ):
        gemm, layer = flow.gemm, flow.gemm.layer
        survivors = layer.survivors
        if number < len(lowering.inputs):
            features = _numbers(survivors.inputs) if survivors else None
            source = layer.name + ".input" if network.independent else "input"
            regions.append(_region(source, "input", placement.source, (gemm.m, gemm.k), layer.input, features))
        name = layer.name + ".output"
        features = _numbers(survivors.outputs) if survivors else None
        dense_k, dense_n = (survivors.inputs.size, survivors.outputs.size) if survivors else (None, None)
        regions.append(_region(name, "output", placement.target, (gemm.m, gemm.n), layer.output, features))
        layers.append(
            LayerInfo(
                name=layer.name,
                m=gemm.m,
                k=gemm.k,
                n=gemm.n,
                dense_k=dense_k,
                dense_n=dense_n,
                m_tile=tiling.tile_m,
                k_tile=tiling.tile_k,
                n_tile=tiling.tile_n,
                loops=tiling.loops,
                slots={
                    "activation": tiling.activations,
                    "weight": tiling.weights,
                    "accumulator": tiling.sums,
                    "output": tiling.outputs,
                    **({"staging": tiling.staging} if tiling.staging else {}),
                },
                weights=(dense_k or gemm.k) * (dense_n or gemm.n),
                stored_bits=layer.scale_bits + 8 * sum(map(flow.stored_weights_bytes, placement.parts)),
                output=name,
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
        timing_only=not lowering.values,
        image_bytes=0 if lowering.values else lowering.image_bytes,
    )
    return dataclasses.replace(
        lowering, program=Program(header, lowering.instructions, lowering.image, *lowering.tables)
    )


def _numbers(survivors: NDArray[np.bool_]) -> list[int]:
    return [int(number) for number in np.flatnonzero(survivors)]


def _region(
    name: str,
    role: Literal["input", "output"],
    place: Place,
    shape: tuple[int, int],
    q: TensorType,
    features: list[int] | None,
) -> RegionInfo:
    _, elements = oriented(*shape, feature_major=place.feature_major)
    return RegionInfo(
        name=name,
        role=role,
        address=place.address,
        rows=shape[0],
        columns=shape[1],
        feature_major=place.feature_major,
        operand=q.operand,
        signed=q.signed,
        scale=q.scale,
        zero_point=q.zero_point,
        features=features,
        pitch=place.pitch if place.pitch > OPERANDS[q.operand].row_bytes(elements) else None,
    )
