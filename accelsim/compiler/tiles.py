"""What a tiling is: spans, weight chunks and steps of a product, and the bytes that its tiles take.

A layer is computed in steps. A step is one column block (at most C outputs) of one weight chunk (at most `tile_k`
inputs) for one row tile: it needs an activation tile, a weight chunk (its folds of R x C, and for the last chunk of a
column the channels' constants), a block of sums in the accumulator and, at the end, a place in the output tile.

Tiles live in slots that take turns. A tile that is still in its slot is not loaded again, so a layer whose weights
all have slots loads them once, whatever the number of row tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Generic, NamedTuple

from accelsim.config.arch import Machine, Sram
from accelsim.units import Count, align_up, ceil_div


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
    columns
        Outputs of a column block, at most.
    tile_m, tile_k, tile_n
        Rows of a tile, inputs of a weight chunk, outputs of a tile (a multiple of `columns` unless whole).
    resident
        True: an activation tile holds all inputs of its rows, and a block's chunks follow each other. False: it holds
        one chunk's inputs, and all blocks of the output tile take turns for it.
    rows_outer
        Whether row tiles are the outer loop, and column tiles the inner.
    activations, weights, sums, outputs
        Slots of each memory.
    staging
        Places that chunks share while they are still encoded; 0 if each slot for weights has one of its own behind it.
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

    @property
    def loops(self) -> str:
        """Order of the loops, outermost first, in words."""
        outer = "rows, columns" if self.rows_outer else "columns, rows"
        return f"{outer}, {'blocks, inputs' if self.resident else 'inputs, blocks'}"

    @property
    def features(self) -> int:
        """Inputs of an activation tile, at most."""
        return self.k if self.resident else self.tile_k

    @property
    def width(self) -> int:
        """Outputs of the widest column block."""
        return min(self.columns, self.n)

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


class Footprint(NamedTuple, Generic[Count]):
    """Bytes of one slot in each memory."""

    activation: Count
    weight: Count
    accumulator: Count
    output: Count


class Place(NamedTuple):
    """A matrix of samples by features in a memory: where an element stands.

    Parameters
    ----------
    pitch
        Bytes from row to row; a row is a sample, or a feature if `feature_major`.
    bits
        Bits of an element; elements of a row follow each other without gaps.
    """

    address: int
    pitch: int
    feature_major: bool
    bits: int

    def at(self, sample: int, feature: int) -> int:
        """Address of an element, which begins a byte."""
        row, column = (feature, sample) if self.feature_major else (sample, feature)
        return self.address + row * self.pitch + column * self.bits // 8


def oriented(samples: Count, features: Count, *, feature_major: bool) -> tuple[Count, Count]:
    """Rows of a matrix in memory, and elements of a row."""
    return (features, samples) if feature_major else (samples, features)


def operands_shape(samples: Count, features: Count, machine: Machine, sram: Sram) -> tuple[Count, Count]:
    """Rows of a tile of operands, and bytes from row to row: whole words, so that a row's first word is its own."""
    rows, elements = oriented(samples, features, feature_major=machine.feature_major)
    return rows, align_up(ceil_div(elements * machine.operand.bits, 8), sram.width_bytes)


def operands_samples(bytes_: Count, features: Count, machine: Machine, sram: Sram) -> Count:
    """Samples of the largest tile of operands of that shape that takes at most so many bytes."""
    if not machine.feature_major:
        _, pitch = operands_shape(features, features, machine, sram)  # a row's bytes, whatever the samples
        return bytes_ // pitch
    words = bytes_ // features // sram.width_bytes
    return words * sram.width_bytes * 8 // machine.operand.bits


def sums_shape(samples: Count, features: Count, machine: Machine) -> tuple[Count, Count]:
    """Rows of a block of sums, and bytes from row to row."""
    rows, elements = oriented(samples, features, feature_major=machine.feature_major)
    return rows, machine.operand.sum_bytes * elements


def sums_samples(bytes_: Count, features: Count, machine: Machine) -> Count:
    """Samples of the largest block of sums that takes at most so many bytes, in whole words."""
    width = machine.accumulator.width_bytes
    return bytes_ // width * width // (machine.operand.sum_bytes * features)
