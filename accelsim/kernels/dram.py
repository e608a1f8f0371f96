"""A DRAM channel and its controller, one clock of the command bus after the other.

The rules are those of DRAMsim3 (umd-memsys/DRAMsim3 29817593), command for command, but for one defect: there a write
whose line a queued read still wants stops the draining of a full write buffer, and nothing ever moves again. Here a
read moves in its place.

In a clock, in this order: the refresh timer; one command (on HBM a second one of the other kind); one request moves
from its queue to the command queue of its bank. Requests are added between two clocks. Clocks in which nothing can
happen are skipped: what could happen next is known from the ready times of all commands.

The state is laid out in `dram_records`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing, inner
from accelsim.kernels.dram_commands import issue, refresh
from accelsim.kernels.dram_queues import move, push, settled
from accelsim.kernels.dram_records import (
    ACTIVATE,
    ACTIVE,
    ACTIVE_LIST,
    BANKS,
    CHANNEL_WORDS,
    CHANNELS,
    CLOCK,
    DEMANDED,
    DUAL,
    DUALS,
    FLUSHING,
    GROUP,
    GROUP_ACT,
    GROUP_RD,
    GROUP_WR,
    HEADER_WORDS,
    INDEX,
    LAST_QUEUE,
    LOG_ROOM,
    LOGGED,
    NEVER,
    NEXT_ACT,
    NEXT_PRE,
    NEXT_RD,
    NEXT_REFRESH,
    NEXT_WR,
    OPEN_ROW,
    PRE_WANTED,
    PRECHARGE,
    QUIET,
    RANK,
    RANK_ACT,
    RANK_LIST,
    RANK_PRE,
    RANK_RD,
    RANK_WORDS,
    RANK_WR,
    RANKS,
    RD_ENTRY,
    READ,
    READ_ROOM,
    READS,
    REFRESH_INTERVAL,
    REFRESH_RANK,
    REFRESHES_DUE,
    ROOM,
    RUN,
    SETTLED,
    WAKE_LIST,
    WR_ENTRY,
    WRITE,
    WRITE_ROOM,
)

Int64 = NDArray[np.int64]


@njit(cache=True, inline="always")
def _want(m: Int64, bank: int, clock: int) -> tuple[int, int]:
    """Say which command a bank's queue issues in this clock, or -1, and from when on one can be ready.

    A ready precharge of the head goes first, then the older of a ready read and a ready write.
    """
    group, rank = m[bank + GROUP], m[bank + RANK]
    if m[bank + OPEN_ROW] < 0:
        ready = max(m[bank + NEXT_ACT], m[group + GROUP_ACT], m[rank + RANK_ACT])
        return (ACTIVATE if ready <= clock else -1), ready
    ready = NEVER
    if m[bank + PRE_WANTED]:
        ready = max(m[bank + NEXT_PRE], m[rank + RANK_PRE])
        if ready <= clock:
            return PRECHARGE, ready
    read, write = m[bank + RD_ENTRY], m[bank + WR_ENTRY]
    read_at, write_at = NEVER, NEVER
    if read >= 0:
        read_at = max(m[bank + NEXT_RD], m[group + GROUP_RD], m[rank + RANK_RD])
    if write >= 0:
        write_at = max(m[bank + NEXT_WR], m[group + GROUP_WR], m[rank + RANK_WR])
    if read_at <= clock and (write_at > clock or read < write):
        return READ, read_at
    if write_at <= clock:
        return WRITE, write_at
    return -1, min(ready, read_at, write_at)


@njit(cache=True, inline="always")
def _choose(m: Int64, ch: int) -> tuple[int, int, int]:
    """Find the first bank, round robin from the last one served, whose command queue has a command that is ready.

    Ready times only grow while a bank's own queue and row stay as they are, so one that was found before is a bound.

    Returns
    -------
    The bank or -1, its command, and before when no command of any bank is ready if none is yet.
    """
    clock = m[ch + CLOCK]
    blocked = m[ch + RANK_LIST] + m[ch + REFRESH_RANK] * RANK_WORDS if m[ch + REFRESHES_DUE] > 0 else -1
    queues = m[RANKS] * m[BANKS]
    after = m[ch + LAST_QUEUE] + 1
    best, chosen, command, soonest = queues, -1, -1, NEVER
    active, wake = m[ch + ACTIVE_LIST], m[ch + WAKE_LIST]
    for i in range(m[ch + ACTIVE]):
        ready = m[wake + i]
        if ready > clock:
            soonest = min(soonest, ready)
            continue
        bank = m[active + i]
        if m[bank + RANK] == blocked:
            continue
        wanted, ready = _want(m, bank, clock)
        if wanted < 0:
            m[wake + i] = ready
            soonest = min(soonest, ready)
            continue
        distance = m[bank + INDEX] - after
        if distance < 0:
            distance += queues
        if distance < best:
            best, chosen, command = distance, bank, wanted
    return chosen, command, soonest


@inner
def _command(m: Int64, ch: int) -> int:
    """Issue what a clock lets issue.

    Returns 0 if a command was issued, else a clock before which none can be.
    """
    soonest, first = NEVER, -1
    if m[ch + REFRESHES_DUE] > 0:
        soonest = refresh(m, ch)
        if soonest == 0:
            first = PRECHARGE
    if first < 0:
        bank, command, ready = _choose(m, ch)
        if bank < 0:
            return min(soonest, ready)
        first = command
        m[ch + LAST_QUEUE] = m[bank + INDEX]
        m[ch + DEMANDED] += command == PRECHARGE
        issue(m, ch, bank, command)
    if m[DUAL]:
        bank, command, _ = _choose(m, ch)
        if bank >= 0:
            # DRAMsim3 takes the bank's turn, and counts its precharge, even if it can't go beside the first
            m[ch + LAST_QUEUE] = m[bank + INDEX]
            m[ch + DEMANDED] += command == PRECHARGE
            if (READ <= command <= WRITE) != (READ <= first <= WRITE):
                issue(m, ch, bank, command)
                m[ch + DUALS] += 1
    return 0


@borrowing
def advance(m: Int64, ch: int, until: int, stop: int) -> bool:
    """Run the clocks of a channel from its own to `until`, which is not run any more.

    Stops before that, after the clock in which there is room in the read queue or the write buffer or in which the
    channel is settled, if `stop` says so.

    Returns
    -------
    False if the log may not hold another clock's commands; call again when it does.
    """
    logging = m[LOG_ROOM] > 0
    while m[ch + CLOCK] < until:
        clock = max(m[ch + CLOCK], m[ch + QUIET])
        if clock >= until:
            m[ch + CLOCK] = until
            break
        if logging and m[ch + LOGGED] + 2 > m[LOG_ROOM]:
            return False
        m[ch + CLOCK] = clock
        if clock == m[ch + NEXT_REFRESH]:
            m[ch + REFRESHES_DUE] += 1
            m[ch + NEXT_REFRESH] += m[REFRESH_INTERVAL]
        ready = _command(m, ch)
        moved = move(m, ch)
        m[ch + CLOCK] = clock + 1
        m[ch + QUIET] = clock + 1 if moved or ready == 0 else min(ready, m[ch + NEXT_REFRESH])
        if READ_ROOM <= stop <= WRITE_ROOM:
            if m[ch + READS + stop - READ_ROOM] < m[ROOM]:
                break
        elif stop == SETTLED and settled(m, ch):
            break
    return True


@borrowing
def run(m: Int64, until: int) -> int:
    """Run all channels to a clock; nothing may be logged.

    Returns
    -------
    The clock before which nothing can happen in any channel unless a request comes.
    """
    quiet = NEVER
    for i in range(m[CHANNELS]):
        ch = HEADER_WORDS + i * m[CHANNEL_WORDS]
        advance(m, ch, until, RUN)
        quiet = min(quiet, max(until, m[ch + QUIET]))
    return quiet


@borrowing
def flush(m: Int64) -> None:
    """Serve all that waits in all channels, the write buffers included; nothing may be logged."""
    for i in range(m[CHANNELS]):
        ch = HEADER_WORDS + i * m[CHANNEL_WORDS]
        m[ch + FLUSHING] = 1
        m[ch + QUIET] = m[ch + CLOCK]
        if not settled(m, ch):
            advance(m, ch, NEVER, SETTLED)


@borrowing
def settle(m: Int64, ch: int) -> bool:
    """Run a channel until it is settled; False if the log is full."""
    return settled(m, ch) or advance(m, ch, NEVER, SETTLED)


@borrowing
def inject(
    m: Int64,
    channel: Int64,
    line: Int64,
    bank: Int64,
    row: Int64,
    column: Int64,
    write: NDArray[np.bool_],
    cycle: Int64,
    per_clock: int,
    cursor: Int64,
) -> bool:
    """Add a trace's requests in order, each after the clock that it names and as soon as its queue has room.

    Parameters
    ----------
    channel, bank
        Records of the requests' channels and banks, shape (n,).
    line, row, column, write
        Requests, shape (n,).
    cycle
        Clock after which each request may be added, shape (n,).
    per_clock
        Requests that are added after a clock at most.
    cursor
        Next request, clock after which it is tried, requests added after that clock so far; updated, shape (3,).

    Returns
    -------
    False if the log is full; call again when it is not.
    """
    while cursor[0] < channel.size:
        i = cursor[0]
        if cycle[i] > cursor[1]:
            cursor[1], cursor[2] = cycle[i], 0
        if cursor[2] == per_clock:
            cursor[1] += 1
            cursor[2] = 0
        ch = channel[i]
        if m[ch + CLOCK] <= cursor[1] and not advance(m, ch, cursor[1] + 1, RUN):
            return False
        kind = 1 if write[i] else 0
        if m[ch + READS + kind] == m[ROOM]:
            more = advance(m, ch, NEVER, READ_ROOM + kind)
            if m[ch + CLOCK] - 1 > cursor[1]:
                cursor[1], cursor[2] = m[ch + CLOCK] - 1, 0
            if not more:
                return False
            continue
        push(m, ch, line[i], bank[i], row[i], column[i], write[i], i, 0)
        cursor[0] += 1
        cursor[2] += 1
    return True
