"""What a unit can be doing in a cycle; both engines attribute every cycle to exactly one state."""

from __future__ import annotations

from accelsim.isa.opcodes import UNITS, Unit

#: Names of the timeline's rows: the queued units by number, then the host.
UNIT_NAMES = (*(unit.name.lower() for unit in Unit), "host")
HOST = UNITS

BUSY = 0
WAIT_HOST = 1
WAIT_UNIT = 2  # plus the number of the unit that is waited for
WAIT_PORT = WAIT_UNIT + UNITS
WAIT_MEMORY = WAIT_PORT + 1
DRAINED = WAIT_MEMORY + 1

STATES = (
    "busy",
    "wait_host",
    *(f"wait_{unit.name.lower()}" for unit in Unit),
    "wait_port",
    "wait_memory",
    "drained",
)


def awaited(state: int) -> str:
    """What a unit waits for in a state of waiting."""
    return STATES[state].removeprefix("wait_")
