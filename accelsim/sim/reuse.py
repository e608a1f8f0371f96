"""Copies of blocks of layers that repeat, in place of their simulation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.errors import DefectError, UnsteadyError
from accelsim.isa.opcodes import DMAS, UNITS
from accelsim.isa.program import Program
from accelsim.memory.activity import Activity
from accelsim.results import Execution, Reuse, Timeline
from accelsim.sim import states, steady
from accelsim.sim.steady import Moment, Pattern
from accelsim.workload.blocks import Blocks

Int64 = NDArray[np.int64]

#: Blocks that are simulated: the first and the last are as they are, those between show how steady they are.
SIMULATED = 8


def none(execution: Execution, blocks: Blocks | None) -> Execution:
    """The execution of all layers, which says that no block of it was copied."""
    first, layers, repeats = blocks or Blocks(0, len(execution.layer_names), 1)
    name = execution.layer_names[first]
    reuse = Reuse(first_layer=name, layers=layers, repeats=repeats, simulated=repeats, exact=True, bound_cycles=0)
    return dataclasses.replace(execution, reuse=reuse)


def extend(execution: Execution, program: Program, machine: Machine, blocks: Blocks, names: Sequence[str]) -> Execution:
    """Put copies of a block into an execution, as many as were left out.

    The copies are of the last but one of the simulated blocks, and stand behind it.

    Parameters
    ----------
    execution, program
        Those of `SIMULATED` blocks, the first ones and the last, and of what comes before and after all blocks; in DRAM
        they lie where they do among all.
    blocks
        All blocks.
    names
        Names of all layers.

    Raises
    ------
    UnsteadyError
        If the blocks have not become steady, so that all of them must be simulated.
    """
    found = steady.pattern(program, blocks, SIMULATED, machine)
    jitter = steady.jitter(machine)
    period = steady.estimate(found, execution.timeline, jitter)
    copies = _Copies(blocks.repeats - SIMULATED, period.cycles, blocks, found)
    moment = steady.moment(found, program, execution.timeline, execution.grants, period.cycles, machine)
    exact = moment is not None and copies.follow(moment, execution)
    sources = copies.sources(len(execution.layer_names))
    counters = tuple(execution.counters[source] for source in sources.tolist())
    extended = dataclasses.replace(
        execution,
        cycles=execution.cycles + copies.number * copies.cycles,
        layer_names=tuple(names),
        timeline=copies.timeline(execution.timeline),
        attribution=copies.attribution(execution, sources),
        counters=counters,
        effectual=tuple(execution.effectual[source] for source in sources.tolist()),
        grants=copies.grants(program, execution, machine, moment if exact else None),
        requested=execution.requested[sources],
        tail=execution.tail[sources],
        activity=copies.activity(execution.activity, counters, sources),
        reuse=Reuse(
            first_layer=names[blocks.first],
            layers=blocks.layers,
            repeats=blocks.repeats,
            simulated=SIMULATED,
            exact=exact,
            bound_cycles=0 if exact else period.bound(copies.number, jitter),
        ),
        sources=sources,
    )
    per_layer = np.bincount(execution.timeline.layer, minlength=len(execution.layer_names))
    if (np.bincount(extended.timeline.layer, minlength=len(names)) != per_layer[sources]).any():
        raise DefectError("copied blocks must have the instructions of the block that they are copied from")
    return extended


@dataclasses.dataclass(frozen=True, slots=True)
class _Copies:
    """Copies of the last but one of the simulated blocks.

    Parameters
    ----------
    number
        How many there are.
    cycles
        Core cycles from one to the next.
    """

    number: int
    cycles: int
    blocks: Blocks
    found: Pattern

    @property
    def _block(self) -> slice:
        """Layers of the block that is copied."""
        low = self.blocks.first + self.blocks.layers * (SIMULATED - 2)
        return slice(low, low + self.blocks.layers)

    @property
    def _period(self) -> slice:
        """Instructions that are copied."""
        return slice(self.found.cut(2), self.found.cut(1))

    def follow(self, moment: Moment, execution: Execution) -> bool:
        """Whether all that is copied happens after a moment, and before the end of the repetition changes anything."""
        t, block = execution.timeline, self._block
        # the host issues in order, so nothing can differ before what follows the repetition is issued
        until = int(t.issue[self.found.end - 1])
        mine = (t.layer >= block.start) & (t.layer < block.stop)
        began = [int(t.issue[np.argmax(mine) - 1])]
        for unit in range(UNITS):
            queue = np.flatnonzero(t.unit == unit)
            if mine[queue].any():
                began.append(int(t.free[queue[np.argmax(mine[queue]) - 1]]))
        attributed = execution.attribution[block].sum(axis=(0, 2))
        return (
            min(began) >= moment.cycle
            and int(t.issue[self._period.start]) >= moment.cycle
            and max(int(t.end[: self._period.stop].max()), int(t.free[t.layer < block.stop].max())) <= until
            and bool(np.isin(attributed, (0, self.cycles)).all())
        )

    def sources(self, layers: int) -> Int64:
        """Number of the layer that each layer is, or is copied from; `layers` are there."""
        block = self._block
        return self._repeated(np.arange(layers), block)

    def _repeated(self, values: NDArray[Any], part: slice) -> NDArray[Any]:
        """Values with a part repeated behind itself."""
        return np.concatenate((values[: part.stop], np.tile(values[part], self.number), values[part.stop :]))

    def timeline(self, timeline: Timeline) -> Timeline:
        """The timeline with the copied period, each copy shifted, and the rest behind them."""
        count, part = len(timeline.unit), self._period
        shift = np.concatenate(
            (
                np.zeros(part.stop, np.int64),
                np.repeat(np.arange(1, self.number + 1), part.stop - part.start),
                np.full(count - part.stop, self.number),
            )
        )
        steps = dict.fromkeys(("issue", "start", "free", "end"), self.cycles) | {"layer": self.blocks.layers}
        return Timeline(
            **{
                field.name: self._repeated(getattr(timeline, field.name), part) + steps.get(field.name, 0) * shift
                for field in dataclasses.fields(timeline)
            }
        )

    def attribution(self, execution: Execution, sources: Int64) -> Int64:
        """Cycles by layer, unit and state, so that those of each unit sum to the total.

        A unit that no block uses waits longer for what comes after them, or is drained. Unless all repeats exactly,
        what a unit needs for a block may differ from the time to the next one: that is charged to what it does most.
        """
        block, cycles = self._block, execution.attribution[sources]
        t = execution.timeline
        for unit in range(UNITS + 1):
            mine = execution.attribution[block, unit]
            if not mine.any():
                after = np.flatnonzero(t.unit[self._period.stop :] == unit)
                layer = int(t.layer[self._period.stop + after[0]]) if len(after) else -1
                place = (layer - len(execution.layer_names) if len(after) else -1, unit)
                cycles[(*place, states.WAIT_HOST if len(after) else states.DRAINED)] += self.number * self.cycles
                continue
            layer, state = divmod(int(mine.argmax()), mine.shape[1])
            rest = self.cycles - int(mine.sum())
            if mine[layer, state] + rest < 0:
                raise UnsteadyError(f"unit {execution.unit_names[unit]} must need about as long for each block")
            copied = block.stop + layer + self.blocks.layers * np.arange(self.number)
            cycles[copied, unit, state] += rest
        return cycles

    def grants(
        self, program: Program, execution: Execution, machine: Machine, moment: Moment | None
    ) -> NDArray[np.int8]:
        """Unit of each granted burst; their order is exact if the moment is known from which on all repeats."""
        if moment:
            return self._repeated(execution.grants, slice(*moment.grants))
        unit = execution.timeline.unit[: self._period.stop]
        transfers = np.flatnonzero(np.isin(unit, DMAS))
        bursts = np.array([steady.bursts(program, i, machine) for i in transfers.tolist()])
        mine = transfers >= self._period.start
        copy = np.repeat(unit[transfers[mine]], bursts[mine]).astype(np.int8)
        before, after = np.split(execution.grants, [bursts.sum()])
        return np.concatenate((before, np.tile(copy, self.number), after))

    def activity(self, done: Activity | None, counters: Sequence[Counters], sources: Int64) -> Activity | None:
        """What a banked DRAM did; what is not known by layer grows as its commands do."""
        if done is None:
            return None
        by_layer = {
            field.name: getattr(done, field.name)[sources]
            for field in dataclasses.fields(done)
            if isinstance(getattr(done, field.name), np.ndarray)
        }
        commands = done.reads + done.writes
        share = Fraction(self.number * int(commands[self._block].sum()), int(commands.sum()) or 1)

        def grown(count: int) -> int:
            return round(count * (1 + share))

        def charged(operation: Operation) -> int:
            return sum(table.get(Event(Component.DRAM, operation, 1), 0) for table in counters)

        reads, writes = int(by_layer["reads"].sum()), int(by_layer["writes"].sum())
        merged_reads, merged_writes = grown(done.merged_reads), grown(done.merged_writes)
        forwarded = grown(done.forwarded_reads)
        return dataclasses.replace(
            done,
            **by_layer,
            precharges=grown(done.precharges),
            demanded_precharges=grown(done.demanded_precharges),
            refreshes=charged(Operation.DRAM_REFRESH),
            dual_commands=grown(done.dual_commands),
            accepted_reads=reads + merged_reads + forwarded,
            accepted_writes=writes + merged_writes,
            merged_reads=merged_reads,
            merged_writes=merged_writes,
            forwarded_reads=forwarded,
            active_clocks=charged(Operation.DRAM_ACTIVE_CLOCK),
            precharged_clocks=charged(Operation.DRAM_PRECHARGED_CLOCK),
            write_latency=grown(done.write_latency),
        )
