"""Datapaths at register level, stepped one clock edge at a time; small sizes, for tests only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class WeightStationaryRegisters:
    """An R x C systolic array with every register of it.

    On an edge, a row of weights that is offered enters the shift chain, which moves down by one row, or, in an array
    with row addresses, the row named; activations move right by one column; partial sums move down by one row, each the
    sum above plus the product formed in the processing element. The command to take the shadow weights over travels
    with the first activation of a tile.
    """

    def __init__(self, rows: int, columns: int, double_buffered: bool, addressed: bool = False) -> None:
        self.rows, self.columns, self.double_buffered, self.addressed = rows, columns, double_buffered, addressed
        shape = (rows, columns)
        self.shadow = np.zeros(shape, np.int64)
        self.shadow_valid = np.zeros(shape, np.int64)
        self.shadow_writes = 0  # writes of weights that a load has brought
        self.active = np.zeros(shape, np.int64)
        self.x = np.zeros(shape, np.int64)  # activation that each element passes on
        self.swap = np.zeros(shape, bool)
        self.sums = np.zeros(shape, np.int64)

    def step(
        self,
        load_row: Int64 | None = None,
        left: Int64 | None = None,
        swap: NDArray[np.bool_] | None = None,
        address: int = 0,
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
        if load_row is not None and self.addressed:
            self.shadow, self.shadow_valid = self.shadow.copy(), self.shadow_valid.copy()
            self.shadow[address], self.shadow_valid[address] = load_row, 1
            self.shadow_writes += self.columns
        elif load_row is not None:
            self.shadow = np.vstack((load_row[None], self.shadow[:-1]))
            self.shadow_valid = np.vstack((np.ones((1, self.columns), np.int64), self.shadow_valid[:-1]))
            self.shadow_writes += int(self.shadow_valid.sum())
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
    loads: dict[int, tuple[Int64, int]] = {}
    left = np.zeros((edges + rows, rows), np.int64)
    swap = np.zeros((edges + rows, rows), bool)
    for (x, w), (load, start) in zip(tiles, starts, strict=True):
        for edge in range(rows):
            row = edge if array.addressed else rows - 1 - edge
            loads[load + edge] = w[row], row
        for r in range(rows):
            left[start + r : start + r + len(x), r] = x[:, r]
            swap[start + r, r] = True
    bottom_rows = []
    for edge in range(edges):
        row, address = loads.get(edge, (None, 0))
        bottom_rows.append(array.step(row, left[edge], swap[edge], address))
    bottom = np.array(bottom_rows)
    outputs, last = [], 0
    for (x, _), (_, start) in zip(tiles, starts, strict=True):
        # row i of column c leaves the last row on edge start + i + R - 1 + c, and its register holds it after
        rows_out = [[bottom[start + i + rows - 1 + c, c] for c in range(columns)] for i in range(len(x))]
        outputs.append(np.array(rows_out))
        last = start + len(x) - 1 + rows - 1 + columns - 1 + 1
    return outputs, last


class OutputStationaryRegisters:
    """An R x C systolic array whose sums stay, with every register of it.

    On an edge without a drain, activations move right by one column, weights down by one row, and each element adds
    the product of the two that arrive to its sum. On an edge with a drain, all sums move down by one row instead.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.x = np.zeros((rows, columns), np.int64)
        self.w = np.zeros((rows, columns), np.int64)
        self.sums = np.zeros((rows, columns), np.int64)

    def step(self, left: Int64, top: Int64, drain: bool) -> Int64:
        """One edge: operands at the left and upper edge, shapes (R,) and (C,); sums that a port reads at the bottom."""
        bottom = self.sums[-1].copy()
        self.x = np.column_stack((left, self.x[:, :-1]))
        self.w = np.vstack((top, self.w[:-1]))
        if drain:
            self.sums = np.vstack((np.zeros((1, self.columns), np.int64), self.sums[:-1]))
        else:
            self.sums = self.sums + self.x * self.w
        return bottom


def run_output_tiles(
    array: OutputStationaryRegisters, tiles: list[tuple[Int64, Int64]], starts: list[tuple[int, int]]
) -> tuple[list[Int64], int]:
    """Drive tiles of activations (m, k) and weights (k, n) through the array, from given edges on.

    Parameters
    ----------
    starts
        Edge on which a tile's first operands enter the first row and column, and that of its drain's first shift.

    Returns
    -------
    The product of each tile, and the number of edges until the last row of sums has been read.
    """
    rows, columns = array.rows, array.columns
    edges = starts[-1][1] + rows
    length = edges + max(x.shape[1] for x, _ in tiles) + rows + columns
    left, top = np.zeros((length, rows), np.int64), np.zeros((length, columns), np.int64)
    drain = np.zeros(edges, bool)
    for (x, w), (start, shift) in zip(tiles, starts, strict=True):
        m, k = x.shape
        for i in range(m):
            r = rows - m + i  # a tile sits at the lower edge
            left[start + r : start + r + k, r] = x[i]
        for c in range(w.shape[1]):
            top[start + c : start + c + k, c] = w[:, c]
        drain[shift : shift + m] = True
    bottom = np.array([array.step(left[edge], top[edge], bool(drain[edge])) for edge in range(edges)])
    outputs = [
        bottom[shift : shift + len(x)][::-1, : w.shape[1]] for (x, w), (_, shift) in zip(tiles, starts, strict=True)
    ]
    return outputs, starts[-1][1] + len(tiles[-1][0])
