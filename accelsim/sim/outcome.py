"""What both engines return, from the times that they found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa.opcodes import OPCODES, UNIT_OF, UNITS, Unit
from accelsim.isa.program import Program
from accelsim.memory.activity import Activity
from accelsim.results import NO_DRAM, Execution, Timeline
from accelsim.sim import states
from accelsim.sim.machine import Core

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """What an engine finds, all of it in the order of the program.

    Parameters
    ----------
    opcode, layer
        Of each instruction, int64, shape (n,).
    issue, start, free, end
        Cycles of each instruction, int64, shape (n,).
    waited
        Cycles that each transfer waited for memory, 0 for other instructions; int64, shape (n,).
    attribution
        Cycles by layer, unit and state, int64, shape (layers, units + 1, states), as far as instructions account for
        them; completed in place.
    grants, requested, tail
        As `Execution` has them.
    total
        Cycle in which the last instruction has ended and the DRAM has served all writes.
    activity
        What a banked DRAM did, or None.
    """

    opcode: Int64
    layer: Int64
    issue: Int64
    start: Int64
    free: Int64
    end: Int64
    waited: Int64
    attribution: Int64
    grants: NDArray[np.int8]
    requested: Int64
    tail: Int64
    total: int
    activity: Activity | None


def outcome(engine: str, program: Program, machine: Machine, core: Core, found: Found) -> Execution:
    """Complete what an engine found: the host's last interval, drained units, what DRAM commands are charged to."""
    attribution = found.attribution
    if len(found.layer):  # the interval after the last issue may outlast the program
        interval = machine.host.issue_interval_cycles
        rest = min(interval, found.total - int(found.issue[-1]))
        attribution[found.layer[-1], states.HOST, states.BUSY] += rest
    for row in range(UNITS + 1):
        # after its last instruction a unit is drained; the last layer carries it
        attribution[-1, row, states.DRAINED] = found.total - attribution[:, row].sum()
    timeline = Timeline(
        unit=UNIT_OF.astype(np.int64)[found.opcode],
        opcode=found.opcode,
        layer=found.layer,
        issue=found.issue,
        start=found.start,
        free=found.free,
        end=found.end,
        waited=found.waited,
    )
    if found.activity:
        cycles = timeline.layer_cycles(len(core.counters), found.total)
        found.activity.count(core.counters, cycles, 8 * machine.dram.burst_bytes)
    return Execution(
        engine=engine,
        cycles=found.total,
        unit_names=states.UNIT_NAMES,
        opcode_names=tuple(opcode.mnemonic for opcode in OPCODES),
        layer_names=tuple(layer.name for layer in program.header.layers),
        states=states.STATES,
        timeline=timeline,
        attribution=attribution,
        counters=tuple(core.counters),
        memory=core.memories.dram if core.values else NO_DRAM,
        kept=core.kept,
        effectual=tuple(core.effectual),
        grants=found.grants,
        requested=found.requested,
        tail=found.tail,
        activity=found.activity,
        array_units=(Unit.MATRIX, Unit.PRELOAD),
    )
