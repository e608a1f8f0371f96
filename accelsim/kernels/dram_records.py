"""How the state of a banked DRAM lies in one flat array of int64.

A call passes one pointer so, and a copy of the array is a snapshot. Records lie in it one after the other, and a record
is named by the index of its first word: `m[bank + OPEN_ROW]`. `accelsim.memory.dram` fills it in.
"""

from __future__ import annotations

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
