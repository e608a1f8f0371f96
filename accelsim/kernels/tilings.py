"""Slots, cycles and DRAM bursts of many tilings of one product: what `accelsim.compiler.tiling` chooses by."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing, inner

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Weight tiles that are loaded ahead at most, unless all of them stay.
PREFETCH = 4
#: What starting a load costs beside its bursts: issue, a partial burst, a port that is taken.
LOAD_CYCLES = 8
#: Part of the time that a value's banks are held by results for which who reads it waits; by comparison with simulated
#: layers.
WAITED = 0.75
#: Row tiles to try are even parts of all rows: as many as fit, times the half of each of these.
PARTS = (2, 3, 4, 6, 8, 12, 16)
#: Those of the largest row tile of which two fit, and of the largest of which one does.
MOST_ROWS = 2 * len(PARTS)
#: What holds banks, a bit each: activations that are read, weights, and results that are formed.
READ, WEIGHTS, FORMED = 1, 2, 4


class Rows(NamedTuple):
    """Rows of a product, those that a tile is a multiple of, and those of a block of an instruction."""

    number: int
    grain: int
    block: int


class Rooms(NamedTuple):
    """Ways to cut scratchpads; int64, shape (rooms,), but for the last two.

    Parameters
    ----------
    activation_bytes, weight_bytes, output_bytes, activation_ranges, weight_ranges, activation_banks
        Of each room: bytes, ranges of addresses that lie in banks of their own, and banks.
    holders
        What holds each bank, bits of `READ`, `WEIGHTS` and `FORMED`; shape (rooms, banks).
    shares
        Banks that each of those holds, shape (rooms, 3).
    ports
        Ports of these banks, shape (3,).
    """

    activation_bytes: Int64
    weight_bytes: Int64
    output_bytes: Int64
    activation_ranges: Int64
    weight_ranges: Int64
    activation_banks: Int64
    holders: Int64
    shares: Int64
    ports: Int64


class Layer(NamedTuple):
    """A product, and what of the machine all rooms share.

    Parameters
    ----------
    outputs, columns, batches
        Outputs (N), those of a column block, and batches.
    accumulator_bytes, partial_sums
        Bytes of the accumulator, and blocks of it that no slot has.
    activation_word, weight_word, output_word
        Bytes that a port moves in a cycle; 0 if ports are without limit.
    feature_major, result_bits, pitch
        Whether rows in memory are features; bits of a result, and bytes from row to row of results.
    burst_bytes, burst_cycles, latency
        A DRAM burst, its core cycles on the channel, and those of the first one.
    expands
        Whether weight tiles are decoded or transposed on chip.
    reads_held, forms_held
        Whether what is read, and what is formed, stays on chip.
    passed
        Cycles that the vector unit takes for all results.
    """

    outputs: int
    columns: int
    batches: int
    accumulator_bytes: int
    partial_sums: int
    activation_word: int
    weight_word: int
    output_word: int
    feature_major: bool
    result_bits: int
    pitch: int
    burst_bytes: int
    burst_cycles: float
    latency: int
    expands: bool
    reads_held: bool
    forms_held: bool
    passed: float


class Tilings(NamedTuple):
    """Tilings, as `accelsim.compiler.candidates.Candidates` has them; shape (c,).

    Parameters
    ----------
    activation, weight, sums, output
        Bytes of a slot.
    """

    room: Int64
    tile_m: Int64
    tile_n: Int64
    resident: Bools
    rows_outer: Bools
    staging: Int64
    weights_bytes: Int64
    staged_bytes: Int64
    expand_cycles: Int64
    tiles_m: Int64
    tiles_k: Int64
    tiles_n: Int64
    weight_tiles: Int64
    blocks_summed: Int64
    activation: Int64
    weight: Int64
    sums: Int64
    output: Int64


class Counts(NamedTuple):
    """Slots of each memory; none of a tiling that does not fit; shape (c,)."""

    activations: Int64
    weights: Int64
    sums: Int64
    outputs: Int64


class Moved(NamedTuple):
    """What tiles move; shape (c,).

    Parameters
    ----------
    rows, row_bytes, requests, bursts
        Rows on chip of a tile of activations, bytes of a row, requests if runs are gathered for it, and DRAM bursts.
    weight_bursts
        DRAM bursts of a weight tile.
    compute, results
        Cycles of the array, and of the vector unit, for the whole layer.
    """

    rows: Int64
    row_bytes: Int64
    requests: Int64
    bursts: Int64
    weight_bursts: Int64
    compute: Float64
    results: Float64


class Estimates(NamedTuple):
    """What a tiling is chosen by, of many; shape (c,).

    Parameters
    ----------
    cycles, bursts
        Core cycles, infinite for a tiling that does not fit, and DRAM bursts.
    activations, weights
        How often an activation tile, and how often a weight tile, is loaded in the whole layer.
    """

    cycles: Float64
    bursts: Int64
    activations: Int64
    weights: Int64


@inner
def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@inner
def _row_tiles(rows: Rows, largest: int, tiles: Int64, number: int) -> int:
    """Put row tiles to try, of which that is the largest, among others in ascending order; return how many they are."""
    if largest <= 0:
        return number
    times = _ceil_div(rows.number, largest)
    for part in PARTS:
        size = _ceil_div(rows.number, _ceil_div(times * part, 2))
        size -= size % rows.grain
        # a row tile of whole blocks leaves no part of one to every tile
        size -= size % rows.block if size > rows.block else 0
        place = number
        while place > 0 and tiles[place - 1] >= size:
            place -= 1
        if size == 0 or (place < number and tiles[place] == size):
            continue
        for later in range(number, place, -1):
            tiles[later] = tiles[later - 1]
        tiles[place] = size
        number += 1
    return number


@njit(cache=True)
def write(rows: Rows, largest: Int64, may: Bools, stagings: Int64, sizes: Int64, orders: Bools) -> int:
    """Write all tilings to try: every order, row tiles that fit, and these numbers of places for staging.

    Parameters
    ----------
    largest
        Largest row tiles of which two, and of which one, fit; shape (rooms, tiles_k, tiles_n, 2, 2), of tiles that are
        resident and others.
    may
        Whether tiles are, and are not, resident; shape (tiles_k, 2).
    sizes
        Result: room, numbers of inputs and of outputs, rows, and places for staging, of each tiling; shape (5, most).
    orders
        Result: whether it is resident, and whether rows are the outer loop; shape (2, most).

    Returns
    -------
    Number of tilings.
    """
    number, tiles = 0, np.zeros(MOST_ROWS, np.int64)
    for room in range(largest.shape[0]):
        for k in range(largest.shape[1]):
            for n in range(largest.shape[2]):
                for other in range(2):
                    if not may[k, other]:
                        continue
                    count = _row_tiles(rows, largest[room, k, n, other, 0], tiles, 0)
                    count = _row_tiles(rows, largest[room, k, n, other, 1], tiles, count)
                    for inner_rows in range(2):
                        for tile_m in tiles[:count]:
                            for staging in stagings:
                                sizes[0, number], sizes[1, number], sizes[2, number] = room, k, n
                                sizes[3, number], sizes[4, number] = tile_m, staging
                                orders[0, number], orders[1, number] = not other, not inner_rows
                                number += 1
    return number


@inner
def _words(bytes_: int, word: int) -> int:
    """Cycles that bytes take on a port; 0 if the port is without limit."""
    return _ceil_div(bytes_, word) if word else 0


@inner
def _slots(capacity_bytes: int, size: int) -> int:
    """Slots of a size that a memory holds; two of what needs no room."""
    return int(capacity_bytes // size) if size else 2


@borrowing
def apart(capacity_bytes: int, ranges: int, count: int, size: int) -> bool:
    """Whether a slot of a size shares no bank with the one filled after it, of so many.

    They are dealt out to the ranges of addresses that lie in banks of their own, if they fit so, else spread evenly.
    """
    dealt = ranges > 1 and capacity_bytes // ranges >= _ceil_div(count, ranges) * size
    return bool(count == 1 or dealt or ranges % count == 0)


@borrowing
def banks_behind(capacity_bytes: int, ranges: int, count: int, size: int, staging: int, staged: int) -> int:
    """Ranges of a memory that `staging` places of `staged` bytes get for themselves, as many as help.

    They are left for `count` slots of `size` bytes. None if the places are cut off the end.
    """
    range_bytes, behind = capacity_bytes // ranges, 0
    for banks in range(1, min(staging, ranges - 1) + 1):
        others = ranges - banks
        fits = count * size <= others * range_bytes and _ceil_div(staging, banks) * staged <= range_bytes
        if fits and apart(others * range_bytes, others, count, size):
            behind = banks
    return behind


@inner
def _front(r: Rooms, t: Tilings, i: int, count: int) -> tuple[int, int]:
    """Bytes and ranges of the weights' room before what places for staging have of it."""
    room, staging, staged = t.room[i], t.staging[i], t.staged_bytes[i]
    capacity_bytes, ranges = r.weight_bytes[room], r.weight_ranges[room]
    if staging * staged == 0:
        return int(capacity_bytes), int(ranges)
    behind = banks_behind(capacity_bytes, ranges, count, t.weight[i], staging, staged)
    if behind:
        return int(capacity_bytes - behind * (capacity_bytes // ranges)), int(ranges - behind)
    return int(capacity_bytes - staging * staged), 1


@inner
def _weights_apart(r: Rooms, t: Tilings, i: int, count: int) -> bool:
    """Whether a slot for weights, of so many, shares no bank with the one filled after it."""
    capacity_bytes, ranges = _front(r, t, i, count)
    return bool(apart(capacity_bytes, ranges, count, t.weight[i]))


@inner
def _count(p: Layer, r: Rooms, t: Tilings, c: Counts, i: int) -> bool:
    """Give a tiling as many slots as help and fit beside its staging; whether at least one of each does."""
    room, blocks, weight_tiles = t.room[i], t.blocks_summed[i], t.weight_tiles[i]
    activations = _slots(r.activation_bytes[room], t.activation[i])
    weights = (r.weight_bytes[room] - t.staging[i] * t.staged_bytes[i]) // t.weight[i]
    sums = p.accumulator_bytes // t.sums[i] - p.partial_sums
    outputs = _slots(r.output_bytes[room], t.output[i])
    if min(activations, weights, outputs) < 1 or sums < blocks:
        return False
    tiles = t.tiles_m[i] * (1 if t.resident[i] else t.tiles_k[i])
    wanted = 2 if t.rows_outer[i] else max(2, tiles)
    c.activations[i] = min(tiles * p.batches, activations, wanted)
    if weight_tiles <= weights and t.tiles_m[i] > 1:
        # those that row tiles share stay, beside those of the next batch if there is one
        c.weights[i] = min(2, p.batches) * weight_tiles if 2 * weight_tiles <= weights else weight_tiles
    else:
        most = min(weight_tiles * p.batches, weights, PREFETCH)
        c.weights[i] = most
        for number in range(most, 1, -1):
            if _weights_apart(r, t, i, number):
                c.weights[i] = number
                break
    c.sums[i] = 2 * blocks if sums >= 2 * blocks else blocks
    c.outputs[i] = min(2, outputs)
    return True


@inner
def _passes(distinct: int, times: int, slots: int) -> int:
    """Loads of a sequence of tiles that is passed so often: slots take turns first in, first out."""
    return int(distinct if distinct <= slots else distinct * times)


@inner
def _loads(p: Layer, t: Tilings, c: Counts, i: int) -> tuple[int, int]:
    """How often an activation tile, and how often a weight tile, is loaded in the whole layer."""
    tiles_m, tiles_k, tiles_n = t.tiles_m[i], t.tiles_k[i], t.tiles_n[i]
    parts = 1 if t.resident[i] else tiles_k
    outer = t.rows_outer[i]
    activations = _passes(parts if outer else tiles_m * parts, tiles_n, c.activations[i])
    if outer:
        activations = tiles_m * (1 if t.resident[i] else activations)
        weights = _passes(t.weight_tiles[i], tiles_m, c.weights[i])
    else:  # each column tile's weight tiles are passed by themselves
        number, rest = p.outputs // t.tile_n[i], p.outputs % t.tile_n[i]
        weights = number * _passes(_ceil_div(t.tile_n[i], p.columns) * tiles_k, tiles_m, c.weights[i])
        weights += _passes(_ceil_div(rest, p.columns) * tiles_k, tiles_m, c.weights[i])
    return 0 if p.reads_held else activations * p.batches, weights * p.batches


@inner
def _stored(p: Layer, t: Tilings, i: int) -> tuple[int, int]:
    """DRAM bursts of a tile of results, and cycles on the scratchpad's port; none if they stay on chip."""
    if p.forms_held:
        return 0, 0
    rows, elements = t.tile_m[i], t.tile_n[i]
    follow = elements == p.outputs  # without gaps
    if p.feature_major:
        rows, elements = elements, rows
        follow = t.tiles_m[i] == 1
    row_bytes = _ceil_div(elements * p.result_bits, 8)
    words = rows * _words(row_bytes, p.output_word)
    if follow:
        return _ceil_div(rows * row_bytes, p.burst_bytes), words
    # rows begin somewhere in a burst, unless they and what lies between them are whole ones
    anywhere = row_bytes % p.burst_bytes > 0 or p.pitch % p.burst_bytes > 0
    return rows * (_ceil_div(row_bytes, p.burst_bytes) + int(anywhere)), words


@inner
def _expanded(p: Layer, r: Rooms, t: Tilings, i: int, count: int) -> int:
    """Cycles of a weight tile's decoding or transposition, the weight scratchpad's ports included; 0 for others."""
    if not p.expands:
        return 0
    capacity_bytes, _ = _front(r, t, i, count)
    room = t.room[i]
    read, written = _words(t.staged_bytes[i], p.weight_word), _words(t.weights_bytes[i], p.weight_word)
    shared = t.staging[i] == 0 or capacity_bytes % (r.weight_bytes[room] // r.weight_ranges[room]) > 0
    return int(max(t.expand_cycles[i], read + written if shared else max(read, written)))


@inner
def _busiest(r: Rooms, room: int, read: float, weights: float, formed: float) -> float:
    """Cycles of the busiest bank, of which each is held for the same share of what holds several."""
    most = 0.0
    for bank in range(r.holders.shape[1]):
        held, cycles = r.holders[room, bank], 0.0
        if held & READ:
            cycles += read / r.shares[room, 0] / r.ports[0]
        if held & WEIGHTS:
            cycles += weights / r.shares[room, 1] / r.ports[1]
        if held & FORMED:
            cycles += formed / r.shares[room, 2] / r.ports[2]
        most = max(most, cycles)
    return most


@inner
def _contended(r: Rooms, room: int, read: float, formed: float) -> float:
    """Cycles for which banks are held by what holds them for less, of what is read and what is formed."""
    both = 0.0
    for bank in range(r.holders.shape[1]):
        held = r.holders[room, bank]
        if held & READ and held & FORMED:
            one, other = read / r.shares[room, 0] / r.ports[0], formed / r.shares[room, 2] / r.ports[2]
            both += one + other - max(one, other)
    return both


@njit(cache=True)
def estimate(p: Layer, r: Rooms, t: Tilings, moved: Moved, c: Counts, found: Estimates) -> None:
    """Count slots, and estimate a layer's time, as if it began with empty scratchpads, and its DRAM bursts.

    Parameters
    ----------
    c, found
        Results; zeros before.
    """
    for i in range(len(t.room)):
        if not _count(p, r, t, c, i):
            found.cycles[i] = math.inf
            continue
        room = t.room[i]
        # without a second block of sums the array waits for the vector unit
        compute = moved.compute[i] + (p.passed if c.sums[i] < 2 * t.blocks_summed[i] else 0.0)
        activations, weights = _loads(p, t, c, i)
        output, words = _stored(p, t, i)
        outputs = 1 if p.forms_held else p.batches * t.tiles_m[i] * t.tiles_n[i]
        bursts = activations * moved.bursts[i] + weights * moved.weight_bursts[i] + outputs * output
        overlapped = (
            (c.activations[i] > 1 or activations <= 1)
            and (c.weights[i] > 1 or weights == 1)
            and (c.outputs[i] > 1 or outputs == 1)
        )
        # a transfer takes as long as its bursts on the channel, and its words on the scratchpad's port
        ports_x = moved.rows[i] * _words(moved.row_bytes[i], p.activation_word)
        load_x = max(moved.bursts[i] * p.burst_cycles, float(ports_x), float(moved.requests[i]))  # one a cycle
        weight_bytes = t.staged_bytes[i] if t.staged_bytes[i] > 0 else t.weights_bytes[i]
        load_w = max(moved.weight_bursts[i] * p.burst_cycles, float(_words(weight_bytes, p.weight_word)))
        store = max(output * p.burst_cycles, float(words))
        transfer = max(activations * load_x + weights * load_w, outputs * store, bursts * p.burst_cycles)
        expand = _expanded(p, r, t, i, c.weights[i])
        if p.expands:
            # a place for encoded bytes is taken from the load's start until they are expanded
            places = t.staging[i] if t.staging[i] > 0 else min(c.weights[i], PREFETCH)
            transfer = max(transfer, weights * max(float(expand), (p.latency + load_w + expand) / places))
        exposed = min(activations, 1) * load_x + load_w + store  # before the first and after the last product
        # a load may want the bank that the array reads
        clashes = 0.0
        ranges, slots = r.activation_ranges[room], c.activations[i]
        if slots > 2 or not apart(r.activation_bytes[room], ranges, slots, t.activation[i]):
            clashes += activations * load_x / r.activation_banks[room]
        if not _weights_apart(r, t, i, c.weights[i]):
            clashes += weights * (float(expand) if expand > 0 else load_w) / 2
        started = LOAD_CYCLES * (activations + weights)
        least = max(compute, transfer) if overlapped else compute + transfer
        results = moved.results[i]
        if p.forms_held:
            least = max(least, results)
        read = compute if p.reads_held else activations * load_x + compute
        formed = results if p.forms_held else results + outputs * store
        busiest = _busiest(r, room, read, weights * load_w, formed)
        if p.reads_held:
            clashes += WAITED * _contended(r, room, read, formed)
        found.cycles[i] = exposed + clashes + started + max(least, busiest)
        found.bursts[i], found.activations[i], found.weights[i] = bursts, activations, weights
