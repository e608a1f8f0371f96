"""How the crossing between the clocks, and a second level before it, lie in one flat array of int64.

Records are named by the index of their first word, as in `dram_records`. `accelsim.memory.controllers` fills it in.
"""

from __future__ import annotations

#: Later than any cycle.
NEVER = 1 << 62

(
    # periods of the core's and the DRAM's clock, divided by what they have in common; requests that a DRAM clock takes
    CORE_PERIOD,
    DRAM_PERIOD,
    PER_CLOCK,
    # fields of a burst's number: lowest bit, mask, and for what has records in the DRAM's state the words of one
    CHANNEL_LOW,
    CHANNEL_MASK,
    CHANNEL_STEP,
    RANK_LOW,
    RANK_MASK,
    RANK_STEP,
    GROUP_LOW,
    GROUP_MASK,
    GROUP_STEP,
    BANK_LOW,
    BANK_MASK,
    BANK_STEP,
    ROW_LOW,
    ROW_MASK,
    COLUMN_LOW,
    COLUMN_MASK,
    # a core cycle, the first DRAM clock that is not before it, and requests that its DRAM clocks take
    CYCLE,
    EDGE,
    CAPACITY,
    # DRAM clock that all channels have reached, and the one before which nothing can happen in any of them
    REACHED,
    STILL,
    # requests that were accepted in the core cycles of a DRAM clock
    COUNTED_EDGE,
    COUNTED,
    # numbers of requests that are free, and owners of the others
    FREE_NUMBERS,
    FREE,
    OWNERS,
    # owners and cycles that are to be told
    KNOWN_COUNT,
    KNOWN,
    # a second level; WAYS is 0 if there is none
    WAYS,
    SETS,
    BANKS,
    PORTS,
    PORT_CYCLES,
    LATENCY,
    TAGS,
    # requests handed to DRAM, counted up to a DRAM clock, and how many of them are not too much
    HANDED_EDGE,
    HANDED,
    HANDED_CAPACITY,
    # first cycle in which a request that was refused may be accepted
    RETRY,
    DIRTY_LINES,
    # accepted requests so far
    USES,
    # first free record of a waiting request
    FREE_WAITING,
    # cycle from which each port of each bank is free; lines that are present in each set; lines; tallies
    PORT_LIST,
    SET_LIST,
    LINE_LIST,
    TALLY_LIST,
    CROSSING_WORDS,
) = range(50)

# fields of a line, each side by side for all ways of a set: `c[line]` is a line's number, `c[line + FIELD * ways]` one
# of the others. Number of its burst; cycle in which DRAM has its data, or NEVER; its last use; whether it is dirty; the
# last request that waits for its data, or 0
NUMBER, READY, USED, IS_DIRTY, LAST_WAITING, LINE_FIELDS = range(6)

# a request that waits for a line: its owner, and the next one; the last one's next is the first
WAITING_OWNER, NEXT_WAITING, WAITING_WORDS = range(3)

# a tally of the accesses of whole lines and what they caused, for requests of one tag
PORT_READS, PORT_WRITES, HITS, FETCHES, WRITE_BACKS, LEVEL_TALLY_WORDS = range(6)
