"""How each fusion is cut into tiles that fit the scratchpads, two at a time where they do; see `tiles`."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from accelsim.compiler import vector_tiles
from accelsim.compiler.candidates import Bools, Candidates, Float64, Int64, share
from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.held import Held
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.ports import Banks
from accelsim.compiler.product import Product
from accelsim.compiler.reads import ImageReads
from accelsim.compiler.rooms import Rooms, options
from accelsim.compiler.tiles import Footprint, Tiling, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import BankedDram, Machine, Sram
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.isa.opcodes import Memory
from accelsim.kernels import tilings
from accelsim.kernels.tilings import Counts, Estimates, Moved, Tilings
from accelsim.units import ceil_div

#: Time that fewer DRAM bursts may cost, as a factor, if time is to be least.
SLACK = 1.05


class OnChip(NamedTuple):
    """What of a fusion's values stays on chip, and what is left there.

    Parameters
    ----------
    sources, target
        Where each of what it reads, and what it forms, stays; None for what lies in DRAM.
    high
        First byte that others hold; None if nobody does.
    """

    sources: tuple[Held | None, ...]
    target: Held | None = None
    high: int | None = None

    @property
    def layout(self) -> Hashable:
        """What of it decides how the fusion is cut."""
        return (*self.sources, self.target, self.high)

    @property
    def idle(self) -> tuple[str, ...]:
        """Rooms that no tiles need."""
        unused = {"activation": all(self.sources), "output": self.target is not None}
        return tuple(name for name, idle in unused.items() if idle)


class Cut(NamedTuple):
    """How a fusion is cut, and what that is estimated to take: core cycles, and DRAM bursts."""

    flow: Dataflow | None
    rooms: Rooms | None
    tiling: Tiling | VectorTiling | None
    cycles: float = 0.0
    bursts: float = 0.0


def weight_bytes(cut: Cut) -> int:
    """Bytes of a fusion's constant factor in DRAM, with the zeros of tiles that hold filters of several groups."""
    if cut.flow is None or not isinstance(cut.tiling, Tiling):
        return 0
    product = cut.flow.product
    numbers = product.weights_count
    if product.channel_groups:
        found = share(product.channel_groups, product.k, product.n, cut.tiling.tile_k, cut.flow.columns)
        numbers = int(product.k * product.n * found)
    return numbers * product.weight.element.memory_bits // 8


class Cutter:
    """Cuts fusions, each in its datapath's dataflow, once for all that are alike; see `choose`.

    Parameters
    ----------
    former
        One for other fusions of the machine, which has cut some that may be alike.
    """

    def __init__(self, lowering: Lowering, machine: Machine, former: Cutter | None = None) -> None:
        self.lowering = lowering
        self.former = former
        self.slack = SLACK if lowering.least == "time" else math.inf
        self.machine = machine
        self._flows = [
            dataflow(fusion.work, machine) if isinstance(fusion.work, Product) else None for fusion in lowering.fusions
        ]
        self._cuts: dict[Hashable, Cut] = former._cuts if former else {}
        # weights live as long as what is told apart by them
        self._known: list[list[Dataflow | None]] = former._known if former else []
        self._known.append(self._flows)

    def cut(self, number: int, on_chip: OnChip) -> Cut:
        """Choose how a fusion is cut; the flow is that of one that is like it, see `finished`.

        Raises
        ------
        DoesNotFitError
            If not even its smallest tiles fit, or what stays on chip can't be read from there.
        """
        fusion, flow = self.lowering.fusions[number], self._flows[number]
        if isinstance(fusion.work, HostWork):
            return Cut(None, None, None)
        if flow is None:
            assert isinstance(fusion.work, VectorWork)  # noqa: S101 - there is nothing else
            return self._of_vector(fusion, fusion.work, on_chip)
        key = flow.likeness, on_chip.layout
        if key not in self._cuts:
            self._cuts[key] = _of_product(flow, on_chip, self.machine, self.slack)
        return self._cuts[key]

    def finished(self, number: int, cut: Cut, on_chip: OnChip) -> Cut:
        """A cut of a fusion, with its own flow: plans are many, and few are carried out."""
        flow = self._flows[number]
        if flow is None:
            return cut
        assert cut.flow  # noqa: S101 - as of every product
        return cut._replace(flow=flow.cut_as(cut.flow, on_chip.sources[0], on_chip.target))

    def _of_vector(self, fusion: Fusion, work: VectorWork, on_chip: OnChip) -> Cut:
        value = self.lowering.graph[fusion.target]
        constants = 0 if work.table is None else len(work.table)
        of_work = work.function.types, type(work.function), work.image, work.period, constants
        key = (*of_work, value.shape, on_chip.layout)
        if key not in self._cuts:
            rooms = options(
                self.machine, on_chip.high, (*on_chip.idle, *(() if work.table is not None else ("weight",)))
            )
            found = vector_tiles.choose(work, fusion.name, value, on_chip.sources, on_chip.target, self.machine, rooms)
            self._cuts[key] = Cut(None, *found)
        return self._cuts[key]


def _of_product(flow: Dataflow, on_chip: OnChip, machine: Machine, slack: float) -> Cut:
    """Choose a product's tiling; tiles of zeros are multiplied too where the inputs of a row don't fit together."""
    try:
        return choose(*_ways(flow, on_chip, machine), slack=slack)
    except DoesNotFitError:
        if flow.product.channel_groups is None:
            raise
    whole_product = copy.copy(flow)
    whole_product.product = dataclasses.replace(flow.product, channel_groups=None)
    return choose(*_ways(whole_product, on_chip, machine), slack=slack)


def _ways(flow: Dataflow, on_chip: OnChip, machine: Machine) -> list[list[Dataflow]]:
    """Ways to read a product's activations, each in all rooms that its tiles can have."""
    source = on_chip.sources[0]
    ways = [flow] if source else [way for way in (flow, flow.streaming()) if way]
    held = [way.holding(source, on_chip.target) for way in ways]
    if not any(held):
        raise DoesNotFitError(f"layer {flow.product.name}: rows can't stream from images as they lie on chip")
    rooms = options(machine, on_chip.high, on_chip.idle)
    return [[way.within(room) for room in rooms] for way in held if way]


def choose(*ways: Sequence[Dataflow], slack: float = SLACK) -> Cut:
    """Find the tiling that moves the fewest DRAM bursts among those that take hardly more than the least time.

    Parameters
    ----------
    ways
        Ways to read the same product's activations, each in all rooms for its tiles.
    slack
        Time that fewer bursts may cost, as a factor.

    Raises
    ------
    DoesNotFitError
        If not even a tile of one row, one fold and one block fits.
    """
    listed = (Candidates.of(way, (0, tilings.PREFETCH, 2, 1) if way[0].encoder else (0,)) for way in ways)
    tried = [candidates for candidates in listed if len(candidates)]
    counts = [estimate(candidates) for candidates in tried]
    if not any(count.activations.any() for count, _ in counts):
        _explain([flow for way in ways for flow in way])
    estimates = [of_way for _, of_way in counts]
    least = min(float(of_way.cycles.min(initial=math.inf)) for of_way in estimates)
    best: tuple[tuple[float, ...], int, int] | None = None
    for number, (candidates, (cycles, bursts, *_)) in enumerate(zip(tried, estimates, strict=True)):
        near = np.flatnonzero((cycles <= least * slack) & (cycles < math.inf))
        if not len(near):
            continue
        # the least by the last key; candidates that are equal in all keep their order
        keys = (~candidates.rows_outer, -candidates.tile_k, -candidates.tile_m, cycles, candidates.staging > 0, bursts)
        first = int(near[np.lexsort([key[near] for key in keys])[0]])
        rank = tuple(float(key[first]) for key in reversed(keys))
        if best is None or rank < best[0]:
            best = (rank, number, first)
    assert best  # noqa: S101 - the least is near itself
    _, number, first = best
    candidates, found = tried[number], estimates[number]
    flow, tiling = candidates.flows[candidates.room[first]], candidates.tiling(first, counts[number][0])
    return Cut(flow, flow.rooms, tiling, float(found.cycles[first]), float(found.bursts[first]))


def with_slots(tiling: Tiling, flow: Dataflow) -> Tiling | None:
    """Give one tiling those slots; None if it does not fit."""
    alone = Candidates.of_one(flow, tiling)
    counts, _ = estimate(alone)
    return alone.tiling(0, counts) if counts.activations[0] else None


def _layer(flow: Dataflow) -> tilings.Layer:
    """A product, and what of the machine is the same in all rooms."""
    product, machine, major = flow.product, flow.machine, flow.machine.feature_major
    return tilings.Layer(
        outputs=product.n,
        columns=flow.columns,
        batches=product.batches,
        accumulator_bytes=machine.accumulator.capacity_bytes,
        partial_sums=flow.partial_sums,
        activation_word=_word(machine.activation),
        weight_word=_word(machine.weight),
        output_word=_word(machine.output),
        feature_major=major,
        result_bits=flow.result.bits,
        pitch=flow.result.row_bytes(oriented(product.m, product.n, feature_major=major)[1]),
        burst_bytes=machine.dram.burst_bytes,
        burst_cycles=machine.dram.burst_period_fs / machine.clock_period_fs,
        latency=machine.cycles(machine.dram.latency_fs),
        expands=flow.encoder is not None or flow.transposes,
        reads_held=flow.reads.held is not None,
        forms_held=flow.target is not None,
        passed=product.m * product.n / machine.vector.lanes,
    )


def _word(sram: Sram) -> int:
    """Bytes that a port moves in a cycle; 0 if it is without limit."""
    return 0 if sram.ideal else sram.width_bytes


def _rooms(flows: Sequence[Dataflow]) -> tilings.Rooms:
    """The rooms of flows that differ in nothing else."""
    srams = [(flow.machine.activation, flow.machine.weight, flow.machine.output) for flow in flows]
    activation, weight, output = zip(*srams, strict=True)
    places = [
        (flow.reads.held or flow.rooms.activation, flow.rooms.weight, flow.target or flow.rooms.output)
        for flow in flows
    ]
    held = [[Banks.of(flow.whole, place) for place in three] for flow, three in zip(flows, places, strict=True)]
    holders = [_holders(three) for three in held]
    most = max(map(len, holders))
    return tilings.Rooms(
        activation_bytes=np.array([sram.capacity_bytes for sram in activation], np.int64),
        weight_bytes=np.array([sram.capacity_bytes for sram in weight], np.int64),
        output_bytes=np.array([sram.capacity_bytes for sram in output], np.int64),
        activation_ranges=np.array([sram.ranges for sram in activation], np.int64),
        weight_ranges=np.array([sram.ranges for sram in weight], np.int64),
        activation_banks=np.array([sram.banks for sram in activation], np.int64),
        holders=np.array([of + [0] * (most - len(of)) for of in holders], np.int64).reshape(len(flows), most),
        shares=np.array([[len(of.banks) for of in three] for three in held], np.int64),
        ports=np.array([of.ports for of in held[0]], np.int64),
    )


def _holders(held: Sequence[Banks]) -> list[int]:
    """What holds each bank that is held at all, of what is read, weights and what is formed; see `tilings.Rooms`."""
    holders: dict[tuple[Memory, int], int] = {}
    for bit, (memory, banks, _) in zip((tilings.READ, tilings.WEIGHTS, tilings.FORMED), held, strict=True):
        for bank in banks:
            holders[memory, bank] = holders.get((memory, bank), 0) | bit
    return list(holders.values())


def _tilings(candidates: Candidates) -> Tilings:
    """What of candidates decides their slots and their time."""
    return Tilings(
        candidates.room,
        candidates.tile_m,
        candidates.tile_n,
        candidates.resident,
        candidates.rows_outer,
        candidates.staging,
        candidates.weights_bytes,
        candidates.staged_bytes,
        candidates.expand_cycles,
        candidates.tiles_m,
        candidates.tiles_k,
        candidates.tiles_n,
        candidates.weight_tiles,
        candidates.blocks_summed,
        *candidates.footprint,
    )


def _tile_bursts(rows: Int64, columns: Int64, whole_rows: Bools, pitch: int, burst_bytes: int) -> Int64:
    """DRAM bursts of tiles of bytes, near enough to choose by; whole rows follow each other without gaps.

    Rows that lie apart begin somewhere in a burst, unless they and what lies between them are whole ones.
    """
    anywhere = (columns % burst_bytes > 0) | (pitch % burst_bytes > 0)
    apart = rows * (ceil_div(columns, burst_bytes) + anywhere)
    return np.where(whole_rows, ceil_div(rows * columns, burst_bytes), apart)


def _words(row_bytes: Int64, sram: Sram) -> Int64:
    """Cycles that rows take on a port; 0 if the port is without limit."""
    return np.zeros_like(row_bytes) if sram.ideal else ceil_div(row_bytes, sram.width_bytes)


def estimate(candidates: Candidates) -> tuple[Counts, Estimates]:
    """Give tilings as many slots as help and fit, and estimate the layer's time and DRAM bursts; see `kernels.tilings`.

    The time is as if the layer began with empty scratchpads.
    """
    flow, burst = candidates.flow, candidates.flow.machine.dram.burst_bytes
    product, major = flow.product, flow.machine.feature_major
    compute = flow.compute_cycles(candidates.tile_m, candidates.tile_k) * candidates.density
    if flow.reads.held:
        compute = compute * _words_for_one(flow.reads.held, candidates)
    rows, elements = oriented(candidates.tile_m, candidates.features, feature_major=major)
    whole = candidates.tiles_m == 1 if major else candidates.features == product.k
    pitch = flow.machine.operand.row_bytes(oriented(product.m, product.k, feature_major=major)[1])
    weight_bytes = np.where(candidates.staged_bytes > 0, candidates.staged_bytes, candidates.weights_bytes)
    weight_bursts = ceil_div(weight_bytes, burst) + 1
    if product.factor:
        weight_bursts += _factor_bursts(candidates)
    if flow.target:
        results = _result_cycles(candidates, flow.target)
    else:
        results = np.full_like(compute, product.batches * product.m * product.n / flow.machine.vector.lanes)
    moved = Moved(
        *_activations(candidates, rows, flow.machine.operand.rows_bytes(elements), whole, pitch),
        weight_bursts,
        compute,
        results,
    )
    size = len(candidates)
    counts, found = Counts(*np.zeros((4, size), np.int64)), Estimates(np.zeros(size), *np.zeros((3, size), np.int64))
    tilings.estimate(_layer(flow), _rooms(candidates.flows), _tilings(candidates), moved, counts, found)
    return counts, found


def _words_for_one(held: Held, candidates: Candidates) -> Float64:
    """Words that a pixel's inputs are read from, for each word that they would fill; shape (c,).

    Those of all of a pixel follow each other without gaps; what is less may begin anywhere in a word.
    """
    flow, width = candidates.flow, candidates.flow.machine.activation.width_bytes
    streamed = np.minimum(candidates.tile_k, flow.streamed_inputs[0] or candidates.tile_k)
    size = flow.machine.operand.rows_bytes(streamed)
    begins = np.arange(0, width, math.gcd(held.pitch, width))
    words = ceil_div(begins + size[:, None], width).mean(axis=1)
    return np.where(size < held.pitch, words / ceil_div(size, width), 1.0)


def _result_cycles(candidates: Candidates, target: Held) -> Float64:
    """Cycles of the vector unit for results that stay on chip: constants for each instruction, then the results."""
    flow, machine = candidates.flow, candidates.flow.machine
    product, lanes = flow.product, machine.vector.lanes
    lines = np.full_like(candidates.tile_m, product.m // target.width) if target.lined else candidates.tiles_m
    blocks = ceil_div(product.n, flow.columns)
    constants = _words(np.array(machine.constant_bytes * flow.width), machine.weight)
    started = (lines * blocks * (constants + machine.vector.latency_cycles)).astype(np.float64)
    return started + product.m * product.n / lanes


def _factor_bursts(candidates: Candidates) -> Int64:
    """DRAM bursts of a tile of a factor that is formed at run time beyond those of its bytes in one run."""
    flow, burst = candidates.flow, candidates.flow.machine.dram.burst_bytes
    rows, row_bytes = flow.factor_rows(candidates.tile_k, np.full_like(candidates.tile_k, flow.width))
    return rows * (ceil_div(row_bytes, burst) + (row_bytes % burst > 0)) - ceil_div(rows * row_bytes, burst)


def _activations(
    candidates: Candidates, rows: Int64, row_bytes: Int64, whole: Bools, pitch: int
) -> tuple[Int64, Int64, Int64, Int64]:
    """Rows on chip of a tile of activations, bytes of a row, requests if runs are gathered for it, and DRAM bursts."""
    reads, burst = candidates.flow.reads, candidates.flow.machine.dram.burst_bytes
    if isinstance(reads, ImageReads):
        lines = reads.lines(candidates.tile_m)
        line = np.full_like(lines, reads.line_bytes)
        image = reads.of.width * reads.pixel_bytes
        bursts = ceil_div(np.minimum(lines, reads.of.height) * image, burst) + 1
        return lines, line, np.zeros_like(bursts), bursts
    image_read = reads.image
    if image_read is None or candidates.flow.machine.feature_major:
        bursts = _tile_bursts(rows, row_bytes, whole, pitch, burst)
        return rows, row_bytes, np.zeros_like(bursts), bursts
    pixel = image_read.channels * candidates.flow.machine.operand.bits // 8
    each = image_read.bursts_a_row(pixel, burst) * candidates.features / candidates.flow.product.k
    height, width = image_read.output
    images, rest = np.divmod(candidates.tile_m, height * width)
    lines = np.where(rest > 0, np.minimum(image_read.lines(rest), image_read.height), 0)
    lines += images * image_read.height
    of_line, once = image_read.width * pixel / burst, ceil_div(lines * image_read.width * pixel, burst) + 1
    requests = bursts = np.ceil(rows * each).astype(np.int64)
    reach, buffers = image_read.window.reach[0], candidates.flow.machine.dma.outstanding_bursts
    if buffers >= reach * (of_line + 1):  # what a line of windows needs is still there for the next one
        requests = bursts = np.minimum(requests, once)
    elif buffers > 2 * image_read.window.kernel[0]:  # as is what a window shares with the one beside it
        of_lines = np.ceil(candidates.tile_m / width * image_read.window.kernel[0] * of_line).astype(np.int64)
        requests = bursts = np.minimum(requests, np.maximum(of_lines, once))
    if isinstance(candidates.flow.machine.dram, BankedDram):  # whose controllers serve a burst once to all who wait
        latency = candidates.flow.machine.cycles(candidates.flow.machine.dram.latency_fs)
        again = (requests * np.minimum(1.0, each / latency)).astype(np.int64)
        bursts = np.minimum(requests, np.maximum(again, once))
    return rows, row_bytes, requests, bursts


def _explain(flows: Sequence[Dataflow]) -> None:
    """Say which memories are too small for the smallest tile, in the rooms that come nearest."""

    def faults(flow: Dataflow) -> list[str]:
        product, machine = flow.product, flow.machine
        one = Tiling(
            product.m,
            product.k,
            product.n,
            flow.columns,
            1,
            min(flow.grain, product.k),
            flow.width,
            resident=False,
            rows_outer=True,
        )
        needed = flow.footprint(one)._asdict()
        needed["accumulator"] *= 1 + flow.partial_sums
        has = {name: getattr(machine, name).capacity_bytes for name in needed}
        small = [
            f"layer {product.name}: the {name} memory of {machine.name} must hold the smallest tile, {bytes_} "
            f"bytes, but has {has[name]}"
            for name, bytes_ in needed.items()
            if bytes_ > has[name]
        ]
        if small:
            return small
        each = ", ".join(f"{name} {bytes_} of {has[name]} bytes" for name, bytes_ in needed.items())
        tile = f"a tile of one row, {one.tile_k} inputs and {one.tile_n} outputs"
        place = f"the memories of {machine.name} as their banks and words lie"
        return [f"layer {product.name}: {tile} must fit {place}, but needs at least {each}"]

    raise DoesNotFitError(*min(map(faults, flows), key=len))


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001 - one signature for all passes
    """Every step's parts cover the product exactly once, but for zeros between groups, and the slots fit."""
    products = [tiling for tiling in lowering.tilings if isinstance(tiling, Tiling)]
    for tiling in dict.fromkeys(products):
        weight_tiles, order = tiling.weight_tile_table, tiling.order()
        rows = tiling.parts_m.size
        covered = int((rows[order.row] * (weight_tiles.k_size * weight_tiles.n_size)[order.weight_tile]).sum())
        whole = tiling.m * tiling.k * tiling.n
        least = whole // tiling.groups.count if tiling.groups else whole
        if not least <= covered <= whole:
            raise DefectError(f"{tiling} covers {covered} of {whole} products")
    for flow, tiling in zip((flow for flow in lowering.flows if flow), products, strict=True):
        product = flow.product
        if (tiling.m, tiling.k, tiling.n) != (product.m, product.k, product.n):
            raise DefectError(f"tiling of {product.name} is of {(tiling.m, tiling.k, tiling.n)}")
        counts = (tiling.activations, tiling.weights, tiling.sums, tiling.outputs)
        footprint = flow.footprint(tiling)
        beside = {
            "weight": tiling.staging * flow.staged(tiling.tile_k).bytes,
            "accumulator": flow.partial_sums * footprint.accumulator,
        }
        for name, size, slots in zip(Footprint._fields, footprint, counts, strict=True):
            if size * slots + beside.get(name, 0) > getattr(flow.machine, name).capacity_bytes:
                raise DefectError(f"tiling of {product.name}: {slots} slots of {size} bytes do not fit {name}")
