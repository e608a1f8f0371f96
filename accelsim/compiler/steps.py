"""The steps of a tiling: which tiles each of them uses, and when a tile fills a slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.residency import Turns, take_turns
from accelsim.compiler.tiles import Chunks, Cuts, Tiling, cuts

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of a tiling, in the order of execution; arrays of shape (steps,) unless said.

    Parameters
    ----------
    rows, tiles
        Row tiles and column tiles.
    chunks
        Weight chunks.
    row, chunk
        Number of each step's row tile and of its chunk.
    activations, weights
        Turns of the slots for activation tiles and for chunks.
    sums, outputs
        Turn in which the step's block of sums, and its output tile, take a slot.
    groups
        Number of each step's group of inputs that share scales, among all steps; those that have none count as one.
    kinds
        Steps by number, those together that issue the same opcodes on tiles of one shape.
    """

    rows: Cuts
    tiles: Cuts
    chunks: Chunks
    row: Int64
    chunk: Int64
    activations: Turns
    weights: Turns
    sums: Int64
    outputs: Int64
    groups: Int64
    kinds: list[Int64]

    @classmethod
    def of(cls, tiling: Tiling) -> Steps:
        """Work out a tiling's steps."""
        rows, tiles, chunks = tiling.parts_m, cuts(tiling.n, tiling.tile_n), tiling.chunk_table()
        row, chunk = tiling.order()
        batch, column_tile, row_tile = chunks.batch[chunk], chunks.tile[chunk], row % tiling.tiles_m
        part = np.searchsorted(tiling.parts_k.low, chunks.k_low[chunk])
        outer, none = tiling.rows_outer, np.zeros_like(row)
        # output tiles are executed one after the other
        outputs = row_tile * tiling.tiles_n + column_tile if outer else column_tile * tiling.tiles_m + row_tile
        outputs += batch * (tiling.tiles_m * tiling.tiles_n)
        parts, of_row = (1, none) if tiling.resident else (tiling.tiles_k, part)
        activations = take_turns(
            row if outer else batch,
            of_row if outer else row_tile * parts + of_row,
            np.array([parts if outer else parts * tiling.tiles_m]),
            column_tile,
            tiling.activations,
        )
        of_batch = len(chunks.tile) // tiling.batches
        of_tile = np.bincount(chunks.tile[:of_batch])
        first_of_tile = np.cumsum(of_tile) - of_tile
        weights = take_turns(
            batch if outer else batch * tiling.tiles_n + column_tile,
            chunk % of_batch - (0 if outer else first_of_tile[column_tile]),
            np.array([of_batch]) if outer else of_tile[column_tile],
            row_tile,
            tiling.weights,
        )
        block = (chunks.n_low[chunk] - tiles.low[column_tile]) // tiling.columns
        again = np.where(chunks.first[chunk], 0, 1)
        sums = take_turns(outputs, block, np.array([tiling.blocks]), again, tiling.sums).number
        kinds = _kinds(tiling, rows, chunks, row, chunk)
        complete = (~chunks.integers | chunks.scaled)[chunk]
        groups: Int64 = np.cumsum(complete) - complete
        return cls(rows, tiles, chunks, row, chunk, activations, weights, sums, outputs, groups, kinds)


def _kinds(tiling: Tiling, rows: Cuts, chunks: Chunks, row: Int64, chunk: Int64) -> list[Int64]:
    short = (
        chunks.k_size < np.where(chunks.integers, tiling.tile_k, tiling.wide_k),
        chunks.n_size < tiling.columns,
    )
    flags = (*short, chunks.last, chunks.done, chunks.integers, chunks.scaled)
    kind = np.packbits(np.stack(flags, axis=1), axis=1, bitorder="little")[:, 0][chunk]
    kind += (rows.size < tiling.tile_m).astype(np.uint8)[row] << len(flags)
    return [np.flatnonzero(kind == number) for number in np.flatnonzero(np.bincount(kind))]
