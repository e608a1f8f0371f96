"""The reference engine: one simpy process a unit, and the definition of the timing.

A cycle has phases, and simpy's own order of events is never relied on: simulated time is cycle * SLOTS + slot, and
each actor has its own slot. In a cycle t, in this order:

1. returns from DRAM (none yet: `simple` DRAM ends a transfer at a time that is known when its last burst is granted);
2. ends and their signals, by unit number;
3. ports released at `free`, and the signals of `free`, by unit number;
4. the host issues;
5. instructions start, by unit number, and give the signals of `start`;
6. DRAM bursts are granted, those of transfers that started in this cycle included.

So what ends at t lets others start at t. Bytes are read and written at `start`; until the access is over, another
unit that touches them is an error (`verify` should have rejected the program).
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
from accelsim.memory.rate import Rate
from accelsim.memory.region import Region, overlap
from accelsim.memory.simple_dram import Channel
from accelsim.results import Execution, Timeline
from accelsim.sim import states
from accelsim.sim.machine import Core
from accelsim.sim.memories import Bank
from accelsim.sim.work import Work

Process = Generator[simpy.Event, Any, None]
Progress = Callable[[int, int], None]

END, FREE = 1, 1 + UNITS
HOST = 1 + 2 * UNITS
START = HOST + 1
GRANT = START + UNITS
SLOTS = GRANT + 1


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


class _Condition:
    """Something that can change; whoever waits goes on when it has."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._waiting: list[simpy.Event] = []

    def wait(self) -> simpy.Event:
        event = self._env.event()
        self._waiting.append(event)
        return event

    def notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.succeed()


@dataclass(slots=True)
class _Transfer:
    """A DMA's instruction between its start and its last burst."""

    bursts: int
    port: Rate | None
    finished: simpy.Event
    idle_since: int
    waited: int = 0


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
        self.env = simpy.Environment()
        self.machine = machine
        self.program = program
        self.core = Core(program, machine)
        self.channel = Channel.of(machine)
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
        self.raised = [_Condition(self.env) for _ in range(SEMAPHORES)]
        self.issued = [_Condition(self.env) for _ in range(UNITS)]
        self.queued = [0] * UNITS
        self.slot_freed = [_Condition(self.env) for _ in range(UNITS)]
        self.ports_taken: Tally[Bank] = Tally()
        self.port_freed = _Condition(self.env)
        self.transfers: dict[int, _Transfer] = {}
        self.requested = _Condition(self.env)
        self.grants: list[int] = []
        self.swapped = 0
        self.drained = [0] * UNITS
        self.last_end = [0] * UNITS
        self.ended = 0
        self.blocked: dict[int, str] = {}
        self.attribution = np.zeros((len(program.header.layers), UNITS + 1, len(states.STATES)), np.int64)

    # time

    @property
    def cycle(self) -> int:
        return int(self.env.now) // SLOTS

    def at(self, cycle: int, slot: int) -> simpy.Event:
        """The moment of a slot in a cycle, which is not past."""
        return self.env.timeout(cycle * SLOTS + slot - self.env.now)

    def next(self, slot: int) -> simpy.Event:
        """The next moment of a slot, now included."""
        return self.at(self.cycle + (self.env.now % SLOTS > slot), slot)

    def spend(self, i: int, row: int, state: int, cycles: int) -> None:
        self.attribution[self.layer[i], row, state] += cycles

    # processes

    def run(self) -> Execution:
        count = len(self.unit)
        done = [self.env.process(self._host()), *(self.env.process(self._unit(u)) for u in range(UNITS))]
        self.env.process(self._arbiter())
        try:
            self.env.run(until=self.env.all_of(done))
            while self.ended < count:
                self.env.step()
        except (RuntimeError, simpy.core.EmptySchedule):
            if self.env.peek() < float("inf"):
                raise  # something else went wrong: in a deadlock nothing is left to happen
            waiting = {Unit(u).name.lower(): what for u, what in self.blocked.items()}
            raise DeadlockError(self.cycle, waiting) from None
        total = max(self.end, default=0)
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
            grants=np.array(self.grants, np.int8),
            array_units=(Unit.MATRIX, Unit.PRELOAD),
        )

    def _host(self) -> Process:
        """Issue in program order; a full queue holds all that comes after."""
        interval, depth = self.machine.host.issue_interval_cycles, self.machine.host.queue_depth
        yield self.at(0, HOST)
        for i, u in enumerate(self.unit):
            if self.env.now % SLOTS != HOST:
                yield self.next(HOST)
            since = self.cycle
            while self.queued[u] == depth:
                yield self.slot_freed[u].wait()
                yield self.next(HOST)
            self.spend(i, states.HOST, states.WAIT_UNIT + u, self.cycle - since)
            self.queued[u] += 1
            self.issue[i] = self.cycle
            self.issued[u].notify()
            if interval and i + 1 < len(self.unit):
                self.spend(i, states.HOST, states.BUSY, interval)
                yield self.at(self.cycle + interval, HOST)

    def _unit(self, u: int) -> Process:
        """Start the queue's instructions one after the other, each as soon as nothing blocks it."""
        first, last = self.queues.first_of_unit[u : u + 2]
        for i in self.queues.by_unit[first:last].tolist():
            yield self.next(START + u)
            banks = self.core.memories.banks([(access.memory, access.region) for access in self.accesses[i]])
            while (blocker := self._blocker(i, u, banks)) is not None:
                state, change = blocker
                since = self.cycle
                self.blocked[u] = states.STATES[state].removeprefix("wait_")
                yield change
                yield self.next(START + u)
                self.spend(i, u, state, self.cycle - since)
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
        if u == Unit.PRELOAD and self.cycle < self.swapped:
            # shadow registers may change when the last swap wave has left them
            return states.WAIT_UNIT + Unit.MATRIX, self.at(self.swapped, START + u)
        if any(self.ports_taken[bank] == self.core.memories.srams[bank[0]].ports for bank in banks):
            return states.WAIT_PORT, self.port_freed.wait()
        return None

    def _occupy(self, i: int, u: int, banks: tuple[Bank, ...]) -> Process:
        """Hold the unit from start to free."""
        self.start[i] = start = self.cycle
        self.queued[u] -= 1
        self.slot_freed[u].notify()
        self.ports_taken.update(banks)
        self.in_flight.begin(i, u, self.accesses[i])
        work = self._execute(i)
        self._raise(i, Moment.START)
        if work.bursts and self.channel.rate is not None:
            free, data = yield from self._stream(i, u, work)
            end = max(free, data) + self.channel.latency_cycles
        else:
            free = max(start + work.free, self.drained[u])
            self.drained[u] = free + work.drain
            end = self.drained[u] + work.end - work.free
            if u == Unit.MATRIX:
                self.swapped = start + work.swap
            self.grants += [u] * work.bursts
            self.spend(i, u, states.BUSY, free - start)
        self.free[i] = free
        self.end[i] = self.last_end[u] = max(end, self.last_end[u])
        self.env.process(self._finish(i, u))
        yield self.at(free, FREE + u)
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

    def _finish(self, i: int, u: int) -> Process:
        yield self.at(self.end[i], END + u)
        self.in_flight.over(i, Moment.END)
        self._raise(i, Moment.END)
        self.ended += 1
        if self.progress and self.ended % 256 == 0:
            self.progress(self.ended, len(self.unit))

    def _raise(self, i: int, moment: Moment) -> None:
        semaphore = self.signal[i][moment]
        if semaphore != NONE:
            self.value[semaphore] += 1
            self.raised[semaphore].notify()

    def _stream(self, i: int, u: int, work: Work) -> Generator[simpy.Event, Any, tuple[int, int]]:
        """Request a DMA's bursts, as fast as port and channel allow.

        Returns the cycle at which the DMA is free, and the one at which the channel has moved its last burst.
        A cycle in which a burst is granted or its words pass the port is busy; in the others the DMA waits for memory.
        """
        start = self.cycle
        # the port's accesses are spread evenly over the bursts: burst n is requested after n of that many shares
        port = Rate(work.bursts, work.words) if work.words else None
        transfer = _Transfer(work.bursts, port, self.env.event(), idle_since=start)
        self.transfers[u] = transfer
        self.requested.notify()
        data = yield transfer.finished
        free = transfer.idle_since
        self.spend(i, u, states.WAIT_MEMORY, transfer.waited)
        self.spend(i, u, states.BUSY, free - start - transfer.waited)
        return free, data

    def _arbiter(self) -> Process:
        """Grant bursts of the channel in turn, load first; the turn moves on with a grant."""
        channel = self.channel.rate
        turn = Unit.LOAD
        while channel is not None:
            if not self.transfers:
                yield self.requested.wait()
                yield self.next(GRANT)
            ready = channel.earliest(self.cycle)
            cycle = min(max(ready, self._requests_at(t)) for t in self.transfers.values())
            if cycle > self.cycle:
                later = self.at(cycle, GRANT)
                # while the channel is free for others, a new transfer may come first
                yield later if cycle == ready else later | self.requested.wait()
                yield self.next(GRANT)
                continue
            for u in (turn, Unit(Unit.LOAD + Unit.STORE - turn)):
                if u in self.transfers and self._requests_at(self.transfers[u]) <= self.cycle:
                    channel.serve(self.cycle)
                    self._grant(u, channel.done)
                    turn = Unit(Unit.LOAD + Unit.STORE - u)
                    break

    def _requests_at(self, transfer: _Transfer) -> int:
        """First cycle, not past, in which a transfer requests its next burst."""
        return transfer.port.earliest(self.cycle) if transfer.port else self.cycle

    def _grant(self, u: int, data: int) -> None:
        transfer = self.transfers[u]
        self.grants.append(u)
        transfer.waited += max(0, self.cycle - transfer.idle_since)
        if transfer.port:
            transfer.port.serve(self.cycle)
            transfer.idle_since = transfer.port.done
        else:
            transfer.idle_since = self.cycle + 1
        transfer.bursts -= 1
        if not transfer.bursts:
            del self.transfers[u]
            transfer.finished.succeed(data)
