"""Simulated time: a cycle has phases, and simpy's own order of events is never relied on.

Simulated time is cycle * SLOTS + slot, and each actor has its own slot. In a cycle, in this order:

1. returns from DRAM;
2. ends and their signals, by unit number;
3. ports released at `free`, and the signals of `free`, by unit number;
4. the host issues;
5. instructions that waited for a port start, by unit number, and give the signals of `start`: who streams through a
   bank instruction by instruction lets others in between;
6. all other instructions start likewise;
7. DRAM bursts are granted, those of transfers that started in this cycle included.

So what ends at t lets others start at t.
"""

from __future__ import annotations

import simpy

from accelsim.isa.opcodes import UNITS

RETURN = 0
END, FREE = 1, 1 + UNITS
HOST = 1 + 2 * UNITS
RESUME = HOST + 1
START = RESUME + UNITS
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
        return simpy.Timeout(self.env, self.until(slot))

    def until(self, slot: int) -> int:
        """Time until the next moment of a slot, 0 if it is now."""
        return (slot - int(self.env.now)) % SLOTS


class Condition:
    """Something that can change; whoever waits for it goes on in its own slot."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[int, _Moment] = {}

    def wait(self, slot: int) -> simpy.Event:
        """The first moment of a slot at which there has been a change; who gives up leaves nothing behind."""
        moment = self._waiting.get(slot)
        if moment is None:
            moment = self._waiting[slot] = _Moment(self._clock.env)
        return moment

    def notify(self) -> None:
        """Let all who wait go on."""
        if self._waiting:
            for slot, moment in self._waiting.items():
                moment.come(self._clock.until(slot))
            self._waiting.clear()


class _Moment(simpy.Event):
    """An event that happens some time after it has become known when."""

    def come(self, delay: int) -> None:
        """Happen after a delay; simpy's own `succeed` knows no delay, and an event more costs as much as the rest."""
        self._ok, self._value = True, None
        self.env.schedule(self, delay=delay)
