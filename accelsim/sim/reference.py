"""The reference engine: one simpy process a unit, and the definition of the timing.

The phases of a cycle stand in `accelsim.sim.clock`. Bytes are read and written at `start`; until the access is over,
another unit that touches them is an error (`verify` should have rejected the program).
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from accelsim.config.arch import Machine
from accelsim.errors import DeadlockError, Fault, ProgramError, SimulationError
from accelsim.isa import accesses, hazards
from accelsim.isa.opcodes import (
    DMAS,
    NONE,
    OPCODES,
    SEMAPHORES,
    UNITS,
    Memory,
    Moment,
    Unit,
)
from accelsim.isa.program import Program
from accelsim.isa.verify import name_of, verify
from accelsim.memory.region import Region, overlap
from accelsim.results import Execution, Timeline
from accelsim.sim import states
from accelsim.sim.clock import END, FREE, HOST, START, Clock, Condition
from accelsim.sim.dma import Dmas, Transfer
from accelsim.sim.machine import Core
from accelsim.sim.memories import Bank
from accelsim.sim.work import Work

Process = Generator[simpy.Event, Any, None]
Progress = Callable[[int, int], None]


def execute(program: Program, machine: Machine, progress: Progress | None = None, file: str = "") -> Execution:
    """Run a program.

    Parameters
    ----------
    progress
        Called now and then with the number of instructions that have ended, and of all.
    file
        Name of the program's file for the text of faults, if it has one.

    Raises
    ------
    ProgramError
        If `verify` rejects the program, or an instruction reads encoded weights that no encoder writes.
    SimulationError
        If the engine contradicts what `verify` has proven.
    """
    verify(program, machine, file)
    return _Engine(program, machine, progress, file).run()


@dataclass(frozen=True, slots=True)
class _Access:
    memory: Memory
    write: bool
    until: Moment
    region: Region


def _accesses(program: Program, machine: Machine) -> list[list[_Access]]:
    """Accesses of each instruction."""
    found = accesses.of_program(program.instructions, machine)
    columns = (found.instruction, found.memory, found.write, found.until)
    region = (found.address, found.stride, found.rows, found.row_bytes)
    result: list[list[_Access]] = [[] for _ in program.instructions]
    for i, memory, write, until, *r in zip(*(c.tolist() for c in (*columns, *region)), strict=True):
        result[i].append(_Access(Memory(memory), write, Moment(until), Region(*r)))
    return result


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
        self.opcode: list[int] = code["opcode"].tolist()
        self.layer: list[int] = code["layer"].tolist()
        self.signal: list[list[int]] = code["signal"].tolist()
        self.waits = [
            [(s, v) for s, v in zip(semaphores, values, strict=True) if s != NONE]
            for semaphores, values in zip(code["wait"].tolist(), code["value"].tolist(), strict=True)
        ]
        self.producer = {s: u for u, signals in zip(self.unit, self.signal, strict=True) for s in signals if s != NONE}

        self.issue = [-1] * len(code)
        self.start, self.free, self.end = [0] * len(code), [0] * len(code), [0] * len(code)
        self.value = [0] * SEMAPHORES
        self.raised = [Condition(self.env) for _ in range(SEMAPHORES)]
        self.issued = [Condition(self.env) for _ in range(UNITS)]
        self.queued = [0] * UNITS
        self.slot_freed = [Condition(self.env) for _ in range(UNITS)]
        self.ports_taken: Tally[Bank] = Tally()
        self.port_freed = Condition(self.env)
        self.grants: list[int] = []
        self.ended_before = [self.env.event().succeed() for _ in range(UNITS)]
        self.swapped = 0
        self.drained = [0] * UNITS
        self.last_end = [0] * UNITS
        self.ended = 0
        self.blocked: dict[int, str] = {}
        self.tail = np.zeros(len(program.header.layers), np.int64)
        self.attribution = np.zeros((len(program.header.layers), UNITS + 1, len(states.STATES)), np.int64)

    def spend(self, i: int, row: int, state: int, cycles: int) -> None:
        self.attribution[self.layer[i], row, state] += cycles

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
            waiting = {Unit(u).name.lower(): what for u, what in self.blocked.items()}
            raise DeadlockError(self.clock.cycle, waiting) from None
        total, activity = max(self.end, default=0), None
        if self.dmas:
            total, activity = self.dmas.finish(total)
        if count:  # the interval after the last issue may outlast the program
            interval = self.machine.host.issue_interval_cycles
            self.spend(-1, states.HOST, states.BUSY, min(interval, total - self.issue[-1]))
        for row in range(UNITS + 1):
            # after its last instruction a unit is drained; the last layer carries it
            self.attribution[-1, row, states.DRAINED] = total - self.attribution[:, row].sum()
        timeline = Timeline(
            unit=self.queues.unit,
            opcode=self.program.instructions["opcode"].astype(np.int64),
            layer=self.program.instructions["layer"].astype(np.int64),
            **{name: np.array(getattr(self, name), np.int64) for name in ("issue", "start", "free", "end")},
        )
        if activity:
            cycles = timeline.layer_cycles(len(self.core.counters), total)
            activity.count(self.core.counters, cycles, 8 * self.machine.dram.burst_bytes)
        return Execution(
            engine="reference",
            cycles=total,
            unit_names=states.UNIT_NAMES,
            opcode_names=tuple(opcode.mnemonic for opcode in OPCODES),
            layer_names=tuple(layer.name for layer in self.program.header.layers),
            states=states.STATES,
            timeline=timeline,
            attribution=self.attribution,
            counters=tuple(self.core.counters),
            dram=self.core.memories.arrays[Memory.DRAM],
            effectual=tuple(self.core.effectual),
            grants=np.array(self.dmas.grants if self.dmas else self.grants, np.int8),
            tail=self.tail,
            activity=activity,
            array_units=(Unit.MATRIX, Unit.PRELOAD),
        )

    def _host(self) -> Process:
        """Issue in program order; a full queue holds all that comes after."""
        interval, depth = self.machine.host.issue_interval_cycles, self.machine.host.queue_depth
        yield self.clock.at(0, HOST)
        for i, u in enumerate(self.unit):
            if self.clock.slot != HOST:
                yield self.clock.next(HOST)
            since = self.clock.cycle
            while self.queued[u] == depth:
                yield self.slot_freed[u].wait()
                yield self.clock.next(HOST)
            self.spend(i, states.HOST, states.WAIT_UNIT + u, self.clock.cycle - since)
            self.queued[u] += 1
            self.issue[i] = self.clock.cycle
            self.issued[u].notify()
            if interval and i + 1 < len(self.unit):
                self.spend(i, states.HOST, states.BUSY, interval)
                yield self.clock.at(self.clock.cycle + interval, HOST)

    def _unit(self, u: int) -> Process:
        """Start the queue's instructions one after the other, each as soon as nothing blocks it."""
        first, last = self.queues.first_of_unit[u : u + 2]
        for i in self.queues.by_unit[first:last].tolist():
            yield self.clock.next(START + u)
            banks = self.core.memories.banks([(access.memory, access.region) for access in self.accesses[i]])
            while (blocker := self._blocker(i, u, banks)) is not None:
                state, change = blocker
                since = self.clock.cycle
                self.blocked[u] = states.STATES[state].removeprefix("wait_")
                yield change
                yield self.clock.next(START + u)
                self.spend(i, u, state, self.clock.cycle - since)
            self.blocked.pop(u, None)
            yield from self._occupy(i, u, banks)

    def _blocker(self, i: int, u: int, banks: tuple[Bank, ...]) -> tuple[int, simpy.Event] | None:
        """What keeps an instruction from starting, and what may end that.

        The host, then semaphores in field order, then for a preload the swap wave, then ports.
        """
        if self.issue[i] < 0:
            return states.WAIT_HOST, self.issued[u].wait()
        for semaphore, value in self.waits[i]:
            if self.value[semaphore] < value:
                return states.WAIT_UNIT + self.producer[semaphore], self.raised[semaphore].wait()
        if u == Unit.PRELOAD and self.clock.cycle < self.swapped:
            # shadow registers may change when the last swap wave has left them
            return states.WAIT_UNIT + Unit.MATRIX, self.clock.at(self.swapped, START + u)
        if any(self.ports_taken[bank] == self.core.memories.srams[bank[0]].ports for bank in banks):
            return states.WAIT_PORT, self.port_freed.wait()
        return None

    def _occupy(self, i: int, u: int, banks: tuple[Bank, ...]) -> Process:
        """Hold the unit from start to free."""
        self.start[i] = start = self.clock.cycle
        self.queued[u] -= 1
        self.slot_freed[u].notify()
        self.ports_taken.update(banks)
        self.in_flight.begin(i, u, self.accesses[i])
        work = self._execute(i)
        self._raise(i, Moment.START)
        if work.bursts and self.dmas:
            transfer = self.dmas.start(Unit(u), self.layer[i], work)
            free = yield transfer.requested
            self.spend(i, u, states.WAIT_MEMORY, transfer.waited)
            self.spend(i, u, states.BUSY, free - start - transfer.waited)
            ended = self.env.event()
            self.env.process(self._complete(i, u, transfer, self.ended_before[u], ended))
            self.ended_before[u] = ended
        else:
            free = max(start + work.free, self.drained[u])
            self.drained[u] = free + work.drain
            self.end[i] = self.last_end[u] = max(self.drained[u] + work.end - work.free, self.last_end[u])
            if u == Unit.MATRIX:
                self.swapped = start + work.swap
            self.grants += [u] * work.bursts
            self.spend(i, u, states.BUSY, free - start)
            self.env.process(self._finish(i, u))
        self.free[i] = free
        yield self.clock.at(free, FREE + u)
        self.ports_taken.subtract(banks)
        self.port_freed.notify()
        self.in_flight.over(i, Moment.FREE)
        self._raise(i, Moment.FREE)

    def _execute(self, i: int) -> Work:
        """Do what an instruction does; what is wrong with the bytes that it reads is said with its name."""
        try:
            return self.core.execute(self.program.instructions[i])
        except ProgramError as error:
            name = name_of(self.program, i)
            raise ProgramError(*(Fault(f"{name}: {fault.message}", self.file) for fault in error.faults)) from None

    def _complete(self, i: int, u: int, transfer: Transfer, before: simpy.Event, known: simpy.Event) -> Process:
        """End a transfer when its data are there, after those before it on the unit."""
        complete = yield transfer.complete
        yield before
        self.end[i] = self.last_end[u] = max(complete + transfer.work.latency, self.last_end[u])
        known.succeed()
        self.env.process(self._finish(i, u))

    def _finish(self, i: int, u: int) -> Process:
        yield self.clock.at(self.end[i], END + u)
        self.in_flight.over(i, Moment.END)
        self._raise(i, Moment.END)
        if u in DMAS and self.dmas:
            self.tail[self.layer[i]] = self.dmas.tail(self.end[i], self.layer[i])
        self.ended += 1
        if self.progress and self.ended % 256 == 0:
            self.progress(self.ended, len(self.unit))

    def _raise(self, i: int, moment: Moment) -> None:
        semaphore = self.signal[i][moment]
        if semaphore != NONE:
            self.value[semaphore] += 1
            self.raised[semaphore].notify()
