"""The event loop of the fast engine: the rules of `accelsim.sim.reference`, cycle by cycle, over arrays.

Only cycles in which something can happen are visited. In each, the phases of `accelsim.sim.clock` follow each other:
returns from DRAM, ends, frees, the host, starts, grants. A unit that is blocked is looked at again when what blocks it
has changed, so a visit costs what its events cost.

`e` is the state of the loop, laid out in `engine_records`, `d` that of the DMA units, laid out in `dma`. `m`, `c` and
`level` are those of a banked DRAM, see `dram_records` and `crossing`. Without one `m` is None, and `simple`, which is
`d` else, without a DRAM of constant rate. What is done with None is not compiled: the loop has a form for each memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import crossing
from accelsim.kernels.borrowing import borrowing, inner
from accelsim.kernels.crossing import KNOWN
from accelsim.kernels.dma import (
    ARRIVED,
    AWAITED,
    BANKED,
    COMPLETED,
    HEADER,
    IDEAL,
    INSTRUCTION,
    MODEL,
    PENDING,
    PORT_FREE,
    PORT_WORDS,
    PORTS,
    SIMPLE,
    WAITED,
    banked_grant,
    banked_wake,
    begin,
    grant_all,
    moved,
    returns,
    simple_grant,
    simple_stream,
    simple_wake,
)
from accelsim.kernels.engine_records import (
    ADDRESS,
    AT_END,
    AT_FREE,
    AT_START,
    ATTRIBUTION,
    BLOCKED,
    BUSY,
    COMPLETE,
    CYCLE,
    DATA,
    DEPTH,
    DRAINED,
    END,
    END_AT,
    ENDED,
    ENDING,
    FORM,
    FORM_WORDS,
    FREE,
    FREE_AT,
    HEAD,
    HELD,
    HOST_AT,
    HOST_ON,
    HOST_SINCE,
    INSTRUCTION_WORDS,
    INTERVAL,
    ISSUE,
    ISSUE_END,
    ISSUED,
    LAST_END,
    LAYER,
    LEFT,
    LIMIT,
    LIST,
    MATRIX,
    MEMORY_AT,
    MOVED,
    MOVED_WORDS,
    NEEDED,
    NEVER,
    NEXT,
    PORT,
    PORT_WAITERS,
    PRELOAD,
    PRODUCER,
    QUEUED,
    RAISED,
    ROW_BYTES,
    ROWS,
    SIGNAL,
    SINCE,
    STALLED,
    START,
    STATES,
    STRIDE,
    SWAPPED,
    TAG,
    TAIL,
    TAKEN,
    TAKES_BURSTS,
    TAKES_DRAIN,
    TAKES_END,
    TAKES_FREE,
    TAKES_LATENCY,
    TAKES_SWAP,
    TAKES_WORDS,
    TAKES_WRITES,
    TO_KNOW,
    TRY_AT,
    UNIT,
    UNIT_SLOTS,
    UNITS,
    VALUE,
    VALUE_BITS,
    WAIT,
    WAIT_HOST,
    WAIT_UNIT,
    WAITERS,
    WAITS,
)

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]

_VALUE = (1 << VALUE_BITS) - 1


@inner
def _spend(e: Int64, i: int, row: int, state: int, cycles: int) -> None:
    """Charge cycles that a unit, or the host, spends in a state for an instruction."""
    e[e[e[i + FORM] + LAYER] + ATTRIBUTION + row * e[STATES] + state] += cycles


@inner
def _wake(e: Int64, units: int, after: int) -> None:
    """Let the units of a set try to start: in this cycle, but those up to number `after` in the next one."""
    unit = 0
    while units >> unit:
        if (units >> unit) & 1:
            e[TRY_AT + unit] = e[CYCLE] + (unit <= after)
        unit += 1


@inner
def _raise(e: Int64, semaphore: int, after: int) -> None:
    """Raise a semaphore and wake whom its value lets go on; `after` is the unit that starts, -1 before all starts."""
    value = e[semaphore + RAISED] + 1
    e[semaphore + RAISED] = value
    waiters = e[semaphore + WAITERS]
    if waiters == 0:
        return
    met, unit = 0, 0
    while waiters >> unit:
        if (waiters >> unit) & 1 and value >= e[NEEDED + unit]:
            met |= 1 << unit
        unit += 1
    if met:
        e[semaphore + WAITERS] = waiters & ~met
        _wake(e, met, after)


@inner
def _known(e: Int64, u: int, at: int) -> None:
    """Note when the unit's next instruction ends whose end was not known."""
    i = e[TO_KNOW + u]
    e[i + END] = at
    e[LAST_END + u] = at
    e[TO_KNOW + u] = e[i + NEXT]
    if e[ENDING + u] == i:
        e[END_AT + u] = at


@inner
def _end(e: Int64, m: Int64 | None, c: Int64, level: Int64 | None, u: int) -> None:
    """End a unit's instructions whose end it is."""
    cycle = e[CYCLE]
    while e[END_AT + u] == cycle:
        i = e[ENDING + u]
        form = e[i + FORM]
        if e[form + SIGNAL + AT_END] >= 0:
            _raise(e, e[form + SIGNAL + AT_END], -1)
        if m is not None and e[PORT + u] >= 0:
            e[e[form + LAYER] + TAIL] = crossing.buffered(m, c, level, cycle, e[e[i + MOVED] + TAG])
        e[ENDED] += 1
        i = e[i + NEXT]
        e[ENDING + u] = i
        e[END_AT + u] = NEVER if i == e[TO_KNOW + u] else e[i + END]


@inner
def _release(e: Int64, u: int) -> None:
    """Release a unit, and the ports that it holds."""
    i = e[HEAD + u]
    form = e[i + FORM]
    held = e[form + HELD]
    for k in range(held + 1, held + 1 + e[held]):
        e[e[k] + TAKEN] -= 1
    if e[form + SIGNAL + AT_FREE] >= 0:
        _raise(e, e[form + SIGNAL + AT_FREE], -1)
    e[FREE_AT + u] = NEVER
    e[BLOCKED + u] = -1
    e[HEAD + u] = e[i + NEXT]
    if e[i + NEXT] >= 0:
        e[TRY_AT + u] = e[CYCLE]
    # any port may be the one that others wait for
    waiters = e[PORT_WAITERS]
    if waiters:
        e[PORT_WAITERS] = 0
        _wake(e, waiters, -1)


@inner
def _host(e: Int64, until: int) -> None:
    """Issue in program order, in this cycle and in later ones before `until`; a full queue holds all that comes after.

    Stops in the cycle in which a unit gets what it waits for.
    """
    cycle, i, interval, woken = e[CYCLE], e[ISSUED], e[INTERVAL], False
    e[HOST_AT] = NEVER
    e[HOST_ON] = -1
    while i < e[ISSUE_END]:
        u = e[e[i + FORM] + UNIT]
        if e[QUEUED + u] == e[DEPTH]:
            e[HOST_ON] = u
            break
        _spend(e, i, e[UNITS], WAIT_UNIT + u, cycle - e[HOST_SINCE])
        e[HOST_SINCE] = cycle
        e[QUEUED + u] += 1
        e[i + ISSUE] = cycle
        if e[BLOCKED + u] == WAIT_HOST:
            e[TRY_AT + u] = cycle
            woken = True
        i += INSTRUCTION_WORDS
        if interval and i < e[ISSUE_END]:
            _spend(e, i - INSTRUCTION_WORDS, e[UNITS], BUSY, interval)
            e[HOST_SINCE] = cycle + interval
            if woken or cycle + interval >= until:
                e[HOST_AT] = cycle + interval
                break
            cycle += interval
    e[CYCLE] = cycle
    e[ISSUED] = i


@inner
def _blocker(e: Int64, u: int, i: int) -> int:
    """State of a unit whose next instruction can't start, or -1: the host, semaphores in field order, the swap, ports.

    What will end it is set up to wake the unit.
    """
    if e[i + ISSUE] < 0:
        return WAIT_HOST
    form = e[i + FORM]
    for k in range(WAITS):
        semaphore = e[form + WAIT + k]
        if semaphore < 0:
            break
        value = e[i + VALUE + k // 2] >> (VALUE_BITS * (k % 2)) & _VALUE
        if e[semaphore + RAISED] < value:
            e[NEEDED + u] = value
            e[semaphore + WAITERS] |= 1 << u
            return int(WAIT_UNIT + e[semaphore + PRODUCER])
    if u == e[PRELOAD] and e[CYCLE] < e[SWAPPED]:
        # shadow registers may change when the last swap wave has left them
        e[TRY_AT + u] = e[SWAPPED]
        return int(WAIT_UNIT + e[MATRIX])
    held = e[form + HELD]
    for k in range(held + 1, held + 1 + e[held]):
        if e[e[k] + TAKEN] == e[e[k] + LIMIT]:
            e[PORT_WAITERS] |= 1 << u
            return int(WAIT_UNIT + e[UNITS])
    return -1


@inner
def _try(e: Int64, d: Int64, grants: Int8, u: int, last: int) -> None:
    """Start a unit's next instruction, or note what blocks it; units up to `last` had their turn in this cycle."""
    i, cycle = e[HEAD + u], e[CYCLE]
    if e[BLOCKED + u] >= 0:
        _spend(e, i, u, e[BLOCKED + u], cycle - e[SINCE + u])
    e[TRY_AT + u] = NEVER
    e[SINCE + u] = cycle
    e[BLOCKED + u] = _blocker(e, u, i)
    if e[BLOCKED + u] < 0:
        _start(e, d, grants, u, last)


@inner
def _start(e: Int64, d: Int64, grants: Int8, u: int, last: int) -> None:
    """Start a unit's next instruction."""
    i, cycle = e[HEAD + u], e[CYCLE]
    e[i + START] = cycle
    e[QUEUED + u] -= 1
    if e[HOST_ON] == u:
        e[HOST_AT] = cycle + 1
    form = e[i + FORM]
    held = e[form + HELD]
    for k in range(held + 1, held + 1 + e[held]):
        e[e[k] + TAKEN] += 1
    if e[form + SIGNAL + AT_START] >= 0:
        _raise(e, e[form + SIGNAL + AT_START], last)
    if e[form + TAKES_BURSTS] and d[MODEL] != IDEAL:
        _transfer(e, d, u, i)
    else:
        _occupy(e, d, grants, u, i)


@inner
def _transfer(e: Int64, d: Int64, u: int, i: int) -> None:
    """Begin a transfer, whose times the memory decides."""
    takes, t, port = e[i + FORM], e[i + MOVED], e[PORT + u]
    e[t + LEFT] = e[takes + TAKES_BURSTS]
    begin(d, port, i, e[takes + TAKES_BURSTS], e[takes + TAKES_WORDS], e[CYCLE])
    if d[MODEL] == BANKED:
        writes = e[takes + TAKES_WRITES]
        moved(d, port, e[t + TAG], writes, e[t + ADDRESS], e[t + STRIDE], e[t + ROWS], e[t + ROW_BYTES], e[t + LIST])


@inner
def _complete(e: Int64, u: int) -> None:
    """End a unit's transfers, each after the one before it, as far as their completion is known."""
    while e[TO_KNOW + u] >= 0:
        i = e[TO_KNOW + u]
        complete = e[e[i + MOVED] + COMPLETE]
        if complete == NEVER:
            return
        _known(e, u, max(complete + e[e[i + FORM] + TAKES_LATENCY], e[LAST_END + u]))


@inner
def _occupy(e: Int64, d: Int64, grants: Int8, u: int, i: int) -> None:
    """Hold a unit for as long as an instruction takes."""
    takes, cycle = e[i + FORM], e[CYCLE]
    free = max(cycle + e[takes + TAKES_FREE], e[DRAINED + u])
    drained = free + e[takes + TAKES_DRAIN]
    e[i + FREE] = free
    e[DRAINED + u] = drained
    e[FREE_AT + u] = free
    if e[PORT + u] >= 0 and d[MODEL] != IDEAL:  # the host computes, behind transfers whose ends may not be known
        e[e[i + MOVED] + COMPLETE] = free
        _complete(e, u)
    else:
        _known(e, u, max(drained + e[takes + TAKES_END] - e[takes + TAKES_FREE], e[LAST_END + u]))
    if u == e[MATRIX]:
        e[SWAPPED] = cycle + e[takes + TAKES_SWAP]
    if e[takes + TAKES_BURSTS]:
        grant_all(d, u, e[takes + TAKES_BURSTS], grants)
    _spend(e, i, u, BUSY, free - cycle)


@inner
def _requested(e: Int64, d: Int64, port: int) -> int:
    """Free a DMA unit whose transfer had its last burst granted; return the instruction."""
    p = HEADER + port * PORT_WORDS
    i = int(d[p + INSTRUCTION])
    u, free, waited = e[e[i + FORM] + UNIT], d[p + PORT_FREE], d[p + WAITED]
    d[p + INSTRUCTION] = -1
    e[i + FREE] = free
    e[FREE_AT + u] = free
    e[e[i + MOVED] + STALLED] = waited
    _spend(e, i, u, WAIT_UNIT + e[UNITS] + 1, waited)
    _spend(e, i, u, BUSY, free - e[i + START] - waited)
    return i


@inner
def _collect(e: Int64, d: Int64, m: Int64, c: Int64, level: Int64 | None) -> None:
    """Run the controllers up to this cycle, and note the completion of transfers whose last data are known."""
    found = 0
    for k in range(crossing.advance(m, c, level, e[CYCLE])):
        i, seen = c[c[KNOWN] + 2 * k], c[c[KNOWN] + 2 * k + 1]
        u, t = e[e[i + FORM] + UNIT], e[i + MOVED]
        returns(d, e[PORT + u], seen)
        e[t + DATA] = max(e[t + DATA], seen)
        e[t + LEFT] -= 1
        if e[t + LEFT] == 0:
            e[t + COMPLETE] = max(e[i + FREE], e[t + DATA])
            d[AWAITED] -= 1
            found |= 1 << u
    for u in range(UNIT_SLOTS):
        if (found >> u) & 1:
            _complete(e, u)


@inner
def _simple(e: Int64, d: Int64, grants: Int8, until: int) -> None:
    """Grant bursts of a DRAM of constant rate before a cycle, or until that frees a unit."""
    d[ARRIVED] = 0
    while True:
        if d[PENDING] == 1:
            simple_stream(d, e[CYCLE], until, grants)
        cycle = simple_wake(d, e[CYCLE])
        e[MEMORY_AT] = cycle
        if cycle > e[CYCLE]:
            if cycle >= until:
                return
            e[CYCLE] = cycle
        port = simple_grant(d, cycle, grants)
        if port >= 0:
            i = _requested(e, d, port)
            u = e[e[i + FORM] + UNIT]
            e[e[i + MOVED] + COMPLETE] = d[COMPLETED]
            _complete(e, u)
            until = min(until, e[FREE_AT + u], e[END_AT + u])


@inner
def _banked(e: Int64, d: Int64, m: Int64, c: Int64, level: Int64 | None, grants: Int8) -> None:
    """Grant the bursts that a banked DRAM accepts in this cycle, and find the next in which it does something."""
    cycle = e[CYCLE]
    if d[ARRIVED]:
        d[ARRIVED] = 0
        _collect(e, d, m, c, level)
    while d[PENDING]:
        port = banked_grant(d, m, c, level, cycle, grants)
        if port < 0:
            break
        if port >= d[PORTS]:
            _requested(e, d, port - d[PORTS])
    e[MEMORY_AT] = banked_wake(d, c, level, cycle)


@inner
def _least(e: Int64, field: int) -> int:
    """Least of a field's words, one for each of UNIT_SLOTS."""
    a, b = min(e[field], e[field + 1]), min(e[field + 2], e[field + 3])
    c, d = min(e[field + 4], e[field + 5]), min(e[field + 6], e[field + 7])
    return int(min(a, b, c, d))


@inner
def _next(e: Int64) -> int:
    """First cycle in which a unit does something."""
    return min(_least(e, FREE_AT), _least(e, END_AT), _least(e, TRY_AT))


@njit(cache=True)
def put(
    records: Int64,
    first: int,
    unit: Int8,
    form: Int32,
    forms: int,
    value: Int32,
    transfers: NDArray[np.bool_],
    moved: int,
    head: Int64,
) -> None:
    """Fill the records of instructions that have yet to be issued.

    Parameters
    ----------
    records
        Result, shape (n, INSTRUCTION_WORDS).
    first, forms, moved
        First words of the records of instructions, of forms and of transfers.
    unit, form, value
        Unit of each instruction, number of its form, and the values that it waits for, 0 where there is no wait; shapes
        (n,), (n,) and (n, WAITS).
    transfers
        Whether a unit's instructions are transfers, of which each has a record, in order; shape (units,).
    head
        Result, shape (units,): first word of each unit's first instruction, -1 without one.
    """
    last = np.full(len(head), -1, np.int64)
    head[:] = -1
    for i in range(len(records)):
        u, at = unit[i], first + INSTRUCTION_WORDS * i
        records[i, FORM] = forms + FORM_WORDS * np.int64(form[i])
        records[i, NEXT] = -1
        records[i, MOVED] = 0
        if transfers[u]:
            records[i, MOVED] = moved
            moved += MOVED_WORDS
        for k in range(WAITS // 2):
            high, low = np.int64(value[i, 2 * k + 1]), np.int64(value[i, 2 * k])
            records[i, VALUE + k] = high << VALUE_BITS | low
        records[i, ISSUE] = -1
        records[i, START] = records[i, FREE] = records[i, END] = 0
        if last[u] >= 0:
            records[last[u], NEXT] = at
        else:
            head[u] = at
        last[u] = i


@njit(cache=True)
def times(records: Int64, found: Int64) -> None:
    """Read the cycles of all moments out of the records of instructions; shapes (n, INSTRUCTION_WORDS) and (4, n)."""
    for i in range(np.uint64(len(records))):
        for moment in range(4):
            found[moment, i] = records[i, ISSUE + moment]


def run(e: Int64, d: Int64, m: Int64, c: Int64, grants: Int8, until: int) -> bool:
    """Go on until `until` instructions have ended, or all.

    Parameters
    ----------
    grants
        Result: unit of each granted burst, in order.

    Returns
    -------
    False if instructions are left but nothing can happen any more.
    """
    simple, banked = d if d[MODEL] == SIMPLE else None, m if d[MODEL] == BANKED else None
    return loop(e, d, simple, banked, c, crossing.level(c), grants, until)


@borrowing
def loop(
    e: Int64, d: Int64, simple: Int64 | None, m: Int64 | None, c: Int64, level: Int64 | None, grants: Int8, until: int
) -> bool:  # fmt: skip
    """What `run` does, of the form that the memory needs."""
    soonest = _next(e)
    while e[ENDED] < until:
        cycle = min(soonest, e[MEMORY_AT], e[HOST_AT])
        if cycle == NEVER:
            return False
        e[CYCLE] = cycle
        returned = e[MEMORY_AT] == cycle
        if m is not None and returned:
            _collect(e, d, m, c, level)
        for u in range(UNIT_SLOTS):
            if e[END_AT + u] == cycle:
                _end(e, m, c, level, u)
        for u in range(UNIT_SLOTS):
            if e[FREE_AT + u] == cycle:
                _release(e, u)
        if e[HOST_AT] == cycle:
            _host(e, min(_next(e), e[MEMORY_AT]))
            cycle = e[CYCLE]
        for u in range(UNIT_SLOTS):  # those that waited for ports come first
            if e[TRY_AT + u] == cycle and e[BLOCKED + u] == WAIT_UNIT + e[UNITS]:
                _try(e, d, grants, u, -1)
        for u in range(UNIT_SLOTS):
            if e[TRY_AT + u] == cycle:
                _try(e, d, grants, u, u)
        soonest = _next(e)
        if returned or d[ARRIVED]:
            if simple is not None:
                _simple(e, simple, grants, min(soonest, e[HOST_AT]))
            if m is not None:
                _banked(e, d, m, c, level, grants)
            soonest = _next(e)
    return True
