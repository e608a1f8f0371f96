"""Places for tiles in a banked memory: which slots a memory is cut into, and whether they share banks.

A DMA holds a port of each bank that it fills for as long as it fills it. So what is filled next should lie in other
banks than what is in use.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.config.arch import Sram
from accelsim.isa.opcodes import Memory
from accelsim.units import ceil_div


@dataclass(frozen=True, slots=True)
class Slots:
    """Equal places in a memory that take turns, first in, first out."""

    memory: Memory
    addresses: tuple[int, ...]
    bytes: int


def deal(memory: Memory, sram: Sram, count: int, size: int, base: int = 0) -> Slots:
    """Cut a memory into slots: dealt out to the banks in turn if they fit so, else spread evenly.

    Parameters
    ----------
    sram
        The memory, or a part of it that begins at the address `base`.
    count, size
        Number of slots, and bytes of each; together they fit.
    """
    if count > 1 and _fits_banks(sram, count, size):
        step = sram.ranges // count if count < sram.ranges else 1
        addresses = tuple(i % sram.ranges * step * sram.range_bytes + i // sram.ranges * size for i in range(count))
    else:
        word = sram.width_bytes
        addresses = tuple(sram.capacity_bytes * i // count // word * word for i in range(count))
    return Slots(memory, tuple(base + address for address in addresses), size)


def neighbours_apart(sram: Sram, count: int, size: int) -> bool:
    """Whether a slot shares no bank with the one filled after it."""
    return count == 1 or _fits_banks(sram, count, size) or sram.ranges % count == 0


def _fits_banks(sram: Sram, count: int, size: int) -> bool:
    return sram.ranges > 1 and ceil_div(count, sram.ranges) * size <= sram.range_bytes


def parted(sram: Sram, count: int, size: int, staging: int, staged: int) -> tuple[Sram, Sram]:
    """Part of a memory for `count` slots, and part behind it for `staging` places of `staged` bytes.

    The places get banks of their own, one each or one together, where the slots' neighbours still lie apart in the
    others. Else they are cut off the end, and nothing is said of banks.
    """
    for banks in range(min(staging, sram.ranges - 1), 0, -1):
        front, back = (_part(sram, n * sram.range_bytes, n) for n in (sram.ranges - banks, banks))
        if (
            count * size <= front.capacity_bytes
            and neighbours_apart(front, count, size)
            and (ceil_div(staging, banks) * staged <= sram.range_bytes)
        ):
            return front, back
    behind = staging * staged
    return (_part(sram, sram.capacity_bytes - behind, 1), _part(sram, behind, 1)) if behind else (sram, sram)


def _part(sram: Sram, capacity_bytes: int, banks: int) -> Sram:
    return sram.model_copy(update={"capacity_bytes": capacity_bytes, "banks": banks})
