"""How the state of the fast engine's loop lies in one flat array of int64.

A call passes one pointer so. Records are named by the index of their first word, as in `dram_records`, and point to
each other by it; -1 points to nothing. `accelsim.sim.fast` fills the array in and reads the times out of it.
"""

from __future__ import annotations

#: Later than any cycle.
NEVER = 1 << 62

#: Units that there is room for; those that there are not have no events.
UNIT_SLOTS = 8

# the header: the cycle; instructions that have ended; the next instruction to issue and where they end; when the host
# acts, since when it waits for that instruction, and the unit whose queue it waits for; until when the shadow registers
# change; when the memory acts; the set of units that wait for a port; the machine's figures
(
    CYCLE,
    ENDED,
    ISSUED,
    ISSUE_END,
    HOST_AT,
    HOST_SINCE,
    HOST_ON,
    SWAPPED,
    MEMORY_AT,
    PORT_WAITERS,
    UNITS,
    STATES,
    MATRIX,
    PRELOAD,
    INTERVAL,
    DEPTH,
    UNIT_LIST,
) = range(17)

# a unit; each field stands for all units side by side, that of unit u is `e[FIELD + u]`: cycles in which it is free, in
# which its next instruction ends, and in which a start is tried; the next instructions to start, to end, and whose end
# is to be known; the state that blocks it or -1, since when, and the semaphore's value that it waits for; instructions
# in its queue; until when results drain; the last end; its DMA port or -1
(
    FREE_AT,
    END_AT,
    TRY_AT,
    HEAD,
    ENDING,
    TO_KNOW,
    BLOCKED,
    SINCE,
    NEEDED,
    QUEUED,
    DRAINED,
    LAST_END,
    PORT,
    RECORDS,
) = range(UNIT_LIST, UNIT_LIST + 14 * UNIT_SLOTS, UNIT_SLOTS)

# a semaphore: its value, the set of units that wait for it, and the unit that raises it
RAISED, WAITERS, PRODUCER, SEMAPHORE_WORDS = range(4)

# a bank: ports that are taken, ports that it has. A set of banks is their number, then the banks
TAKEN, LIMIT, BANK_WORDS = range(3)

# what an instruction takes, as `accelsim.sim.timing` has it
TAKES_FREE, TAKES_END, TAKES_DRAIN, TAKES_SWAP, TAKES_BURSTS, TAKES_WORDS, TAKES_LATENCY, TAKES_WRITES, TAKES = range(9)

# a form, what many instructions have in common: what they take, as above; unit, layer, set of banks; semaphores that
# they raise by moment; semaphores that they wait for
(UNIT, LAYER, HELD, SIGNAL) = range(TAKES, TAKES + 4)
WAITS = 4
WAIT = SIGNAL + 3
FORM_WORDS = WAIT + WAITS

# a layer: buffered writes when its last transfer ends, then its cycles by unit (then the host) and state
TAIL, ATTRIBUTION = range(2)

# an instruction: its form, the unit's next one, what it moves; the values that the semaphores must have that it waits
# for, two a word, the first one in the low half; cycles of its moments, ISSUE -1 before it
FORM, NEXT, MOVED, VALUE = range(4)
VALUE_BITS = 32
ISSUE, START, FREE, END, INSTRUCTION_WORDS = range(VALUE + WAITS // 2, VALUE + WAITS // 2 + 5)
# moments, in the order of `isa.opcodes.Moment`
AT_START, AT_FREE, AT_END = range(3)

# what a transfer moves: address, stride, rows and row bytes in DRAM, or the list of a window's runs, see `dma`, or 0;
# number of its layer; bursts whose completion is
# not known, last cycle of the others' data, the cycle in which all data are there, NEVER until that is known; cycles
# that it waited for memory
ADDRESS, STRIDE, ROWS, ROW_BYTES, LIST, TAG, LEFT, DATA, COMPLETE, STALLED, MOVED_WORDS = range(11)

# states of a unit, in the order of `accelsim.sim.states`; waits for the other units, for a port and for memory follow
BUSY, WAIT_HOST, WAIT_UNIT = range(3)
