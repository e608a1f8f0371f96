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
from accelsim.graph.element import Plain
from accelsim.graph.value import Value
from accelsim.isa.program import INPUT, Header, KeptInfo, LayerInfo, Program, RegionInfo, StateInfo
from accelsim.provenance import content_hash
from accelsim.units import ceil_div


def emit(lowering: Lowering, machine: Machine) -> Lowering:
    """Join instructions, image and header.

    The program is not verified here but by whoever executes or keeps it.
    """
    graph = lowering.graph
    regions: list[RegionInfo] = []
    kept: list[KeptInfo] = []
    layers: list[LayerInfo] = []
    told: set[str] = set()
    numbers = lowering.layers
    whole_after = {lowering.views[fusion.target].root: number for number, fusion in enumerate(lowering.fusions)}
    for number, fusion in enumerate(lowering.fusions):
        for name in lowering.parts_of_sources(fusion):
            if name in graph.entering and name not in told and not lowering.places[name].leads:
                regions.append(_region(graph[name], "input", lowering.places[name]))
                told.add(name)
        stored, root = lowering.stored_as(fusion.target), lowering.views[fusion.target].root
        if root in lowering.stays:
            if whole_after[root] == number:
                kept.append(_kept(lowering, root, number))
        elif stored not in told:
            regions.append(_rows_of(lowering, stored, lowering.places[stored]))
            told.add(stored)
        if numbers[number] == len(layers):
            layers.append(_of_layer(lowering, number))
    # parts of what is joined and is an output, too
    others = [name for name in graph.leaving if name not in told]
    regions += [_rows_of(lowering, name, lowering.places[name]) for name in others]
    header = Header(
        workload=graph.name,
        recipe=lowering.recipe,
        arch=machine.name,
        arch_sha256=content_hash(machine.model_dump(mode="json")),
        dram_bytes=lowering.dram_bytes,
        compulsory_bytes=lowering.compulsory_bytes,
        residency=lowering.residency,
        least=lowering.least,
        layers=layers,
        regions=regions,
        kept=kept,
        states=[StateInfo(read=state.read, written=state.written) for state in graph.states],
        timing_only=not lowering.has_numbers,
        image_bytes=0 if lowering.has_numbers else lowering.image_bytes,
        computations=list(lowering.tables.computations),
    )
    tables = lowering.tables
    instructions = lowering.instructions
    if lowering.strips:
        instructions["layer"] = np.array(numbers)[instructions["layer"]]
    program = Program(header, instructions, lowering.image, tables.descriptors, tables.functions)
    return dataclasses.replace(lowering, program=program)


def _of_features(lowering: Lowering, number: int) -> bool:
    """Whether a fusion forms some features of what its layer does."""
    strip = lowering.strips.get(lowering.fusions[number].target)
    return strip is not None and strip.features is not None


def _of_layer(lowering: Lowering, number: int) -> LayerInfo:
    """A layer by its first fusion, and by those that form other features of it."""
    layers, constants = lowering.layers, lowering.constants_of
    alike = (other for other, layer in enumerate(layers) if layer == layers[number])
    infos = {one: _info(lowering, one) for one in alike if one == number or _of_features(lowering, one)}
    if len(infos) == 1:
        return infos[number]
    sums = {name: sum(getattr(info, name) for info in infos.values()) for name in ("n", "weights", "macs")}
    stored = {constants[one]: info.stored_bits for one, info in infos.items()}  # a table once, as it stands
    return infos[number].model_copy(update=sums | {"stored_bits": sum(stored.values())})


def _info(lowering: Lowering, number: int) -> LayerInfo:
    """What a fusion is, or those of strips of the same nodes are, and how it was cut, or the first of them."""
    graph, fusion = lowering.graph, lowering.fusions[number]
    flow, tiling, placement = lowering.flows[number], lowering.tilings[number], lowering.placements[number]
    reads = _reads(lowering, number)
    target = graph[fusion.target]
    samples, name, output = target.samples, fusion.name, lowering.stored_as(fusion.target)
    nodes = [node.name for node in fusion.nodes]
    if fusion.target in lowering.strips:
        strip = lowering.strips[fusion.target]
        assert lowering.whole  # noqa: S101 - as it has strips
        samples, name, output = lowering.whole[strip.of].samples, lowering.layer_name(number), strip.of
        of_strip = {strip.prefix + node.name for node in lowering.whole.nodes}
        nodes = [node.removeprefix(strip.prefix) for node in nodes if node in of_strip]
    if isinstance(fusion.work, HostWork):
        return LayerInfo(
            name=name,
            nodes=nodes,
            reads=reads,
            m=samples,
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
            output=output,
            unit="host",
        )
    if flow is None or not isinstance(tiling, Tiling) or not isinstance(placement, Placement):
        assert isinstance(tiling, VectorTiling) and isinstance(fusion.work, VectorWork)  # noqa: S101, PT018
        window = fusion.work.image.window.kernel if fusion.work.image else (1, 1)
        slots = {"activation": tiling.operands * tiling.slots, "output": tiling.slots}
        table = fusion.work.table
        return LayerInfo(
            name=name,
            nodes=nodes,
            reads=reads,
            m=samples,
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
            output=output,
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
        name=name,
        nodes=nodes,
        reads=reads,
        m=product.m * samples // target.samples,
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
        macs=product.macs_needed * samples // target.samples * full * dense_n // (features * product.n),
        stored_bits=product.results.scale_bits + 8 * int(placement.weight_tiles.weights.sum()),
        output=output,
    )


def _reads(lowering: Lowering, number: int) -> list[str]:
    """Fusions that form what a fusion reads, in order, each once; what is there before is `INPUT`."""
    targets = (fusion.target for fusion in lowering.fusions)
    former = {target: lowering.layer_name(number) for number, target in enumerate(targets)}
    former |= dict.fromkeys(lowering.graph.entering, INPUT)
    parts = lowering.parts_of_sources(lowering.fusions[number])
    return list(dict.fromkeys(former[part] for part in parts if part in former))  # what is left out has no name


def _kept(lowering: Lowering, name: str, number: int) -> KeptInfo:
    """Where a value stays on chip, and since when it is whole: since the last instruction of its fusion."""
    held = lowering.stays[name].held
    about = _rows_of(lowering, name, held.place)
    return KeptInfo(
        **dict(about),
        whole_after=int(np.flatnonzero(lowering.instructions["layer"] == number)[-1]),
        width=held.width,
        line_bytes=held.line,
        height=held.height,
        image_bytes=held.image,
    )


def _rows_of(lowering: Lowering, name: str, place: Place) -> RegionInfo:
    """Where what a fusion forms lies, and which rows of a value it is if that was cut into strips."""
    strip = lowering.strips.get(name)
    region = _region(lowering.graph[name], "output", place)
    if strip is None:
        return region
    about = {"value": strip.of, "first_row": strip.first}
    return region.model_copy(update=about if strip.features is None else about | {"features": [*strip.features]})


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
        **({"plain": element.type} if isinstance(element, Plain) else {"operand": element.operand}),
        signed=element.signed,
        scale=float(element.scale),
        zero_point=element.zero_point,
        features=None if value.survivors is None else [int(number) for number in np.flatnonzero(value.survivors)],
        pitch=place.pitch if place.pitch > ceil_div(elements * element.memory_bits, 8) else None,
    )
