"""The chain of things, each begun as the one before it let it, that a program's time consists of.

From the last end backwards: what a unit was busy with came first; before that it waited for a semaphore, whose producer
was busy until it was raised, for the host, for a full queue's unit, for the swap wave, or for a port, until the
instruction that held the port was done with it. So every cycle is one link's, and the links sum to the program's time.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import accesses
from accelsim.isa.opcodes import NONE, SEMAPHORES, UNITS, Moment, Unit
from accelsim.isa.program import Program
from accelsim.results import Execution, Spans
from accelsim.sim import spans, states
from accelsim.sim.machine import Core
from accelsim.sim.timings import Ports

Int64 = NDArray[np.int64]

#: What a link's unit did: its work; for a DMA waiting for the memory; results on their way; a start that the units
#: which are served earlier in a cycle see in the next one, as they see one that waited for a port.
BUSY, MEMORY, FLIGHT, PORT = "busy", "memory", "in flight", "port"
#: Unit of the writes that the DRAM still buffers when the last instruction has ended.
FLUSH = "dram"


class Link(NamedTuple):
    """Part of the path: a unit's cycles for a layer, half open."""

    unit: str
    layer: int
    what: str
    start: int
    end: int


def of(program: Program, machine: Machine, execution: Execution) -> list[Link]:
    """Links from first to last."""
    return _Walk(program, machine, execution).links()


class _Walk:
    def __init__(self, program: Program, machine: Machine, execution: Execution) -> None:
        self.program = program
        self.machine = machine
        self.timeline = execution.timeline
        self.cycles = execution.cycles
        self.layers = len(execution.layer_names)
        self.names = [unit.name.lower() for unit in Unit] + ["host"]
        self.of_unit: list[Spans] = list(spans.of_units(program, machine, execution))
        self.raising = self._raising()

    def _raising(self) -> list[tuple[Moment, Int64]]:
        """Moment at which each semaphore is raised, and the instructions that raise it, in order."""
        signal = self.program.instructions["signal"]
        found = []
        for semaphore in range(SEMAPHORES):
            moments = [(moment, np.flatnonzero(signal[:, moment] == semaphore)) for moment in Moment]
            found.append(max(moments, key=lambda pair: len(pair[1])))  # one moment has them all
        return found

    @cached_property
    def _ports(self) -> Ports:
        """Banks of which each instruction holds a port."""
        program = self.program
        found = accesses.of_program(program.instructions, self.machine, program.tables)
        return Ports.of(Core(program, self.machine, found), found)

    @cached_property
    def _matmuls(self) -> tuple[Int64, Int64]:
        """What the matrix unit executes, in order, and when each starts."""
        matmuls = np.flatnonzero(self.timeline.unit == Unit.MATRIX)
        return matmuls, self.timeline.start[matmuls]

    @cached_property
    def _by_free(self) -> Int64:
        """Instructions in the order in which they are free."""
        return np.argsort(self.timeline.free, kind="stable")

    def _holder(self, instruction: int, now: int) -> int | None:
        """An instruction that held a port of a bank that another one needs and let it go now."""
        t, ports = self.timeline, self._ports
        banks = set(ports.sets[ports.held[instruction]])
        first, last = np.searchsorted(t.free, (now, now + 1), sorter=self._by_free)
        for i in self._by_free[first:last].tolist():
            if t.start[i] < now and banks.intersection(ports.sets[ports.held[i]]):
                return int(i)
        return None

    def links(self) -> list[Link]:
        """Walk from the last end to cycle 0."""
        t = self.timeline
        found: list[Link] = []
        if not len(t.end):
            return found
        last = int(np.argmax(t.end))
        if self.cycles > t.end[last]:
            found.append(Link(FLUSH, self.layers - 1, MEMORY, int(t.end[last]), self.cycles))
        unit, now = self._end_of(last, found)
        while now > 0:
            unit, now = self._step(unit, now, found)
        return found[::-1]

    def _end_of(self, instruction: int, found: list[Link]) -> tuple[int, int]:
        """Take the part in which an instruction's results are on their way; return its unit and when that was free."""
        return self._free_of(instruction, int(self.timeline.end[instruction]), found)

    def _free_of(self, instruction: int, now: int, found: list[Link]) -> tuple[int, int]:
        """Take what passes through a unit until now and has left it free; return the unit and when it was busy yet."""
        t = self.timeline
        unit, free = int(t.unit[instruction]), min(int(t.free[instruction]), now)
        if now > free:
            found.append(Link(self.names[unit], int(t.layer[instruction]), FLIGHT, free, now))
        return unit, free

    def _step(self, unit: int, now: int, found: list[Link]) -> tuple[int, int]:
        """Take what a unit did until now, or find whom it waited for; return who is next, and from when on."""
        mine = self.of_unit[unit]
        i = int(np.searchsorted(mine.end, now))  # the span that holds the cycle before now
        if i == len(mine.end) or mine.start[i] >= now:  # a host whose issues take no time
            before = int(mine.end[i - 1]) if i else 0
            found.append(Link(self.names[unit], 0, BUSY, before, now))
            return unit, before
        start, state, layer = int(mine.start[i]), int(mine.state[i]), int(mine.layer[i])
        instruction = int(mine.instruction[i])
        if state == states.BUSY:
            self._busy(unit, instruction, layer, start, now, found)
            return unit, start
        if state == states.WAIT_HOST:
            return UNITS, now
        waited_for = state - states.WAIT_UNIT
        if 0 <= waited_for < UNITS and now == int(mine.end[i]):
            return self._awaited(unit, waited_for, int(mine.semaphore[i]), instruction, now, found)
        if state == states.WAIT_PORT and now == int(mine.end[i]):
            holder = self._holder(instruction, now)
            if holder is not None:
                return int(self.timeline.unit[holder]), now
        found.append(Link(self.names[unit], layer, PORT, start, now))
        return unit, start

    def _busy(self, unit: int, instruction: int, layer: int, start: int, now: int, found: list[Link]) -> None:
        """A unit's work; of a transfer first its requests, then what it waited for the memory."""
        waited = int(self.timeline.waited[instruction]) if unit != UNITS and instruction != NONE else 0
        waited = min(waited, now - start)
        if waited:
            found.append(Link(self.names[unit], layer, MEMORY, now - waited, now))
        if now - waited > start:
            found.append(Link(self.names[unit], layer, BUSY, start, now - waited))

    def _awaited(
        self, unit: int, awaited: int, semaphore: int, instruction: int, now: int, found: list[Link]
    ) -> tuple[int, int]:
        """Whom a unit waited for until now, and from when on that one's time counts."""
        code, t = self.program.instructions[instruction], self.timeline
        if semaphore == NONE and unit == Unit.PRELOAD:  # the last matmul's swap wave passes through the array
            matmuls, starts = self._matmuls
            return self._free_of(int(matmuls[np.searchsorted(starts, now) - 1]), now, found)
        if semaphore == NONE:  # the host for a queue's place, which a start gave the cycle before
            return awaited, now
        moment, raising = self.raising[semaphore]
        value = int(code["value"][code["wait"] == semaphore].max())
        producer = int(raising[value - 1])
        if moment == Moment.END:
            return self._end_of(producer, found)
        at = int(t.start[producer] if moment == Moment.START else t.free[producer])
        # a start is seen a cycle later by the units that are served before
        if at < now:
            found.append(Link(self.names[unit], int(t.layer[instruction]), PORT, at, now))
        return awaited, at
