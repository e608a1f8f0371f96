"""How each fusion is cut into tiles that fit the scratchpads, two at a time where they do; see `tiles`."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from accelsim.compiler import vector_tiles
from accelsim.compiler.candidates import Bools, Candidates, Counts, Int64, share
from accelsim.compiler.dataflow import Dataflow, Float64
from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.held import Held
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.ports import Ports
from accelsim.compiler.product import Product
from accelsim.compiler.reads import ImageReads
from accelsim.compiler.rooms import Rooms, options
from accelsim.compiler.slots import fronts, whole
from accelsim.compiler.tiles import Footprint, Tiling, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import BankedDram, Machine, Sram
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.units import ceil_div

#: Weight weight tiles that are loaded ahead at most, unless all of them stay.
PREFETCH = 4
#: What starting a load costs beside its bursts, for the estimate: issue, a partial burst, a port that is taken.
LOAD_CYCLES = 8
#: Part of the time that a value's banks are held by results for which who reads it waits; by comparison with simulated
#: layers.
WAITED = 0.75
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
        """Choose how a fusion is cut.

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
        alike = self._cuts[key]
        assert alike.flow  # noqa: S101 - as of every product
        return alike._replace(flow=flow.cut_as(alike.flow, on_chip.sources[0], on_chip.target))

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


def _ways(flow: Dataflow, on_chip: OnChip, machine: Machine) -> list[Dataflow]:
    """Ways to read a product's activations, each in all rooms that its tiles can have."""
    source = on_chip.sources[0]
    ways = [flow] if source else [way for way in (flow, flow.streaming()) if way]
    held = [way.holding(source, on_chip.target) for way in ways]
    if not any(held):
        raise DoesNotFitError(f"layer {flow.product.name}: rows can't stream from images as they lie on chip")
    rooms = options(machine, on_chip.high, on_chip.idle)
    return [way.within(room) for way in held if way for room in rooms]


def choose(*flows: Dataflow, slack: float = SLACK) -> Cut:
    """Find the tiling that moves the fewest DRAM bursts among those that take hardly more than the least time.

    Parameters
    ----------
    flows
        Ways to read the same product's activations, and rooms for its tiles.
    slack
        Time that fewer bursts may cost, as a factor.

    Raises
    ------
    DoesNotFitError
        If not even a tile of one row, one fold and one block fits.
    """
    tried = [candidates for candidates in map(_candidates, flows) if len(candidates)]
    if not tried:
        _explain(flows)
    counts = [count_slots(candidates) for candidates in tried]
    estimates = [estimate(candidates, count) for candidates, count in zip(tried, counts, strict=True)]
    least = min(float(of_flow.cycles.min()) for of_flow in estimates)
    best: tuple[tuple[float, ...], int, int] | None = None
    for number, (candidates, (cycles, bursts)) in enumerate(zip(tried, estimates, strict=True)):
        near = np.flatnonzero(cycles <= least * slack)
        if not len(near):
            continue
        # the least by the last key; candidates that are equal in all keeps their order
        keys = (~candidates.rows_outer, -candidates.tile_k, -candidates.tile_m, cycles, candidates.staging > 0, bursts)
        first = int(near[np.lexsort([key[near] for key in keys])[0]])
        rank = tuple(float(key[first]) for key in reversed(keys))
        if best is None or rank < best[0]:
            best = (rank, number, first)
    assert best  # noqa: S101 - the least is near itself
    _, number, first = best
    flow, (cycles, bursts) = tried[number].flow, estimates[number]
    tiling = tried[number].tiling(first, counts[number])
    return Cut(flow, flow.rooms, tiling, float(cycles[first]), float(bursts[first]))


def _candidates(flow: Dataflow) -> Candidates:
    """Tilings of a product that fit."""
    candidates = Candidates.of(flow, (0, PREFETCH, 2, 1) if flow.encoder else (0,))
    return candidates.take(_fit(candidates))


def _room(candidates: Candidates) -> Footprint[Int64]:
    """Slots that each memory holds beside places for staging; at most 0 if not even one fits."""
    machine, size = candidates.flow.machine, candidates.footprint
    weight = machine.weight.capacity_bytes - candidates.staging * candidates.staged_bytes
    return Footprint(
        _times(machine.activation.capacity_bytes, size.activation),
        weight // size.weight,
        machine.accumulator.capacity_bytes // size.accumulator - candidates.flow.partial_sums,
        _times(machine.output.capacity_bytes, size.output),
    )


def _times(capacity_bytes: int, size: Int64) -> Int64:
    """Slots of a size that a memory holds; two of what needs no room."""
    return np.where(size > 0, capacity_bytes // np.maximum(size, 1), 2)


def _fit(candidates: Candidates) -> Bools:
    """Whether one slot of each memory, and the sums of all blocks that take turns, fit."""
    room = _room(candidates)
    least = np.minimum(np.minimum(room.activation, room.weight), room.output)
    return (least >= 1) & (room.accumulator >= candidates.blocks_summed)


def count_slots(candidates: Candidates) -> Counts:
    """Give tilings that fit as many slots as help and fit beside their staging."""
    room, blocks, weight_tiles = _room(candidates), candidates.blocks_summed, candidates.weight_tiles
    batches = candidates.flow.product.batches
    tiles = candidates.tiles_m * np.where(candidates.resident, 1, candidates.tiles_k)
    wanted = np.where(candidates.rows_outer, 2, np.maximum(2, tiles))
    tiles = tiles * batches
    most = np.minimum(np.minimum(weight_tiles * batches, room.weight), PREFETCH)
    weights = most
    for number in range(2, PREFETCH + 1):
        apart = _weight_tiles_apart(candidates, np.full_like(most, number))
        weights = np.where(apart & (number <= most), number, weights)
    # those that row tiles share stay, beside those of the next batch if there is one
    stay = np.where(2 * weight_tiles <= room.weight, min(2, batches) * weight_tiles, weight_tiles)
    return Counts(
        activations=np.minimum(np.minimum(tiles, room.activation), wanted),
        weights=np.where((weight_tiles <= room.weight) & (candidates.tiles_m > 1), stay, weights),
        sums=np.where(room.accumulator >= 2 * blocks, 2 * blocks, blocks),
        outputs=np.minimum(2, room.output),
    )


def with_slots(tiling: Tiling, flow: Dataflow) -> Tiling | None:
    """Give one tiling those slots; None if it does not fit."""
    alone = Candidates.of_one(flow, tiling)
    return alone.tiling(0, count_slots(alone)) if _fit(alone)[0] else None


def _weight_tiles_apart(candidates: Candidates, weights: Int64) -> Bools:
    """Whether a slot for weights, of so many, shares no bank with the one filled after it."""
    sram, size = candidates.flow.machine.weight, candidates.footprint.weight
    front = fronts(sram, weights, size, candidates.staging, candidates.staged_bytes)
    return front.neighbours_apart(weights, size)


def loads(candidates: Candidates, counts: Counts) -> tuple[Int64, Int64]:
    """How often an activation tile, and how often a weight tile, is loaded in the whole layer.

    Slots take turns first in, first out: a sequence of d tiles that is passed p times is loaded d times if it has d
    slots, else d p times.
    """

    def passes(distinct: Int64, times: Int64, slots: Int64) -> Int64:
        return distinct * np.where(distinct <= slots, 1, times)

    n, columns, outer = candidates.flow.product.n, candidates.flow.columns, candidates.rows_outer
    tiles_m, tiles_k, tiles_n = candidates.tiles_m, candidates.tiles_k, candidates.tiles_n
    parts = np.where(candidates.resident, 1, tiles_k)
    once = passes(np.where(outer, parts, tiles_m * parts), tiles_n, counts.activations)
    activations = np.where(outer, tiles_m * np.where(candidates.resident, 1, once), once)
    if candidates.flow.reads.held:
        activations = np.zeros_like(activations)
    # of rows in the inner loop, each column tile's weight tiles are passed by themselves
    number, rest = np.divmod(n, candidates.tile_n)
    of_tiles = number * passes(ceil_div(candidates.tile_n, columns) * tiles_k, tiles_m, counts.weights)
    of_tiles += passes(ceil_div(rest, columns) * tiles_k, tiles_m, counts.weights)
    batches = candidates.flow.product.batches
    weights = np.where(outer, passes(candidates.weight_tiles, tiles_m, counts.weights), of_tiles)
    return activations * batches, weights * batches


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


class Estimates(NamedTuple):
    """What a tiling is chosen by, of many; shape (c,)."""

    cycles: Float64
    bursts: Int64


def estimate(candidates: Candidates, counts: Counts) -> Estimates:  # noqa: PLR0915 - one sum
    """Estimate a layer's time, as if it began with empty scratchpads, and its DRAM bursts."""
    flow = candidates.flow
    product, machine, major = flow.product, flow.machine, flow.machine.feature_major
    compute = flow.compute_cycles(candidates.tile_m, candidates.tile_k) * candidates.density
    if flow.reads.held:
        compute = compute * _words_for_one(flow.reads.held, candidates)
    # without a second block of sums the array waits for the vector unit
    alone = counts.sums < 2 * candidates.blocks_summed
    compute = compute + np.where(alone, product.m * product.n / machine.vector.lanes, 0.0)
    burst, tiles_m = machine.dram.burst_bytes, candidates.tiles_m
    outputs = product.batches * tiles_m * candidates.tiles_n
    x_rows, x_elements = oriented(candidates.tile_m, candidates.features, feature_major=major)
    y_rows, y_elements = oriented(candidates.tile_m, candidates.tile_n, feature_major=major)
    x_bytes, y_bytes = machine.operand.rows_bytes(x_elements), flow.result.rows_bytes(y_elements)
    whole_x, whole_y = (
        (tiles_m == 1,) * 2 if major else (candidates.features == product.k, candidates.tile_n == product.n)
    )
    pitches = (oriented(product.m, features, feature_major=major)[1] for features in (product.k, product.n))
    x_pitch, y_pitch = (
        of.row_bytes(elements) for of, elements in zip((machine.operand, flow.result), pitches, strict=True)
    )
    x_rows, x_bytes, requests, activation = _activations(candidates, x_rows, x_bytes, whole_x, x_pitch)
    output = _tile_bursts(y_rows, y_bytes, whole_y, y_pitch, burst)
    weight_bytes = np.where(candidates.staged_bytes > 0, candidates.staged_bytes, candidates.weights_bytes)
    weight_tile = ceil_div(weight_bytes, burst) + 1
    if product.factor:
        weight_tile += _factor_bursts(candidates)
    activations, weights = loads(candidates, counts)
    if flow.target:
        output, outputs = np.zeros_like(output), np.ones_like(outputs)
    bursts = activations * activation + weights * weight_tile + outputs * output
    burst_cycles = machine.dram.burst_period_fs / machine.clock_period_fs
    overlapped = (
        ((counts.activations > 1) | (activations <= 1))
        & ((counts.weights > 1) | (weights == 1))
        & ((counts.outputs > 1) | (outputs == 1))
    )
    # a transfer takes as long as its bursts on the channel, and its words on the scratchpad's port
    load_x = np.maximum(activation * burst_cycles, x_rows * _words(x_bytes, machine.activation))
    load_x = np.maximum(load_x, requests)  # one a cycle
    load_w = np.maximum(weight_tile * burst_cycles, _words(weight_bytes, machine.weight))
    store = np.maximum(output * burst_cycles, 0 if flow.target else y_rows * _words(y_bytes, machine.output))
    transfer = np.maximum(activations * load_x + weights * load_w, outputs * store)
    transfer = np.maximum(transfer, bursts * burst_cycles)
    expand = _expand_cycles(candidates, counts)
    if flow.encoder or flow.transposes:
        # a place for encoded bytes is taken from the load's start until they are expanded
        latency = machine.cycles(machine.dram.latency_fs)
        places = np.where(candidates.staging > 0, candidates.staging, np.minimum(counts.weights, PREFETCH))
        transfer = np.maximum(transfer, weights * np.maximum(expand, (latency + load_w + expand) / places))
    exposed = np.minimum(activations, 1) * load_x + load_w + store  # before the first and after the last product
    # a load may want the bank that the array reads
    apart = whole(machine.activation, counts.activations).neighbours_apart(
        counts.activations, candidates.footprint.activation
    )
    waits_x = activations * load_x / machine.activation.banks
    waits_w = weights * np.where(expand > 0, expand, load_w) / 2
    clashes = np.where((counts.activations > 2) | ~apart, waits_x, 0.0)
    clashes = clashes + np.where(_weight_tiles_apart(candidates, counts.weights), 0.0, waits_w)
    started = LOAD_CYCLES * (activations + weights)
    least = np.where(overlapped, np.maximum(compute, transfer), compute + transfer)
    results = np.full_like(compute, product.batches * product.m * product.n / machine.vector.lanes)
    if flow.target:
        results = _result_cycles(candidates, flow.target)
        least = np.maximum(least, results)
    ports = Ports[Float64](flow.whole)
    ports.hold(flow.reads.held or flow.rooms.activation, compute if flow.reads.held else activations * load_x + compute)
    ports.hold(flow.rooms.weight, weights * load_w)
    ports.hold(flow.target or flow.rooms.output, results if flow.target else results + outputs * store)
    if flow.reads.held:
        both = Ports[Float64](flow.whole)
        both.hold(flow.reads.held, compute)
        both.hold(flow.target or flow.rooms.output, results if flow.target else results + outputs * store)
        clashes = clashes + WAITED * both.contended
    return Estimates(exposed + clashes + started + np.maximum(least, ports.busiest), bursts)


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


def _expand_cycles(candidates: Candidates, counts: Counts) -> Int64:
    """Cycles of a weight tile's decoding or transposition, the weight scratchpad's ports included; 0 for others."""
    flow, staged = candidates.flow, candidates.staged_bytes
    if flow.encoder is None and not flow.transposes:
        return np.zeros_like(staged)
    weight = flow.machine.weight
    front = fronts(weight, counts.weights, candidates.footprint.weight, candidates.staging, staged)
    read, written = _words(staged, weight), _words(candidates.weights_bytes, weight)
    shared = (candidates.staging == 0) | (front.capacity_bytes % weight.range_bytes > 0)
    return np.maximum(candidates.expand_cycles, np.where(shared, read + written, np.maximum(read, written)))


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
