"""Rooms: the part of a scratchpad in which the tiles of one kind of a fusion take turns.

Of a machine whose scratchpads are memories of their own, each has a whole one. Where several are one memory, it is
cut among them for each fusion as suits that; `tiling` tries the ways to cut it that `options` lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple

from accelsim.config.arch import Machine, Sram
from accelsim.isa.opcodes import Memory
from accelsim.units import ceil_div

#: Parts that a shared memory is cut into at most: rooms are some of them that follow each other.
PARTS = 8


class Room(NamedTuple):
    """A part of a scratchpad.

    Parameters
    ----------
    memory
        What the tiles in it are to the units: activations, weights or outputs.
    base
        First byte.
    sram
        The memory, with the bytes and the banks of the part.
    """

    memory: Memory
    base: int
    sram: Sram

    def banks(self, memory: Sram) -> range:
        """Ranges of addresses of the memory, each in banks of its own, that it lies in."""
        end = self.base + max(self.sram.capacity_bytes, 1) - 1
        return range(self.base // memory.range_bytes, end // memory.range_bytes + 1)


class Rooms(NamedTuple):
    """Rooms of a fusion's tiles."""

    activation: Room
    weight: Room
    output: Room

    def within(self, machine: Machine) -> Machine:
        """A machine that has no more than the rooms."""
        return machine.model_copy(update={name: room.sram for name, room in zip(self._fields, self, strict=True)})


_MEMORIES = (Memory.ACTIVATION, Memory.WEIGHT, Memory.OUTPUT)


def options(machine: Machine, high: int | None = None, idle: tuple[str, ...] = ()) -> tuple[Rooms, ...]:
    """Ways to cut scratchpads that are one memory; the only one of a machine whose scratchpads are apart.

    Parameters
    ----------
    high
        First byte of the shared memory that others hold; None for its end.
    idle
        Rooms that no tiles need, because what they would hold stays on chip.
    """
    return _options(machine.activation, machine.weight, machine.output, machine.shared, high, idle)


@lru_cache(maxsize=4096)
def _options(
    activation: Sram, weight: Sram, output: Sram, shared: tuple[str, ...], high: int | None, idle: tuple[str, ...]
) -> tuple[Rooms, ...]:
    srams = zip(Rooms._fields, _MEMORIES, (activation, weight, output), strict=True)
    whole = {name: Room(memory, 0, sram) for name, memory, sram in srams}
    if not shared:
        return (Rooms(**whole),)
    end = activation.capacity_bytes if high is None else high
    sharing = ["activation", *shared]
    cut, empty = [name for name in sharing if name not in idle], _part(activation, end, end)
    none = {name: Room(whole[name].memory, end, empty) for name in idle if name in sharing}
    return tuple(
        Rooms(**whole | none | {name: Room(whole[name].memory, *part) for name, part in zip(cut, parts, strict=True)})
        for parts in _cuts(activation, end, len(cut))
    )


def _cuts(sram: Sram, end: int, rooms: int) -> Iterator[list[tuple[int, Sram]]]:
    """First byte of each of some parts of a memory that follow each other, and the part; whole banks where it has them.

    A bank serves few instructions at once, so that the tiles of one kind should not lie in those of another.
    """
    if rooms == 0:
        yield []
        return
    bank = sram.range_bytes
    if rooms <= ceil_div(end, bank) <= PARTS:
        places = list(range(bank, end, bank))
    else:
        step = end // PARTS // sram.width_bytes * sram.width_bytes
        places = [step * part for part in range(1, PARTS)] if step else []
    for inner in combinations(places, rooms - 1):
        yield [(low, _part(sram, low, high)) for low, high in pairwise([0, *inner, end])]


def _part(sram: Sram, low: int, high: int) -> Sram:
    """Bytes of a memory as one of their own: of whole banks if it has any, or of a part of one."""
    bank, banks, size = sram.range_bytes, 1, high - low
    if low % bank == 0 and size >= bank and sram.ranges > 1:
        banks = size // bank
        size = banks * bank
    return sram.model_copy(update={"capacity_bytes": size, "banks": banks})
