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


def deal(memory: Memory, sram: Sram, count: int, size: int) -> Slots:
    """Cut a memory into slots: dealt out to the banks in turn if they fit so, else spread evenly.

    Parameters
    ----------
    count, size
        Number of slots, and bytes of each; together they fit the memory.
    """
    if count > 1 and _fits_banks(sram, count, size):
        step = sram.banks // count if count < sram.banks else 1
        addresses = tuple(i % sram.banks * step * sram.bank_bytes + i // sram.banks * size for i in range(count))
    else:
        word = sram.width_bytes
        addresses = tuple(sram.capacity_bytes * i // count // word * word for i in range(count))
    return Slots(memory, addresses, size)


def neighbours_apart(sram: Sram, count: int, size: int) -> bool:
    """Whether a slot shares no bank with the one filled after it."""
    return count == 1 or _fits_banks(sram, count, size) or sram.banks % count == 0


def _fits_banks(sram: Sram, count: int, size: int) -> bool:
    return sram.banks > 1 and ceil_div(count, sram.banks) * size <= sram.bank_bytes


def useful(sram: Sram, most: int, size: int) -> int:
    """Largest number of slots up to `most` whose neighbours lie apart; `most` if there is none above one."""
    return next((n for n in range(most, 1, -1) if neighbours_apart(sram, n, size)), most)
