"""The structured-sparse unit at register level, stepped one clock edge at a time; small sizes, for tests only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class StructuredSparseRegisters:
    """C dot products of R multipliers with every register of them.

    On an edge, products are summed, what the multiplexers have picked is multiplied, and a row of activations passes
    them. A row of shadow registers is written by its address; with the first row of a fold all are taken over.
    """

    def __init__(self, rows: int, columns: int, kept: int, group: int) -> None:
        self.kept, self.group = kept, group
        shape = (rows, columns)
        self.shadow_weights, self.shadow_indices = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.weights, self.indices = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.selected, self.products = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.valid = [False, False, False]

    def step(
        self,
        load: tuple[int, Int64, Int64] | None = None,
        x: Int64 | None = None,
        *,
        swap: bool = False,
        sparse: bool = False,
        addend: Int64 | None = None,
    ) -> Int64 | None:
        """One edge: an addressed row of weights and indices, a row of activations, what the last stage adds."""
        sums = self.products.sum(axis=0) + (0 if addend is None else addend)
        self.products = self.selected * self.weights
        if swap:
            self.weights, self.indices = self.shadow_weights.copy(), self.shadow_indices.copy()
        if x is not None:
            for r in range(len(self.selected)):
                for c in range(self.selected.shape[1]):
                    picked = r // self.kept * self.group + self.indices[r, c] if sparse else r
                    self.selected[r, c] = x[picked]
        if load is not None:
            row, self.shadow_weights[row], self.shadow_indices[row] = load
        self.valid = [x is not None, *self.valid[:2]]
        return sums if self.valid[2] else None
