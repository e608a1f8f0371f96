"""A DRAM channel and its controller, one clock of the command bus after the other.

The rules are those of DRAMsim3 (umd-memsys/DRAMsim3 29817593), command for command, but for one defect: there a write
whose line a queued read still wants stops the draining of a full write buffer, and nothing ever moves again. Here a
read moves in its place.

In a clock, in this order: the refresh timer; one command (on HBM a second one of the other kind); one request moves
from its queue to the command queue of its bank. Requests are added between two clocks. Clocks in which nothing can
happen are skipped: what could happen next is known from the ready times of all commands.

The whole state is one flat array of int64, `m`, so that a call passes one pointer, and a copy of it is a snapshot.
Records lie in it one after the other, and a record is named by the index of its first word: `m[bank + OPEN_ROW]`.
`accelsim.memory.dram` lays it out.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

#: Later than any clock, and earlier.
NEVER = 1 << 60
LONG_AGO = -(1 << 60)

# the header, which begins the array: gaps between commands in clocks; sizes; where the other records begin
(
    RD_RD_S,
    RD_RD_L,
    RD_RD_O,
    RD_WR,
    RD_WR_O,
    RD_PRE,
    WR_RD_S,
    WR_RD_L,
    WR_RD_O,
    WR_WR_S,
    WR_WR_L,
    WR_WR_O,
    WR_PRE,
    ACT_RD,
    ACT_WR,
    ACT_PRE,
    ACT_ACT,
    ACT_ACT_S,
    ACT_ACT_L,
    FAW,
    AW32,
    PRE_ACT,
    PRE_PRE,
    REF_ACT,
    READ_DELAY,
    WRITE_DELAY,
    REFRESH_INTERVAL,
    DUAL,
    CLOSE_PAGE,
    BANKS,
    RANKS,
    DEPTH,
    ROOM,
    TABLE,
    BANK_WORDS,
    LOG_ROOM,
    CHANNELS,
    CHANNEL_WORDS,
    REQUESTS,
    FINISHED,
    FINISHED_COUNT,
    HEADER_WORDS,
) = range(42)

# a channel: its state, then where its parts begin
(
    CLOCK,
    QUIET,
    LAST_QUEUE,
    READS,
    WRITES,
    FIRST_READ,
    FIRST_WRITE,
    LAST_READ,
    LAST_WRITE,
    READ_TO_TRY,
    WRITE_TO_TRY,
    DRAINING,
    QUEUED,
    ACTIVE,
    FREE_SLOTS,
    NEXT_REFRESH,
    REFRESHES_DUE,
    REFRESH_RANK,
    FLUSHING,
    LOGGED,
    LAST_DATA,
    LAST_RETURN,
    ACCEPTED_READS,
    ACCEPTED_WRITES,
    MERGED_READS,
    MERGED_WRITES,
    FORWARDED,
    PRECHARGES,
    DEMANDED,
    REFRESHES,
    DUALS,
    WRITE_LATENCY,
    BANK_LIST,
    RANK_LIST,
    ACTIVE_LIST,
    WAKE_LIST,
    FREE_LIST,
    READ_TABLE,
    WRITE_TABLE,
    TALLIES,
    LOG,
    CHANNEL_FIELDS,
) = range(42)

# a bank, and the slots of its command queue behind it, oldest first. Entries are numbers in that queue, or -1.
(
    INDEX,
    GROUP,
    RANK,
    OPEN_ROW,
    ACCESSES,
    NEXT_ACT,
    NEXT_RD,
    NEXT_WR,
    NEXT_PRE,
    NEXT_REF,
    PRE_WANTED,
    RD_ENTRY,
    WR_ENTRY,
    PLACE,
    COUNT,
    QUEUE,
) = range(16)

# a bank group
GROUP_ACT, GROUP_RD, GROUP_WR, GROUP_WORDS = range(4)

# a rank; a window of activates of its own lies behind it
RANK_ACT, RANK_RD, RANK_WR, RANK_PRE, OPEN_BANKS, OPEN_SINCE, OPEN_CLOCKS, ACTIVATES, WINDOW = range(9)
#: Activates that a rank remembers.
REMEMBERED = 32
RANK_WORDS = WINDOW + REMEMBERED

# a slot: a request that waits for its column command; in a queue of its channel, linked to its neighbours or -1
LINE, ROW, COLUMN, BANK, IS_WRITE, REQUEST, ADDED, TAG, BEFORE, BEHIND, SLOT_WORDS = range(11)

# a tally of the commands for requests of one tag, and of its writes that wait for theirs
ACTIVATED, READ_, WRITTEN, READ_HITS, WRITE_HITS, BUFFERED, TALLY_WORDS = range(7)

# a request: clock in which it completes, or -1; clock in which it was accepted; the next one that waits for the same
# column command, or -1
DONE, ACCEPTED, MERGED, REQUEST_WORDS = range(4)

# a logged command: clock, command, bank as its number in the channel, row, column; -1 where one does not apply
LOG_CLOCK, LOG_COMMAND, LOG_BANK, LOG_ROW, LOG_COLUMN, LOG_WORDS = range(6)
ACTIVATE, PRECHARGE, READ, WRITE, REFRESH = range(5)

#: Writes that stay in the buffer unless it is flushed.
KEPT = 8

# what `advance` may stop for
RUN, READ_ROOM, WRITE_ROOM, SETTLED = range(4)


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
def _remove(m: Int64, table: int, slot: int) -> None:
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
def _complete(m: Int64, request: int, clock: int) -> None:
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
        _complete(m, request, clock + 1)
        if _find(m, m[ch + WRITE_TABLE], line) >= 0:
            m[ch + MERGED_WRITES] += 1
            return
        m[m[ch + TALLIES] + tag * TALLY_WORDS + BUFFERED] += 1
    else:
        m[ch + ACCEPTED_READS] += 1
        if _find(m, m[ch + WRITE_TABLE], line) >= 0:
            m[ch + FORWARDED] += 1
            m[ch + LAST_RETURN] = max(m[ch + LAST_RETURN], clock + 1)
            _complete(m, request, clock + 1)
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
def _wake(m: Int64, ch: int, bank: int) -> None:
    """Forget when a bank can issue a command, because what it wants has changed."""
    if m[bank + COUNT]:
        m[m[ch + WAKE_LIST] + m[bank + PLACE]] = 0


@njit(cache=True, inline="always")
def _settle_head(m: Int64, bank: int) -> None:
    """Say whether the head of a bank's command queue wants the open row closed.

    Only the head may precharge, and while queued requests hit the open row only after four accesses to it.
    """
    read, write = m[bank + RD_ENTRY], m[bank + WR_ENTRY]
    conflict = m[bank + COUNT] > 0 and read != 0 and write != 0
    m[bank + PRE_WANTED] = conflict and ((read < 0 and write < 0) or m[bank + ACCESSES] >= 4)


@njit(cache=True, inline="always")
def _first_hit(m: Int64, bank: int, begin: int, write: int) -> int:
    """First entry of a command queue from `begin` on that reads, or writes, the open row; -1 if there is none."""
    for i in range(begin, m[bank + COUNT]):
        slot = m[bank + QUEUE + i]
        if m[slot + ROW] == m[bank + OPEN_ROW] and m[slot + IS_WRITE] == write:
            return i
    return -1


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


@njit(cache=True)
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


@njit(cache=True)
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
    m[bank + RD_ENTRY] = _first_hit(m, bank, 0, 0)
    m[bank + WR_ENTRY] = _first_hit(m, bank, 0, 1)
    _settle_head(m, bank)


@njit(cache=True)
def _precharge(m: Int64, ch: int, bank: int, row: int, column: int) -> None:
    clock, rank = m[ch + CLOCK], m[bank + RANK]
    _close(m, bank, clock, clock + m[PRE_ACT])
    m[rank + RANK_PRE] = clock + m[PRE_PRE]
    m[ch + PRECHARGES] += 1
    _log(m, ch, PRECHARGE, bank, row, column)


@njit(cache=True, inline="always")
def _dequeue(m: Int64, ch: int, bank: int, entry: int) -> None:
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
    m[bank + RD_ENTRY + write] = _first_hit(m, bank, entry, write)
    _settle_head(m, bank)
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


@njit(cache=True)
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
            _complete(m, request, data)
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

    _remove(m, table, slot)
    _dequeue(m, ch, bank, entry)


@njit(cache=True)
def _refresh(m: Int64, ch: int) -> int:
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
                _wake(m, ch, bank)
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


@njit(cache=True)
def _issue(m: Int64, ch: int, bank: int, command: int) -> None:
    if command == ACTIVATE:
        _activate(m, ch, bank)
    elif command == PRECHARGE:
        head = m[bank + QUEUE]
        _precharge(m, ch, bank, m[head + ROW], m[head + COLUMN])
    else:
        _access(m, ch, bank, m[bank + (RD_ENTRY if command == READ else WR_ENTRY)])
    _wake(m, ch, bank)


@njit(cache=True)
def _command(m: Int64, ch: int) -> int:
    """Issue what a clock lets issue.

    Returns 0 if a command was issued, else a clock before which none can be.
    """
    soonest, first = NEVER, -1
    if m[ch + REFRESHES_DUE] > 0:
        soonest = _refresh(m, ch)
        if soonest == 0:
            first = PRECHARGE
    if first < 0:
        bank, command, ready = _choose(m, ch)
        if bank < 0:
            return min(soonest, ready)
        first = command
        m[ch + LAST_QUEUE] = m[bank + INDEX]
        m[ch + DEMANDED] += command == PRECHARGE
        _issue(m, ch, bank, command)
    if m[DUAL]:
        bank, command, _ = _choose(m, ch)
        if bank >= 0:
            # DRAMsim3 takes the bank's turn, and counts its precharge, even if it can't go beside the first
            m[ch + LAST_QUEUE] = m[bank + INDEX]
            m[ch + DEMANDED] += command == PRECHARGE
            if (READ <= command <= WRITE) != (READ <= first <= WRITE):
                _issue(m, ch, bank, command)
                m[ch + DUALS] += 1
    return 0


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
        _settle_head(m, bank)
        _wake(m, ch, bank)
        return True
    m[ch + READ_TO_TRY + kind] = slot
    return False


@njit(cache=True, inline="always")
def _move(m: Int64, ch: int) -> bool:
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


@njit(cache=True)
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
        moved = _move(m, ch)
        m[ch + CLOCK] = clock + 1
        m[ch + QUIET] = clock + 1 if moved or ready == 0 else min(ready, m[ch + NEXT_REFRESH])
        if READ_ROOM <= stop <= WRITE_ROOM:
            if m[ch + READS + stop - READ_ROOM] < m[ROOM]:
                break
        elif stop == SETTLED and settled(m, ch):
            break
    return True


@njit(cache=True)
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


@njit(cache=True)
def flush(m: Int64) -> None:
    """Serve all that waits in all channels, the write buffers included; nothing may be logged."""
    for i in range(m[CHANNELS]):
        ch = HEADER_WORDS + i * m[CHANNEL_WORDS]
        m[ch + FLUSHING] = 1
        m[ch + QUIET] = m[ch + CLOCK]
        if not settled(m, ch):
            advance(m, ch, NEVER, SETTLED)


@njit(cache=True)
def settle(m: Int64, ch: int) -> bool:
    """Run a channel until it is settled; False if the log is full."""
    return settled(m, ch) or advance(m, ch, NEVER, SETTLED)


@njit(cache=True)
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
