"""Where the instructions of repeated blocks repeat, and their times: what the blocks that follow will take.

The program of a few blocks is cut into periods of as many instructions as a block has. Layers overlap, so a period is
not a block: it begins somewhere in one and ends at the same place in the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import BankedDram, IdealDram, Machine, SimpleDram
from accelsim.errors import UnsteadyError
from accelsim.isa.descriptors import moved_in_dram
from accelsim.isa.opcodes import DMAS, NONE, OPCODES, SEMAPHORES, UNITS
from accelsim.isa.program import Program
from accelsim.memory.region import words
from accelsim.memory.requests import Channel
from accelsim.results import Timeline
from accelsim.workload.blocks import Blocks

Int64 = NDArray[np.int64]


class Pattern(NamedTuple):
    """Instructions that repeat: each from `begin` on is like the one `length` later, which is before `end`."""

    begin: int
    length: int
    end: int

    @property
    def periods(self) -> int:
        """Whole periods up to the end."""
        return (self.end - self.begin) // self.length

    def cut(self, before: int) -> int:
        """Number of the instruction that so many periods before the end begins one."""
        return self.end - before * self.length


def pattern(program: Program, blocks: Blocks, simulated: int, machine: Machine) -> Pattern:
    """Find the instructions that repeat in a program of so many blocks: the first ones, and the last of all.

    Raises
    ------
    UnsteadyError
        If too few do.
    """
    code = program.instructions
    of_layer = np.bincount(code["layer"], minlength=len(program.header.layers))
    length = int(of_layer[blocks.first : blocks.first + blocks.layers].sum())
    middle = int(np.argmax(code["layer"] >= blocks.first + blocks.layers * (simulated // 2)))
    differ = np.flatnonzero(~_alike(code, blocks.layers, length, middle, machine.dram.burst_bytes))
    at = int(np.searchsorted(differ, middle))
    begin = int(differ[at - 1]) + 1 if at else 0
    end = (int(differ[at]) if at < len(differ) else len(code) - length) + length
    found = Pattern(begin, length, end)
    if found.periods < 4:  # one to get going, two that tell how steady it is, and one that the end may change
        raise UnsteadyError(f"instructions of {simulated} blocks must repeat 4 times, not {max(found.periods, 0)}")
    return found


def _alike(code: NDArray[np.void], layers: int, length: int, middle: int, burst_bytes: int) -> NDArray[np.bool_]:
    """Whether each instruction is like the one `length` later, `layers` layers on; shape (n - length,)."""
    operands = code["operands"].copy()
    for number, opcode in enumerate(OPCODES):
        mine = code["opcode"] == number
        for j, field in enumerate(opcode.fields):
            if field.name == "dram":
                operands[mine, j] %= burst_bytes  # what counts of the place is how it is cut into bursts
    signals = code["signal"][middle : middle + length]
    raised = np.append(np.bincount(signals[signals != NONE], minlength=SEMAPHORES), 0)  # the last stands for NONE
    a, b = code[:-length], code[length:]
    same: NDArray[np.bool_] = (
        (a["opcode"] == b["opcode"])
        & (a["layer"] + layers == b["layer"])
        & (a["signal"] == b["signal"]).all(axis=1)
        & (a["wait"] == b["wait"]).all(axis=1)
        & (a["value"] + raised[a["wait"]] == b["value"]).all(axis=1)
        & (operands[:-length] == operands[length:]).all(axis=1)
    )
    return same


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a period takes.

    Parameters
    ----------
    cycles
        Core cycles of the last period: the most that any unit needs for it, so that one may follow the other.
    spread
        Core cycles between the shortest and the longest period of any unit.
    """

    cycles: int
    spread: int

    @classmethod
    def of(cls, reached: Int64) -> Estimate:
        """Estimate from how far each unit has come at each cut, shape (cuts, units)."""
        each = np.diff(reached, axis=0)
        return cls(int(each[-1].max()), int(each.max() - each.min()))

    def bound(self, periods: int, jitter: int) -> int:
        """How far so many periods, and the border behind them, may be from `cycles` each (core cycles).

        They may lie as far outside the range of those that were looked at as that is wide.
        """
        return (periods + 1) * (2 * self.spread + jitter)


def estimate(found: Pattern, timeline: Timeline, jitter: int) -> Estimate:
    """Estimate what a period takes from those between the first and the last.

    Raises
    ------
    UnsteadyError
        If the estimate from the first half of them does not hold for the others.
    """
    cuts = np.array([found.cut(before) for before in range(found.periods - 1, 0, -1)])
    reached = _reached(timeline, cuts)
    half = (len(cuts) - 1) // 2
    first, later = Estimate.of(reached[: half + 1]), len(cuts) - 1 - half
    off = abs(int(reached[-1, -1] - reached[half, -1]) - later * first.cycles)
    if off > first.bound(later, jitter):
        raise UnsteadyError(
            f"blocks must take as long as those before them: {half} predict the end of the next {later} within "
            f"{first.bound(later, jitter)} cycles, but it is {off} off"
        )
    return Estimate.of(reached)


def _reached(timeline: Timeline, cuts: Int64) -> Int64:
    """Cycles that all before each cut reach: last free of each unit that works in a period, issue, end.

    Returns
    -------
    int64, shape (cuts, units + 2).
    """
    columns = []
    for unit in range(UNITS):
        mine = np.flatnonzero(timeline.unit == unit)
        number = np.searchsorted(mine, cuts)
        if number[-1] > number[-2]:
            columns.append(timeline.free[mine[number - 1]])
    columns += [timeline.issue[cuts - 1], np.maximum.accumulate(timeline.end)[cuts - 1]]
    return np.stack(columns, axis=1)


def jitter(machine: Machine) -> int:
    """What a period may take more or less than those that were looked at (core cycles).

    Times are whole cycles, so that a period may take one more than the one before, because of what a clock ratio leaves
    over. A banked DRAM refreshes its ranks in turn, whatever a period has to do, so that one more refresh may fall into
    it: then the banks of a rank are closed one by one, the rank is refreshed, and a row is opened again.
    """
    if not isinstance(machine.dram, BankedDram):
        return 1
    part = machine.dram.part
    return 1 + machine.cycles(part.refresh_clocks * part.clock_period_fs)


@dataclass(frozen=True, slots=True)
class Moment:
    """A cycle at whose beginning the machine's state is the same as one period later, but for the shift.

    Parameters
    ----------
    cycle
        The cycle.
    grants
        Bursts that have been granted before it, and before the cycle a period later.
    """

    cycle: int
    grants: tuple[int, int]


def moment(
    found: Pattern, program: Program, timeline: Timeline, grants: NDArray[np.int8], cycles: int, machine: Machine
) -> Moment | None:
    """Find the first moment from which on all is proven to repeat every so many cycles, or None.

    An engine is deterministic, so it is enough that its whole state is the same a period later. Without DRAM, the state
    at the beginning of a cycle is which instructions have been issued and ended, and the times of those that have been
    issued but not ended: queues, semaphores, ports and the host follow from them. A `simple` DRAM adds transfers in
    progress and the channel's backlog, which there must be none of, and whose turn it is. The state of a banked one is
    not looked at.
    """
    if isinstance(machine.dram, BankedDram):
        return None
    t, length, last = timeline, found.length, found.cut(2)
    times = np.stack((t.issue, t.start, t.free, t.end))
    repeats = (times[:, found.begin + length : last + length] - times[:, found.begin : last] == cycles).all(axis=0)
    first = found.begin + int(np.flatnonzero(~repeats).max(initial=-1)) + 1
    if first > found.cut(3):
        return None
    earliest = max(int(t.end[:first].max(initial=-1)), int(t.issue[first])) + 1
    transfers = np.flatnonzero(np.isin(t.unit, DMAS))
    transfers = transfers[np.argsort(t.start[transfers], kind="stable")]
    granted = np.cumsum([0, *(bursts(program, i, machine) for i in transfers.tolist())])
    for cycle in _idle(t.start[transfers], _served(t, transfers, machine), earliest):
        later = cycle + cycles
        issued, ended = int(np.searchsorted(t.issue, cycle)), int(np.argmax(t.end >= cycle))
        if issued > last:
            return None
        if int(np.searchsorted(t.issue, later)) != issued + length or int(np.argmax(t.end >= later)) != ended + length:
            continue
        before, after = granted[np.searchsorted(t.start[transfers], (cycle, later))].tolist()
        if isinstance(machine.dram, IdealDram) or (before and grants[before - 1] == grants[after - 1]):
            return Moment(cycle, (before, after))
    return None


def _served(t: Timeline, transfers: Int64, machine: Machine) -> Int64:
    """Cycles by which the DRAM, and the units, have nothing left of each transfer and of all that started before it."""
    if not isinstance(machine.dram, SimpleDram):
        return np.zeros(len(transfers), np.int64)
    latency = machine.cycles(machine.dram.latency_fs)
    done: Int64 = np.maximum.accumulate(np.maximum(t.free[transfers], t.end[transfers] - latency))
    return done


def _idle(start: Int64, served: Int64, earliest: int) -> Iterator[int]:
    """Cycles at whose beginning no transfer is served: the first one, and all at which a transfer starts then."""
    for cycle in (earliest, *np.unique(start[start > earliest]).tolist()):
        before = int(np.searchsorted(start, cycle))
        if not before or served[before - 1] <= cycle:
            yield cycle


def bursts(program: Program, number: int, machine: Machine) -> int:
    """DRAM bursts of a transfer."""
    record = program.instructions[number]
    moved = moved_in_dram(int(record["opcode"]), record["operands"], program.descriptors, Channel.of(machine))
    return words(moved, machine.dram.burst_bytes)
