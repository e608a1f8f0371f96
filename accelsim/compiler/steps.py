"""The steps of a tiling: which tiles each of them uses, and when a tile fills a slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.residency import Turns, take_turns
from accelsim.compiler.tiles import Cuts, Tiling, WeightTiles, cuts

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of a tiling, in the order of execution; arrays of shape (steps,) unless said.

    Parameters
    ----------
    rows, tiles
        Row tiles and column tiles.
    weight_tiles
        Weight tiles.
    row, weight_tile
        Number of each step's row tile and of its weight tile.
    activations, weights
        Turns of the slots for activation tiles and for weight tiles.
    sums, outputs
        Turn in which the step's block of sums, and its output tile, take a slot.
    groups
        Number of each step's group of inputs that share scales, among all steps; those that have none count as one.
    kinds
        Steps by number, those together that issue the same opcodes on tiles of one shape.
    """

    rows: Cuts
    tiles: Cuts
    weight_tiles: WeightTiles
    row: Int64
    weight_tile: Int64
    activations: Turns
    weights: Turns
    sums: Int64
    outputs: Int64
    groups: Int64
    kinds: list[Int64]

    @classmethod
    def of(cls, tiling: Tiling) -> Steps:
        """Work out a tiling's steps."""
        rows, tiles, weight_tiles = tiling.parts_m, cuts(tiling.n, tiling.tile_n), tiling.weight_tile_table
        row, weight_tile = tiling.order()
        batch, column_tile, row_tile = (
            weight_tiles.batch[weight_tile],
            weight_tiles.tile[weight_tile],
            row % tiling.tiles_m,
        )
        part = np.searchsorted(tiling.parts_k.low, weight_tiles.k_low[weight_tile])
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
        of_batch = len(weight_tiles.tile) // tiling.batches
        of_tile = np.bincount(weight_tiles.tile[:of_batch])
        first_of_tile = np.cumsum(of_tile) - of_tile
        weights = take_turns(
            batch if outer else batch * tiling.tiles_n + column_tile,
            weight_tile % of_batch - (0 if outer else first_of_tile[column_tile]),
            np.array([of_batch]) if outer else of_tile[column_tile],
            row_tile,
            tiling.weights,
        )
        block = (weight_tiles.n_low[weight_tile] - tiles.low[column_tile]) // tiling.columns
        again = np.where(weight_tiles.first[weight_tile], 0, 1)
        sums = take_turns(outputs, block, np.array([tiling.blocks]), again, tiling.sums).number
        kinds = _kinds(tiling, rows, weight_tiles, row, weight_tile)
        complete = (~weight_tiles.integers | weight_tiles.scaled)[weight_tile]
        groups: Int64 = np.cumsum(complete) - complete
        return cls(rows, tiles, weight_tiles, row, weight_tile, activations, weights, sums, outputs, groups, kinds)


def _kinds(tiling: Tiling, rows: Cuts, weight_tiles: WeightTiles, row: Int64, weight_tile: Int64) -> list[Int64]:
    short = (
        weight_tiles.k_size < np.where(weight_tiles.integers, tiling.tile_k, tiling.wide_k),
        weight_tiles.n_size < tiling.columns,
    )
    flags = (*short, weight_tiles.last, weight_tiles.done, weight_tiles.integers, weight_tiles.scaled)
    kind = np.packbits(np.stack(flags, axis=1), axis=1, bitorder="little")[:, 0][weight_tile]
    kind += (rows.size < tiling.tile_m).astype(np.uint8)[row] << len(flags)
    return [np.flatnonzero(kind == number) for number in np.flatnonzero(np.bincount(kind))]
