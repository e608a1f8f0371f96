"""Pass 4: places for tiles in the scratchpads, and for everything in DRAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Bytes, Dataflow
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import HostPlacement, Lowering, Placement, VectorPlacement
from accelsim.compiler.product import Product
from accelsim.compiler.slots import Slots, deal, parted
from accelsim.compiler.tiles import Chunk, Place, Tiling, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import Machine
from accelsim.config.operands import OPERANDS, Operand
from accelsim.errors import CompileError, DefectError, DoesNotFitError
from accelsim.formats.operands import pack_rows
from accelsim.graph.ops.concat import Concat
from accelsim.graph.value import Value
from accelsim.isa.computations import packed
from accelsim.isa.opcodes import Memory
from accelsim.memory.region import Region, view
from accelsim.units import align_up, ceil_div


def allocate(lowering: Lowering, machine: Machine) -> Lowering:
    """Lay out DRAM (inputs, each fusion's constants, then the outputs) and spread the slots over the banks.

    The inputs and the constants form the image. Every region begins at a burst. Values that are read side by side share
    a region.
    """
    burst = machine.dram.burst_bytes
    graph = lowering.graph
    layout = _Layout(lowering, machine)
    for name in graph.inputs:
        layout.place(name)
    parts = {tiling: tiling.chunks() for tiling in dict.fromkeys(lowering.tilings) if isinstance(tiling, Tiling)}
    addresses = [layout.put(sizes) for sizes in _constants(lowering, parts)]
    image_bytes = layout.end
    placements: list[Placement | VectorPlacement | HostPlacement] = []
    for fusion, flow, tiling, at in zip(lowering.fusions, lowering.flows, lowering.tilings, addresses, strict=True):
        target = layout.place(fusion.target)
        sources = tuple(layout.places[name] for name in fusion.sources)
        if flow and isinstance(tiling, Tiling):
            placements.append(_product_placement(flow, tiling, parts[tiling], at, sources[0], target))
        elif isinstance(tiling, VectorTiling):
            placements.append(_vector_placement(fusion.work, tiling, at, sources, target, machine))
        elif isinstance(fusion.work, HostWork):
            constants = zip((graph[name] for name in fusion.work.constants), at, strict=True)
            known = tuple(_constant_place(value, address) for value, address in constants)
            placements.append(HostPlacement(sources, known, target))
    top = align_up(layout.end, burst)
    if top > machine.dram.capacity_bytes:
        raise DoesNotFitError(
            f"network {graph.name}: the DRAM of {machine.name} must hold {top} bytes, "
            f"but has {machine.dram.capacity_bytes}"
        )
    placed = dataclasses.replace(
        lowering, places=layout.places, placements=tuple(placements), image_bytes=image_bytes, dram_bytes=top
    )
    return dataclasses.replace(placed, image=draw_image(placed, machine)) if lowering.has_numbers else placed


def _constants(lowering: Lowering, parts: Mapping[Tiling, list[Chunk]]) -> Iterator[list[int]]:
    """Bytes of what each fusion's constants stand as, one by one."""
    for fusion, flow, tiling in zip(lowering.fusions, lowering.flows, lowering.tilings, strict=True):
        if flow and isinstance(tiling, Tiling):
            yield [stored_bytes(flow, chunk) for chunk in parts[tiling]]
        elif isinstance(fusion.work, HostWork):
            constants = (lowering.graph[name] for name in fusion.work.constants)
            yield [value.samples * _constant_place(value, 0).pitch for value in constants]
        else:
            table = fusion.work.table if isinstance(fusion.work, VectorWork) else None
            yield [] if table is None else [len(table)]


def _constant_place(value: Value, address: int) -> Place:
    """A constant of the host, row by row."""
    bits = value.element.memory_bits
    return Place(address, ceil_div((value.shape or (1,))[-1] * bits, 8), feature_major=False, bits=bits)


class _Layout:
    """Places of values in DRAM, one behind the other as they come.

    Attributes
    ----------
    places
        Of the values so far, those that join others or are a part of one included.
    end
        First byte behind them.
    """

    def __init__(self, lowering: Lowering, machine: Machine) -> None:
        self.graph = lowering.graph
        self.machine = machine
        self.places: dict[str, Place] = {}
        self.end = 0
        self._groups: dict[str, tuple[str, ...]] = {}
        self._joined: dict[str, list[str]] = {}
        for node in self.graph.nodes:
            if isinstance(node.op, Concat) and not any(node in fusion.nodes for fusion in lowering.fusions):
                self._share(node.name, node.inputs)
                self._joined.setdefault(node.inputs[0], []).append(node.output)
        for fusion in lowering.fusions:
            if fusion.product and len(fusion.sources) > 1:
                self._share(fusion.name, fusion.sources)

    def _share(self, name: str, parts: tuple[str, ...]) -> None:
        """Have values stand side by side.

        Raises
        ------
        CompileError
            If one of them stands beside others already.
        """
        for part in parts:
            if self._groups.setdefault(part, parts) != parts:
                raise CompileError(
                    f"{name}: {', '.join(parts)} can't stand side by side in DRAM, as {part} is elsewhere"
                )

    def put(self, sizes: Iterable[int]) -> tuple[int, ...]:
        """Addresses of constants of these sizes, each at a burst."""
        addresses = []
        for size in sizes:
            addresses.append(align_up(self.end, self.machine.dram.burst_bytes))
            self.end = addresses[-1] + size
        return tuple(addresses)

    def place(self, name: str) -> Place:
        """Give a value its place; the first of those side by side makes room for all."""
        if name in self.places:
            return self.places[name]
        parts = self._groups.get(name, (name,))
        value = self.graph[name]
        operand = OPERANDS[value.element.operand]
        width = sum(self.graph[part].features for part in parts)
        address = align_up(self.end, self.machine.dram.burst_bytes)
        whole = region(self.machine, address, value.samples, width, operand)
        self.end = address + matrix_bytes(self.machine, whole, value.samples, width)
        before = 0
        for part in parts:
            self.places[part] = whole._replace(address=address + whole.features_bytes(before))
            before += self.graph[part].features
            for joined in self._joined.get(part, ()):
                self.places[joined] = whole
        return self.places[name]


def _product_placement(
    flow: Dataflow, tiling: Tiling, parts: list[Chunk], chunks: tuple[int, ...], source: Place, target: Place
) -> Placement:
    weight, staging = weight_slots(flow, tiling)
    activation, scales = activation_slots(flow, tiling)
    accumulator, partial = accumulator_slots(flow, tiling)
    return Placement(
        activation=activation,
        scales=scales,
        weight=weight,
        staging=staging,
        accumulator=accumulator,
        partial=partial,
        output=deal(Memory.OUTPUT, flow.machine.output, tiling.outputs, flow.footprint(tiling).output),
        parts=parts,
        chunks=chunks,
        source=source,
        target=target,
    )


def _vector_placement(
    work: Product | VectorWork | HostWork,
    tiling: VectorTiling,
    table: tuple[int, ...],
    sources: tuple[Place, ...],
    target: Place,
    machine: Machine,
) -> VectorPlacement:
    assert isinstance(work, VectorWork)  # noqa: S101 - as its tiling is
    slots = deal(Memory.ACTIVATION, machine.activation, tiling.slots * tiling.operands, tiling.source_bytes)
    operands = tuple(
        Slots(Memory.ACTIVATION, slots.addresses[number :: tiling.operands], slots.bytes)
        for number in range(tiling.operands)
    )
    results = deal(Memory.OUTPUT, machine.output, tiling.slots, tiling.result_bytes)
    entries = 0 if work.table is None else len(work.table)
    table_slot = Slots(Memory.WEIGHT, (0,) if entries else (), entries)
    return VectorPlacement(sources, target, operands, results, table[0] if table else 0, table_slot)


def draw_image(lowering: Lowering, machine: Machine) -> NDArray[np.uint8]:
    """Bytes of inputs and constants at their places; uint8, shape (image_bytes,), zeros between them."""
    image = np.zeros(lowering.image_bytes, np.uint8)
    for name, x in zip(lowering.graph.inputs, lowering.inputs, strict=True):
        _fill_rows(image, lowering.places[name], pack_inputs(x.reshape(-1, x.shape[-1]), machine))
    for fusion, flow, placement in zip(lowering.fusions, lowering.flows, lowering.placements, strict=True):
        if flow and isinstance(placement, Placement):
            for chunk, address in zip(placement.parts, placement.chunks, strict=True):
                _fill_chunk(image, address, flow, chunk)
        elif isinstance(fusion.work, VectorWork) and fusion.work.table is not None:
            assert isinstance(placement, VectorPlacement)  # noqa: S101 - as its work is
            _fill(image, placement.table, fusion.work.table)
        elif isinstance(fusion.work, HostWork):
            assert isinstance(placement, HostPlacement)  # noqa: S101 - as its work is
            for name, place in zip(fusion.work.constants, placement.constants, strict=True):
                value = lowering.graph[name]
                rows = value.numbers.reshape(-1, (value.shape or (1,))[-1])
                _fill_rows(image, place, packed(rows, value.element))
    return image


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
    """Slots of a memory don't overlap, outputs of DRAM don't lie in the image unless beside an input."""
    graph = lowering.graph
    sides = [node.inputs for node in graph.nodes if isinstance(node.op, Concat)]
    sides += [fusion.sources for fusion in lowering.fusions]
    beside_an_input = {part for side in sides if not {*side}.isdisjoint(graph.inputs) for part in side}
    for fusion, placement in zip(lowering.fusions, lowering.placements, strict=True):
        if isinstance(placement, Placement):
            groups = [
                (placement.activation, placement.scales),
                (placement.weight, placement.staging),
                (placement.accumulator, placement.partial),
                (placement.output,),
            ]
        elif isinstance(placement, HostPlacement):
            groups = []
        else:
            groups = [placement.operands, (placement.results,), (placement.table_slot,)]
        for group in groups:
            _apart(group, machine)
        if placement.target.address < lowering.image.size and fusion.target not in beside_an_input:
            raise DefectError(f"{fusion.target} overlaps the image")


def _apart(group: Sequence[Slots], machine: Machine) -> None:
    """Slots of one memory don't overlap, and lie inside it."""
    srams = {
        Memory.ACTIVATION: machine.activation,
        Memory.WEIGHT: machine.weight,
        Memory.ACCUMULATOR: machine.accumulator,
        Memory.OUTPUT: machine.output,
    }
    memory = group[0].memory
    places = [(address, slots.bytes) for slots in group for address in slots.addresses]
    places += [(srams[memory].capacity_bytes, 0)]
    for (low, size), (high, _) in pairwise(sorted(places)):
        if low + size > high:
            raise DefectError(f"slot of {size} bytes at {low} of {memory.name} reaches {high}")
