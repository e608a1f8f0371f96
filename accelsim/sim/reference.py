"""The reference engine: one simpy process a unit, and the definition of the timing.

The phases of a cycle stand in `accelsim.sim.clock`. Bytes are read and written at `start`; until the access is over,
another unit that touches them is an error (`verify` should have rejected the program).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import simpy
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.errors import DeadlockError, Fault, ProgramError, SimulationError
from accelsim.isa import accesses, hazards
from accelsim.isa.opcodes import (
    DMAS,
    MOMENTS,
    NONE,
    SEMAPHORES,
    UNITS,
    Memory,
    Moment,
    Unit,
)
from accelsim.isa.program import Program
from accelsim.isa.verify import name_of, verify
from accelsim.memory.region import Region, overlap
from accelsim.results import Execution
from accelsim.sim import states
from accelsim.sim.clock import END, FREE, HOST, RESUME, START, Clock, Condition
from accelsim.sim.dma import Dmas
from accelsim.sim.machine import Core
from accelsim.sim.memories import Bank
from accelsim.sim.outcome import Found, outcome
from accelsim.sim.timing import Timing

Process = Generator[simpy.Event, Any, None]
ItemT = TypeVar("ItemT")
Int64 = NDArray[np.int64]
Progress = Callable[[int, int], None]


def execute(
    program: Program, machine: Machine, progress: Progress | None = None, file: str = "", *, timing_only: bool = False
) -> Execution:
    """Run a program.

    Parameters
    ----------
    progress
        Called now and then with the number of instructions that have ended, and of all.
    file
        Name of the program's file for the text of faults, if it has one.
    timing_only
        Whether the bytes are asked for; this engine moves them as long as the program has any.

    Raises
    ------
    ProgramError
        If `verify` rejects the program, or an instruction reads encoded weights that no encoder writes.
    SimulationError
        If the engine contradicts what `verify` has proven.
    """
    del timing_only
    verify(program, machine, file)
    return _Engine(program, machine, progress, file).run()


@dataclass(frozen=True, slots=True)
class _Access:
    number: int  # of the region, within the program
    memory: Memory
    region: Region
    write: bool
    until: Moment


@dataclass(frozen=True, slots=True)
class _Each(Generic[ItemT]):
    """What belongs to each instruction, any number of it: items[first[i]:first[i + 1]] to instruction i."""

    items: list[ItemT]
    first: list[int]

    @classmethod
    def of(cls, items: list[ItemT], instruction: Int64, count: int) -> _Each[ItemT]:
        """Items in the order of the instructions to which they belong."""
        return cls(items, np.searchsorted(instruction, np.arange(count + 1)).tolist())

    def __getitem__(self, i: int) -> list[ItemT]:
        return self.items[self.first[i] : self.first[i + 1]]


def _accesses(program: Program, machine: Machine) -> _Each[_Access]:
    """Accesses of each instruction; what is equal is one object."""
    found = accesses.of_program(program.instructions, machine, program.tables)
    regions = [(Memory(memory), Region(*region)) for memory, *region in found.regions.tolist()]
    shape = (len(regions), 2, MOMENTS)
    kind = np.ravel_multi_index((found.number, found.write.astype(np.int64), found.until), shape)
    kinds, which = np.unique(kind, return_inverse=True)
    instruction, access = found.each()
    different = []
    for number, write, until in zip(*(column.tolist() for column in np.unravel_index(kinds, shape)), strict=True):
        memory, region = regions[number]
        different.append(_Access(number, memory, region, write == 1, Moment(until)))
    return _Each.of([different[k] for k in which[access].tolist()], instruction, len(program.instructions))


def _waits(code: NDArray[np.void]) -> _Each[tuple[int, int]]:
    """Semaphores that each instruction waits for, and their values, in field order."""
    instruction, field = np.nonzero(code["wait"] != NONE)
    semaphore, value = (code[name][instruction, field].tolist() for name in ("wait", "value"))
    return _Each.of(list(zip(semaphore, value, strict=True)), instruction, len(code))


class _InFlight:
    """Accesses that are not over: the engine's own check that what verify has proven holds."""

    def __init__(self) -> None:
        self._open: list[tuple[int, int, _Access]] = []

    def begin(self, i: int, unit: int, mine: list[_Access]) -> None:
        """Open the accesses of an instruction that starts."""
        for access in mine:
            for j, other, theirs in self._open:
                in_order = other == unit and (access.write or hazards.FORWARDS[unit])
                conflict = access.memory == theirs.memory and (access.write or theirs.write) and not in_order
                if conflict and overlap(access.region, theirs.region):
                    raise SimulationError(f"instruction {i} touches {access} while instruction {j} does {theirs}")
        self._open += [(i, unit, access) for access in mine if access.until != Moment.START]

    def over(self, i: int, moment: Moment) -> None:
        """Close the accesses of an instruction that last until a moment."""
        self._open = [x for x in self._open if x[0] != i or x[2].until != moment]


class _Engine:
    def __init__(self, program: Program, machine: Machine, progress: Progress | None, file: str) -> None:
        code = program.instructions
        self.clock = Clock()
        self.env = self.clock.env
        self.machine = machine
        self.program = program
        self.core = Core(program, machine)
        self.dmas = Dmas.of(machine, self.clock, len(program.header.layers))
        self.queues = hazards.Queues.of(code)
        self.accesses = _accesses(program, machine)
        self.in_flight = _InFlight()
        self.progress = progress
        self.file = file

        self.unit: list[int] = self.queues.unit.tolist()
        self.layer: list[int] = code["layer"].tolist()
        self.signal: list[list[int]] = code["signal"].T.tolist()
        self.waits = _waits(code)
        self.producer = np.zeros(SEMAPHORES, np.int64)
        for signal in code["signal"].T:
            self.producer[signal[signal != NONE]] = self.queues.unit[signal != NONE]

        self.issue = [-1] * len(code)
        self.start, self.free, self.end = [0] * len(code), [0] * len(code), [0] * len(code)
        self.waited = [0] * len(code)
        self.value = [0] * SEMAPHORES
        self.raised = [Condition(self.clock) for _ in range(SEMAPHORES)]
        self.issued = [Condition(self.clock) for _ in range(UNITS)]
        self.queued = [0] * UNITS
        self.slot_freed = [Condition(self.clock) for _ in range(UNITS)]
        self.banks: dict[tuple[int, ...], tuple[Bank, ...]] = {}
        self.free_ports: dict[Bank, int] = {}
        self.port_freed = Condition(self.clock)
        self.grants: list[int] = []
        self.ended_before = [self.env.event().succeed() for _ in range(UNITS)]
        self.swapped = 0
        self.drained = [0] * UNITS
        self.last_end = [0] * UNITS
        self.ended = 0
        self.blocked: dict[int, int] = {}
        self.tail = np.zeros(len(program.header.layers), np.int64)
        self.requested = np.zeros((len(program.header.layers), 2), np.int64)
        self.attribution = [[[0] * len(states.STATES) for _ in range(UNITS + 1)] for _ in program.header.layers]

    def spend(self, i: int, row: int, state: int, cycles: int) -> None:
        self.attribution[self.layer[i]][row][state] += cycles

    # processes

    def run(self) -> Execution:
        count = len(self.unit)
        done = [self.env.process(self._host()), *(self.env.process(self._unit(u)) for u in range(UNITS))]
        try:
            self.env.run(until=self.env.all_of(done))
            while self.ended < count:
                self.env.step()
        except (RuntimeError, simpy.core.EmptySchedule):
            if self.env.peek() < float("inf"):
                raise  # something else went wrong: in a deadlock nothing is left to happen
            waiting = {Unit(u).name.lower(): states.awaited(state) for u, state in self.blocked.items()}
            raise DeadlockError(self.clock.cycle, waiting) from None
        total, activity = max(self.end, default=0), None
        if self.dmas:
            total, activity = self.dmas.finish(total)
        code = self.program.instructions
        found = Found(
            opcode=code["opcode"].astype(np.int64),
            layer=code["layer"].astype(np.int64),
            **{name: np.array(getattr(self, name), np.int64) for name in ("issue", "start", "free", "end", "waited")},
            attribution=np.array(self.attribution, np.int64),
            grants=np.array(self.dmas.grants if self.dmas else self.grants, np.int8),
            requested=self.requested,
            tail=self.tail,
            total=total,
            activity=activity,
        )
        return outcome("reference", self.program, self.machine, self.core, found)

    def _host(self) -> Process:
        """Issue in program order; a full queue holds all that comes after."""
        interval, depth = self.machine.host.issue_interval_cycles, self.machine.host.queue_depth
        yield self.clock.at(0, HOST)
        cycle = 0
        for i, u in enumerate(self.unit):
            if self.queued[u] == depth:
                since = cycle
                yield self.slot_freed[u].wait(HOST)
                cycle = self.clock.cycle
                self.spend(i, states.HOST, states.WAIT_UNIT + u, cycle - since)
            self.queued[u] += 1
            self.issue[i] = cycle
            self.issued[u].notify()
            if interval and i + 1 < len(self.unit):
                self.spend(i, states.HOST, states.BUSY, interval)
                cycle += interval
                yield self.clock.at(cycle, HOST)

    def _unit(self, u: int) -> Process:
        """Start the queue's instructions one after the other, each as soon as nothing blocks it."""
        first, last = self.queues.first_of_unit[u : u + 2]
        cycle = 0
        for i in self.queues.by_unit[first:last].tolist():
            yield self.clock.at(cycle, START + u)
            banks = self._banks(i)
            while (blocker := self._blocker(i, u, banks, cycle)) is not None:
                state, change = blocker
                self.blocked[u] = state
                yield change
                since, cycle = cycle, self.clock.cycle
                self.spend(i, u, state, cycle - since)
            self.blocked.pop(u, None)
            timing = self._start(i, u, banks, cycle)
            if timing.bursts and self.dmas:
                yield from self._transfer(self.dmas, i, u, timing)
            elif u in DMAS and self.dmas:
                self._compute(i, u, timing)
            else:
                self._occupy(i, u, timing)
            cycle = self.free[i]
            yield self.clock.at(cycle, FREE + u)
            self._release(i, banks)

    def _banks(self, i: int) -> tuple[Bank, ...]:
        """Banks of which an instruction needs a port."""
        mine = self.accesses[i]
        key = tuple([access.number for access in mine])
        banks = self.banks.get(key)
        if banks is None:
            banks = self.banks[key] = self.core.memories.banks([(access.memory, access.region) for access in mine])
            for bank in banks:
                self.free_ports.setdefault(bank, self.core.memories.srams[bank[0]].ports)
        return banks

    def _blocker(self, i: int, u: int, banks: tuple[Bank, ...], cycle: int) -> tuple[int, simpy.Event] | None:
        """What keeps an instruction from starting, and what may end that.

        The host, then semaphores in field order, then for a preload the swap wave, then ports.
        """
        if self.issue[i] < 0:
            return states.WAIT_HOST, self.issued[u].wait(START + u)
        for semaphore, value in self.waits[i]:
            if self.value[semaphore] < value:
                return states.WAIT_UNIT + self.producer[semaphore], self.raised[semaphore].wait(START + u)
        if u == Unit.PRELOAD and cycle < self.swapped:
            # shadow registers may change when the last swap wave has left them
            return states.WAIT_UNIT + Unit.MATRIX, self.clock.at(self.swapped, START + u)
        for bank in banks:
            if not self.free_ports[bank]:
                return states.WAIT_PORT, self.port_freed.wait(RESUME + u)
        return None

    def _start(self, i: int, u: int, banks: tuple[Bank, ...], cycle: int) -> Timing:
        """Take the ports, and do what the instruction does."""
        self.start[i] = cycle
        self.queued[u] -= 1
        self.slot_freed[u].notify()
        for bank in banks:
            self.free_ports[bank] -= 1
        self.in_flight.begin(i, u, self.accesses[i])
        timing = self._execute(i)
        self.requested[self.layer[i], int(timing.writes)] += timing.bursts
        self._raise(i, Moment.START)
        return timing

    def _transfer(self, dmas: Dmas, i: int, u: int, timing: Timing) -> Process:
        """Let the memory decide when a transfer has requested all its bursts, and when it ends."""
        transfer = dmas.start(Unit(u), self.layer[i], timing)
        self.free[i] = yield transfer.requested
        self.waited[i] = transfer.waited
        self.spend(i, u, states.WAIT_MEMORY, transfer.waited)
        self.spend(i, u, states.BUSY, self.free[i] - self.start[i] - transfer.waited)
        self._complete_in_turn(i, u, transfer.complete, timing.latency)

    def _compute(self, i: int, u: int, timing: Timing) -> None:
        """Say when the host has computed; it ends behind the transfers before it, whose ends the memory decides."""
        self.free[i] = self.start[i] + timing.free
        self.spend(i, u, states.BUSY, timing.free)
        self._complete_in_turn(i, u, self.env.event().succeed(self.free[i]), timing.end - timing.free)

    def _complete_in_turn(self, i: int, u: int, complete: simpy.Event, latency: int) -> None:
        ended = self.env.event()
        self.env.process(self._complete(i, u, complete, latency, self.ended_before[u], ended))
        self.ended_before[u] = ended

    def _occupy(self, i: int, u: int, timing: Timing) -> None:
        """Say from the start on when the unit is free, and when the instruction ends."""
        start = self.start[i]
        self.free[i] = free = max(start + timing.free, self.drained[u])
        self.drained[u] = free + timing.drain
        self.end[i] = self.last_end[u] = max(self.drained[u] + timing.end - timing.free, self.last_end[u])
        if u == Unit.MATRIX:
            self.swapped = start + timing.swap
        self.grants += [u] * timing.bursts
        self.spend(i, u, states.BUSY, free - start)
        self._end_later(i, u)

    def _release(self, i: int, banks: tuple[Bank, ...]) -> None:
        """Free the unit and its ports."""
        for bank in banks:
            self.free_ports[bank] += 1
        self.port_freed.notify()
        self.in_flight.over(i, Moment.FREE)
        self._raise(i, Moment.FREE)

    def _execute(self, i: int) -> Timing:
        """Do what an instruction does; what is wrong with the bytes that it reads is said with its name."""
        try:
            timing = self.core.execute(self.program.instructions[i])
        except ProgramError as error:
            name = name_of(self.program, i)
            raise ProgramError(*(Fault(f"{name}: {fault.message}", self.file) for fault in error.faults)) from None
        self.core.keep(i)
        return timing

    def _complete(
        self, i: int, u: int, complete: simpy.Event, latency: int, before: simpy.Event, known: simpy.Event
    ) -> Process:
        """End a transfer so long after its data are there, or a computation is over, after those before it."""
        cycle = yield complete
        yield before
        self.end[i] = self.last_end[u] = max(cycle + latency, self.last_end[u])
        known.succeed()
        self._end_later(i, u)

    def _end_later(self, i: int, u: int) -> None:
        """Let an instruction end when it is time; a call from the event costs a third of a process."""
        event = self.clock.at(self.end[i], END + u)
        assert event.callbacks is not None  # noqa: S101 - it is still to come
        event.callbacks.append(lambda _: self._finish(i, u))

    def _finish(self, i: int, u: int) -> None:
        self.in_flight.over(i, Moment.END)
        self._raise(i, Moment.END)
        if u in DMAS and self.dmas:
            self.tail[self.layer[i]] = self.dmas.tail(self.end[i], self.layer[i])
        self.ended += 1
        if self.progress and self.ended % 256 == 0:
            self.progress(self.ended, len(self.unit))

    def _raise(self, i: int, moment: Moment) -> None:
        semaphore = self.signal[moment][i]
        if semaphore != NONE:
            self.value[semaphore] += 1
            self.raised[semaphore].notify()
