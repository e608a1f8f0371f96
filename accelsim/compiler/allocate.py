"""Pass 5: places for tiles in the scratchpads, and for everything in DRAM."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Bytes, Dataflow
from accelsim.compiler.held import Held
from accelsim.compiler.layout import tensors_of
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import HostPlacement, Lowering, Placement, StoredTiles, VectorPlacement, kept_in
from accelsim.compiler.product import Product
from accelsim.compiler.rooms import Room, Rooms
from accelsim.compiler.slots import Slots, deal, parted
from accelsim.compiler.tiles import Place, Tiling, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.compiler.view import View
from accelsim.config.arch import Machine
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.graph.element import Element
from accelsim.graph.ops.concat import Concat
from accelsim.graph.value import Value
from accelsim.isa.accesses import capacity_bytes, held_in
from accelsim.isa.computations import packed
from accelsim.isa.opcodes import Memory
from accelsim.kernels import blocks
from accelsim.memory.region import Region, view
from accelsim.units import align_up, ceil_div

Int64 = NDArray[np.int64]


def allocate(lowering: Lowering, machine: Machine) -> Lowering:
    """Lay out DRAM (inputs and states, each fusion's constants, then what is formed) and spread slots over the banks.

    Inputs, what states hold and constants form the image. What is written to a state has a buffer of its own, because
    others may still read what it held; from step to step the two take turns. Every region begins at a burst. Values
    that are read side by side share a region.
    """
    burst = machine.dram.burst_bytes
    graph = lowering.graph
    layout = _Layout(lowering, machine)
    for name in (*graph.entering, *lowering.read_constants):
        layout.place(name)
    stored = [
        _stored(flow, tiling) if flow and isinstance(tiling, Tiling) else None
        for flow, tiling in zip(lowering.flows, lowering.tilings, strict=True)
    ]
    constants = [*_constants(lowering, stored)]
    addresses = _addresses(lowering, layout, constants)
    image_bytes = layout.end
    placements: list[Placement | VectorPlacement | HostPlacement] = []
    fusions = zip(lowering.fusions, lowering.flows, lowering.tilings, lowering.rooms, addresses, stored, strict=True)
    for fusion, flow, tiling, rooms, at, weights in fusions:
        layout.place(fusion.target)
        tensors = tensors_of(fusion, lowering.views)
        sources, target = tuple(map(layout.at, tensors.sources)), layout.at(tensors.target)
        if flow and isinstance(tiling, Tiling) and weights:
            factor = None if tensors.factor is None else layout.factor(tensors.factor, flow)
            placements.append(_product_placement(flow, tiling, weights.at(at), sources[0], target, factor))
        elif isinstance(tiling, VectorTiling):
            assert rooms  # noqa: S101 - as it has a tiling
            held = tuple(lowering.held(name) for name in fusion.sources), lowering.held(fusion.target)
            placements.append(_vector_placement(fusion.work, tiling, at, (sources, target), held, rooms))
        elif isinstance(fusion.work, HostWork):
            host = zip((graph[name] for name in fusion.work.constants), at.tolist(), strict=True)
            known = tuple(_constant_place(value, address) for value, address in host)
            placements.append(HostPlacement(sources, known, target))
    for fusion in lowering.fusions:  # what is joined, or turned, is read by name in the end
        root = lowering.views[fusion.target].root
        if root in graph.values and root not in lowering.stays:
            layout.place(root)
    top = align_up(layout.end, burst)
    if top > machine.dram.capacity_bytes:
        raise DoesNotFitError(
            f"network {graph.name}: the DRAM of {machine.name} must hold {top} bytes, "
            f"but has {machine.dram.capacity_bytes}"
        )
    placed = dataclasses.replace(
        lowering,
        places=layout.places,
        placements=tuple(placements),
        image_bytes=image_bytes,
        compulsory_bytes=_constant_bytes(lowering, constants) + _others_bytes(lowering),
        dram_bytes=top,
    )
    return dataclasses.replace(placed, image=draw_image(placed, machine)) if lowering.has_numbers else placed


def _addresses(lowering: Lowering, layout: _Layout, constants: Sequence[Int64]) -> list[Int64]:
    """Addresses of each fusion's constants; strips of the same nodes that are cut alike read the same ones."""
    if not lowering.strips:
        return [layout.put(sizes) for sizes in constants]
    there: dict[Hashable, Int64] = {}
    keys: list[Hashable] = []
    for constants_of, tiling in zip(lowering.constants_of, lowering.tilings, strict=True):
        cut = (tiling.columns, tiling.tile_k, tiling.tile_n, tiling.resident) if isinstance(tiling, Tiling) else ()
        keys.append((constants_of, cut))
    for key, sizes in zip(keys, constants, strict=True):
        if key not in there:
            there[key] = layout.put(sizes)
    return [there[key] for key in keys]


def _constant_bytes(lowering: Lowering, constants: Sequence[Int64]) -> int:
    """Bytes of all constants, those that several strips read once: what is copied for the next strip has none."""
    each: dict[tuple[int, int], int] = {}
    for key, sizes in zip(lowering.constants_of, constants, strict=True):
        each.setdefault(key, int(sizes.sum()))
    return sum(each.values())


def _others_bytes(lowering: Lowering) -> int:
    """Bytes of inputs, of constants that are read as activations are, of outputs and of states, once each."""
    graph = lowering.graph
    return sum(graph[name].bytes for name in {*graph.inputs, *lowering.read_constants, *graph.leaving})


class _Stored(NamedTuple):
    """Weight tiles of a batch as they stand in DRAM: as `StoredTiles`, and all bytes of each."""

    weights: Int64
    constants: Int64
    bytes: Int64

    def at(self, address: Int64) -> StoredTiles:
        """The same tiles, where they stand."""
        return StoredTiles(address, self.weights, self.constants)


def _constants(lowering: Lowering, stored: Sequence[_Stored | None]) -> Iterator[Int64]:
    """Bytes of what each fusion's constants stand as, one by one."""
    for fusion, weights in zip(lowering.fusions, stored, strict=True):
        if weights:
            yield weights.bytes
        elif isinstance(fusion.work, HostWork):
            constants = (lowering.graph[name] for name in fusion.work.constants)
            yield np.array([value.samples * _constant_place(value, 0).pitch for value in constants], np.int64)
        else:
            entries = fusion.work.table if isinstance(fusion.work, VectorWork) else None
            yield np.array([] if entries is None else [len(entries)], np.int64)


def _constant_place(value: Value, address: int) -> Place:
    """A constant of the host, row by row."""
    bits = value.element.memory_bits
    return Place(address, ceil_div((value.shape or (1,))[-1] * bits, 8), feature_major=False, bits=bits)


class _Layout:
    """Places in DRAM, one behind the other as they come.

    Attributes
    ----------
    places
        Of the values so far.
    end
        First byte behind them.
    """

    def __init__(self, lowering: Lowering, machine: Machine) -> None:
        self.lowering = lowering
        self.machine = machine
        self.places: dict[str, Place] = {}
        self.end = 0
        self._storages: dict[str, int] = {}

    def put(self, sizes: Int64) -> Int64:
        """Addresses of constants of these sizes, each at a burst."""
        burst = self.machine.dram.burst_bytes
        ends = align_up(self.end, burst) + np.cumsum(align_up(sizes, burst))
        addresses = ends - align_up(sizes, burst)
        if len(sizes):
            self.end = int(addresses[-1] + sizes[-1])
        return addresses

    def place(self, name: str) -> Place:
        """Place of a value, as samples by features; the first one in a storage makes room for all of it."""
        if name not in self.places:
            self.places[name] = self.at(self.lowering.views[name])
        return self.places[name]

    def at(self, view: View) -> Place:
        """Place of a tensor, as samples by features; on chip of what stays there."""
        held = kept_in(self.lowering.stays, view)
        if held:
            return held.place
        return self._in_storage(view.root, view.matrix(feature_major=self.machine.feature_major))

    def factor(self, view: View, flow: Dataflow) -> Place:
        """Place of a right factor: rows as the dataflow wants them, if it can have them."""
        return self._in_storage(view.root, view.rows(last=flow.reads_outputs))

    def _in_storage(self, root: str, place: Place | None) -> Place:
        """A place behind the first byte of its storage."""
        assert place  # noqa: S101 - the pass before has seen to it
        return place._replace(address=place.address + self._address(root))

    def _address(self, root: str) -> int:
        """First byte of a storage."""
        if root not in self._storages:
            self._storages[root] = align_up(self.end, self.machine.dram.burst_bytes)
            self.end = self._storages[root] + _bytes(self.lowering.storages[root], self.machine)
        return self._storages[root]


def _bytes(storage: View, machine: Machine) -> int:
    """Bytes of a dense tensor."""
    place = storage.matrix(feature_major=machine.feature_major)
    assert place  # noqa: S101 - as it is dense
    *leading, features = storage.shape
    rows, _ = oriented(math.prod(leading), features, feature_major=machine.feature_major)
    return rows * place.pitch


def _product_placement(
    flow: Dataflow,
    tiling: Tiling,
    weight_tiles: StoredTiles,
    source: Place,
    target: Place,
    factor: Place | None,
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
        output=deal(flow.rooms.output, tiling.outputs, flow.footprint(tiling).output),
        weight_tiles=weight_tiles,
        source=source,
        target=target,
        factor=factor,
    )


def _vector_placement(
    work: Product | VectorWork | HostWork,
    tiling: VectorTiling,
    table: Int64,
    in_dram: tuple[tuple[Place, ...], Place],
    on_chip: tuple[tuple[Held | None, ...], Held | None],
    rooms: Rooms,
) -> VectorPlacement:
    assert isinstance(work, VectorWork)  # noqa: S101 - as its tiling is
    (sources, target), (held, formed) = in_dram, on_chip
    slots = deal(rooms.activation, tiling.slots * tiling.operands, tiling.source_bytes)
    operands = tuple(
        Slots(Memory.ACTIVATION, slots.addresses[number * tiling.slots : (number + 1) * tiling.slots], slots.bytes)
        for number in range(tiling.operands)
    )
    results = deal(rooms.output, tiling.slots, tiling.result_bytes)
    entries = 0 if work.table is None else len(work.table)
    table_slot = Slots(Memory.WEIGHT, (rooms.weight.base,) if entries else (), entries)
    first = int(table[0]) if len(table) else 0
    return VectorPlacement(sources, target, operands, held, results, formed, first, table_slot)


def draw_image(lowering: Lowering, machine: Machine) -> NDArray[np.uint8]:
    """Bytes of inputs, states and constants at their places; uint8, shape (image_bytes,), zeros between them."""
    image = np.zeros(lowering.image_bytes, np.uint8)
    given = [*zip(lowering.graph.entering, lowering.inputs, strict=True)]
    for name, x in [*given, *((name, lowering.graph[name].numbers) for name in lowering.read_constants)]:
        rows = x.reshape(-1, x.shape[-1])
        _fill_samples(image, lowering.places[name], rows, lowering.graph[name].element, machine)
    fusions = zip(lowering.fusions, lowering.flows, lowering.tilings, lowering.placements, strict=True)
    for fusion, flow, tiling, placement in fusions:
        if flow and isinstance(tiling, Tiling) and isinstance(placement, Placement):
            _fill_weight_tiles(image, flow, tiling, placement.weight_tiles)
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
    image[address : address + content.size].reshape(content.shape)[:] = content


def _fill_samples(image: Bytes, place: Place, x: NDArray[np.generic], element: Element, machine: Machine) -> None:
    """Put numbers, shape (samples, features), where they lie as the host leaves them in DRAM."""
    step = place.period or len(x)
    for low in range(0, len(x), step):
        part = x[low : low + step]
        rows = packed(part.T if machine.feature_major else part, element)
        _fill_rows(image, place._replace(address=place.at(low, 0)), rows)


def _fill_rows(image: Bytes, place: Place, rows: Bytes) -> None:
    """Put rows of bytes, shape (rows, row_bytes), where a matrix lies."""
    view(image, Region(place.address, place.pitch, *rows.shape))[:] = rows


def weight_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for weight tiles in the weight scratchpad, and places for those that are still encoded."""
    room, staged, size = flow.rooms.weight, flow.staged(tiling.tile_k).bytes, flow.footprint(tiling).weight
    front, back = parted(room, tiling.weights, size, tiling.staging, staged)
    slots = deal(front, tiling.weights, size)
    if tiling.staging:
        return slots, deal(back, tiling.staging, staged)
    place = flow.weight_tile_place(tiling.tile_k)
    behind = tuple(address + place for address in slots.addresses) if staged else ()
    return Slots(Memory.WEIGHT, slots.addresses, place), Slots(Memory.WEIGHT, behind, staged)


def activation_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for activation tiles, and as many places for the scales of their rows."""
    beside = flow.scales_bytes(tiling.tile_m, tiling.features)
    size = flow.footprint(tiling).activation - beside
    front, back = parted(flow.rooms.activation, tiling.activations, size, tiling.activations, int(beside))
    slots = deal(front, tiling.activations, size)
    return slots, deal(back, tiling.activations, int(beside)) if beside else Slots(Memory.ACTIVATION, (), 0)


def accumulator_slots(flow: Dataflow, tiling: Tiling) -> tuple[Slots, Slots]:
    """Slots for blocks of sums, and places for those of integers that are still to be scaled."""
    size, count = flow.footprint(tiling).accumulator, flow.partial_sums
    room = Room(Memory.ACCUMULATOR, 0, flow.machine.accumulator)
    front, back = parted(room, tiling.sums, size, count, size)
    slots = deal(front, tiling.sums, size)
    return slots, deal(back, count, size) if count else Slots(Memory.ACCUMULATOR, (), size)


def _fill_weight_tiles(image: Bytes, flow: Dataflow, tiling: Tiling, stored: StoredTiles) -> None:
    """Put weight tiles where they stand in DRAM; unless they are encoded, so they do in the scratchpad.

    The weights as the dataflow wants them, or those encoded; then, for the last tile of a column block and at a whole
    word, n bias as wide as sums, n multipliers int32 and n shifts int8, little-endian; of floats n bias float32 alone.
    Behind encoded weights they begin at a burst, because the two are loaded apart; before those of a factor that is
    formed at run time stands nothing, or what the dataflow wants beside it.
    """
    table, rows = tiling.weight_tiles_of_batch, flow.in_rows()
    sides = (table.k_low, table.k_size, table.n_low, table.n_size)
    if rows is not None:
        if not np.array_equal(table.k_size * table.n_size, stored.weights):
            raise DefectError(f"weights of {flow.product.name} must take {stored.weights} bytes in rows")
        blocks.put(rows.reshape(-1), rows.shape[1], *sides, image, stored.address)
    else:
        places = zip(stored.address.tolist(), stored.weights.tolist(), strict=True)
        for weight_tile, (address, size) in zip(tiling.weight_tiles(), places, strict=True):
            weights = flow.stored(weight_tile)
            if weights.size != size:
                raise DefectError(f"weights of {weight_tile} must take {size} bytes, not {weights.size}")
            _fill(image, address, weights)
    last = np.flatnonzero(table.last)
    ends = (table.n_low, table.n_low + table.n_size, stored.address + stored.constants)
    for low, high, address in zip(*(column[last].tolist() for column in ends), strict=True):
        _fill(image, address, _constants_of(flow, slice(low, high)))


def _constants_of(flow: Dataflow, columns: slice) -> Bytes:
    """Constants of some outputs as they stand in DRAM."""
    results = flow.product.results
    constants: list[NDArray[np.generic]] = [results.bias[columns].astype(results.bias.dtype.newbyteorder("<"))]
    if results.multiplier is not None and results.shift is not None:
        constants += [results.multiplier[columns].astype("<i4"), results.shift[columns].astype(np.int8)]
    return np.frombuffer(b"".join(block.tobytes() for block in constants), np.uint8)


def _stored(flow: Dataflow, tiling: Tiling) -> _Stored:
    """How a product's weight tiles stand in DRAM: behind encoded weights, and factors', constants begin at a burst."""
    table = tiling.weight_tiles_of_batch
    if flow.encoder is None and flow.product.factor is None:
        weights, aligned = flow.all_weights_bytes(table), flow.machine.weight.width_bytes
    else:
        each = [flow.stored_weights_bytes(weight_tile) for weight_tile in tiling.weight_tiles()]
        weights, aligned = np.array(each, np.int64), flow.machine.dram.burst_bytes
    constants = align_up(weights, aligned)
    every = np.where(table.last, constants + flow.machine.constant_bytes * table.n_size, weights)
    return _Stored(weights, constants, every)


def check(lowering: Lowering, machine: Machine) -> None:
    """Slots of a memory don't overlap, outputs of DRAM don't lie in the image unless beside what stands there."""
    graph = lowering.graph
    sides = [node.inputs for node in graph.nodes if isinstance(node.op, Concat)]
    sides += [fusion.beside for fusion in lowering.fusions]
    given = {*graph.entering, *lowering.read_constants}
    beside_given = {part for side in sides if not given.isdisjoint(side) for part in side}
    for fusion, placement in zip(lowering.fusions, lowering.placements, strict=True):
        _apart(placement.slots, machine)
        stays = lowering.held(fusion.target)
        if placement.target.address < lowering.image.size and fusion.target not in beside_given and not stays:
            raise DefectError(f"{fusion.target} overlaps the image")


def _apart(slots: Sequence[Slots], machine: Machine) -> None:
    """Slots of one memory don't overlap, and lie inside it."""
    places: dict[Memory, list[tuple[int, int]]] = {}
    for some in slots:
        if some.bytes:
            places.setdefault(held_in(machine, some.memory), []).extend((at, some.bytes) for at in some.addresses)
    for memory, taken in places.items():
        for (low, size), (high, _) in pairwise(sorted([*taken, (capacity_bytes(machine, memory), 0)])):
            if low + size > high:
                raise DefectError(f"slot of {size} bytes at {low} of {memory.name} reaches {high}")
