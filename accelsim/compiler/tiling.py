"""Pass 2: cut each product into tiles that fit the scratchpads, two at a time where they do.

A layer is computed in steps. A step is one column block (at most C outputs) of one weight chunk (at most `k` inputs)
for one row tile: it needs an activation tile, a weight chunk (its folds of R x C, and for the last chunk of a column
the channels' constants), a block of sums in the accumulator and, at the end, a place in the output tile.

Tiles live in slots that take turns. A tile that is still in its slot is not loaded again, so a layer whose weights
all have slots loads them once, whatever the number of row tiles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from accelsim.compiler.slots import neighbours_apart, useful
from accelsim.config.arch import Machine, SimpleDram, Sram
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.isa.opcodes import CONSTANT_BYTES, SUM_BYTES
from accelsim.units import align_up, ceil_div

if TYPE_CHECKING:
    from accelsim.compiler.lowering import Gemm, Lowering

#: Weight chunks that are loaded ahead at most, unless all of them stay.
PREFETCH = 4
#: What starting a load costs beside its bursts, for the estimate: issue, a partial burst, a port that is taken.
LOAD_CYCLES = 8
#: Time that fewer DRAM bursts may cost, as a factor.
SLACK = 1.05


class Span(NamedTuple):
    """A part of a dimension, half open."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.high - self.low


class Chunk(NamedTuple):
    """Weights of one step: inputs k and outputs n; `last` if the column's sums are complete after it."""

    k: Span
    n: Span
    last: bool


class Step(NamedTuple):
    """One unit of schedule.

    Parameters
    ----------
    m, tile
        Rows, and columns of the output tile that the step belongs to.
    chunk
        Number of the weight chunk in `Tiling.chunks`.
    first, last
        Whether the step begins, or completes, its block of sums.
    done
        Whether the output tile is complete after it.
    """

    m: Span
    tile: Span
    chunk: int
    first: bool
    last: bool
    done: bool


def cut(size: int, tile: int) -> list[Span]:
    """Parts of a dimension, all of size `tile` but the last."""
    return [Span(low, min(low + tile, size)) for low in range(0, size, tile)]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How one product is cut.

    Parameters
    ----------
    rows, columns
        Array rows R and columns C that the folds are made for.
    tile_m, tile_k, tile_n
        Rows of a tile, inputs of a weight chunk (a multiple of R unless whole), outputs of a tile (of C).
    resident
        True: an activation tile holds all inputs of its rows, and a block's chunks follow each other. False: it holds
        one chunk's inputs, and all blocks of the output tile take turns for it.
    rows_outer
        Whether row tiles are the outer loop, and column tiles the inner.
    activations, weights, sums, outputs
        Slots of each memory.
    """

    m: int
    k: int
    n: int
    rows: int
    columns: int
    tile_m: int
    tile_k: int
    tile_n: int
    resident: bool
    rows_outer: bool
    activations: int = 1
    weights: int = 1
    sums: int = 1
    outputs: int = 1

    @property
    def loops(self) -> str:
        """Order of the loops, outermost first, in words."""
        outer = "rows, columns" if self.rows_outer else "columns, rows"
        return f"{outer}, {'blocks, inputs' if self.resident else 'inputs, blocks'}"

    @property
    def tiles_m(self) -> int:
        """Number of row tiles."""
        return ceil_div(self.m, self.tile_m)

    @property
    def tiles_k(self) -> int:
        """Number of chunks of a column block."""
        return ceil_div(self.k, self.tile_k)

    @property
    def tiles_n(self) -> int:
        """Number of column tiles."""
        return ceil_div(self.n, self.tile_n)

    @property
    def blocks(self) -> int:
        """Column blocks of the widest output tile."""
        return ceil_div(min(self.tile_n, self.n), self.columns)

    def chunks(self) -> list[Chunk]:
        """All weight chunks, in the order in which a row tile uses them."""
        result = []
        parts = cut(self.k, self.tile_k)
        for tile in cut(self.n, self.tile_n):
            blocks = [Span(tile.low + b.low, tile.low + b.high) for b in cut(tile.size, self.columns)]
            pairs = product(blocks, parts) if self.resident else ((b, p) for p, b in product(parts, blocks))
            result += [Chunk(part, block, part.high == self.k) for block, part in pairs]
        return result

    def steps(self) -> Iterator[Step]:
        """All steps, in the order of execution."""
        chunks = self.chunks()
        row_tiles = cut(self.m, self.tile_m)
        column_tiles = cut(self.n, self.tile_n)
        of_tile = {t: [i for i, c in enumerate(chunks) if t.low <= c.n.low < t.high] for t in column_tiles}
        if self.rows_outer:
            order = [(m, t) for m in row_tiles for t in column_tiles]
        else:
            order = [(m, t) for t in column_tiles for m in row_tiles]
        for m, tile in order:
            for i in of_tile[tile]:
                chunk = chunks[i]
                yield Step(m, tile, i, chunk.k.low == 0, chunk.last, i == of_tile[tile][-1])

    def folds(self, chunk: Chunk) -> list[Span]:
        """Inputs of each fold of a chunk."""
        return [Span(chunk.k.low + f.low, chunk.k.low + f.high) for f in cut(chunk.k.size, self.rows)]


class Footprint(NamedTuple):
    """Bytes of one slot in each memory."""

    activation: int
    weight: int
    accumulator: int
    output: int


def activation_pitch(tiling: Tiling, machine: Machine) -> int:
    """Bytes from row to row of an activation tile: whole words, so that a row's first word is its own."""
    return align_up(tiling.k if tiling.resident else tiling.tile_k, machine.activation.width_bytes)


def output_pitch(tiling: Tiling, machine: Machine) -> int:
    """Bytes from row to row of an output tile."""
    return align_up(min(tiling.tile_n, tiling.n), machine.output.width_bytes)


def sums_pitch(tiling: Tiling) -> int:
    """Bytes from row to row of a block of sums."""
    return SUM_BYTES * min(tiling.columns, tiling.n)


def constants_offset(chunk: Chunk, machine: Machine) -> int:
    """Where a chunk's constants begin: after its weights, at a whole word."""
    return align_up(chunk.k.size * chunk.n.size, machine.weight.width_bytes)


def chunk_bytes(chunk: Chunk, machine: Machine) -> int:
    """Bytes of a chunk: its folds without gaps, and for the last of a column the constants."""
    if not chunk.last:
        return chunk.k.size * chunk.n.size
    return constants_offset(chunk, machine) + CONSTANT_BYTES * chunk.n.size


def footprint(tiling: Tiling, machine: Machine) -> Footprint:
    """Bytes of one slot in each memory."""
    k, n = min(tiling.tile_k, tiling.k), min(tiling.columns, tiling.n)
    largest = Chunk(Span(0, k), Span(0, n), last=True)
    m = min(tiling.tile_m, tiling.m)
    return Footprint(
        activation=m * activation_pitch(tiling, machine),
        weight=align_up(chunk_bytes(largest, machine), machine.weight.width_bytes),
        accumulator=align_up(m * sums_pitch(tiling), machine.accumulator.width_bytes),
        output=m * output_pitch(tiling, machine),
    )


def tile(lowering: Lowering, machine: Machine) -> Lowering:
    """Choose a tiling for each product; see `choose`."""
    return dataclasses.replace(lowering, tilings=tuple(choose(gemm, machine) for gemm in lowering.gemms))


def choose(gemm: Gemm, machine: Machine) -> Tiling:
    """Find the tiling that moves the fewest DRAM bursts among those within `SLACK` of the least estimated time.

    Raises
    ------
    DoesNotFitError
        If not even a tile of one row, one fold and one block fits.
    """
    rows, columns = machine.matrix.rows, machine.matrix.columns
    start = partial(Tiling, gemm.m, gemm.k, gemm.n, rows, columns)
    candidates = [
        slotted
        for tile_k, tile_n, resident, rows_outer in product(
            _halvings(gemm.k, rows), _halvings(gemm.n, columns), (True, False), (True, False)
        )
        for tile_m in _row_tiles(start(gemm.m, tile_k, tile_n, resident, rows_outer), machine)
        if (slotted := with_slots(start(tile_m, tile_k, tile_n, resident, rows_outer), machine))
    ]
    if not candidates:
        _explain(gemm, start(1, min(rows, gemm.k), min(columns, gemm.n), False, True), machine)
    estimates = [estimate(candidate, machine) for candidate in candidates]
    limit = min(e.cycles for e in estimates) * SLACK
    pairs = [(e, t) for e, t in zip(estimates, candidates, strict=True) if e.cycles <= limit]
    _, chosen = min(pairs, key=lambda p: (p[0].bursts, p[0].cycles, -p[1].tile_m, -p[1].tile_k, not p[1].rows_outer))
    return chosen


def _halvings(size: int, multiple: int) -> list[int]:
    """Tile sizes to try: the whole, its halves, quarters and so on, as multiples of the array's side."""
    sizes = [size]
    parts = 2
    while sizes[-1] > multiple:
        sizes.append(min(size, align_up(ceil_div(size, parts), multiple)))
        parts *= 2
    return sorted(set(sizes), reverse=True)


def _row_tiles(whole: Tiling, machine: Machine) -> list[int]:
    """Row tiles to try: the largest that fits twice and the largest that fits once, and even parts of these."""
    sizes = set()
    for slots in (2, 1):
        limit = machine.accumulator.capacity_bytes // (slots * (1 if whole.resident else whole.blocks))
        limit -= limit % machine.accumulator.width_bytes
        largest = min(
            whole.m,
            machine.activation.capacity_bytes // slots // activation_pitch(whole, machine),
            machine.output.capacity_bytes // slots // output_pitch(whole, machine),
            limit // sums_pitch(whole),
        )
        if largest:
            parts = ceil_div(whole.m, largest)
            sizes |= {ceil_div(whole.m, ceil_div(parts * times, 2)) for times in (2, 3, 4, 6, 8, 12, 16)}
    return sorted(sizes)


def with_slots(tiling: Tiling, machine: Machine) -> Tiling | None:
    """Give a tiling as many slots as help and fit; None if one slot of some memory does not fit."""
    size = footprint(tiling, machine)
    chunks = sum(ceil_div(t.size, tiling.columns) for t in cut(tiling.n, tiling.tile_n)) * tiling.tiles_k
    fits = Footprint(
        machine.activation.capacity_bytes // size.activation,
        machine.weight.capacity_bytes // size.weight,
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
        weights = useful(machine.weight, min(chunks, fits.weight, PREFETCH), size.weight)
    return dataclasses.replace(
        tiling,
        activations=min(tiles, fits.activation, wanted),
        weights=weights,
        sums=2 * blocks if fits.accumulator >= 2 * blocks else blocks,
        outputs=min(2, fits.output),
    )


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


def array_interval(tiling: Tiling, machine: Machine, m: int) -> int:
    """Cycles from one fold to the next for row tiles of m rows."""
    wave = 2 * tiling.rows + tiling.columns - 2
    return max(m, wave) if machine.matrix.double_buffered_weights else m + wave


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


def estimate(tiling: Tiling, machine: Machine) -> Estimate:
    """Estimate a layer's time, as if it began with empty scratchpads, and its DRAM bursts."""
    folds = ceil_div(tiling.n, tiling.columns) * sum(
        ceil_div(p.size, tiling.rows) for p in cut(tiling.k, tiling.tile_k)
    )
    compute = sum(folds * array_interval(tiling, machine, t.size) for t in cut(tiling.m, tiling.tile_m))
    burst = machine.dram.burst_bytes
    k = tiling.k if tiling.resident else tiling.tile_k
    activation = _tile_bursts(tiling.tile_m, k, k == tiling.k, burst)
    output = _tile_bursts(tiling.tile_m, min(tiling.n, tiling.tile_n), tiling.tiles_n == 1, burst)
    chunk = ceil_div(min(tiling.k, tiling.tile_k) * min(tiling.n, tiling.columns), burst) + 1
    activations, weights = loads(tiling)
    bursts = activations * activation + weights * chunk + tiling.tiles_m * tiling.tiles_n * output
    dram = machine.dram
    burst_cycles = dram.burst_period_fs / machine.clock_period_fs if isinstance(dram, SimpleDram) else 0.0
    overlapped = (
        (tiling.activations > 1 or activations == 1)
        and (tiling.weights > 1 or weights == 1)
        and (tiling.outputs > 1 or tiling.tiles_m * tiling.tiles_n == 1)
    )
    # a transfer takes as long as its bursts on the channel, and its words on the scratchpad's port
    load_x = max(activation * burst_cycles, tiling.tile_m * _words(k, machine.activation))
    load_w = max(
        chunk * burst_cycles, _words(min(tiling.k, tiling.tile_k) * min(tiling.n, tiling.columns), machine.weight)
    )
    store = max(output * burst_cycles, tiling.tile_m * _words(min(tiling.n, tiling.tile_n), machine.output))
    loading, storing = activations * load_x + weights * load_w, tiling.tiles_m * tiling.tiles_n * store
    transfer = max(loading, storing, bursts * burst_cycles)
    exposed = load_x + load_w + store  # before the first and after the last product
    # a load may want the bank that the array reads
    size = footprint(tiling, machine)
    clashes = 0.0
    if tiling.activations > 2 or not neighbours_apart(machine.activation, tiling.activations, size.activation):
        clashes += activations * load_x / machine.activation.banks
    if not neighbours_apart(machine.weight, tiling.weights, size.weight):
        clashes += weights * load_w / 2
    started = LOAD_CYCLES * (activations + weights)
    cycles = exposed + clashes + started + (max(compute, transfer) if overlapped else compute + transfer)
    return Estimate(cycles, bursts)


def _explain(gemm: Gemm, smallest: Tiling, machine: Machine) -> None:
    need = footprint(smallest, machine)
    faults = [
        f"layer {gemm.layer.name}: the {name} memory of {machine.name} must hold the smallest tile, {bytes_} bytes, "
        f"but has {getattr(machine, name).capacity_bytes}"
        for name, bytes_ in need._asdict().items()
        if bytes_ > getattr(machine, name).capacity_bytes
    ]
    raise DoesNotFitError(*faults)


def check(lowering: Lowering, machine: Machine) -> None:
    """Every step's parts cover the product exactly once, and the slots fit their memories."""
    for gemm, tiling in zip(lowering.gemms, lowering.tilings, strict=True):
        chunks = tiling.chunks()
        covered = sum(s.m.size * chunks[s.chunk].k.size * chunks[s.chunk].n.size for s in tiling.steps())
        if covered != gemm.m * gemm.k * gemm.n:
            raise DefectError(f"tiling of {gemm.layer.name} covers {covered} of {gemm.m * gemm.k * gemm.n} products")
        counts = (tiling.activations, tiling.weights, tiling.sums, tiling.outputs)
        for name, size, slots in zip(Footprint._fields, footprint(tiling, machine), counts, strict=True):
            if size * slots > getattr(machine, name).capacity_bytes:
                raise DefectError(f"tiling of {gemm.layer.name}: {slots} slots of {size} bytes do not fit {name}")
