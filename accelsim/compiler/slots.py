"""Places for tiles in a banked memory: which slots a memory is cut into, and whether they share banks.

A DMA holds a port of each bank that it fills for as long as it fills it. So what is filled next should lie in other
banks than what is in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.rooms import Room
from accelsim.config.arch import Sram
from accelsim.isa.opcodes import Memory
from accelsim.units import Count, ceil_div

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slots:
    """Equal places in a memory that take turns, first in, first out."""

    memory: Memory
    addresses: tuple[int, ...]
    bytes: int


def deal(room: Room, count: int, size: int) -> Slots:
    """Cut a room into slots: dealt out to the banks in turn if they fit so, else spread evenly.

    Parameters
    ----------
    count, size
        Number of slots, and bytes of each; together they fit.
    """
    memory, base, sram = room
    if count > 1 and sram.ranges > 1 and _room(sram.ranges, sram.range_bytes, count, size) >= 0:
        step = sram.ranges // count if count < sram.ranges else 1
        addresses = tuple(i % sram.ranges * step * sram.range_bytes + i // sram.ranges * size for i in range(count))
    else:
        word = sram.width_bytes
        addresses = tuple(sram.capacity_bytes * i // count // word * word for i in range(count))
    return Slots(memory, tuple(base + address for address in addresses), size)


def _room(ranges: Count, range_bytes: Count, count: Count, size: Count) -> Count:
    """Bytes that are left in the fullest range when slots are dealt out to all in turn; negative if they don't fit."""
    return range_bytes - ceil_div(count, ranges) * size


class Parts(NamedTuple):
    """Parts of a memory for slots, each for a tiling of its own; int64, of one shape.

    Parameters
    ----------
    ranges
        Ranges of addresses that lie in banks of their own.
    """

    capacity_bytes: Int64
    ranges: Int64

    def neighbours_apart(self, count: Int64, size: Int64) -> NDArray[np.bool_]:
        """Whether a slot of that size shares no bank with the one filled after it, of so many."""
        dealt = (self.ranges > 1) & (_room(self.ranges, self.capacity_bytes // self.ranges, count, size) >= 0)
        apart: NDArray[np.bool_] = (count == 1) | dealt | (self.ranges % count == 0)
        return apart


def whole(sram: Sram, count: Int64) -> Parts:
    """The undivided memory for each of the counts of slots."""
    return Parts(np.full_like(count, sram.capacity_bytes), np.full_like(count, sram.ranges))


def apart(sram: Sram, count: int, size: int) -> bool:
    """Whether a slot of a size shares no bank with the one filled after it, of so many."""
    (alone,) = whole(sram, np.array([count])).neighbours_apart(np.array([count]), np.array([size]))
    return bool(alone)


def fronts(sram: Sram, count: Int64, size: Int64, staging: Int64, staged: Int64) -> Parts:
    """Parts of a memory for `count` slots of `size` bytes, before those for `staging` places of `staged` bytes."""
    undivided = whole(sram, count)
    if not staging.any():
        return undivided
    banks, behind = _banks_behind(sram, count, size, staging, staged), staging * staged
    capacity_bytes = sram.capacity_bytes - np.where(banks > 0, banks * sram.range_bytes, behind)
    return Parts(capacity_bytes, np.where((behind > 0) & (banks == 0), 1, sram.ranges - banks))


def parted(room: Room, count: int, size: int, staging: int, staged: int) -> tuple[Room, Room]:
    """Part of a room for slots, as `fronts` says, and part behind it for places; twice the whole if there are none.

    The places get banks of their own, one each or one together, where the slots' neighbours still lie apart in the
    others. Else they are cut off the end, and nothing is said of banks.
    """
    behind, sram = staging * staged, room.sram
    if not behind:
        return room, room
    banks = int(_banks_behind(sram, *(np.array([number]) for number in (count, size, staging, staged)))[0])
    if banks:
        ranges = sram.ranges - banks
        return _part(room, 0, ranges * sram.range_bytes, ranges), _part(room, ranges * sram.range_bytes, None, banks)
    return _part(room, 0, sram.capacity_bytes - behind, 1), _part(room, sram.capacity_bytes - behind, None, 1)


def _banks_behind(sram: Sram, count: Int64, size: Int64, staging: Int64, staged: Int64) -> Int64:
    """Banks that places for staging get for themselves, as many as help; 0 if they are cut off the end."""
    behind = np.zeros_like(count)
    for banks in range(1, min(int(staging.max()), sram.ranges - 1) + 1):
        ranges = sram.ranges - banks
        front = Parts(np.full_like(count, ranges * sram.range_bytes), np.full_like(count, ranges))
        suits = (
            (banks <= staging)
            & (count * size <= front.capacity_bytes)
            & front.neighbours_apart(count, size)
            & (ceil_div(staging, banks) * staged <= sram.range_bytes)
        )
        behind[suits] = banks
    return behind


def _part(room: Room, low: int, high: int | None, banks: int) -> Room:
    """Bytes of a room, up to its end if that is None."""
    end = room.sram.capacity_bytes if high is None else high
    return Room(
        room.memory,
        room.base + low,
        room.sram.model_copy(update={"capacity_bytes": end - low, "banks": banks}),
    )
