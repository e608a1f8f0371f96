"""What fills the slots of a scratchpad, and before which steps: as far ahead as double buffering wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.residency import EMPTY, Occupied, left_by
from accelsim.compiler.slots import Slots
from accelsim.config.arch import Machine
from accelsim.kernels.tilings import PREFETCH

Int64 = NDArray[np.int64]


class Fills(NamedTuple):
    """Tiles of a layer that fill slots in turn; shape (fills,).

    Parameters
    ----------
    sizes
        Bytes of each.
    first, last
        Steps that use it first and last.
    """

    slots: Slots
    sizes: Int64
    first: Int64
    last: Int64

    @property
    def addresses(self) -> Int64:
        """First byte of each."""
        return taken(self.slots, np.arange(len(self.sizes)))

    @property
    def ahead(self) -> int:
        """Slots that are filled before the one in use is free again."""
        return min(len(self.slots.addresses), PREFETCH) - 1


def taken(slots: Slots, number: Int64) -> Int64:
    """First byte of the slots that take these turns."""
    return np.array(slots.addresses)[number % len(slots.addresses)]


@dataclass(slots=True)
class Contents:
    """What a memory holds for the layers so far."""

    held: Occupied = EMPTY

    def fill(self, fills: Fills) -> None:
        """Put tiles over what is held."""
        by = left_by(np.array(fills.slots.addresses), fills.sizes, fills.last)
        self.held = self.held.overwritten(by)

    def keep(self, held: Held, last: int) -> None:
        """Hold a value until a step."""
        low, high = np.array([held.low]), np.array([held.low + held.bytes])
        self.held = self.held.overwritten(Occupied(low, high, np.array([last])))


@dataclass(slots=True)
class Scratchpad:
    """What the layers so far have loaded into a scratchpad.

    A load is emitted just before the first use of the tile that was loaded `ahead` loads before it, and after the
    last use of all bytes that it overwrites. With two slots that is the classical order: load 0, load 1, compute 0,
    load 2, compute 1.

    Parameters
    ----------
    contents
        What its memory holds, which other scratchpads may share.
    firsts
        First uses of the last tiles.
    expansions
        Steps before which the last encoded tiles are expanded.
    """

    contents: Contents
    firsts: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    expansions: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))

    def place(self, fills: Fills, not_before: int | Int64 = 0) -> Int64:
        """Bring tiles; return the steps before which that is done."""
        wanted = np.maximum(_earlier(self.firsts, fills.first, fills.ahead), not_before)
        self.firsts = np.append(self.firsts, fills.first)[-PREFETCH:]
        return self._bring(fills, wanted)

    def stage(self, fills: Fills) -> Int64:
        """Load encoded tiles that are expanded before their first step; return the steps before which that is done."""
        wanted = _earlier(self.expansions, fills.first, fills.ahead)
        self.expansions = np.append(self.expansions, fills.first)[-PREFETCH:]
        return self._bring(fills, wanted)

    def form(self, fills: Fills, wanted: Int64) -> Int64:
        """Form tiles on chip before the steps that are wanted, or later; return the steps before which that is done."""
        return self._bring(fills, wanted)

    def untouched(self, slots: Slots, sizes: Int64) -> Int64:
        """First step before which no layer before uses what the first tile of each slot overwrites; 0 for others."""
        low = np.array(slots.addresses[: len(sizes)])
        untouched = np.zeros_like(sizes)
        untouched[: len(low)] = self.contents.held.legal(low, low + sizes[: len(low)])
        return untouched

    def _bring(self, fills: Fills, wanted: Int64) -> Int64:
        before = np.minimum(fills.first, np.maximum(self._legal(fills), wanted))
        self.contents.fill(fills)
        return before

    def _legal(self, fills: Fills) -> Int64:
        """First step before which nothing uses what a tile overwrites; all tiles of a slot begin at its first byte."""
        legal, slots = self.untouched(fills.slots, fills.sizes), len(fills.slots.addresses)
        legal[slots:] = fills.last[:-slots] + 1
        return legal


@dataclass(frozen=True, slots=True)
class Scratchpads:
    """Those that tiles are loaded into, and what is held where results are formed; None if nothing is loaded there."""

    activation: Scratchpad
    weight: Scratchpad
    output: Contents | None

    @classmethod
    def of(cls, machine: Machine) -> Scratchpads:
        """Empty ones, which are one memory where the machine's are."""
        first = Contents()
        weight = first if "weight" in machine.shared else Contents()
        return cls(Scratchpad(first), Scratchpad(weight), first if "output" in machine.shared else None)


def _earlier(before: Int64, numbers: Int64, ahead: int) -> Int64:
    """For each of some numbers that follow others, the one so many places earlier; 0 if there is none or none ahead."""
    if not ahead:
        return np.zeros_like(numbers)
    padded = np.concatenate([np.zeros(ahead, np.int64), before, numbers])
    return padded[len(before) : len(before) + len(numbers)]
