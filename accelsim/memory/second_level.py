"""A shared second level: a cache of DRAM bursts between all DMA units and a banked DRAM."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import L2, BankedDram, Machine
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import Places
from accelsim.memory.crossing import Crossing
from accelsim.units import NEVER, ceil_div

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SecondLevelActivity(Activity):
    """What a second level has done, and the DRAM behind it; by tag, int64, shape (tags,).

    Parameters
    ----------
    width_bits
        Width of a bank's port.
    port_reads, port_writes
        Accesses of the banks' ports.
    hits
        Requests whose line was there or on its way.
    fetches, write_backs
        Lines read from DRAM, and dirty ones written to it; of the tag whose request caused it.
    """

    width_bits: int
    port_reads: Int64
    port_writes: Int64
    hits: Int64
    fetches: Int64
    write_backs: Int64

    def count(self, counters: Sequence[Counters], cycles: Int64, burst_bits: int) -> None:
        """Charge each layer what it made the second level and the DRAM do."""
        Activity.count(self, counters, cycles, burst_bits)
        for layer, table in enumerate(counters):
            count(table, Event(Component.L2, Operation.SRAM_READ, self.width_bits), int(self.port_reads[layer]))
            count(table, Event(Component.L2, Operation.SRAM_WRITE, self.width_bits), int(self.port_writes[layer]))


@dataclass(slots=True)
class _Line:
    """A line that is present.

    Parameters
    ----------
    place
        Where it lies in DRAM, shape (1,).
    ready
        Core cycle in which DRAM has its data; NEVER as long as that is not known.
    waiting
        Owners of the requests that wait for it to be known.
    """

    place: Places
    ready: int = 0
    dirty: bool = False
    waiting: list[object] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Counts of one tag, as `SecondLevelActivity` has them; accesses of whole lines."""

    reads: int = 0
    writes: int = 0
    hits: int = 0
    fetches: int = 0
    write_backs: int = 0


class SecondLevel:
    """A set-associative cache of bursts: least recently used, write-back, write-allocate.

    A request is accepted if a port of its bank is free and DRAM takes what the request causes. It is answered
    `latency_cycles` after that or, if its line is being fetched, after DRAM has the data. The port is held from the
    grant on for all accesses that a request causes, a fill's included though its data come later: bandwidth is exact,
    and no request waits for a fill that is still to come.

    What a request causes is counted for its tag, the write-back of a line that another tag wrote included: so a layer's
    traffic lies in the time of its own transfers. The last tag is charged the write-backs at the end.

    Parameters
    ----------
    requests
        Requests that may be in flight at once.
    tags
        Tags of requests, which are counted apart.
    """

    def __init__(self, machine: Machine, dram: BankedDram, l2: L2, requests: int, tags: int) -> None:
        # a request fetches one line at most; a write-back, of which a port makes one a cycle, is over in the next
        self._crossing = Crossing(machine, dram, requests + l2.banks * l2.ports, tags)
        self._l2 = l2
        self._port_cycles = ceil_div(8 * dram.burst_bytes, l2.width_bits)
        self._set_count = l2.sets(dram.burst_bytes)
        # lines of a set by number, the least recently used one first
        self._sets: defaultdict[int, dict[int, _Line]] = defaultdict(dict)
        self._ports = [[0] * l2.ports for _ in range(l2.banks)]
        self._per_clock = dram.part.requests_per_clock
        # DRAM clock up to which requests were counted, requests of its core cycle, and how many are not too much
        self._edge = 0
        self._handed = 0
        self._capacity = self._crossing.capacity(0)
        self._known: list[tuple[object, int]] = []
        self._retry = NEVER
        self._dirty = 0
        self._tallies = [_Tally() for _ in range(tags)]

    def places(self, numbers: Int64) -> Places:
        """Where bursts lie, each given by its number."""
        return self._crossing.places(numbers)

    def advance(self, cycle: int) -> list[tuple[object, int]]:
        """Run all DRAM clocks before a core cycle.

        Returns
        -------
        The owner of each request whose completion has become known, and the core cycle in which it is seen.
        """
        known, self._known = self._known, []
        self._retry = NEVER
        for line, ready in self._crossing.advance(cycle):
            if isinstance(line, _Line):
                line.ready = ready
                known += [(owner, ready + self._l2.latency_cycles) for owner in line.waiting]
                line.waiting = []
        return known

    @property
    def eventful(self) -> int:
        """First core cycle before which `advance` has nothing to tell and what was refused stays refused."""
        return 0 if self._known else min(self._crossing.eventful, self._retry)

    def exhausted(self, cycle: int) -> bool:
        """Whether no request at all is accepted any more in a cycle: never, that is up to the ports."""
        del cycle
        return False

    def offer(
        self, places: Places, burst: int, owner: object, tag: int, cycle: int, *, write: bool, covered: bool
    ) -> bool:
        """Accept a request, or refuse it; `advance` has run up to the cycle.

        Parameters
        ----------
        covered
            Whether a write is of all bytes of the line, so that a missing line need not be fetched.
        """
        number, tally = int(places.line[burst]), self._tallies[tag]
        ports = self._ports[number % self._l2.banks]
        if min(ports) > cycle:
            return self._refuse(min(ports))
        held, before = self._sets[number % self._set_count], tally.reads + tally.writes
        line = held.pop(number, None)
        if line is not None:
            tally.hits += 1
            tally.reads += not write
        else:
            line = self._allocate(held, _one(places, burst), tag, cycle, fetch=not (write and covered))
            if line is None:
                return False
        held[number] = line
        if write:
            tally.writes += 1
            self._dirty += not line.dirty
            line.dirty = True
        self._hold(ports, cycle, tally.reads + tally.writes - before)
        if line.ready == NEVER:
            line.waiting.append(owner)
        else:
            self._known.append((owner, max(cycle, line.ready) + self._l2.latency_cycles))
        return True

    def _allocate(self, held: dict[int, _Line], place: Places, tag: int, cycle: int, *, fetch: bool) -> _Line | None:
        """Make room in a set and begin to fetch the line, if need be; None if that can't be done in the cycle."""
        evicted, leaving = None, None
        if len(held) == self._l2.ways:
            evicted, leaving = next(((n, other) for n, other in held.items() if other.ready <= cycle), (None, None))
            # another line may have its data, and be the one to leave, before DRAM takes what this one causes
            self._refuse(min((other.ready for other in held.values() if other.ready > cycle), default=NEVER))
            if leaving is None:
                return None
        dirty = leaving if leaving is not None and leaving.dirty else None
        if fetch and not self._takes(place, cycle, write=False):
            return None
        if dirty is not None and not self._takes(dirty.place, cycle, write=True):
            return None
        line = _Line(place, NEVER if fetch else cycle)
        if fetch:
            self._crossing.push(place, 0, line, tag, write=False)
            self._handed += 1
            self._tallies[tag].fetches += 1
            # a read that misses takes what the fill brings
            self._tallies[tag].writes += 1
        if dirty is not None:
            self._write_back(dirty, tag)
        if evicted is not None:
            del held[evicted]
        return line

    def _refuse(self, until: int) -> bool:
        """Take note of the cycle until which a request is refused."""
        self._retry = min(self._retry, until)
        return False

    def _takes(self, place: Places, cycle: int, *, write: bool) -> bool:
        """Whether DRAM takes a request in a cycle.

        A fetch and the write-back that goes with it count as one there; what is too much for the clocks of the cycle
        is made up for in the next ones.
        """
        edge = self._crossing.edge(cycle)
        if edge != self._edge:
            capacity = self._crossing.capacity(cycle)
            # what was too much for the clocks of then, less what the clocks since could have taken
            owed = max(0, self._handed - self._capacity)
            self._handed = max(0, owed - (edge - self._edge) * self._per_clock + capacity)
            self._capacity = capacity
            self._edge = edge
        if self._handed >= self._capacity:
            return self._refuse(cycle + 1)
        return self._crossing.accepts(int(place.channel[0]), write=write)

    def _write_back(self, line: _Line, tag: int) -> None:
        """Read a dirty line and give it to DRAM."""
        self._crossing.push(line.place, 0, None, tag, write=True)
        self._handed += 1
        self._dirty -= 1
        self._tallies[tag].reads += 1
        self._tallies[tag].write_backs += 1
        line.dirty = False

    def _hold(self, ports: list[int], cycle: int, accesses: int) -> None:
        """Take a bank's first free port for the accesses of whole lines."""
        ports[ports.index(min(ports))] = cycle + accesses * self._port_cycles

    def buffered(self, cycle: int, tag: int) -> int:
        """Writes that a tag is charged for and that wait for their commands at the beginning of a core cycle."""
        at_the_end = self._dirty if tag == len(self._tallies) - 1 else 0
        return self._crossing.buffered(cycle, tag) + at_the_end

    def flush(self, cycle: int) -> int:
        """Write dirty lines back from a core cycle on, set by set; return the cycle by which all data have moved."""
        for index in sorted(self._sets):
            for number, line in self._sets[index].items():
                if not line.dirty:
                    continue
                ports = self._ports[number % self._l2.banks]
                cycle = max(cycle, min(ports))
                self.advance(cycle)
                while not self._takes(line.place, cycle, write=True):
                    cycle = max(cycle + 1, self.eventful)
                    self.advance(cycle)
                self._write_back(line, len(self._tallies) - 1)
                self._hold(ports, cycle, 1)
        return self._crossing.flush(cycle)

    def activity(self) -> SecondLevelActivity:
        """What the second level and all channels have done; after `flush`."""
        dram = self._crossing.activity()

        def of(name: str) -> Int64:
            return np.array([getattr(tally, name) for tally in self._tallies], np.int64)

        return SecondLevelActivity(
            **{f.name: getattr(dram, f.name) for f in fields(dram)},
            width_bits=self._l2.width_bits,
            port_reads=of("reads") * self._port_cycles,
            port_writes=of("writes") * self._port_cycles,
            hits=of("hits"),
            fetches=of("fetches"),
            write_backs=of("write_backs"),
        )


def _one(places: Places, burst: int) -> Places:
    """A copy of one burst's place, which does not keep the others in memory."""
    at = [burst]
    return Places(places.line[at], places.channel[at], places.bank[at], places.row[at], places.column[at])
