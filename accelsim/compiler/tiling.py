"""Pass 2: cut each product into tiles that fit the scratchpads, two at a time where they do; see `tiles`."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import product
from typing import NamedTuple

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.slots import neighbours_apart, parted
from accelsim.compiler.tiles import Footprint, Tiling, cut, oriented
from accelsim.config.arch import Machine, Sram
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.units import align_up, ceil_div

#: Weight chunks that are loaded ahead at most, unless all of them stay.
PREFETCH = 4
#: What starting a load costs beside its bursts, for the estimate: issue, a partial burst, a port that is taken.
LOAD_CYCLES = 8
#: Time that fewer DRAM bursts may cost, as a factor.
SLACK = 1.05


def tile(lowering: Lowering, machine: Machine) -> Lowering:  # noqa: ARG001 - one signature for all passes
    """Choose a tiling for each product; see `choose`."""
    return dataclasses.replace(lowering, tilings=tuple(choose(flow) for flow in lowering.flows))


def choose(flow: Dataflow) -> Tiling:
    """Find the tiling that moves the fewest DRAM bursts among those within `SLACK` of the least estimated time.

    Raises
    ------
    DoesNotFitError
        If not even a tile of one row, one fold and one block fits.
    """
    gemm = flow.gemm
    start = partial(Tiling, gemm.m, gemm.k, gemm.n, flow.columns)
    tiles_k = _halvings(gemm.k, flow.grain, flow.most_inputs)
    tiles_n = _halvings(gemm.n, flow.columns)
    candidates = [
        slotted
        for tile_k, tile_n, resident, rows_outer in product(tiles_k, tiles_n, (True, False), (True, False))
        for tile_m in _row_tiles(start(gemm.m, tile_k, tile_n, resident, rows_outer), flow)
        for staging in ((0, PREFETCH, 2, 1) if flow.encoder else (0,))
        if (slotted := with_slots(start(tile_m, tile_k, tile_n, resident, rows_outer, staging=staging), flow))
    ]
    if not candidates:
        _explain(flow, start(1, min(flow.grain, gemm.k), min(flow.columns, gemm.n), False, True))
    estimates = [estimate(candidate, flow) for candidate in candidates]
    limit = min(e.cycles for e in estimates) * SLACK
    pairs = [(e, t) for e, t in zip(estimates, candidates, strict=True) if e.cycles <= limit]
    _, chosen = min(
        pairs,
        key=lambda p: (p[0].bursts, p[1].staging > 0, p[0].cycles, -p[1].tile_m, -p[1].tile_k, not p[1].rows_outer),
    )
    return chosen


def _halvings(size: int, multiple: int, most: int | None = None) -> list[int]:
    """Tile sizes to try: the whole, its halves, quarters and so on, as multiples of a datapath's side."""
    sizes = [size]
    parts = 2
    while sizes[-1] > multiple:
        sizes.append(min(size, align_up(ceil_div(size, parts), multiple)))
        parts *= 2
    return sorted({s for s in sizes if most is None or s <= most}, reverse=True)


def _row_tiles(whole: Tiling, flow: Dataflow) -> list[int]:
    """Row tiles to try: the largest that fits twice and the largest that fits once, and even parts of these."""
    sizes = set()
    for slots in (2, 1):
        largest = _largest_rows(whole, flow, slots)
        if largest:
            parts = ceil_div(whole.m, largest)
            sizes |= {ceil_div(whole.m, ceil_div(parts * times, 2)) for times in (2, 3, 4, 6, 8, 12, 16)}
    # a row tile of whole blocks leaves no part of one to every tile
    return sorted({min(whole.m, size - size % flow.block if size > flow.block else size) for size in sizes})


def _largest_rows(whole: Tiling, flow: Dataflow, slots: int) -> int:
    """Largest row tile of which `slots` fit each memory; 0 if not even one row does."""
    machine = flow.machine

    def fits(tile_m: int) -> bool:
        size = flow.footprint(dataclasses.replace(whole, tile_m=tile_m))
        blocks = 1 if whole.resident else whole.blocks
        return (
            slots * size.activation <= machine.activation.capacity_bytes
            and slots * size.output <= machine.output.capacity_bytes
            and slots * blocks * size.accumulator <= machine.accumulator.capacity_bytes
        )

    if not fits(1):
        return 0
    low, high = 1, whole.m + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def with_slots(tiling: Tiling, flow: Dataflow) -> Tiling | None:
    """Give a tiling as many slots as help and fit beside its staging; None if one slot of some memory does not fit."""
    machine = flow.machine
    room = machine.weight.capacity_bytes - tiling.staging * flow.staged(tiling.tile_k).bytes
    size = flow.footprint(tiling)
    chunks = ceil_div(tiling.n, tiling.columns) * tiling.tiles_k
    fits = Footprint(
        machine.activation.capacity_bytes // size.activation,
        room // size.weight,
        machine.accumulator.capacity_bytes // size.accumulator,
        machine.output.capacity_bytes // size.output,
    )
    blocks = 1 if tiling.resident else tiling.blocks
    if min(fits) < 1 or fits.accumulator < blocks:
        return None
    tiles = tiling.tiles_m if tiling.resident else tiling.tiles_m * tiling.tiles_k
    wanted = 2 if tiling.rows_outer else max(2, tiles)
    if chunks <= fits.weight and tiling.tiles_m > 1:
        weights = chunks
    else:
        most = min(chunks, fits.weight, PREFETCH)
        weights = next((n for n in range(most, 1, -1) if _chunks_apart(tiling, n, flow)), most)
    return dataclasses.replace(
        tiling,
        activations=min(tiles, fits.activation, wanted),
        weights=weights,
        sums=2 * blocks if fits.accumulator >= 2 * blocks else blocks,
        outputs=min(2, fits.output),
    )


def _chunks_apart(tiling: Tiling, weights: int, flow: Dataflow) -> bool:
    """Whether a slot for weights, of so many, shares no bank with the one filled after it."""
    staged, size = flow.staged(tiling.tile_k).bytes, flow.footprint(tiling).weight
    front, _ = parted(flow.machine.weight, weights, size, tiling.staging, staged)
    return neighbours_apart(front, weights, size)


def loads(tiling: Tiling) -> tuple[int, int]:
    """How often an activation tile, and how often a weight chunk, is loaded in the whole layer.

    Slots take turns first in, first out: a sequence of d tiles that is passed p times is loaded d times if it has d
    slots, else d p times.
    """

    def passes(distinct: int, times: int, slots: int) -> int:
        return distinct if distinct <= slots else distinct * times

    tiles_m, tiles_k, tiles_n = tiling.tiles_m, tiling.tiles_k, tiling.tiles_n
    blocks = ceil_div(tiling.n, tiling.columns)
    if tiling.resident:
        activations = tiles_m if tiling.rows_outer else passes(tiles_m, tiles_n, tiling.activations)
    elif tiling.rows_outer:
        activations = tiles_m * passes(tiles_k, tiles_n, tiling.activations)
    else:
        activations = passes(tiles_m * tiles_k, tiles_n, tiling.activations)
    if tiling.rows_outer or blocks * tiles_k <= tiling.weights:
        weights = passes(blocks * tiles_k, tiles_m, tiling.weights)
    else:
        of_tile = [ceil_div(t.size, tiling.columns) * tiles_k for t in cut(tiling.n, tiling.tile_n)]
        weights = sum(passes(chunks, tiles_m, tiling.weights) for chunks in of_tile)
    return activations, weights


def _tile_bursts(rows: int, columns: int, whole: bool, burst_bytes: int) -> int:
    """DRAM bursts of a tile of bytes, near enough to choose by; `whole` rows follow each other without gaps."""
    if whole:
        return ceil_div(rows * columns, burst_bytes)
    return rows * (ceil_div(columns, burst_bytes) + (columns % burst_bytes > 0))


def _words(row_bytes: int, sram: Sram) -> int:
    """Cycles that a row takes on a port; 0 if the port is without limit."""
    return 0 if sram.ideal else ceil_div(row_bytes, sram.width_bytes)


class Estimate(NamedTuple):
    """What a tiling is chosen by."""

    cycles: float
    bursts: int


def estimate(tiling: Tiling, flow: Dataflow) -> Estimate:
    """Estimate a layer's time, as if it began with empty scratchpads, and its DRAM bursts."""
    machine, major = flow.machine, flow.machine.feature_major
    compute = flow.compute_cycles(tiling)
    burst = machine.dram.burst_bytes
    k = tiling.k if tiling.resident else tiling.tile_k
    n = min(tiling.n, tiling.tile_n)
    x_rows, x_bytes = oriented(tiling.tile_m, k, feature_major=major)
    y_rows, y_bytes = oriented(tiling.tile_m, n, feature_major=major)
    x_bytes, y_bytes = machine.operand.row_bytes(x_bytes), machine.operand.row_bytes(y_bytes)
    activation = _tile_bursts(x_rows, x_bytes, (tiling.tiles_m if major else ceil_div(tiling.k, k)) == 1, burst)
    output = _tile_bursts(y_rows, y_bytes, (tiling.tiles_m if major else tiling.tiles_n) == 1, burst)
    weight_bytes = flow.staged(tiling.tile_k).bytes or flow.largest_weights_bytes(tiling.tile_k)
    chunk = ceil_div(weight_bytes, burst) + 1
    activations, weights = loads(tiling)
    bursts = activations * activation + weights * chunk + tiling.tiles_m * tiling.tiles_n * output
    burst_cycles = machine.dram.burst_period_fs / machine.clock_period_fs
    overlapped = (
        (tiling.activations > 1 or activations == 1)
        and (tiling.weights > 1 or weights == 1)
        and (tiling.outputs > 1 or tiling.tiles_m * tiling.tiles_n == 1)
    )
    # a transfer takes as long as its bursts on the channel, and its words on the scratchpad's port
    load_x = max(activation * burst_cycles, x_rows * _words(x_bytes, machine.activation))
    load_w = max(chunk * burst_cycles, _words(weight_bytes, machine.weight))
    store = max(output * burst_cycles, y_rows * _words(y_bytes, machine.output))
    loading, storing = activations * load_x + weights * load_w, tiling.tiles_m * tiling.tiles_n * store
    expand = _expand_cycles(tiling, flow)
    # a place for encoded bytes is taken from the load's start until they are expanded
    latency = machine.cycles(machine.dram.latency_fs)
    places = tiling.staging or min(tiling.weights, PREFETCH)
    expanding = weights * max(expand, (latency + load_w + expand) / places) if flow.encoder else 0.0
    transfer = max(loading, storing, expanding, bursts * burst_cycles)
    exposed = load_x + load_w + store  # before the first and after the last product
    # a load may want the bank that the array reads
    size = flow.footprint(tiling)
    clashes = 0.0
    if tiling.activations > 2 or not neighbours_apart(machine.activation, tiling.activations, size.activation):
        clashes += activations * load_x / machine.activation.banks
    if not _chunks_apart(tiling, tiling.weights, flow):
        clashes += weights * (expand or load_w) / 2
    started = LOAD_CYCLES * (activations + weights)
    cycles = exposed + clashes + started + (max(compute, transfer) if overlapped else compute + transfer)
    return Estimate(cycles, bursts)


def _expand_cycles(tiling: Tiling, flow: Dataflow) -> int:
    """Cycles that the decode unit takes for a chunk, the weight scratchpad's ports included; 0 for dense weights."""
    if flow.encoder is None:
        return 0
    weight, staged = flow.machine.weight, flow.staged(tiling.tile_k)
    size = flow.footprint(tiling).weight
    front, _ = parted(weight, tiling.weights, size, tiling.staging, staged.bytes)
    read, written = _words(staged.bytes, weight), _words(flow.largest_weights_bytes(tiling.tile_k), weight)
    shared = not tiling.staging or front.capacity_bytes % weight.range_bytes
    return max(staged.cycles, read + written if shared else max(read, written))


def _explain(flow: Dataflow, smallest: Tiling) -> None:
    machine = flow.machine
    faults = [
        f"layer {flow.gemm.layer.name}: the {name} memory of {machine.name} must hold the smallest tile, {bytes_} "
        f"bytes, but has {getattr(machine, name).capacity_bytes}"
        for name, bytes_ in flow.footprint(smallest)._asdict().items()
        if bytes_ > getattr(machine, name).capacity_bytes
    ]
    raise DoesNotFitError(*faults)


def check(lowering: Lowering, machine: Machine) -> None:
    """Every step's parts cover the product exactly once, and the slots fit their memories."""
    for flow, tiling in zip(lowering.flows, lowering.tilings, strict=True):
        gemm, chunks = flow.gemm, tiling.chunks()
        covered = sum(s.m.size * chunks[s.chunk].k.size * chunks[s.chunk].n.size for s in tiling.steps())
        if covered != gemm.m * gemm.k * gemm.n:
            raise DefectError(f"tiling of {gemm.layer.name} covers {covered} of {gemm.m * gemm.k * gemm.n} products")
        counts = (tiling.activations, tiling.weights, tiling.sums, tiling.outputs)
        staging = {"weight": tiling.staging * flow.staged(tiling.tile_k).bytes}
        for name, size, slots in zip(Footprint._fields, flow.footprint(tiling), counts, strict=True):
            if size * slots + staging.get(name, 0) > getattr(machine, name).capacity_bytes:
                raise DefectError(f"tiling of {gemm.layer.name}: {slots} slots of {size} bytes do not fit {name}")
