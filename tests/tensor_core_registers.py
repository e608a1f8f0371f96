"""A tensor core, or a joined pair, at register level, stepped one clock edge at a time; for tests only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Issue:
    """4 x s activations and s x 4 weights; with `index` (s x 4), s activations of each 2 s are picked for a column."""

    block: int
    first: bool
    a: Int64
    b: Int64
    index: Int64 | None = None


class TensorCoreRegisters:
    """The registers of the three stages and the sums of a tile.

    On an edge, tree sums are added to sums, products are summed, and operands are multiplied. Without local sums, the
    sum is read as the operands are and travels beside the products, so an issue waits for sums that are on their way.
    """

    def __init__(self, blocks: int, *, local: bool) -> None:
        self.local = local
        self.sums = np.zeros((blocks, 4, 4), np.int64)
        self.products: tuple[Issue, Int64, Int64] | None = None  # issue, products (4, 4, s), sum read at issue
        self.tree: tuple[Issue, Int64, Int64] | None = None

    def step(self, issue: Issue | None) -> tuple[bool, tuple[int, Int64] | None]:
        """One edge; whether the issue was taken, and the block whose sums were written, with them."""
        on_the_way = [stage[0].block for stage in (self.products, self.tree) if stage is not None]
        ready = issue is not None and (self.local or issue.first or issue.block not in on_the_way)
        entering = None
        if ready and issue is not None:
            entering = (issue, _products(issue), self.sums[issue.block] * (not issue.first))
        written = None
        if self.tree is not None:
            old, tree, addend = self.tree
            if self.local:
                addend = self.sums[old.block] * (not old.first)
            self.sums[old.block] = tree + addend
            written = (old.block, self.sums[old.block].copy())
        self.tree = None
        if self.products is not None:
            self.tree = (self.products[0], self.products[1].sum(axis=2), self.products[2])
        self.products = entering
        return ready, written


def _products(issue: Issue) -> Int64:
    products = np.zeros((4, 4, len(issue.b)), np.int64)
    for i, j, s in np.ndindex(*products.shape):
        picked = s if issue.index is None else s // 2 * 4 + issue.index[s, j]
        products[i, j, s] = issue.a[i, picked] * issue.b[s, j]
    return products
