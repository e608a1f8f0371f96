"""Simulated time: a cycle has phases, and simpy's own order of events is never relied on.

Simulated time is cycle * SLOTS + slot, and each actor has its own slot. In a cycle, in this order:

1. returns from DRAM;
2. ends and their signals, by unit number;
3. ports released at `free`, and the signals of `free`, by unit number;
4. the host issues;
5. instructions start, by unit number, and give the signals of `start`;
6. DRAM bursts are granted, those of transfers that started in this cycle included.

So what ends at t lets others start at t.
"""

from __future__ import annotations

import simpy

from accelsim.isa.opcodes import UNITS

RETURN = 0
END, FREE = 1, 1 + UNITS
HOST = 1 + 2 * UNITS
START = HOST + 1
GRANT = START + UNITS
SLOTS = GRANT + 1


class Clock:
    """The core's clock on a simpy environment."""

    def __init__(self) -> None:
        self.env = simpy.Environment()

    @property
    def cycle(self) -> int:
        """The cycle that it is."""
        return int(self.env.now) // SLOTS

    @property
    def slot(self) -> int:
        """The slot of the cycle that it is."""
        return int(self.env.now) % SLOTS

    def at(self, cycle: int, slot: int) -> simpy.Event:
        """The moment of a slot in a cycle, which is not past."""
        return simpy.Timeout(self.env, cycle * SLOTS + slot - self.env.now)

    def next(self, slot: int) -> simpy.Event:
        """The next moment of a slot, now included."""
        return simpy.Timeout(self.env, (slot - int(self.env.now)) % SLOTS)


class Condition:
    """Something that can change; whoever waits goes on when it has."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._change: simpy.Event | None = None

    def wait(self) -> simpy.Event:
        """The event of the next change, one for all who wait: who gives up leaves nothing behind."""
        if self._change is None:
            self._change = self._env.event()
        return self._change

    def notify(self) -> None:
        """Let all who wait go on."""
        if self._change is not None:
            self._change.succeed()
            self._change = None
