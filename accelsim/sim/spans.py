"""What each unit does from cycle to cycle, worked out again from a program and the times of its instructions.

An engine keeps only sums of what units wait for. But a unit waits for one thing after the other, in an order that is
fixed, and semaphores only count up: so the moments of all instructions say when each wait was over.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa.hazards import Queues
from accelsim.isa.opcodes import NONE, SEMAPHORES, WAITS, Moment, Unit
from accelsim.isa.program import Program
from accelsim.results import Execution, Spans
from accelsim.sim import matrix, states

Int64 = NDArray[np.int64]


def of_units(program: Program, machine: Machine, execution: Execution) -> Iterator[Spans]:
    """Spans of each queued unit, by number, then those of the host.

    Their lengths sum to the execution's attribution, where a transfer's span is its busy cycles and those in which it
    waited for memory.

    Parameters
    ----------
    program
        What was executed, all of it: the instructions of copied blocks are not known.
    """
    queues = Queues.of(program.instructions)
    ready = _ready(queues, program, machine, execution)
    for unit in Unit:
        first, last = queues.first_of_unit[unit : unit + 2]
        yield _of_unit(unit, queues.by_unit[first:last].astype(np.int64), ready, program, machine, execution)
    yield _of_host(machine, execution)


def _ready(queues: Queues, program: Program, machine: Machine, execution: Execution) -> Int64:
    """Cycle in which each semaphore that an instruction waits for has its value; int64, shape (n, WAITS), else 0.

    What a start raises is seen in the same cycle by the units that start after it, by others in the next one. Who
    waited for a port starts before all others; and who waited for one is known from when its semaphores were ready:
    each round settles at least the starts of one cycle more, and few starts hang on others that are a cycle away.
    """
    t = execution.timeline
    in_turn = t.issue.copy()  # when the instruction before it in its queue is out of the way
    for unit in Unit:
        first, last = queues.first_of_unit[unit : unit + 2]
        queue = queues.by_unit[first:last]
        in_turn[queue[1:]] = np.maximum(in_turn[queue[1:]], t.free[queue[:-1]])
    preloads, resumed = t.unit == Unit.PRELOAD, np.zeros(len(t.start), bool)
    while True:
        ready = _raised(program, execution, resumed)
        all_but_ports = np.maximum(in_turn, ready.max(axis=1, initial=0))
        swapped = _swapped(all_but_ports[preloads], machine, execution)
        all_but_ports[preloads] = np.maximum(all_but_ports[preloads], swapped)
        before, resumed = resumed, t.start > all_but_ports
        if (before == resumed).all():
            return ready


def _raised(program: Program, execution: Execution, resumed: NDArray[np.bool_]) -> Int64:
    """Cycle of each semaphore's value, as `_ready` returns it, where it is known what waited for a port."""
    code, t = program.instructions, execution.timeline
    ready = np.zeros((len(code), WAITS), np.int64)
    moments = {Moment.START: t.start, Moment.FREE: t.free, Moment.END: t.end}
    for semaphore in range(SEMAPHORES):
        waiting = code["wait"] == semaphore
        if not waiting.any():
            continue
        raising = {moment: code["signal"][:, moment] == semaphore for moment in moments}
        instruction, field = np.nonzero(waiting)
        value = code["value"][instruction, field]
        producer = max(int(t.unit[by].max(initial=NONE)) for by in raising.values())
        for seen_later in (False, True):
            raised = [at[raising[m]] for m, at in moments.items()]
            raised[Moment.START] = raised[Moment.START] + (seen_later & ~resumed[raising[Moment.START]])
            cycles = np.sort(np.concatenate(raised))
            mine = (value > 0) & ((t.unit[instruction] <= producer) == seen_later)
            ready[instruction[mine], field[mine]] = cycles[value[mine] - 1]
    return ready


def _of_unit(unit: Unit, queue: Int64, ready: Int64, program: Program, machine: Machine, execution: Execution) -> Spans:
    """Spans of a unit: before each start the waits for host, semaphores in field order, swap wave and ports."""
    t, code = execution.timeline, program.instructions[queue]
    start, free = t.start[queue], t.free[queue]
    before = np.concatenate(([0], free[:-1]))[: len(queue)]
    over = [before, np.maximum(before, t.issue[queue])]
    kinds = [np.full(len(queue), states.WAIT_HOST)]
    semaphores = [np.full(len(queue), NONE)]
    producer = _producers(program, execution)
    for field in range(WAITS):
        semaphore = code["wait"][:, field].astype(np.int64)
        over.append(np.maximum(over[-1], ready[queue, field]))
        kinds.append(states.WAIT_UNIT + producer[semaphore])
        semaphores.append(semaphore)
    if unit == Unit.PRELOAD:
        over.append(np.minimum(start, np.maximum(over[-1], _swapped(over[-1], machine, execution))))
        kinds.append(np.full(len(queue), states.WAIT_UNIT + Unit.MATRIX))
        semaphores.append(semaphores[0])
    over += [start, free]
    kinds += [np.full(len(queue), states.WAIT_PORT), np.full(len(queue), states.BUSY)]
    semaphores += [semaphores[0]] * 2
    # the spans of an instruction side by side, then those of all in turn; those of no length left out
    begin, end = (np.stack(columns, axis=1).reshape(-1) for columns in (over[:-1], over[1:]))
    state, semaphore = (np.stack(columns, axis=1).reshape(-1) for columns in (kinds, semaphores))
    kept = np.flatnonzero(end > begin)
    instruction = queue[kept // len(kinds)]
    found = Spans(instruction, t.layer[instruction], state[kept], semaphore[kept], begin[kept], end[kept])
    return _drained(found, execution)


def _producers(program: Program, execution: Execution) -> Int64:
    """Number of the unit that raises each semaphore, int64, shape (SEMAPHORES + 1,); 0 where none does."""
    producer = np.zeros(SEMAPHORES + 1, np.int64)  # the last one is for NONE
    for signal in program.instructions["signal"].T:
        producer[signal] = execution.timeline.unit
    return producer


def _swapped(ready: Int64, machine: Machine, execution: Execution) -> Int64:
    """Cycle in which shadow registers may change again, as it is known when a preload has all else but its ports."""
    t = execution.timeline
    starts = t.start[t.unit == Unit.MATRIX]
    last = np.searchsorted(starts, ready, side="right") - 1
    swap = matrix.swap_cycles(machine)
    return np.where(last >= 0, starts[last] + swap, 0) if len(starts) else np.zeros_like(ready)


def _of_host(machine: Machine, execution: Execution) -> Spans:
    """Spans of the host: what it issues for a layer one after the other, and the queues that are full."""
    t, interval = execution.timeline, machine.host.issue_interval_cycles
    ready = np.concatenate(([0], t.issue[:-1] + interval))[: len(t.issue)]
    waited = np.flatnonzero(t.issue > ready)
    first = np.flatnonzero((t.issue > ready) | (np.diff(t.layer, prepend=-1) != 0)) if interval else waited[:0]
    last = np.concatenate((first[1:], [len(t.issue)]))[: len(first)] - 1
    # the interval after the last issue may outlast the program
    until = np.minimum(t.issue[last] + interval, execution.cycles)
    begin = np.concatenate((ready[waited], t.issue[first]))
    order = np.argsort(begin, kind="stable")
    instruction = np.concatenate((waited, first))[order]
    state = np.concatenate((states.WAIT_UNIT + t.unit[waited], np.full(len(first), states.BUSY)))[order]
    end = np.concatenate((t.issue[waited], until))[order]
    found = Spans(instruction, t.layer[instruction], state, np.full(len(order), NONE), begin[order], end)
    return _drained(found, execution)


def _drained(spans: Spans, execution: Execution) -> Spans:
    """The spans, and behind them the one in which nothing is left to do; the last layer carries it."""
    last = int(spans.end[-1]) if len(spans.end) else 0
    if last == execution.cycles:
        return spans
    rest = (NONE, len(execution.layer_names) - 1, states.DRAINED, NONE, last, execution.cycles)
    return Spans(*(np.append(column, value) for column, value in zip(spans, rest, strict=True)))
