"""Places for tiles in a banked memory: which slots a memory is cut into, and whether they share banks.

A DMA holds a port of each bank that it fills for as long as it fills it. So what is filled next should lie in other
banks than what is in use.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.compiler.rooms import Room
from accelsim.config.arch import Sram
from accelsim.isa.opcodes import Memory
from accelsim.kernels import tilings
from accelsim.units import ceil_div


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
    if count > 1 and sram.ranges > 1 and ceil_div(count, sram.ranges) * size <= sram.range_bytes:
        step = sram.ranges // count if count < sram.ranges else 1
        addresses = tuple(i % sram.ranges * step * sram.range_bytes + i // sram.ranges * size for i in range(count))
    else:
        word = sram.width_bytes
        addresses = tuple(sram.capacity_bytes * i // count // word * word for i in range(count))
    return Slots(memory, tuple(base + address for address in addresses), size)


def apart(sram: Sram, count: int, size: int) -> bool:
    """Whether a slot of a size shares no bank with the one filled after it, of so many."""
    return tilings.apart(sram.capacity_bytes, sram.ranges, count, size)


def parted(room: Room, count: int, size: int, staging: int, staged: int) -> tuple[Room, Room]:
    """Part of a room for slots, as `fronts` says, and part behind it for places; twice the whole if there are none.

    The places get banks of their own, one each or one together, where the slots' neighbours still lie apart in the
    others. Else they are cut off the end, and nothing is said of banks.
    """
    behind, sram = staging * staged, room.sram
    if not behind:
        return room, room
    banks = tilings.banks_behind(sram.capacity_bytes, sram.ranges, count, size, staging, staged)
    if banks:
        ranges = sram.ranges - banks
        return _part(room, 0, ranges * sram.range_bytes, ranges), _part(room, ranges * sram.range_bytes, None, banks)
    return _part(room, 0, sram.capacity_bytes - behind, 1), _part(room, sram.capacity_bytes - behind, None, 1)


def _part(room: Room, low: int, high: int | None, banks: int) -> Room:
    """Bytes of a room, up to its end if that is None."""
    end = room.sram.capacity_bytes if high is None else high
    return Room(
        room.memory,
        room.base + low,
        room.sram.model_copy(update={"capacity_bytes": end - low, "banks": banks}),
    )
