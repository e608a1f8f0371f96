"""Which tile is in which slot at each step, and from when on a slot's bytes may be overwritten."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import occupied as kernel

Int64 = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Turns(NamedTuple):
    """Fills of slots that take turns, first in, first out; shape (steps,).

    Parameters
    ----------
    fills
        Whether the step's tile is not in its slot and fills the next one.
    number
        Number of the fill that brought the step's tile; fill i goes to slot i modulo the slots.
    """

    fills: Bools
    number: Int64


def take_turns(group: Int64, tile: Int64, tiles: Int64, passes: Int64, slots: int) -> Turns:
    """Find the fills of steps that pass the tiles of a group in order, time and again, before those of the next group.

    If all tiles of a group have slots, its first pass fills them. Else every tile fills a slot whenever its turn comes,
    because the slot that it had was filled since.

    Parameters
    ----------
    group
        Number of the group, ascending.
    tile, tiles
        Number of the step's tile in its group, and how many tiles that group has.
    passes
        Number of the pass.
    """
    begins = np.ones(len(group), np.bool_)
    begins[1:] = np.diff(group) != 0
    comes = begins.copy()
    comes[1:] |= np.diff(tile) != 0
    fits = tiles <= slots
    fills = comes & ((passes == 0) | ~fits)
    latest = np.cumsum(fills) - 1
    first_of_group = latest[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return Turns(fills, np.where(fits, first_of_group + tile, latest))


class Occupied(NamedTuple):
    """Byte ranges of a scratchpad, ascending and disjoint, and the last step that uses what each holds; (ranges,)."""

    low: Int64
    high: Int64
    last: Int64

    def legal(self, low: Int64, high: Int64) -> Int64:
        """First step before which nothing uses any more what [low, high) holds; same shape."""
        return kernel.legal(self.high, self.low, self.last, low, high)

    def overwritten(self, by: Occupied) -> Occupied:
        """What is held after other tiles were put over these: they in whole, of these what is left."""
        return Occupied(*kernel.overwritten((self.low, self.high, self.last), (by.low, by.high, by.last)))


#: Nothing is held yet.
EMPTY = Occupied(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def left_by(addresses: Int64, sizes: Int64, last: Int64) -> Occupied:
    """What fills leave in their slots: the last one in whole, of those before it what reaches further.

    Parameters
    ----------
    addresses
        First byte of each slot, of which fill i takes number i modulo their count; shape (slots,).
    sizes, last
        Bytes of each fill, and the last step that uses it; shape (fills,).
    """
    return Occupied(*kernel.left_by(addresses, sizes, last))


def latest_of_slot(steps: Int64, slots: int) -> Int64:
    """The largest of each fill's number and those of the fills before it in its slot; shape (fills,)."""
    return np.maximum.accumulate(_in_rounds(steps, slots), axis=0).ravel()[: len(steps)]


def _in_rounds(numbers: Int64, slots: int) -> Int64:
    """Numbers of fills as a table of rounds by slots, filled up with zeros."""
    table = np.zeros((-(-len(numbers) // slots), slots), np.int64)
    table.ravel()[: len(numbers)] = numbers
    return table
