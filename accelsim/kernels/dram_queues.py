"""The queues of a DRAM channel: pending lines, requests that wait, and the command queue of each bank."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.dram_records import (
    ACCEPTED,
    ACCEPTED_READS,
    ACCEPTED_WRITES,
    ACCESSES,
    ACTIVE,
    ACTIVE_LIST,
    ADDED,
    BANK,
    BEFORE,
    BEHIND,
    BUFFERED,
    CLOCK,
    COLUMN,
    COUNT,
    DEPTH,
    DONE,
    DRAINING,
    FINISHED,
    FINISHED_COUNT,
    FIRST_READ,
    FIRST_WRITE,
    FLUSHING,
    FORWARDED,
    FREE_LIST,
    FREE_SLOTS,
    IS_WRITE,
    KEPT,
    LAST_READ,
    LAST_RETURN,
    LINE,
    MERGED,
    MERGED_READS,
    MERGED_WRITES,
    OPEN_ROW,
    PLACE,
    PRE_WANTED,
    QUEUE,
    QUEUED,
    QUIET,
    RD_ENTRY,
    READ_TABLE,
    READ_TO_TRY,
    READS,
    REQUEST,
    REQUEST_WORDS,
    REQUESTS,
    ROOM,
    ROW,
    TABLE,
    TAG,
    TALLIES,
    TALLY_WORDS,
    WAKE_LIST,
    WR_ENTRY,
    WRITE_TABLE,
    WRITE_TO_TRY,
    WRITES,
)

Int64 = NDArray[np.int64]


@njit(cache=True, inline="always")
def _hash(line: int, size: int) -> int:
    return (line ^ (line >> 9) ^ (line >> 19)) & (size - 1)


@njit(cache=True, inline="always")
def _find(m: Int64, table: int, line: int) -> int:
    """Slot of a pending request to a line, or -1."""
    size = m[TABLE]
    at = _hash(line, size)
    slot: int = m[table + at]
    while slot >= 0 and m[slot + LINE] != line:
        at = (at + 1) & (size - 1)
        slot = m[table + at]
    return slot


@njit(cache=True, inline="always")
def _insert(m: Int64, table: int, slot: int) -> None:
    size = m[TABLE]
    at = _hash(m[slot + LINE], size)
    while m[table + at] >= 0:
        at = (at + 1) & (size - 1)
    m[table + at] = slot


@njit(cache=True, inline="always")
def remove(m: Int64, table: int, slot: int) -> None:
    """Take a slot out of its table; entries behind it move up, so that none is cut off from its place."""
    size = m[TABLE]
    at = _hash(m[slot + LINE], size)
    while m[table + at] != slot:
        at = (at + 1) & (size - 1)
    behind = at
    while True:
        behind = (behind + 1) & (size - 1)
        other = m[table + behind]
        if other < 0:
            break
        home = _hash(m[other + LINE], size)
        if ((behind - home) & (size - 1)) >= ((behind - at) & (size - 1)):
            m[table + at] = other
            at = behind
    m[table + at] = -1


@njit(cache=True, inline="always")
def complete(m: Int64, request: int, clock: int) -> None:
    """Note when a request completes."""
    m[m[REQUESTS] + request * REQUEST_WORDS + DONE] = clock
    m[m[FINISHED] + m[FINISHED_COUNT]] = request
    m[FINISHED_COUNT] += 1


@njit(cache=True, inline="always")
def push(m: Int64, ch: int, line: int, bank: int, row: int, column: int, write: bool, request: int, tag: int) -> None:
    """Add a request to a channel between two clocks; the queue of its kind must have room.

    A write to a line with a pending write is merged with it, a read of such a line is answered at once, and a read of
    a line with a pending read waits for the same command.
    """
    clock = m[ch + CLOCK]
    m[ch + QUIET] = clock
    record = m[REQUESTS] + request * REQUEST_WORDS
    m[record + DONE] = -1
    m[record + ACCEPTED] = clock
    m[record + MERGED] = -1
    if write:
        m[ch + ACCEPTED_WRITES] += 1
        complete(m, request, clock + 1)
        if _find(m, m[ch + WRITE_TABLE], line) >= 0:
            m[ch + MERGED_WRITES] += 1
            return
        m[m[ch + TALLIES] + tag * TALLY_WORDS + BUFFERED] += 1
    else:
        m[ch + ACCEPTED_READS] += 1
        if _find(m, m[ch + WRITE_TABLE], line) >= 0:
            m[ch + FORWARDED] += 1
            m[ch + LAST_RETURN] = max(m[ch + LAST_RETURN], clock + 1)
            complete(m, request, clock + 1)
            return
        found = _find(m, m[ch + READ_TABLE], line)
        if found >= 0:
            m[ch + MERGED_READS] += 1
            m[record + MERGED] = m[found + REQUEST]
            m[found + REQUEST] = request
            return
    m[ch + FREE_SLOTS] -= 1
    slot = m[m[ch + FREE_LIST] + m[ch + FREE_SLOTS]]
    m[slot + LINE] = line
    m[slot + ROW] = row
    m[slot + COLUMN] = column
    m[slot + BANK] = bank
    m[slot + IS_WRITE] = write
    m[slot + REQUEST] = request
    m[slot + ADDED] = clock
    m[slot + TAG] = tag
    kind = 1 if write else 0
    _insert(m, m[ch + READ_TABLE + kind], slot)
    last = m[ch + LAST_READ + kind]
    m[slot + BEFORE] = last
    m[slot + BEHIND] = -1
    if last >= 0:
        m[last + BEHIND] = slot
    else:
        m[ch + FIRST_READ + kind] = slot
    m[ch + LAST_READ + kind] = slot
    if m[ch + READ_TO_TRY + kind] < 0:
        m[ch + READ_TO_TRY + kind] = slot
    m[ch + READS + kind] += 1


@njit(cache=True, inline="always")
def _unlink(m: Int64, ch: int, kind: int, slot: int) -> None:
    before, behind = m[slot + BEFORE], m[slot + BEHIND]
    if before >= 0:
        m[before + BEHIND] = behind
    else:
        m[ch + FIRST_READ + kind] = behind
    if behind >= 0:
        m[behind + BEFORE] = before
    else:
        m[ch + LAST_READ + kind] = before
    m[ch + READS + kind] -= 1


@njit(cache=True, inline="always")
def wake(m: Int64, ch: int, bank: int) -> None:
    """Forget when a bank can issue a command, because what it wants has changed."""
    if m[bank + COUNT]:
        m[m[ch + WAKE_LIST] + m[bank + PLACE]] = 0


@njit(cache=True, inline="always")
def settle_head(m: Int64, bank: int) -> None:
    """Say whether the head of a bank's command queue wants the open row closed.

    Only the head may precharge, and while queued requests hit the open row only after four accesses to it.
    """
    read, write = m[bank + RD_ENTRY], m[bank + WR_ENTRY]
    conflict = m[bank + COUNT] > 0 and read != 0 and write != 0
    m[bank + PRE_WANTED] = conflict and ((read < 0 and write < 0) or m[bank + ACCESSES] >= 4)


@njit(cache=True, inline="always")
def first_hit(m: Int64, bank: int, begin: int, write: int) -> int:
    """First entry of a command queue from `begin` on that reads, or writes, the open row; -1 if there is none."""
    for i in range(begin, m[bank + COUNT]):
        slot = m[bank + QUEUE + i]
        if m[slot + ROW] == m[bank + OPEN_ROW] and m[slot + IS_WRITE] == write:
            return i
    return -1


@njit(cache=True, inline="always")
def dequeue(m: Int64, ch: int, bank: int, entry: int) -> None:
    """Take an entry out of a command queue."""
    slot = m[bank + QUEUE + entry]
    m[m[ch + FREE_LIST] + m[ch + FREE_SLOTS]] = slot
    m[ch + FREE_SLOTS] += 1
    m[ch + QUEUED] -= 1
    count = m[bank + COUNT] - 1
    m[bank + COUNT] = count
    for i in range(bank + QUEUE + entry, bank + QUEUE + count):
        m[i] = m[i + 1]
    write = m[slot + IS_WRITE]
    if m[bank + RD_ENTRY + 1 - write] > entry:
        m[bank + RD_ENTRY + 1 - write] -= 1
    m[bank + RD_ENTRY + write] = first_hit(m, bank, entry, write)
    settle_head(m, bank)
    if count == 0:
        last, place = m[ch + ACTIVE] - 1, m[bank + PLACE]
        moved = m[m[ch + ACTIVE_LIST] + last]
        m[m[ch + ACTIVE_LIST] + place] = moved
        m[m[ch + WAKE_LIST] + place] = m[m[ch + WAKE_LIST] + last]
        m[moved + PLACE] = place
        m[ch + ACTIVE] = last
    # the bank has room again: requests that found it full may move
    m[ch + READ_TO_TRY] = m[ch + FIRST_READ]
    m[ch + WRITE_TO_TRY] = m[ch + FIRST_WRITE]


@njit(cache=True, inline="always")
def _move_from(m: Int64, ch: int, kind: int) -> bool:
    """Move the oldest request of a kind whose bank's command queue has room.

    A write whose line has a pending read stops the drain instead.
    """
    slot = m[ch + READ_TO_TRY + kind]
    while slot >= 0:
        bank = m[slot + BANK]
        entries = m[bank + COUNT]
        if entries == m[DEPTH]:
            slot = m[slot + BEHIND]
            continue
        if kind == 1:
            if _find(m, m[ch + READ_TABLE], m[slot + LINE]) >= 0:
                m[ch + DRAINING] = 0
                break
            m[ch + DRAINING] -= 1
        _unlink(m, ch, kind, slot)
        m[ch + READ_TO_TRY + kind] = m[slot + BEHIND]
        m[bank + QUEUE + entries] = slot
        m[bank + COUNT] = entries + 1
        m[ch + QUEUED] += 1
        if entries == 0:
            place = m[ch + ACTIVE]
            m[bank + PLACE] = place
            m[m[ch + ACTIVE_LIST] + place] = bank
            m[ch + ACTIVE] = place + 1
            m[bank + RD_ENTRY] = -1
            m[bank + WR_ENTRY] = -1
        if m[slot + ROW] == m[bank + OPEN_ROW] and m[bank + RD_ENTRY + kind] < 0:
            m[bank + RD_ENTRY + kind] = entries
        settle_head(m, bank)
        wake(m, ch, bank)
        return True
    m[ch + READ_TO_TRY + kind] = slot
    return False


@njit(cache=True, inline="always")
def move(m: Int64, ch: int) -> bool:
    """Move one request to its bank's command queue: a read, or a write while the buffer drains."""
    writes = m[ch + WRITES]
    if m[ch + DRAINING] == 0 and writes:
        kept = 0 if m[ch + FLUSHING] else KEPT
        if writes >= m[ROOM] or (writes > kept and m[ch + QUEUED] == 0):
            m[ch + DRAINING] = writes
    if m[ch + DRAINING] > 0:
        if _move_from(m, ch, 1):
            return True
        if m[ch + DRAINING] > 0:
            return False
    return _move_from(m, ch, 0)


@njit(cache=True, inline="always")
def settled(m: Int64, ch: int) -> bool:
    """Whether nothing is left to do but what stays in the write buffer."""
    kept = 0 if m[ch + FLUSHING] else KEPT
    return not m[ch + QUEUED] and not m[ch + READS] and bool(m[ch + WRITES] <= kept)
