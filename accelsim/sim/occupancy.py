"""What each on-chip memory holds over time: values that stay, and tiles from their first byte to their last reader.

A slot is known by what a layer's instructions touch there. What fills it is held from the start of the first that
writes it to the end of the last that reads it before it is written anew; a value that stays from its first byte to the
end of its last reader. No byte is held twice: what is written over is gone from then on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import accesses
from accelsim.isa.accesses import Accesses, capacity_bytes, held_in
from accelsim.isa.opcodes import Memory
from accelsim.isa.program import KeptInfo, Program
from accelsim.results import Execution, Held

Int64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Parts of a run, of which each says the most that was held in it.
PARTS = 512
_MEMORIES = (Memory.ACTIVATION, Memory.WEIGHT, Memory.OUTPUT, Memory.ACCUMULATOR)


class _Touches(NamedTuple):
    """Accesses of one memory, in program order, of an instruction its reads first; shape (accesses,).

    Parameters
    ----------
    layer, instruction, region
        Of each access, by number.
    low, high
        First byte, and one past the last.
    write
        Whether it writes.
    start, end
        Core cycles of it, half open.
    """

    layer: Int64
    instruction: Int64
    region: Int64
    low: Int64
    high: Int64
    write: Bools
    start: Int64
    end: Int64

    @classmethod
    def of(cls, found: Accesses, execution: Execution, memory: Memory) -> _Touches:
        """Those of a program's run."""
        instruction, access = found.each()
        mine = found.memory[access] == memory
        instruction, access = instruction[mine], access[mine]
        t, region = execution.timeline, found.number[access].astype(np.int64)
        end = np.stack([t.start, t.free, t.end])[found.until[access], instruction]
        bytes_ = found.regions[region, 1], found.ends()[region]
        return cls(t.layer[instruction], instruction, region, *bytes_, found.write[access], t.start[instruction], end)

    def take(self, which: Bools | Int64) -> _Touches:
        """Some of them."""
        columns: list[Any] = [column[which] for column in self]
        return _Touches(*columns)


class _Fills(NamedTuple):
    """Bytes that are held from a cycle to another; shape (fills,)."""

    start: Int64
    end: Int64
    low: Int64
    high: Int64


def occupancy(program: Program, machine: Machine, execution: Execution) -> tuple[Held, ...]:
    """What memories held over a run of a program; what is one memory is told once."""
    found = accesses.of_program(program.instructions, machine, program.tables)
    held = []
    for memory in _MEMORIES:
        if held_in(machine, memory) == memory:
            touches = _Touches.of(found, execution, memory)
            stay = np.zeros(len(touches.low), np.bool_)
            stays = []
            for kept in program.header.kept if memory == Memory.ACTIVATION else ():
                mine = _of_kept(touches, kept, program)
                stays.append(_held(touches.take(mine)))
                stay |= mine
            parts = _over_time(stays, _apart(_fills(touches.take(~stay))), execution.cycles)
            held.append(Held(memory.name.lower(), capacity_bytes(machine, memory), *parts))
    return tuple(held)


def _of_kept(touches: _Touches, kept: KeptInfo, program: Program) -> Bools:
    """Accesses of a value that stays: those of its bytes from the layer that forms it to the last that reads it."""
    layers = program.header.layers
    first = int(program.instructions["layer"][kept.whole_after])
    readers = [number for number, info in enumerate(layers) if layers[first].name in info.reads]
    meanwhile = (touches.layer >= first) & (touches.layer <= max(readers, default=first))
    there: Bools = meanwhile & (touches.low < kept.address + kept.bytes) & (touches.high > kept.address)
    # its readers' windows begin and end in the padding around it, which is filled before
    mine = touches.take(there)
    return meanwhile & (touches.low < int(mine.high.max())) & (touches.high > int(mine.low.min()))


def _held(touches: _Touches) -> tuple[int, int, int]:
    """When a value is there, and its bytes with those of its padding."""
    return int(touches.start.min()), int(touches.end.max()), int(touches.high.max() - touches.low.min())


def _fills(touches: _Touches) -> _Fills:
    """When tiles are there, in order of their starts."""
    if not len(touches.low):
        return _Fills(*np.zeros((4, 0), np.int64))
    slot = _slots(touches)
    order = np.argsort(slot, kind="stable")
    slot, touches = slot[order], touches.take(order)
    first = np.flatnonzero(_begins(slot, touches))
    ends = (np.minimum.reduceat(touches.start, first), np.maximum.reduceat(touches.end, first))
    found = _Fills(*ends, np.minimum.reduceat(touches.low, first), np.maximum.reduceat(touches.high, first))
    order = np.argsort(found.start, kind="stable")
    return _Fills(*(column[order] for column in found))


def _slots(touches: _Touches) -> Int64:
    """Number of each access's slot: ranges of a layer that overlap are one."""
    regions = int(touches.region.max()) + 1
    _, first, place = np.unique(touches.layer * regions + touches.region, return_index=True, return_inverse=True)
    apart = int(touches.high.max()) + 1  # layers one behind the other
    low, high = (touches.layer[first] * apart + side[first] for side in (touches.low, touches.high))
    order = np.argsort(low, kind="stable")
    begins = np.append(True, low[order][1:] >= np.maximum.accumulate(high[order])[:-1])
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(begins)
    slot: Int64 = number[place]
    return slot


def _begins(slot: Int64, touches: _Touches) -> Bools:
    """Whether an access is the first of a fill: a write behind reads of instructions before, in order of slots."""
    new = np.append(True, slot[1:] != slot[:-1])
    another = np.append(True, touches.instruction[1:] != touches.instruction[:-1])
    # an instruction that reads what it writes, as sums are added to, goes on with it: its reads come first
    begins: Bools = new | (another & touches.write & np.append(False, ~touches.write[:-1]))
    return begins


def _apart(fills: _Fills) -> list[tuple[int, int, int]]:
    """Start, end and bytes of what is held; of what is partly written over while it is held the parts."""
    found: list[tuple[int, int, int]] = []
    live: list[tuple[int, int, int, int]] = []
    for start, end, low, high in zip(*(column.tolist() for column in fills), strict=True):
        still: list[tuple[int, int, int, int]] = []
        for began, until, first, last in live:
            if until <= start:
                found.append((began, until, last - first))
            elif last <= low or first >= high:
                still.append((began, until, first, last))
            else:
                found.append((began, start, min(last, high) - max(first, low)))
                still += [(began, until, a, b) for a, b in ((first, low), (high, last)) if a < b]
        live = [*still, (start, end, low, high)]
    return found + [(began, until, last - first) for began, until, first, last in live]


def _over_time(
    stays: list[tuple[int, int, int]], tiles: list[tuple[int, int, int]], cycles: int
) -> tuple[Int64, Int64, Int64]:
    """Cycles from which on parts of a run last, and what is kept, and is tiles, when both together are the most."""
    edges = np.unique(np.linspace(0, max(cycles, 1), PARTS + 1).astype(np.int64))[:-1]
    kept, turns = (np.array(rows, np.int64).reshape(-1, 3).T for rows in (stays, tiles))
    moment = np.concatenate([edges, kept[0], kept[1], turns[0], turns[1]])
    none, no_kept, no_turns = (np.zeros(n, np.int64) for n in (len(edges), 2 * kept.shape[1], 2 * turns.shape[1]))
    order = np.argsort(moment, kind="stable")
    moment = moment[order]
    held = np.cumsum(np.concatenate([none, kept[2], -kept[2], no_turns])[order])
    taken = np.cumsum(np.concatenate([none, no_kept, turns[2], -turns[2]])[order])
    # of the changes in one cycle the last tells what is held from then on
    last = np.append(moment[1:] != moment[:-1], True)
    moment, held, taken = moment[last], held[last], taken[last]
    part = np.searchsorted(edges, moment, side="right") - 1
    most = np.lexsort((held + taken, part))
    chosen = most[np.append(part[most][1:] != part[most][:-1], True)]
    return edges, held[chosen], taken[chosen]
