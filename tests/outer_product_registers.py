"""The outer-product unit at register level, stepped one clock edge at a time; small sizes, for tests only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Tile:
    """What the unit is offered: activations (k, R), weights (k, C), a bit a k, cycles in which the sums leave."""

    x: Int64
    w: Int64
    pending: NDArray[np.bool_]
    drains: int


@dataclass(frozen=True)
class Beat:
    """What travels with a selected k; `k` is None if none survived."""

    tile: Tile
    k: int | None
    first: bool
    last: bool
    bank: int


class OuterProductRegisters:
    """R x C elements with one or two sums each, the broadcast registers, the pending mask and the drain.

    On an edge, the lowest pending k moves into the address register, the operands of the k before into the broadcast
    registers, and the products of those are added. A finished tile is handed to the drain, two edges behind.
    """

    def __init__(self, rows: int, columns: int, ports: int, double_buffered: bool) -> None:
        self.ports, self.double_buffered = ports, double_buffered
        self.sums = np.zeros((2, columns, rows), np.int64)
        self.pending: NDArray[np.bool_] = np.zeros(0, bool)
        self.tile: Tile | None = None  # that selects, or waits to be handed over
        self.selecting = False
        self.bank = 0
        self.drain_left = 0
        self.address: Beat | None = None
        self.broadcast: tuple[Beat, Int64, Int64] | None = None
        self.handed: tuple[int, int] | None = None  # bank, cycles
        self.draining: tuple[int, int, int] | None = None  # bank, cycles, word

    def step(self, offered: Tile | None) -> tuple[bool, bool, Int64 | None]:
        """One edge; whether the tile was taken, and, after the edge, whether sums are complete and which leave."""
        waiting = self.tile is not None and not self.selecting
        ready = not self.selecting and (self.drain_left == 0 or not waiting)
        if not self.double_buffered:
            ready = not self.selecting and not waiting and self.drain_left == 0
        accepted = offered is not None and ready

        # the drain's data leave; then what was handed over an edge ago begins
        if self.draining is not None:
            bank, cycles, word = self.draining
            self.draining = (bank, cycles, word + 1) if word + 1 < cycles else None
        if self.handed is not None:
            self.draining = (*self.handed, 0)
        complete = self._accumulate()
        self.broadcast = None
        if self.address is not None:
            k = self.address.k
            zero = np.zeros(0, np.int64)
            tile = self.address.tile
            self.broadcast = (self.address, zero if k is None else tile.x[k], zero if k is None else tile.w[k])

        hands = waiting and self.drain_left == 0
        self.handed = (self.bank, self.tile.drains) if hands and self.tile is not None else None
        self.drain_left = self.handed[1] - 1 if self.handed is not None else max(0, self.drain_left - 1)
        if hands:
            self.tile = None
        self._select(offered if accepted else None)
        return accepted, complete, self._leaving()

    def _accumulate(self) -> bool:
        if self.broadcast is None:
            return False
        beat, x, w = self.broadcast
        if beat.first:
            self.sums[beat.bank] = 0
        if beat.k is not None:
            self.sums[beat.bank] += np.outer(w, x)
        return beat.last

    def _select(self, taken: Tile | None) -> None:
        self.address = None
        if taken is not None:
            self.tile, self.pending, self.selecting = taken, taken.pending.copy(), True
            self.bank = 1 - self.bank if self.double_buffered else 0
        if not self.selecting or self.tile is None:
            return
        survivors = np.flatnonzero(self.pending)
        k = int(survivors[0]) if len(survivors) else None
        if k is not None:
            self.pending[k] = False
        self.selecting = len(survivors) > 1
        self.address = Beat(self.tile, k, taken is not None, not self.selecting, self.bank)

    def _leaving(self) -> Int64 | None:
        if self.draining is None:
            return None
        bank, _, word = self.draining
        return self.sums[bank].ravel()[word * self.ports : (word + 1) * self.ports].copy()
