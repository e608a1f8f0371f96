"""Requests on their way from core cycles to DRAM clocks, and their completions on the way back.

The rules are those of `accelsim.memory.crossing.Crossing`. Its state is laid out in `crossing_records`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import dram, dram_queues
from accelsim.kernels.borrowing import borrowing, inner
from accelsim.kernels.crossing_records import (
    BANK_LOW,
    BANK_MASK,
    BANK_STEP,
    CAPACITY,
    CHANNEL_LOW,
    CHANNEL_MASK,
    CHANNEL_STEP,
    COLUMN_LOW,
    COLUMN_MASK,
    CORE_PERIOD,
    COUNTED,
    COUNTED_EDGE,
    CYCLE,
    DRAM_PERIOD,
    EDGE,
    FREE,
    FREE_NUMBERS,
    GROUP_LOW,
    GROUP_MASK,
    GROUP_STEP,
    OWNERS,
    PER_CLOCK,
    RANK_LOW,
    RANK_MASK,
    RANK_STEP,
    REACHED,
    ROW_LOW,
    ROW_MASK,
    STILL,
)
from accelsim.kernels.dram_records import (
    BANK_LIST,
    BUFFERED,
    CHANNEL_WORDS,
    CHANNELS,
    CLOCK,
    DONE,
    FINISHED,
    FINISHED_COUNT,
    HEADER_WORDS,
    LAST_DATA,
    READS,
    REQUEST_WORDS,
    REQUESTS,
    ROOM,
    TALLIES,
    TALLY_WORDS,
    WRITES,
)

Int64 = NDArray[np.int64]


@inner
def _periods(count: int, period: int, other: int) -> tuple[int, int]:
    """Whole periods of `other` that `count` periods take, and what is left of it.

    What is multiplied is below `other`: the product stays small however long a simulation lasts.
    """
    whole = count // other
    product = (count - whole * other) * period
    rest = product // other
    return whole * period + rest, product - rest * other


@borrowing
def edge(c: Int64, cycle: int) -> int:
    """First DRAM clock that is not before a core cycle."""
    clock, rest = _periods(cycle, c[CORE_PERIOD], c[DRAM_PERIOD])
    return clock + (rest > 0)


@borrowing
def seen(c: Int64, clock: int) -> int:
    """First core cycle that is not before a DRAM clock."""
    cycle, rest = _periods(clock, c[DRAM_PERIOD], c[CORE_PERIOD])
    return cycle + (rest > 0)


@inner
def look(c: Int64, cycle: int) -> None:
    """Find EDGE and CAPACITY of a core cycle."""
    if c[CYCLE] == cycle:
        return
    first, clocks = edge(c, cycle), 1
    if cycle:
        clocks = first - (c[EDGE] if c[CYCLE] == cycle - 1 else edge(c, cycle - 1))
    c[CYCLE] = cycle
    c[EDGE] = first
    c[CAPACITY] = max(1, clocks) * c[PER_CLOCK]


@inner
def _run(m: Int64, c: Int64, cycle: int) -> int:
    """Run all channels up to a core cycle; return the clock before which nothing can happen in them.

    Where nothing can happen until then they are left behind: `push` calls the clock that they have reached.
    """
    look(c, cycle)
    c[REACHED] = max(c[REACHED], c[EDGE])
    still: int = c[STILL]
    return still if c[EDGE] <= still else dram.run(m, c[EDGE])


@inner
def advance(m: Int64, c: Int64, cycle: int) -> int:
    """Run all DRAM clocks before a core cycle.

    Returns
    -------
    Requests whose completion has become known; `take` each of them.
    """
    c[STILL] = _run(m, c, cycle)
    count: int = m[FINISHED_COUNT]
    m[FINISHED_COUNT] = 0
    return count


@inner
def take(m: Int64, c: Int64, i: int) -> tuple[int, int]:
    """Free the i-th request of those that `advance` found; return its owner and the cycle in which it is seen."""
    request = m[m[FINISHED] + i]
    c[c[FREE] + c[FREE_NUMBERS]] = request
    c[FREE_NUMBERS] += 1
    return c[c[OWNERS] + request], seen(c, m[m[REQUESTS] + request * REQUEST_WORDS + DONE])


@inner
def eventful(c: Int64) -> int:
    """First core cycle before which something can have happened that `advance` did not see yet."""
    return _periods(c[STILL], c[DRAM_PERIOD], c[CORE_PERIOD])[0] + 1


@inner
def exhausted(c: Int64, cycle: int) -> bool:
    """Whether the DRAM clocks of a core cycle have accepted all requests that they take."""
    look(c, cycle)
    if c[EDGE] != c[COUNTED_EDGE]:
        c[COUNTED_EDGE] = c[EDGE]
        c[COUNTED] = 0
    return bool(c[COUNTED] >= c[CAPACITY])


@inner
def accepts(m: Int64, c: Int64, line: int, write: bool) -> bool:
    """Whether the channel of a burst has room for a read or a write."""
    ch = HEADER_WORDS + ((line >> c[CHANNEL_LOW]) & c[CHANNEL_MASK]) * c[CHANNEL_STEP]
    return bool(m[ch + (WRITES if write else READS)] < m[ROOM])


@inner
def push(m: Int64, c: Int64, line: int, write: bool, owner: int, tag: int) -> None:
    """Add a request that is accepted; `advance` has run up to its cycle."""
    c[FREE_NUMBERS] -= 1
    request = c[c[FREE] + c[FREE_NUMBERS]]
    c[c[OWNERS] + request] = owner
    c[COUNTED] += 1
    ch = HEADER_WORDS + ((line >> c[CHANNEL_LOW]) & c[CHANNEL_MASK]) * c[CHANNEL_STEP]
    bank = (
        m[ch + BANK_LIST]
        + ((line >> c[RANK_LOW]) & c[RANK_MASK]) * c[RANK_STEP]
        + ((line >> c[GROUP_LOW]) & c[GROUP_MASK]) * c[GROUP_STEP]
        + ((line >> c[BANK_LOW]) & c[BANK_MASK]) * c[BANK_STEP]
    )
    row = (line >> c[ROW_LOW]) & c[ROW_MASK]
    column = (line >> c[COLUMN_LOW]) & c[COLUMN_MASK]
    clock = max(m[ch + CLOCK], c[REACHED])
    m[ch + CLOCK] = clock
    c[STILL] = min(c[STILL], clock)
    dram_queues.push(m, ch, line, bank, row, column, write, request, tag)


@inner
def buffered(m: Int64, c: Int64, cycle: int, tag: int) -> int:
    """Writes of a tag that wait for their commands at the beginning of a core cycle."""
    _run(m, c, cycle)
    total = 0
    for i in range(m[CHANNELS]):
        total += m[m[HEADER_WORDS + i * m[CHANNEL_WORDS] + TALLIES] + tag * TALLY_WORDS + BUFFERED]
    return total


@inner
def _latest(m: Int64, field: int) -> int:
    """Largest clock in a field of all channels."""
    latest = 0
    for i in range(m[CHANNELS]):
        latest = max(latest, m[HEADER_WORDS + i * m[CHANNEL_WORDS] + field])
    return latest


@borrowing
def flush(m: Int64, c: Int64, cycle: int) -> int:
    """Serve what stays in the write buffers from a core cycle on; return the cycle by which all data have moved."""
    look(c, cycle)
    dram.run(m, max(c[REACHED], c[EDGE]))
    dram.flush(m)
    last = max(cycle, seen(c, _latest(m, LAST_DATA)))
    dram.run(m, max(edge(c, last), _latest(m, CLOCK)))
    return last
