"""A set-associative cache of bursts before a banked DRAM: least recently used, write-back, write-allocate.

The rules are those of `accelsim.memory.second_level.SecondLevel`. Its state is laid out in `crossing_records`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import handover
from accelsim.kernels.borrowing import borrowing, inner
from accelsim.kernels.crossing_records import (
    BANKS,
    CAPACITY,
    DIRTY_LINES,
    EDGE,
    FETCHES,
    FREE_WAITING,
    HANDED,
    HANDED_CAPACITY,
    HANDED_EDGE,
    HITS,
    IS_DIRTY,
    KNOWN,
    KNOWN_COUNT,
    LAST_WAITING,
    LATENCY,
    LEVEL_TALLY_WORDS,
    LINE_FIELDS,
    LINE_LIST,
    NEVER,
    NEXT_WAITING,
    PER_CLOCK,
    PORT_CYCLES,
    PORT_LIST,
    PORT_READS,
    PORT_WRITES,
    PORTS,
    READY,
    RETRY,
    SET_LIST,
    SETS,
    TAGS,
    TALLY_LIST,
    USED,
    USES,
    WAITING_OWNER,
    WAYS,
    WRITE_BACKS,
)

Int64 = NDArray[np.int64]

#: Owner of a write-back, which nobody is told of.
NOBODY = -1


@inner
def _tell(c: Int64, owner: int, cycle: int) -> None:
    """Note what the next `advance` returns."""
    at = c[KNOWN] + 2 * c[KNOWN_COUNT]
    c[at] = owner
    c[at + 1] = cycle
    c[KNOWN_COUNT] += 1


@inner
def _wait(c: Int64, line: int, owner: int) -> None:
    """Let a request wait for a line's data, behind those that do already."""
    waiting = c[FREE_WAITING]
    c[FREE_WAITING] = c[waiting + NEXT_WAITING]
    c[waiting + WAITING_OWNER] = owner
    at = line + LAST_WAITING * c[WAYS]
    last = c[at]
    if last:
        c[waiting + NEXT_WAITING] = c[last + NEXT_WAITING]
        c[last + NEXT_WAITING] = waiting
    else:
        c[waiting + NEXT_WAITING] = waiting
    c[at] = waiting


@inner
def _arrive(c: Int64, line: int, ready: int) -> None:
    """Note when DRAM has a line's data, and tell all that wait for them."""
    ways = c[WAYS]
    c[line + READY * ways] = ready
    last = c[line + LAST_WAITING * ways]
    c[line + LAST_WAITING * ways] = 0
    first = c[last + NEXT_WAITING]
    waiting = first
    _tell(c, c[waiting + WAITING_OWNER], ready + c[LATENCY])
    while waiting != last:
        waiting = c[waiting + NEXT_WAITING]
        _tell(c, c[waiting + WAITING_OWNER], ready + c[LATENCY])
    c[last + NEXT_WAITING] = c[FREE_WAITING]
    c[FREE_WAITING] = first


@inner
def advance(m: Int64, c: Int64, cycle: int) -> int:
    """Run all DRAM clocks before a core cycle.

    Returns
    -------
    Requests whose completion has become known, from KNOWN on: hits first, then as DRAM completed them.
    """
    c[RETRY] = NEVER
    for i in range(handover.advance(m, c, cycle)):
        line, ready = handover.take(m, c, i)
        if line != NOBODY:
            _arrive(c, line, ready)
    count: int = c[KNOWN_COUNT]
    c[KNOWN_COUNT] = 0
    return count


@inner
def eventful(c: Int64) -> int:
    """First core cycle before which `advance` has nothing to tell and what was refused stays refused."""
    return 0 if c[KNOWN_COUNT] else min(handover.eventful(c), c[RETRY])


@inner
def _refuse(c: Int64, until: int) -> None:
    """Take note of the cycle until which a request is refused."""
    c[RETRY] = min(c[RETRY], until)


@inner
def _port(c: Int64, number: int) -> int:
    """The port of a line's bank that is free first; the first one of several."""
    first = c[PORT_LIST] + (number & (c[BANKS] - 1)) * c[PORTS]
    best: int = first
    for port in range(first + 1, first + c[PORTS]):
        if c[port] < c[best]:
            best = port
    return best


@inner
def _takes(m: Int64, c: Int64, number: int, cycle: int, write: bool) -> bool:
    """Whether DRAM takes a request in a cycle.

    A fetch and the write-back that goes with it count as one; what is too much is made up for in the next clocks.
    """
    handover.look(c, cycle)
    edge = c[EDGE]
    if edge != c[HANDED_EDGE]:
        owed = max(0, c[HANDED] - c[HANDED_CAPACITY])
        c[HANDED] = max(0, owed - (edge - c[HANDED_EDGE]) * c[PER_CLOCK] + c[CAPACITY])
        c[HANDED_CAPACITY] = c[CAPACITY]
        c[HANDED_EDGE] = edge
    if c[HANDED] >= c[HANDED_CAPACITY]:
        _refuse(c, cycle + 1)
        return False
    return handover.accepts(m, c, number, write)


@inner
def _write_back(m: Int64, c: Int64, line: int, tag: int) -> None:
    """Read a dirty line and give it to DRAM."""
    handover.push(m, c, c[line], True, NOBODY, tag)
    c[HANDED] += 1
    c[DIRTY_LINES] -= 1
    tally = c[TALLY_LIST] + tag * LEVEL_TALLY_WORDS
    c[tally + PORT_READS] += 1
    c[tally + WRITE_BACKS] += 1
    c[line + IS_DIRTY * c[WAYS]] = 0


@inner
def _first_line(c: Int64, index: int) -> int:
    """The line in the first way of a set."""
    line: int = c[LINE_LIST] + index * c[WAYS] * LINE_FIELDS
    return line


@inner
def _leaving(c: Int64, first: int, cycle: int) -> int:
    """The least recently used line of a full set whose data are there, or -1."""
    ways = c[WAYS]
    leaving, oldest, later = -1, NEVER, NEVER
    for line in range(first, first + ways):
        ready = c[line + READY * ways]
        if ready > cycle:
            later = min(later, ready)
        elif c[line + USED * ways] < oldest:
            leaving, oldest = line, c[line + USED * ways]
    # another line may have its data, and be the one to leave, before DRAM takes what this one causes
    _refuse(c, later)
    return leaving


@inner
def _allocate(m: Int64, c: Int64, number: int, tag: int, cycle: int, fetch: bool) -> int:
    """Make room in a set and begin to fetch a line, if need be; -1 if that can't be done in the cycle."""
    ways, index = c[WAYS], number & (c[SETS] - 1)
    present = c[SET_LIST] + index
    full = c[present] == ways
    if full:
        line = _leaving(c, _first_line(c, index), cycle)
        if line < 0:
            return -1
    else:
        line = _first_line(c, index) + c[present]
    dirty = full and c[line + IS_DIRTY * ways] != 0
    if fetch and not _takes(m, c, number, cycle, False):
        return -1
    if dirty and not _takes(m, c, c[line], cycle, True):
        return -1
    if fetch:
        handover.push(m, c, number, False, line, tag)
        c[HANDED] += 1
        tally = c[TALLY_LIST] + tag * LEVEL_TALLY_WORDS
        c[tally + FETCHES] += 1
        # a read that misses takes what the fill brings
        c[tally + PORT_WRITES] += 1
    if dirty:
        _write_back(m, c, line, tag)
    if not full:
        c[present] += 1
    c[line] = number
    c[line + READY * ways] = NEVER if fetch else cycle
    return line


@inner
def _find(c: Int64, number: int) -> int:
    """The line of a burst, or -1."""
    index = number & (c[SETS] - 1)
    first = _first_line(c, index)
    for line in range(first, first + c[c[SET_LIST] + index]):
        if c[line] == number:
            return line
    return -1


@inner
def offer(m: Int64, c: Int64, number: int, write: bool, covered: bool, owner: int, tag: int, cycle: int) -> bool:
    """Accept a request for a burst, or refuse it; `advance` has run up to the cycle."""
    port = _port(c, number)
    if c[port] > cycle:
        _refuse(c, c[port])
        return False
    ways, tally = c[WAYS], c[TALLY_LIST] + tag * LEVEL_TALLY_WORDS
    before = c[tally + PORT_READS] + c[tally + PORT_WRITES]
    line = _find(c, number)
    if line >= 0:
        c[tally + HITS] += 1
        c[tally + PORT_READS] += not write
    else:
        line = _allocate(m, c, number, tag, cycle, not (write and covered))
        if line < 0:
            return False
    c[line + USED * ways] = c[USES]
    c[USES] += 1
    if write:
        c[tally + PORT_WRITES] += 1
        c[DIRTY_LINES] += 1 - c[line + IS_DIRTY * ways]
        c[line + IS_DIRTY * ways] = 1
    c[port] = cycle + (c[tally + PORT_READS] + c[tally + PORT_WRITES] - before) * c[PORT_CYCLES]
    ready = c[line + READY * ways]
    if ready == NEVER:
        _wait(c, line, owner)
    else:
        _tell(c, owner, max(cycle, ready) + c[LATENCY])
    return True


@inner
def buffered(m: Int64, c: Int64, cycle: int, tag: int) -> int:
    """Writes that a tag is charged for and that wait for their commands at the beginning of a core cycle."""
    at_the_end: int = c[DIRTY_LINES] if tag == c[TAGS] - 1 else 0
    return handover.buffered(m, c, cycle, tag) + at_the_end


@inner
def _next_dirty(c: Int64, index: int, use: int) -> int:
    """The least recently used dirty line of a set whose last use is not before `use`, or -1."""
    ways, first = c[WAYS], _first_line(c, index)
    found, oldest = -1, NEVER
    for line in range(first, first + c[c[SET_LIST] + index]):
        used = c[line + USED * ways]
        if c[line + IS_DIRTY * ways] and use <= used < oldest:
            found, oldest = line, used
    return found


@borrowing
def flush(m: Int64, c: Int64, cycle: int) -> int:
    """Write dirty lines back from a core cycle on, set by set; return the cycle by which all data have moved."""
    for index in range(c[SETS]):
        if c[DIRTY_LINES] == 0:
            break
        line = _next_dirty(c, index, 0)
        while line >= 0:
            port = _port(c, c[line])
            cycle = max(cycle, c[port])
            advance(m, c, cycle)
            while not _takes(m, c, c[line], cycle, True):
                cycle = max(cycle + 1, eventful(c))
                advance(m, c, cycle)
            _write_back(m, c, line, c[TAGS] - 1)
            c[port] = cycle + c[PORT_CYCLES]
            line = _next_dirty(c, index, c[line + USED * c[WAYS]])
    return handover.flush(m, c, cycle)
