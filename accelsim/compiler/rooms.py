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


class Rooms(NamedTuple):
    """Rooms of a fusion's tiles."""

    activation: Room
    weight: Room
    output: Room

    def within(self, machine: Machine) -> Machine:
        """A machine that has no more than the rooms."""
        return machine.model_copy(update={name: room.sram for name, room in zip(self._fields, self, strict=True)})


_MEMORIES = (Memory.ACTIVATION, Memory.WEIGHT, Memory.OUTPUT)


def options(machine: Machine) -> tuple[Rooms, ...]:
    """Ways to cut scratchpads that are one memory; the only one of a machine whose scratchpads are apart."""
    return _options(machine.activation, machine.weight, machine.output, machine.shared)


@lru_cache(maxsize=64)
def _options(activation: Sram, weight: Sram, output: Sram, shared: tuple[str, ...]) -> tuple[Rooms, ...]:
    srams = zip(Rooms._fields, _MEMORIES, (activation, weight, output), strict=True)
    whole = {name: Room(memory, 0, sram) for name, memory, sram in srams}
    if not shared:
        return (Rooms(**whole),)
    names = ["activation", *shared]
    return tuple(
        Rooms(**whole | {name: Room(whole[name].memory, *part) for name, part in zip(names, parts, strict=True)})
        for parts in _cuts(activation, len(names))
    )


def _cuts(sram: Sram, rooms: int) -> Iterator[list[tuple[int, Sram]]]:
    """First byte of each of some parts of a memory that follow each other, and the part; whole banks where it has them.

    A bank serves few instructions at once, so that the tiles of one kind should not lie in those of another.
    """
    parts = sram.ranges if rooms <= sram.ranges <= PARTS else PARTS
    step = sram.capacity_bytes // parts // sram.width_bytes * sram.width_bytes
    for inner in combinations(range(1, parts), rooms - 1):
        ends = [0, *(end * step for end in inner), sram.capacity_bytes]
        yield [(low, _part(sram, low, high)) for low, high in pairwise(ends)]


def _part(sram: Sram, low: int, high: int) -> Sram:
    """Bytes of a memory as one of their own, with its banks if they are whole ones."""
    whole = low % sram.range_bytes == 0 and high % sram.range_bytes == 0
    banks = (high - low) // sram.range_bytes if whole and sram.ranges > 1 else 1
    return sram.model_copy(update={"capacity_bytes": high - low, "banks": banks})
