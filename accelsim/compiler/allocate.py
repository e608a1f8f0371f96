"""Pass 4: places for tiles in the scratchpads, and for everything in DRAM."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Bytes, Dataflow
from accelsim.compiler.lowering import Lowering, Placement
from accelsim.compiler.slots import Slots, deal, parted
from accelsim.compiler.tiles import Chunk, Place, Tiling, oriented
from accelsim.config.arch import Machine
from accelsim.config.operands import Operand
from accelsim.errors import CompileError, DefectError, DoesNotFitError
from accelsim.formats.operands import pack_rows
from accelsim.isa.opcodes import Memory
from accelsim.memory.region import Region, view
from accelsim.units import align_up


def allocate(lowering: Lowering, machine: Machine) -> Lowering:
    """Lay out DRAM (inputs, each layer's chunks, then the outputs) and spread the slots over the banks.

    The inputs and the chunks form the image. Every region begins at a burst.
    """
    burst = machine.dram.burst_bytes
    graph = lowering.graph
    places: dict[str, Place] = {}
    addresses: list[tuple[int, ...]] = []
    parts = {tiling: tiling.chunks() for tiling in dict.fromkeys(lowering.tilings)}
    beside = _beside(lowering)
    widths = {name: sum(graph[part].features for part in (name, *joined)) for name, joined in beside.items()}
    end = 0
    for name in graph.inputs:
        value, width = graph[name], widths.get(name, graph[name].features)
        places[name] = region(machine, align_up(end, burst), value.samples, width, machine.operand)
        end = places[name].address + matrix_bytes(machine, places[name], value.samples, width)
    for flow, tiling in zip(lowering.flows, lowering.tilings, strict=True):
        chunks: list[int] = []
        for chunk in parts[tiling]:
            chunks.append(align_up(end, burst))
            end = chunks[-1] + stored_bytes(flow, chunk)
        addresses.append(tuple(chunks))
    image_bytes, top = end, align_up(end, burst)
    first_of = {part: first for first, joined in beside.items() for part in joined}
    placements: list[Placement] = []
    for fusion, flow, tiling, chunk_addresses in zip(
        lowering.fusions, lowering.flows, lowering.tilings, addresses, strict=True
    ):
        name, value = fusion.target, graph[fusion.target]
        if name in first_of:  # its features join those that are there
            first = first_of[name]
            features = graph[first].features
            places[name] = places[first]._replace(address=places[first].address + features * flow.result.bits // 8)
        else:
            width = widths.get(name, value.features)
            places[name] = region(machine, top, value.samples, width, flow.result)
            top = align_up(top + matrix_bytes(machine, places[name], value.samples, width), burst)
        size = flow.footprint(tiling)
        weight, staging = weight_slots(flow, tiling)
        activation, scales = activation_slots(flow, tiling)
        accumulator, partial = accumulator_slots(flow, tiling)
        placements.append(
            Placement(
                activation=activation,
                scales=scales,
                weight=weight,
                staging=staging,
                accumulator=accumulator,
                partial=partial,
                output=deal(Memory.OUTPUT, machine.output, tiling.outputs, size.output),
                parts=parts[tiling],
                chunks=chunk_addresses,
                source=places[fusion.sources[0]],
                target=places[name],
            )
        )
    if top > machine.dram.capacity_bytes:
        raise DoesNotFitError(
            f"network {graph.name}: the DRAM of {machine.name} must hold {top} bytes, "
            f"but has {machine.dram.capacity_bytes}"
        )
    placed = dataclasses.replace(
        lowering, places=places, placements=tuple(placements), image_bytes=image_bytes, dram_bytes=top
    )
    return dataclasses.replace(placed, image=draw_image(placed, machine)) if lowering.has_numbers else placed


def draw_image(lowering: Lowering, machine: Machine) -> NDArray[np.uint8]:
    """Bytes of inputs and chunks at their places; uint8, shape (image_bytes,), zeros between them."""
    image = np.zeros(lowering.image_bytes, np.uint8)
    for name, x in zip(lowering.graph.inputs, lowering.inputs, strict=True):
        _fill_rows(image, lowering.places[name], pack_inputs(x.reshape(-1, x.shape[-1]), machine))
    for flow, placement in zip(lowering.flows, lowering.placements, strict=True):
        for chunk, address in zip(placement.parts, placement.chunks, strict=True):
            _fill_chunk(image, address, flow, chunk)
    return image


def _beside(lowering: Lowering) -> dict[str, tuple[str, ...]]:
    """Values by the one whose features they stand behind in DRAM, because a fusion reads them side by side.

    Raises
    ------
    CompileError
        If a value would have to stand behind two others, or be there before what it stands behind.
    """
    beside: dict[str, tuple[str, ...]] = {}
    for fusion in lowering.fusions:
        first, *joined = fusion.sources
        if joined and ((first in beside and beside[first] != tuple(joined)) or len(joined) > 1):
            raise CompileError(f"layer {fusion.name}: {', '.join(fusion.sources)} can't stand side by side in DRAM")
        if joined:
            beside[first] = tuple(joined)
    return beside


def _fill(image: Bytes, address: int, content: Bytes) -> None:
    image[address : address + len(content)] = content


def _fill_rows(image: Bytes, place: Place, rows: Bytes) -> None:
    """Put rows of bytes, shape (rows, row_bytes), where a matrix lies."""
    view(image, Region(place.address, place.pitch, *rows.shape))[:] = rows


def weight_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for chunks in the weight scratchpad, and places for those that are still encoded."""
    sram, staged, size = flow.machine.weight, flow.staged(tiling.tile_k).bytes, flow.footprint(tiling).weight
    front, back = parted(sram, tiling.weights, size, tiling.staging, staged)
    slots = deal(Memory.WEIGHT, front, tiling.weights, size)
    if tiling.staging:
        return slots, deal(Memory.WEIGHT, back, tiling.staging, staged, sram.capacity_bytes - back.capacity_bytes)
    place = flow.chunk_place(tiling.tile_k)
    behind = tuple(address + place for address in slots.addresses) if staged else ()
    return Slots(Memory.WEIGHT, slots.addresses, place), Slots(Memory.WEIGHT, behind, staged)


def activation_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for activation tiles, and as many places for the scales of their rows."""
    sram, count = flow.machine.activation, tiling.activations
    beside = flow.scales_bytes(tiling.tile_m, tiling.features)
    size = flow.footprint(tiling).activation - beside
    front, back = parted(sram, count, size, count, int(beside))
    slots = deal(Memory.ACTIVATION, front, count, size)
    if not beside:
        return slots, Slots(Memory.ACTIVATION, (), 0)
    return slots, deal(Memory.ACTIVATION, back, count, int(beside), sram.capacity_bytes - back.capacity_bytes)


def accumulator_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for blocks of sums, and places for those of integers that are still to be scaled."""
    sram, size, count = flow.machine.accumulator, flow.footprint(tiling).accumulator, flow.partial_sums
    front, back = parted(sram, tiling.sums, size, count, size)
    slots = deal(Memory.ACCUMULATOR, front, tiling.sums, size)
    if not count:
        return slots, Slots(Memory.ACCUMULATOR, (), size)
    return slots, deal(Memory.ACCUMULATOR, back, count, size, sram.capacity_bytes - back.capacity_bytes)


def region(machine: Machine, address: int, samples: int, features: int, operand: Operand) -> Place:
    """A matrix of operands in DRAM, its rows without gaps, in the order that the machine's datapath reads."""
    _, elements = oriented(samples, features, feature_major=machine.feature_major)
    return Place(address, operand.row_bytes(elements), machine.feature_major, operand.bits)


def matrix_bytes(machine: Machine, place: Place, samples: int, features: int) -> int:
    """Bytes of such a matrix."""
    rows, _ = oriented(samples, features, feature_major=machine.feature_major)
    return rows * place.pitch


def pack_inputs(inputs: NDArray[np.generic], machine: Machine) -> Bytes:
    """Bytes of inputs, shape (samples, features), row by row as the host leaves them in DRAM."""
    return pack_rows(inputs.T if machine.feature_major else inputs, machine.matrix.operands)


def _fill_chunk(image: Bytes, address: int, flow: Dataflow, chunk: Chunk) -> None:
    """Put a chunk where it stands in DRAM; unless it is encoded, so it does in the scratchpad.

    The weights as the dataflow wants them, or those encoded; then, for the last chunk of a column block and at a whole
    word, n bias as wide as sums, n multipliers int32 and n shifts int8, little-endian; of floats n bias float32 alone.
    Behind encoded weights they begin at a burst, because the two are loaded apart.
    """
    results = flow.product.results
    weights = flow.stored(chunk)
    if len(weights) != flow.stored_weights_bytes(chunk):
        raise DefectError(f"weights of {chunk} must take {flow.stored_weights_bytes(chunk)} bytes, not {len(weights)}")
    _fill(image, address, weights)
    if not chunk.last:
        return
    columns = slice(chunk.n.low, chunk.n.high)
    constants: list[NDArray[np.generic]] = [results.bias[columns].astype(results.bias.dtype.newbyteorder("<"))]
    if results.multiplier is not None and results.shift is not None:
        constants += [results.multiplier[columns].astype("<i4"), results.shift[columns].astype(np.int8)]
    packed = b"".join(block.tobytes() for block in constants)
    _fill(image, address + stored_constants_offset(flow, chunk), np.frombuffer(packed, np.uint8))


def stored_constants_offset(flow: Dataflow, chunk: Chunk) -> int:
    """Where a chunk's constants begin in DRAM."""
    if flow.encoder is None:
        return flow.constants_offset(chunk)
    return align_up(flow.stored_weights_bytes(chunk), flow.machine.dram.burst_bytes)


def stored_bytes(flow: Dataflow, chunk: Chunk) -> int:
    """Length of a chunk in DRAM, as it stands there."""
    if not chunk.last:
        return flow.stored_weights_bytes(chunk)
    return stored_constants_offset(flow, chunk) + flow.machine.constant_bytes * chunk.n.size


def check(lowering: Lowering, machine: Machine) -> None:
    """Slots of a memory don't overlap, regions of DRAM neither."""
    capacities = {Memory.ACTIVATION: machine.activation, Memory.WEIGHT: machine.weight,
                  Memory.ACCUMULATOR: machine.accumulator, Memory.OUTPUT: machine.output}  # fmt: skip
    for placement in lowering.placements:
        beside = {
            Memory.WEIGHT: placement.staging,
            Memory.ACCUMULATOR: placement.partial,
            Memory.ACTIVATION: placement.scales,
        }
        for slots in (placement.activation, placement.weight, placement.accumulator, placement.output):
            places = [(address, slots.bytes) for address in slots.addresses]
            if slots.memory in beside:
                places += [(address, beside[slots.memory].bytes) for address in beside[slots.memory].addresses]
            places += [(capacities[slots.memory].capacity_bytes, 0)]
            for (low, size), (high, _) in pairwise(sorted(places)):
                if low + size > high:
                    raise DefectError(f"slot of {size} bytes at {low} of {slots.memory.name} reaches {high}")
        if placement.target.address < lowering.image.size and placement.target.pitch != placement.source.pitch:
            raise DefectError("an output overlaps the image")
