"""Pass 8: the program."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering, Placement
from accelsim.compiler.tiles import Place, Tiling, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import Machine
from accelsim.config.operands import OPERANDS
from accelsim.graph.value import Value
from accelsim.isa.program import INPUT, Header, KeptInfo, LayerInfo, Program, RegionInfo
from accelsim.provenance import content_hash


def emit(lowering: Lowering, machine: Machine) -> Lowering:
    """Join instructions, image and header.

    The program is not verified here but by whoever executes or keeps it.
    """
    graph = lowering.graph
    regions: list[RegionInfo] = []
    kept: list[KeptInfo] = []
    layers = []
    told: set[str] = set()
    for number, fusion in enumerate(lowering.fusions):
        for name in lowering.parts_of_sources(fusion):
            if name in graph.inputs and name not in told and not lowering.places[name].leads:
                regions.append(_region(graph[name], "input", lowering.places[name]))
                told.add(name)
        stored = lowering.stored_as(fusion.target)
        if stored in lowering.stays:
            kept.append(_kept(graph[stored], lowering, number))
        elif stored not in told:
            regions.append(_region(graph[stored], "output", lowering.places[stored]))
            told.add(stored)
        layers.append(_info(lowering, number))
    # parts of what is joined and is an output, too
    others = [name for name in graph.outputs if name not in told]
    regions += [_region(graph[name], "output", lowering.places[name]) for name in others]
    header = Header(
        workload=graph.name,
        recipe=lowering.recipe,
        arch=machine.name,
        arch_sha256=content_hash(machine.model_dump(mode="json")),
        dram_bytes=lowering.dram_bytes,
        compulsory_bytes=lowering.compulsory_bytes,
        residency=lowering.residency,
        layers=layers,
        regions=regions,
        kept=kept,
        timing_only=not lowering.has_numbers,
        image_bytes=0 if lowering.has_numbers else lowering.image_bytes,
        computations=list(lowering.tables.computations),
    )
    tables = lowering.tables
    program = Program(header, lowering.instructions, lowering.image, tables.descriptors, tables.functions)
    return dataclasses.replace(lowering, program=program)


def _info(lowering: Lowering, number: int) -> LayerInfo:
    """What a fusion is, and how it was cut."""
    graph, fusion = lowering.graph, lowering.fusions[number]
    flow, tiling, placement = lowering.flows[number], lowering.tilings[number], lowering.placements[number]
    nodes, reads = [node.name for node in fusion.nodes], _reads(lowering, number)
    target = graph[fusion.target]
    if isinstance(fusion.work, HostWork):
        return LayerInfo(
            name=fusion.name,
            nodes=nodes,
            reads=reads,
            m=target.samples,
            k=1,
            n=target.features,
            m_tile=target.samples,
            k_tile=1,
            n_tile=target.features,
            loops="",
            slots={},
            weights=0,
            macs=0,
            stored_bits=0,
            output=lowering.stored_as(fusion.target),
            unit="host",
        )
    if flow is None or not isinstance(tiling, Tiling) or not isinstance(placement, Placement):
        assert isinstance(tiling, VectorTiling) and isinstance(fusion.work, VectorWork)  # noqa: S101, PT018
        window = fusion.work.image.window.kernel if fusion.work.image else (1, 1)
        slots = {"activation": tiling.operands * tiling.slots, "output": tiling.slots}
        table = fusion.work.table
        return LayerInfo(
            name=fusion.name,
            nodes=nodes,
            reads=reads,
            m=target.samples,
            k=window[0] * window[1],
            n=target.features,
            m_tile=tiling.pixels_formed * tiling.width,
            k_tile=window[0] * window[1],
            n_tile=target.features,
            loops=tiling.loops,
            slots=slots,
            weights=0,
            macs=0,
            stored_bits=0 if table is None else 8 * len(table),
            output=lowering.stored_as(fusion.target),
            unit="vector",
        )
    product, compacted = flow.product, target.survivors is not None
    sources = [graph[name] for name in fusion.beside]
    features, full = (sum(x) for x in zip(*((s.features, s.full_features) for s in sources), strict=True))
    pixels = int(np.prod(product.image.inputs[:2])) if product.image else 1
    dense_k, dense_n = pixels * full, target.full_features
    slots = {
        "activation": tiling.activations,
        "weight": tiling.weights,
        "accumulator": tiling.sums,
        "output": tiling.outputs,
        **({"staging": tiling.staging} if tiling.staging else {}),
    }
    return LayerInfo(
        name=fusion.name,
        nodes=nodes,
        reads=reads,
        m=product.m,
        k=product.k,
        n=product.n,
        dense_k=dense_k if compacted else None,
        dense_n=dense_n if compacted else None,
        m_tile=tiling.tile_m,
        k_tile=tiling.tile_k,
        n_tile=tiling.tile_n,
        loops=tiling.loops,
        slots=slots,
        weights=product.weights_count * full * dense_n // (features * product.n),
        macs=product.macs_needed * full * dense_n // (features * product.n),
        stored_bits=product.results.scale_bits + 8 * int(placement.weight_tiles.weights.sum()),
        output=lowering.stored_as(fusion.target),
    )


def _reads(lowering: Lowering, number: int) -> list[str]:
    """Fusions that form what a fusion reads, in order, each once; an input of the graph is `INPUT`."""
    former = {fusion.target: fusion.name for fusion in lowering.fusions} | dict.fromkeys(lowering.graph.inputs, INPUT)
    parts = lowering.parts_of_sources(lowering.fusions[number])
    return list(dict.fromkeys(former[part] for part in parts if part in former))  # what is left out has no name


def _kept(value: Value, lowering: Lowering, number: int) -> KeptInfo:
    """Where a value stays on chip, and since when it is whole: since the last instruction of its fusion."""
    held = lowering.stays[value.name].held
    about = _region(value, "output", held.place)
    return KeptInfo(
        **dict(about),
        whole_after=int(np.flatnonzero(lowering.instructions["layer"] == number)[-1]),
        width=held.width,
        line_bytes=held.line,
        height=held.height,
        image_bytes=held.image,
    )


def _region(value: Value, role: Literal["input", "output"], place: Place) -> RegionInfo:
    """Where a value lies in DRAM, and what its numbers are."""
    element = value.element
    _, elements = oriented(value.samples, value.features, feature_major=place.feature_major)
    assert np.ndim(element.scale) == 0  # noqa: S101 - what is stored has one scale
    return RegionInfo(
        name=value.name,
        role=role,
        address=place.address,
        rows=value.samples,
        columns=value.features,
        feature_major=place.feature_major,
        operand=element.operand,
        signed=element.signed,
        scale=float(element.scale),
        zero_point=element.zero_point,
        features=None if value.survivors is None else [int(number) for number in np.flatnonzero(value.survivors)],
        pitch=place.pitch if place.pitch > OPERANDS[element.operand].row_bytes(elements) else None,
    )
