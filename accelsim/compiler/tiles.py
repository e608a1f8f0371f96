"""What a tiling is: spans, weight tiles and steps of a product, and the bytes that its tiles take.

A layer is computed in steps. A step is one column block (at most C outputs) of one weight tile (at most `tile_k`
inputs) for one row tile: it needs an activation tile, a weight tile (its folds of R x C, and for the last one of a
column the channels' constants), a block of sums in the accumulator and, at the end, a place in the output tile.

Tiles live in slots that take turns. A tile that is still in its slot is not loaded again, so a layer whose weights
all have slots loads them once, whatever the number of row tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine, Sram
from accelsim.config.operands import Operand
from accelsim.units import Count, align_up, ceil_div

Int64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Span(NamedTuple):
    """A part of a dimension, half open."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.high - self.low


class WeightTile(NamedTuple):
    """Weights of one step: inputs k and outputs n; `last` if the column's sums are complete after it."""

    k: Span
    n: Span
    last: bool


class WeightTiles(NamedTuple):
    """All weight tiles of a tiling, in the order in which a row tile uses them; shape (weight tiles,).

    Parameters
    ----------
    k_low, k_size, n_low, n_size
        Inputs and outputs.
    tile
        Column tile, by number.
    first, last
        Whether the weight tile begins, or completes, the sums of its column block.
    done
        Whether the output tile is complete after it.
    integers
        Whether its inputs are multiplied as integers on a machine of floats.
    scaled
        Whether it completes the int32 sums of a group of such inputs, which are then scaled.
    batch
        Product that it belongs to, where there are several.
    """

    k_low: Int64
    k_size: Int64
    n_low: Int64
    n_size: Int64
    tile: Int64
    first: Bools
    last: Bools
    done: Bools
    integers: Bools
    scaled: Bools
    batch: Int64

    def take(self, which: Int64) -> WeightTiles:
        """Some of them, or some several times."""
        columns: list[Any] = [column[which] for column in self]
        return WeightTiles(*columns)


class Order(NamedTuple):
    """All steps in the order of execution: row tile and weight tile of each by number; shape (steps,)."""

    row: Int64
    weight_tile: Int64


def cut(size: int, tile: int) -> list[Span]:
    """Parts of a dimension, all of size `tile` but the last."""
    return [Span(low, min(low + tile, size)) for low in range(0, size, tile)]


class Cuts(NamedTuple):
    """Parts of a dimension: first element and size of each; shape (parts,)."""

    low: Int64
    size: Int64


def cuts(size: int, tile: int) -> Cuts:
    """The parts that `cut` makes, as arrays."""
    low = np.arange(0, size, tile)
    return Cuts(low, np.minimum(tile, size - low))


def cuts_anew(size: int, tile: int, period: int) -> Cuts:
    """Parts of size `tile` of each run of `period` elements; of the whole if that is 0."""
    low, length = cuts(period or size, tile)
    first = np.arange(0, size, period or size)
    return Cuts((first[:, None] + low).ravel(), np.tile(length, len(first)))


def cuts_apart(size: int, tile: int, split: int, wide: int) -> Cuts:
    """Parts of size `tile` below `split`, and of size `wide` from there on."""
    before, after = cuts(split, tile), cuts(size - split, wide)
    return Cuts(np.append(before.low, split + after.low), np.append(before.size, after.size))


def whole_folds(tile_k: Count, fold: int) -> Count:
    """Inputs of a weight tile of floats beside those of integers: whole folds, which decide how sums are rounded."""
    whole: Count = np.maximum(tile_k // fold * fold, fold)
    return whole


@dataclass(frozen=True, slots=True)
class ChannelGroups:
    """Groups of channels whose filters read no others.

    Parameters
    ----------
    count
        Groups of channels.
    channels, filters
        Channels of a pixel, and outputs, of all groups.
    pixel
        Inputs of a pixel: channels, and those behind them that no filter reads.
    """

    count: int
    channels: int
    filters: int
    pixel: int

    def read(self, inputs: Cuts, outputs: Cuts) -> Bools:
        """Whether any of some outputs reads any of some inputs (K); shape (parts of K, parts of N)."""
        numbers = np.arange(self.count)
        first, last = (x // (self.filters // self.count) for x in (outputs.low, outputs.low + outputs.size - 1))
        formed = (numbers >= first[:, None]) & (numbers <= last[:, None])
        group = np.arange(self.pixel) // (self.channels // self.count)  # those behind the channels are of none
        there = np.zeros((len(inputs.low), max(self.count, int(group[-1]) + 1)), np.bool_)
        for part, (low, size) in enumerate(zip(inputs.low.tolist(), inputs.size.tolist(), strict=True)):
            there[part, group[np.arange(low, low + min(size, self.pixel)) % self.pixel]] = True
        with np.errstate(invalid="ignore"):  # a BLAS may raise it for lanes that it does not use
            read: Bools = (there[:, : self.count].astype(np.float32) @ formed.T.astype(np.float32)) > 0
        return read


@dataclass(frozen=True)
class Tiling:
    """How one product is cut.

    Parameters
    ----------
    columns
        Outputs of a column block, at most.
    tile_m, tile_k, tile_n
        Rows of a tile, inputs of a weight tile, outputs of a tile (a multiple of `columns` unless whole).
    resident
        True: an activation tile holds all inputs of its rows, and a block's weight tiles follow each other. False: it
        holds one weight tile's inputs, and all blocks of the output tile take turns for it.
    rows_outer
        Whether row tiles are the outer loop, and column tiles the inner.
    activations, weights, sums, outputs
        Slots of each memory.
    staging
        Places that weight tiles share while they are still encoded; 0 if each slot for weights has its own behind it.
    split
        First inputs, which are multiplied as integers on a machine of floats; no weight tile has them and others.
    group
        Of those, inputs that share scales: a multiple of a weight tile's, and as many unless all inputs are resident.
    fold
        Inputs of a fold of the floats beside them.
    period
        Rows after which row tiles begin anew, those of an image; 0 if they don't.
    groups
        Which inputs each output reads, if not all: weight tiles of zeros alone are left out.
    batches
        Products of so many rows and weights of their own, one after the other.
    """

    m: int
    k: int
    n: int
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
    staging: int = 0
    split: int = 0
    group: int = 1
    fold: int = 1
    period: int = 0
    groups: ChannelGroups | None = None
    batches: int = 1

    @cached_property
    def parts_m(self) -> Cuts:
        """Rows of the row tiles."""
        return cuts_anew(self.m, self.tile_m, self.period)

    @property
    def wide_k(self) -> int:
        """Inputs of a weight tile of floats, at most."""
        return int(whole_folds(self.tile_k, self.fold)) if self.split else self.tile_k

    @cached_property
    def parts_k(self) -> Cuts:
        """Inputs of the weight tiles of a column block."""
        return cuts_apart(self.k, self.tile_k, self.split, self.wide_k)

    @property
    def loops(self) -> str:
        """Order of the loops, outermost first, in words."""
        outer = "rows, columns" if self.rows_outer else "columns, rows"
        return f"{outer}, {'blocks, inputs' if self.resident else 'inputs, blocks'}"

    @property
    def features(self) -> int:
        """Inputs of an activation tile, at most."""
        return self.k if self.resident else max(self.tile_k, self.wide_k)

    @property
    def width(self) -> int:
        """Outputs of the widest column block."""
        return min(self.columns, self.n)

    @property
    def tiles_m(self) -> int:
        """Number of row tiles of a batch."""
        return len(self.parts_m.low) // self.batches

    @property
    def tiles_k(self) -> int:
        """Number of weight tiles of a column block."""
        return len(self.parts_k.low)

    @property
    def tiles_n(self) -> int:
        """Number of column tiles."""
        return ceil_div(self.n, self.tile_n)

    @property
    def blocks(self) -> int:
        """Column blocks of the widest output tile."""
        return ceil_div(min(self.tile_n, self.n), self.columns)

    @cached_property
    def weight_tile_table(self) -> WeightTiles:
        """All weight tiles, batch by batch, as arrays."""
        weight_tiles = self.weight_tiles_of_batch
        if self.batches == 1:
            return weight_tiles
        batch, number = np.divmod(np.arange(self.batches * len(weight_tiles.tile)), len(weight_tiles.tile))
        return weight_tiles.take(number)._replace(batch=batch)

    @cached_property
    def weight_tiles_of_batch(self) -> WeightTiles:
        """The weight tiles of the first product."""
        k_low, k_size = self.parts_k
        n_low, n_size = cuts(self.n, self.columns)
        block, part = np.divmod(np.arange(len(n_low) * len(k_low)), len(k_low))
        tile = n_low[block] // self.tile_n
        if not self.resident:
            order = np.lexsort((block, part, tile))
            block, part, tile = block[order], part[order], tile[order]
        if self.groups:
            kept = self.groups.read(self.parts_k, Cuts(n_low, n_size))[part, block]
            block, part, tile = block[kept], part[kept], tile[kept]
        # of each block the first and the last of its parts, which follow each other in ascending order
        first, last = (np.zeros(len(block), np.bool_) for _ in range(2))
        first[np.unique(block, return_index=True)[1]] = True
        last[len(block) - 1 - np.unique(block[::-1], return_index=True)[1]] = True
        done = np.append(np.diff(tile) > 0, True)
        k_low, k_high = k_low[part], (k_low + k_size)[part]
        integers = k_low < self.split
        scaled = integers & ((k_high % self.group == 0) | (k_high == self.split))
        sizes = (k_low, k_size[part], n_low[block], n_size[block])
        return WeightTiles(*sizes, tile, first, last, done, integers, scaled, np.zeros_like(tile))

    def weight_tiles(self) -> Iterator[WeightTile]:
        """The weight tiles of a batch, one by one: as objects that all exist at once they would take long to make."""
        table = self.weight_tiles_of_batch
        ends = (table.k_low, table.k_low + table.k_size, table.n_low, table.n_low + table.n_size, table.last)
        for k_low, k_high, n_low, n_high, last in zip(*(x.tolist() for x in ends), strict=True):
            yield WeightTile(Span(k_low, k_high), Span(n_low, n_high), last)

    def order(self) -> Order:
        """All steps: weight tiles of all column tiles, or of one after the other, for each row tile; batch by batch."""
        rows, tile = np.arange(self.tiles_m)[:, None], self.weight_tiles_of_batch.tile
        ends = [len(tile)] if self.rows_outer else np.flatnonzero(np.append(np.diff(tile) > 0, True)) + 1
        pairs = [np.broadcast_arrays(rows, np.arange(low, high)) for low, high in pairwise([0, *ends])]
        row, weight_tile = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
        batches = np.arange(self.batches)[:, None]
        return Order((batches * self.tiles_m + row).ravel(), (batches * len(tile) + weight_tile).ravel())


class Footprint(NamedTuple, Generic[Count]):
    """Bytes of one slot in each memory."""

    activation: Count
    weight: Count
    accumulator: Count
    output: Count


class Lead(NamedTuple):
    """An axis before the samples of a matrix: how many matrices there are, and bytes from one to the next."""

    number: int
    step: int


class Place(NamedTuple):
    """A matrix of samples by features in a memory: where an element stands.

    Parameters
    ----------
    pitch
        Bytes from row to row; a row is a sample, or a feature if `feature_major`.
    bits
        Bits of an element; elements of a row follow each other without gaps.
    leads, period
        If samples do not all lie alike, the axes before the last one that they count, and samples of that one; else
        none, and 0.
    """

    address: int
    pitch: int
    feature_major: bool
    bits: int
    leads: tuple[Lead, ...] = ()
    period: int = 0

    @property
    def sample_bytes(self) -> int:
        """Bytes from a sample to the next."""
        return self.bits // 8 if self.feature_major else self.pitch

    def features_bytes(self, features: int) -> int:
        """Bytes from a feature to the one that many behind it, which begins a byte."""
        return features * self.pitch if self.feature_major else features * self.bits // 8

    def at(self, sample: Count, feature: Count) -> Count:
        """Address of an element, which begins a byte."""
        lead, sample = self._lead(sample) if self.leads else (0, sample)
        row, column = oriented(sample, feature, feature_major=self.feature_major)
        return self.address + lead + row * self.pitch + column * self.bits // 8

    def _lead(self, sample: Count) -> tuple[Count, Count]:
        """Bytes to the run of samples that one is in, and its number there."""
        number, within = sample // self.period, sample % self.period
        lead = 0 * number
        for axis in reversed(self.leads):
            number, place = number // axis.number, number % axis.number
            lead = lead + place * axis.step
        return lead, within


def oriented(samples: Count, features: Count, *, feature_major: bool) -> tuple[Count, Count]:
    """Rows of a matrix in memory, and elements of a row."""
    return (features, samples) if feature_major else (samples, features)


def operands_shape(
    samples: Count, features: Count, operand: Operand, machine: Machine, sram: Sram
) -> tuple[Count, Count]:
    """Rows of a tile of operands, and bytes from row to row: whole words, so that a row's first word is its own."""
    rows, elements = oriented(samples, features, feature_major=machine.feature_major)
    return rows, align_up(ceil_div(elements * operand.bits, 8), sram.width_bytes)


def operands_samples(bytes_: Count, features: Count, operand: Operand, machine: Machine, sram: Sram) -> Count:
    """Samples of the largest tile of operands of that shape that takes at most so many bytes."""
    if not machine.feature_major:
        _, pitch = operands_shape(features, features, operand, machine, sram)  # a row's bytes, whatever the samples
        return bytes_ // pitch
    words = bytes_ // features // sram.width_bytes
    return words * sram.width_bytes * 8 // operand.bits


def sums_shape(samples: Count, features: Count, machine: Machine) -> tuple[Count, Count]:
    """Rows of a block of sums, and bytes from row to row."""
    rows, elements = oriented(samples, features, feature_major=machine.feature_major)
    return rows, machine.operand.sum_bytes * elements


def sums_samples(bytes_: Count, features: Count, machine: Machine) -> Count:
    """Samples of the largest block of sums that takes at most so many bytes, in whole words."""
    width = machine.accumulator.width_bytes
    return bytes_ // width * width // (machine.operand.sum_bytes * features)


def halvings(size: int, multiple: int, most: int | None = None) -> list[int]:
    """Tile sizes to try: the whole, its halves, quarters and so on, as multiples of a datapath's side."""
    sizes = [size]
    parts = 2
    while sizes[-1] > multiple:
        sizes.append(min(size, align_up(ceil_div(size, parts), multiple)))
        parts *= 2
    return sorted({s for s in sizes if most is None or s <= most}, reverse=True)
