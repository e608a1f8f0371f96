"""DRAM bytes that a plan moves: counted from tiles, slots and places, without forming an instruction.

The search estimates bursts, of many tilings at once. Of the one that it chose they are counted here: how often a tile
is brought follows from the loops and the slots, and its bursts from where its rows lie in DRAM. Tiles that lie alike
are counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.host_schedule import tensor
from accelsim.compiler.image import Gather, Image
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lowering import HostPlacement, Lowering, Placement, VectorPlacement
from accelsim.compiler.moves import fresh
from accelsim.compiler.reads import ImageReads
from accelsim.compiler.schedule import received_whole
from accelsim.compiler.tiles import Cuts, Place, Tiling, cuts, cuts_anew, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import Machine
from accelsim.isa import descriptors
from accelsim.isa.descriptors import Descriptor
from accelsim.memory.region import Region, words
from accelsim.memory.requests import Channel
from accelsim.units import align_up, ceil_div

Int64 = NDArray[np.int64]


class Traffic(NamedTuple):
    """Bytes of whole DRAM bursts that a fusion's transfers read and write, the host's included."""

    read: int
    write: int


class Rows(NamedTuple):
    """Rows of bytes of some tiles in DRAM; the shape of one tile, or (tiles,) each."""

    address: Int64
    stride: int
    rows: Int64
    row_bytes: Int64


@dataclass(slots=True)
class _Channel:
    """Counts bursts of what is moved, as the DMAs request them."""

    dma: Channel
    _windows: dict[tuple[Descriptor, int, int, int], int] = field(default_factory=dict)

    @property
    def burst_bytes(self) -> int:
        """Bytes of a burst."""
        return self.dma.burst_bytes

    def bursts(self, tiles: Rows, times: Int64 | int = 1) -> int:
        """Bursts of tiles that are moved so often each."""
        columns = np.broadcast_arrays(tiles.address % self.burst_bytes, tiles.rows, tiles.row_bytes, times)
        shapes, first = np.unique(np.stack(columns[:3], axis=1), axis=0, return_inverse=True)
        often = np.bincount(first.ravel(), columns[3], len(shapes)).astype(np.int64)
        each = [
            words(Region(at, tiles.stride, rows, size), self.burst_bytes) if rows and size else 0
            for at, rows, size in shapes.tolist()
        ]
        return int(often @ np.array(each, np.int64)) if each else 0

    def gathered(self, image: Image, tiles: Int64, source: Place, tile: Place) -> Int64:
        """Bursts of tiles of windows, of first row and rows, first input and inputs each; shape (tiles,)."""
        found = np.zeros(len(tiles), np.int64)
        for number, (row, rows, first, inputs) in enumerate(tiles.tolist()):
            for part in image.gathers((row, row + rows), (first, first + inputs), source, tile):
                if isinstance(part, Gather):
                    found[number] += self._of_window(part, source.address)
        return found

    def _of_window(self, part: Gather, image: int) -> int:
        at = image + part.dram
        # what of the descriptor lies on chip is no matter, but few differ in that alone
        key = (part.descriptor, part.row, part.column, at % self.burst_bytes)
        if key not in self._windows:
            requested = descriptors.requested(part.descriptor, part.row, part.column, at, self.dma)
            self._windows[key] = requested.bytes // self.burst_bytes
        return self._windows[key]


def traffic(lowering: Lowering, machine: Machine) -> list[Traffic]:
    """Bytes that each fusion moves, by its number; of a lowering with places in DRAM."""
    channel = _Channel(Channel.of(machine))
    link = _Link(lowering, machine)
    found = []
    for number, fusion in enumerate(lowering.fusions):
        placement, tiling, flow = lowering.placements[number], lowering.tilings[number], lowering.flows[number]
        receives, sends = link.receives(number), link.sends(number)
        if isinstance(placement, HostPlacement):
            assert isinstance(fusion.work, HostWork)  # noqa: S101 - as its placement is
            read, write = link.of_host(channel, fusion.work)
        elif isinstance(placement, Placement):
            assert flow and isinstance(tiling, Tiling)  # noqa: S101, PT018 - as its placement is
            read, write = _of_product(channel, flow, tiling, placement, receives=any(receives), sends=sends)
        else:
            assert isinstance(tiling, VectorTiling)  # noqa: S101 - there is nothing else
            bits = [element.bits for element in fusion.work.function.types]  # type: ignore[union-attr]
            read, write = _of_vector(channel, tiling, placement, bits, receives=receives, sends=sends)
        if number == 0:
            write += link.ahead(channel)
        found.append(Traffic(read * channel.burst_bytes, write * channel.burst_bytes))
    return found


def _of_product(
    channel: _Channel, flow: Dataflow, tiling: Tiling, placement: Placement, *, receives: bool, sends: bool
) -> tuple[int, int]:
    """Bursts that a product reads and writes."""
    read = write = 0
    if not flow.reads.held:
        times = _activation_passes(tiling)
        each, arriving = _activations(channel, flow, tiling, placement, receives=receives)
        read += times * each
        write += arriving
    read += _weights(channel, flow, tiling, placement)
    if not flow.target:
        rows, tiles = tiling.parts_m, cuts(tiling.n, tiling.tile_n)
        stores = channel.bursts(_matrix(placement.target, *_grid(rows, tiles), flow.result.bits))
        write += stores
        read += stores if sends else 0
    return read, write


def _activation_passes(tiling: Tiling) -> int:
    """How often each activation tile is brought: once if all that take turns have slots, else by each column tile."""
    parts = 1 if tiling.resident else tiling.tiles_k
    distinct = parts if tiling.rows_outer else parts * tiling.tiles_m
    return 1 if distinct <= tiling.activations else tiling.tiles_n


def _activations(
    channel: _Channel, flow: Dataflow, tiling: Tiling, placement: Placement, *, receives: bool
) -> tuple[int, int]:
    """Bursts of all activation tiles, once each, and of what of them comes over the host's link."""
    rows, source, image = tiling.parts_m, placement.source, flow.product.image
    parts = Cuts(np.zeros(1, np.int64), np.array([tiling.k])) if tiling.resident else tiling.parts_k
    tiles = _grid(rows, parts)
    if image is None:
        bursts = channel.bursts(_matrix(source, *tiles, flow.machine.operand.bits))
        return bursts, bursts if receives else 0
    of, low, count = image, *tiles[0]
    first, inputs = tiles[1]
    if isinstance(flow.reads, ImageReads):
        of, (low, count) = flow.reads.padded, flow.reads.pixels(low, count)
        first, inputs = np.zeros_like(low), np.full_like(low, image.channels)
    layout = flow.reads.layout(tiling.tile_m, tiling.features)
    bursts = int(channel.gathered(of, np.stack([low, count, first, inputs], axis=1), source, layout).sum())
    return bursts, _pixels_received(channel, image, image.pixels(rows), source) if receives else 0


def _weights(channel: _Channel, flow: Dataflow, tiling: Tiling, placement: Placement) -> int:
    """Bursts of weight tiles and their constants, as often as they are brought."""
    tiles, table, machine = placement.weight_tiles, tiling.weight_tile_table, flow.machine
    of_batch = len(tiles.address)
    number = np.arange(len(table.tile)) % of_batch
    dram, last = tiles.address[number], table.last
    times = _weight_passes(tiling, table.tile[:of_batch])[number]
    constants = np.where(last, machine.constant_bytes * table.n_size, 0)
    if flow.encoder is None and flow.product.factor is None:
        behind = align_up(flow.all_weights_bytes(table), machine.weight.width_bytes)
        return channel.bursts(_runs(dram, np.where(last, behind + constants, flow.all_weights_bytes(table))), times)
    bursts = channel.bursts(_runs(dram, tiles.weights[number]), times)
    bursts += channel.bursts(_runs(dram + tiles.constants[number], constants), times)
    if placement.factor:
        rows, row_bytes = flow.factor_rows(table.k_size, table.n_size)
        row, column = oriented(table.k_low, table.n_low, feature_major=flow.reads_outputs)
        row = row + table.batch * (tiling.n if flow.reads_outputs else tiling.k)
        place = placement.factor
        bursts += channel.bursts(Rows(place.at(row, column), place.pitch, rows, row_bytes), times)
    return bursts


def _weight_passes(tiling: Tiling, column_tile: Int64) -> Int64:
    """How often each weight tile of a batch is brought: once if all that take turns have slots, else by each row tile.

    Those of all column tiles take turns if rows are the outer loop, else those of one.
    """
    together = np.bincount(column_tile)[column_tile]
    distinct = np.full_like(together, len(column_tile)) if tiling.rows_outer else together
    return np.where(distinct <= tiling.weights, 1, tiling.tiles_m)


def _of_vector(
    channel: _Channel,
    tiling: VectorTiling,
    placement: VectorPlacement,
    bits: Sequence[int],
    *,
    receives: Sequence[bool],
    sends: bool,
) -> tuple[int, int]:
    """Bursts that a vector fusion reads and writes; `bits` of an element of each operand, and last of results."""
    read = write = 0
    rows = tiling.rows
    of_value = Cuts(rows.low * tiling.width, rows.size * tiling.width)
    for number, (place, held) in enumerate(zip(placement.sources, placement.held, strict=True)):
        if held:
            continue
        if tiling.padded is None:
            bursts = channel.bursts(_lines(place, of_value, tiling, bits[number]))
            write += bursts if receives[number] else 0
        else:
            bursts = int(channel.gathered(tiling.padded, _boxes_read(tiling), place, tiling.source).sum())
            if receives[number]:
                write += _pixels_received(channel, tiling.padded, _boxes_needed(tiling), place)
        read += bursts
    if placement.table_slot.addresses:
        read += channel.bursts(_runs(np.array([placement.table]), np.array([placement.table_slot.bytes])))
    if placement.formed is None:
        stores = channel.bursts(_lines(placement.target, of_value, tiling, tiling.result_bits))
        write += stores
        read += stores if sends else 0
    return read, write


def _lines(place: Place, rows: Cuts, tiling: VectorTiling, bits: int) -> Rows:
    """Tiles of rows of a value, of which some may be one row of the tiling."""
    features = np.full_like(rows.low, tiling.channels)
    lines, elements = oriented(rows.size // tiling.width, features, feature_major=tiling.feature_major)
    first = place.at(rows.low, np.zeros_like(rows.low))
    return Rows(first, place.pitch * tiling.width, lines, ceil_div(elements * bits, 8))


def _boxes_read(tiling: VectorTiling) -> Int64:
    """First padded pixel of the batch that each tile of windows reads, how many, and all their channels."""
    image, padded = tiling.image, tiling.padded
    assert image and padded  # noqa: S101, PT018 - windows are of images
    (samples, images), (lines, height), (padded_height, width) = *tiling.boxes, padded.output
    whole, down = height == image.output[0], image.window.stride[0]
    first = (samples * padded_height + np.where(whole, 0, lines * down)) * width
    read = np.where(whole, images * padded_height, (height - 1) * down + image.window.reach[0])
    none = np.zeros_like(first)
    return np.stack([first, read * width, none, none + padded.channels], axis=1)


def _boxes_needed(tiling: VectorTiling) -> Cuts:
    """Pixels of the batch that each tile needs: of whole images all of them, those in no window too."""
    image = tiling.image
    assert image  # noqa: S101 - windows are of images
    pixels, size = image.pixels(tiling.rows), image.height * image.width
    (samples, images), (_, height) = tiling.boxes
    whole = height == image.output[0]
    return Cuts(np.where(whole, samples * size, pixels.low), np.where(whole, images * size, pixels.size))


def _pixels_received(channel: _Channel, image: Image, needed: Cuts, source: Place) -> int:
    """Bursts of what of some pixels comes over the host's link, those that come for a tile before left out."""
    pixels = fresh(needed)
    some = pixels.size > 0
    none = np.zeros_like(pixels.low[some])
    rows = Cuts(pixels.low[some], pixels.size[some])
    return channel.bursts(_matrix(source, rows, Cuts(none, none + image.channels), source.bits))


def _grid(rows: Cuts, columns: Cuts) -> tuple[Cuts, Cuts]:
    """All pairs of parts of both."""
    m, n = len(rows.low), len(columns.low)
    return Cuts(*(np.repeat(x, n) for x in rows)), Cuts(*(np.tile(x, m) for x in columns))


def _matrix(place: Place, samples: Cuts, features: Cuts, bits: int) -> Rows:
    """Tiles of samples by features of a matrix."""
    rows, elements = oriented(samples.size, features.size, feature_major=place.feature_major)
    return Rows(place.at(samples.low, features.low), place.pitch, rows, ceil_div(elements * bits, 8))


def _runs(address: Int64, size: Int64) -> Rows:
    """Runs of bytes, some of which may be none."""
    return Rows(address, 0, np.ones_like(size), size)


class _Link:
    """What the host has, is sent and sends, fusion by fusion; nothing without a link, but for what it computes."""

    def __init__(self, lowering: Lowering, machine: Machine) -> None:
        self._lowering = lowering
        self._inputs = {*lowering.graph.inputs} if machine.host.io_bandwidth_bytes_per_s is not None else set[str]()
        self._linked = machine.host.io_bandwidth_bytes_per_s is not None
        self._whole = received_whole(lowering) if self._linked else set[str]()
        self._arrived = {*self._whole}
        self._known = {*self._inputs}

    def ahead(self, channel: _Channel) -> int:
        """Bursts of inputs that are received before anything else."""
        bursts = 0
        for name in self._whole:
            value, place = self._lowering.graph[name], self._lowering.places[name]
            rows = cuts_anew(value.samples, value.samples, place.period)
            none = np.zeros_like(rows.low)
            bursts += channel.bursts(_matrix(place, rows, Cuts(none, none + value.features), place.bits))
        return bursts

    def receives(self, number: int) -> list[bool]:
        """Whether each value that a fusion reads comes with its tiles; to be asked once, in order."""
        fusion = self._lowering.fusions[number]
        received = [name in self._inputs and name not in self._arrived for name in fusion.sources]
        if not isinstance(fusion.work, HostWork):
            self._arrived |= {*fusion.sources}
        return received

    def sends(self, number: int) -> bool:
        """Whether a fusion's results go to the host as they are stored."""
        lowering, target = self._lowering, self._lowering.fusions[number].target
        return self._linked and not {target, lowering.stored_as(target)}.isdisjoint(lowering.graph.outputs)

    def of_host(self, channel: _Channel, work: HostWork) -> tuple[int, int]:
        """Bursts of what the host lacks of what it reads, and of its result."""
        lowering, graph, places = self._lowering, self._lowering.graph, self._lowering.places
        parts = (part for name in work.sources for part in lowering.parts_of(name))
        sent = [name for name in dict.fromkeys(map(lowering.stored_as, parts)) if name not in self._known]
        self._known |= {*sent, lowering.stored_as(work.target)}
        read = sum(words(tensor(graph[name], places[name]).region, channel.burst_bytes) for name in sent)
        return read, words(tensor(graph[work.target], places[work.target]).region, channel.burst_bytes)
