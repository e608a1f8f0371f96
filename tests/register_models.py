"""Datapaths at register level, stepped one clock edge at a time; small sizes, for tests only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class WeightStationaryRegisters:
    """An R x C systolic array with every register of it.

    On an edge, the shift chain moves down by one row if a row of weights is offered; activations move right by one
    column; partial sums move down by one row, each the sum above plus the product formed in the processing element.
    The command to take the shadow weights over travels with the first activation of a tile.
    """

    def __init__(self, rows: int, columns: int, double_buffered: bool) -> None:
        self.rows, self.columns, self.double_buffered = rows, columns, double_buffered
        shape = (rows, columns)
        self.shadow = np.zeros(shape, np.int64)
        self.shadow_valid = np.zeros(shape, np.int64)
        self.active = np.zeros(shape, np.int64)
        self.x = np.zeros(shape, np.int64)  # activation that each element passes on
        self.swap = np.zeros(shape, bool)
        self.sums = np.zeros(shape, np.int64)

    def step(
        self, load_row: Int64 | None = None, left: Int64 | None = None, swap: NDArray[np.bool_] | None = None
    ) -> Int64:
        """One edge: a row of weights at the top, activations and swap commands at the left edge; sums at the bottom."""
        left = np.zeros(self.rows, np.int64) if left is None else left
        swap = np.zeros(self.rows, bool) if swap is None else swap
        x = np.column_stack((left, self.x[:, :-1]))
        take = np.column_stack((swap, self.swap[:, :-1]))
        weights = np.where(take, self.shadow, self.active) if self.double_buffered else self.shadow
        above = np.vstack((np.zeros((1, self.columns), np.int64), self.sums[:-1]))
        self.sums = above + x * weights
        self.active, self.x, self.swap = weights, x, take
        if load_row is not None:
            self.shadow = np.vstack((load_row[None], self.shadow[:-1]))
            self.shadow_valid = np.vstack((np.ones((1, self.columns), np.int64), self.shadow_valid[:-1]))
        return self.sums[-1].copy()


def run_tiles(
    array: WeightStationaryRegisters, tiles: list[tuple[Int64, Int64]], starts: list[tuple[int, int]]
) -> tuple[list[Int64], int]:
    """Drive tiles through the array: weights and rows of activations from given edges on.

    Activation r of a row is delayed by r edges before it enters row r; sums of column c are delayed by C - 1 - c after
    they leave, so that a whole row of results appears at once.

    Returns
    -------
    The product of each tile, and the number of edges until the last one has appeared.
    """
    rows, columns = array.rows, array.columns
    edges = starts[-1][1] + len(tiles[-1][0]) + rows + columns + 2
    loads: dict[int, Int64] = {}
    left = np.zeros((edges + rows, rows), np.int64)
    swap = np.zeros((edges + rows, rows), bool)
    for (x, w), (load, start) in zip(tiles, starts, strict=True):
        for edge in range(rows):
            loads[load + edge] = w[rows - 1 - edge]
        for r in range(rows):
            left[start + r : start + r + len(x), r] = x[:, r]
            swap[start + r, r] = True
    bottom = np.array([array.step(loads.get(edge), left[edge], swap[edge]) for edge in range(edges)])
    outputs, last = [], 0
    for (x, _), (_, start) in zip(tiles, starts, strict=True):
        # row i of column c leaves the last row on edge start + i + R - 1 + c, and its register holds it after
        rows_out = [[bottom[start + i + rows - 1 + c, c] for c in range(columns)] for i in range(len(x))]
        outputs.append(np.array(rows_out))
        last = start + len(x) - 1 + rows - 1 + columns - 1 + 1
    return outputs, last
