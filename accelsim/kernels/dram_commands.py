"""What the commands of a DRAM channel change: rows, and when the next commands may follow."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import inner
from accelsim.kernels.dram_queues import complete, dequeue, first_hit, remove, settle_head, wake
from accelsim.kernels.dram_records import (
    ACCESSES,
    ACT_ACT,
    ACT_ACT_L,
    ACT_ACT_S,
    ACT_PRE,
    ACT_RD,
    ACT_WR,
    ACTIVATE,
    ACTIVATED,
    ACTIVATES,
    ADDED,
    AW32,
    BANK_LIST,
    BANK_WORDS,
    BANKS,
    BUFFERED,
    CLOCK,
    CLOSE_PAGE,
    COLUMN,
    FAW,
    GROUP,
    GROUP_ACT,
    GROUP_RD,
    GROUP_WR,
    INDEX,
    IS_WRITE,
    LAST_DATA,
    LAST_RETURN,
    LOG,
    LOG_BANK,
    LOG_CLOCK,
    LOG_COLUMN,
    LOG_COMMAND,
    LOG_ROOM,
    LOG_ROW,
    LOG_WORDS,
    LOGGED,
    MERGED,
    NEVER,
    NEXT_ACT,
    NEXT_PRE,
    NEXT_RD,
    NEXT_REF,
    NEXT_WR,
    OPEN_BANKS,
    OPEN_CLOCKS,
    OPEN_ROW,
    OPEN_SINCE,
    PRE_ACT,
    PRE_PRE,
    PRECHARGE,
    PRECHARGES,
    QUEUE,
    RANK,
    RANK_ACT,
    RANK_LIST,
    RANK_PRE,
    RANK_RD,
    RANK_WORDS,
    RANK_WR,
    RANKS,
    RD_ENTRY,
    RD_PRE,
    RD_RD_L,
    RD_RD_O,
    RD_RD_S,
    RD_WR,
    RD_WR_O,
    READ,
    READ_,
    READ_DELAY,
    READ_HITS,
    READ_TABLE,
    REF_ACT,
    REFRESH,
    REFRESH_RANK,
    REFRESHES,
    REFRESHES_DUE,
    REMEMBERED,
    REQUEST,
    REQUEST_WORDS,
    REQUESTS,
    ROW,
    TAG,
    TALLIES,
    TALLY_WORDS,
    WINDOW,
    WR_ENTRY,
    WR_PRE,
    WR_RD_L,
    WR_RD_O,
    WR_RD_S,
    WR_WR_L,
    WR_WR_O,
    WR_WR_S,
    WRITE,
    WRITE_DELAY,
    WRITE_HITS,
    WRITE_LATENCY,
    WRITE_TABLE,
    WRITTEN,
)

Int64 = NDArray[np.int64]


@njit(cache=True, inline="always")
def _log(m: Int64, ch: int, command: int, bank: int, row: int, column: int) -> None:
    if m[LOG_ROOM]:
        at = m[ch + LOG] + m[ch + LOGGED] * LOG_WORDS
        m[at + LOG_CLOCK] = m[ch + CLOCK]
        m[at + LOG_COMMAND] = command
        m[at + LOG_BANK] = m[bank + INDEX]
        m[at + LOG_ROW] = row
        m[at + LOG_COLUMN] = column
        m[ch + LOGGED] += 1


@inner
def _close(m: Int64, bank: int, clock: int, ready: int) -> None:
    """Close a bank; `ready` is when it may be opened or refreshed."""
    m[bank + OPEN_ROW] = -1
    m[bank + ACCESSES] = 0
    m[bank + NEXT_ACT] = max(m[bank + NEXT_ACT], ready)
    m[bank + NEXT_REF] = max(m[bank + NEXT_REF], ready)
    rank = m[bank + RANK]
    m[rank + OPEN_BANKS] -= 1
    if m[rank + OPEN_BANKS] == 0:
        m[rank + OPEN_CLOCKS] += clock - m[rank + OPEN_SINCE]


@inner
def _activate(m: Int64, ch: int, bank: int) -> None:
    clock, slot = m[ch + CLOCK], m[bank + QUEUE]
    group, rank = m[bank + GROUP], m[bank + RANK]
    m[bank + OPEN_ROW] = m[slot + ROW]
    m[bank + NEXT_ACT] = clock + m[ACT_ACT]
    m[bank + NEXT_RD] = clock + m[ACT_RD]
    m[bank + NEXT_WR] = clock + m[ACT_WR]
    m[bank + NEXT_PRE] = clock + m[ACT_PRE]
    m[group + GROUP_ACT] = clock + m[ACT_ACT_L]
    n = m[rank + ACTIVATES]
    m[rank + ACTIVATES] = n + 1
    m[rank + WINDOW + n % REMEMBERED] = clock
    ready = max(clock + m[ACT_ACT_S], m[rank + WINDOW + (n - 3) % REMEMBERED] + m[FAW])
    if m[AW32]:
        ready = max(ready, m[rank + WINDOW + (n + 1) % REMEMBERED] + m[AW32])
    m[rank + RANK_ACT] = ready
    if m[rank + OPEN_BANKS] == 0:
        m[rank + OPEN_SINCE] = clock
    m[rank + OPEN_BANKS] += 1
    m[m[ch + TALLIES] + m[slot + TAG] * TALLY_WORDS + ACTIVATED] += 1
    _log(m, ch, ACTIVATE, bank, m[slot + ROW], m[slot + COLUMN])
    m[bank + RD_ENTRY] = first_hit(m, bank, 0, 0)
    m[bank + WR_ENTRY] = first_hit(m, bank, 0, 1)
    settle_head(m, bank)


@inner
def _precharge(m: Int64, ch: int, bank: int, row: int, column: int) -> None:
    clock, rank = m[ch + CLOCK], m[bank + RANK]
    _close(m, bank, clock, clock + m[PRE_ACT])
    m[rank + RANK_PRE] = clock + m[PRE_PRE]
    m[ch + PRECHARGES] += 1
    _log(m, ch, PRECHARGE, bank, row, column)


@inner
def _access(m: Int64, ch: int, bank: int, entry: int) -> None:
    """Issue the column command of an entry of a command queue; it leaves the queue, and its reads will complete."""
    clock, slot = m[ch + CLOCK], m[bank + QUEUE + entry]
    group, rank = m[bank + GROUP], m[bank + RANK]
    tally = m[ch + TALLIES] + m[slot + TAG] * TALLY_WORDS
    hit = m[bank + ACCESSES] != 0
    m[bank + ACCESSES] += 1
    if m[slot + IS_WRITE]:
        table = m[ch + WRITE_TABLE]
        m[tally + WRITTEN] += 1
        m[tally + BUFFERED] -= 1
        m[tally + WRITE_HITS] += hit
        m[bank + NEXT_PRE] = max(m[bank + NEXT_PRE], clock + m[WR_PRE])
        m[group + GROUP_RD] = max(m[group + GROUP_RD], clock + m[WR_RD_L])
        m[group + GROUP_WR] = max(m[group + GROUP_WR], clock + m[WR_WR_L])
        same_rd, same_wr, other_rd, other_wr = m[WR_RD_S], m[WR_WR_S], m[WR_RD_O], m[WR_WR_O]
        data = clock + m[WRITE_DELAY]
        m[ch + WRITE_LATENCY] += data - m[slot + ADDED]
        _log(m, ch, WRITE, bank, m[slot + ROW], m[slot + COLUMN])
    else:
        table = m[ch + READ_TABLE]
        m[tally + READ_] += 1
        m[tally + READ_HITS] += hit
        m[bank + NEXT_PRE] = max(m[bank + NEXT_PRE], clock + m[RD_PRE])
        m[group + GROUP_RD] = max(m[group + GROUP_RD], clock + m[RD_RD_L])
        same_rd, same_wr, other_rd, other_wr = m[RD_RD_S], m[RD_WR], m[RD_RD_O], m[RD_WR_O]
        data = clock + m[READ_DELAY]
        request = m[slot + REQUEST]
        while request >= 0:
            complete(m, request, data)
            request = m[m[REQUESTS] + request * REQUEST_WORDS + MERGED]
        m[ch + LAST_RETURN] = max(m[ch + LAST_RETURN], data)
        _log(m, ch, READ, bank, m[slot + ROW], m[slot + COLUMN])
    m[ch + LAST_DATA] = max(m[ch + LAST_DATA], data)
    first = m[ch + RANK_LIST]
    for r in range(first, first + m[RANKS] * RANK_WORDS, RANK_WORDS):
        same = r == rank
        m[r + RANK_RD] = max(m[r + RANK_RD], clock + (same_rd if same else other_rd))
        m[r + RANK_WR] = max(m[r + RANK_WR], clock + (same_wr if same else other_wr))
    if m[CLOSE_PAGE]:
        _close(m, bank, clock, m[bank + NEXT_PRE] + m[PRE_ACT])

    remove(m, table, slot)
    dequeue(m, ch, bank, entry)


@inner
def refresh(m: Int64, ch: int) -> int:
    """Go on with the oldest refresh that is due.

    Returns 0 if a command was issued, else when the next one can be.
    """
    clock = m[ch + CLOCK]
    first = m[ch + BANK_LIST] + m[ch + REFRESH_RANK] * m[BANKS] * m[BANK_WORDS]
    end = first + m[BANKS] * m[BANK_WORDS]
    ready, closed = NEVER, True
    for bank in range(first, end, m[BANK_WORDS]):
        if m[bank + OPEN_ROW] >= 0:
            at = max(m[bank + NEXT_PRE], m[m[bank + RANK] + RANK_PRE])
            if at <= clock:
                _precharge(m, ch, bank, -1, -1)
                wake(m, ch, bank)
                return 0
            ready = min(ready, at)
            closed = False
    if not closed:
        return ready
    ready = 0
    for bank in range(first, end, m[BANK_WORDS]):
        ready = max(ready, m[bank + NEXT_REF])
    if ready > clock:
        return ready
    for bank in range(first, end, m[BANK_WORDS]):
        m[bank + NEXT_ACT] = max(m[bank + NEXT_ACT], clock + m[REF_ACT])
        m[bank + NEXT_REF] = clock + m[REF_ACT]
    m[ch + REFRESHES_DUE] -= 1
    m[ch + REFRESH_RANK] = (m[ch + REFRESH_RANK] + 1) % m[RANKS]
    m[ch + REFRESHES] += 1
    _log(m, ch, REFRESH, first, -1, -1)
    return 0


@inner
def issue(m: Int64, ch: int, bank: int, command: int) -> None:
    """Issue a command that a bank's queue wants."""
    if command == ACTIVATE:
        _activate(m, ch, bank)
    elif command == PRECHARGE:
        head = m[bank + QUEUE]
        _precharge(m, ch, bank, m[head + ROW], m[head + COLUMN])
    else:
        _access(m, ch, bank, m[bank + (RD_ENTRY if command == READ else WR_ENTRY)])
    wake(m, ch, bank)
