"""How transfers reach the DRAM: who is granted a burst in which cycle, and when its data are there."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from accelsim.config.arch import BankedDram, IdealDram, Machine, SimpleDram
from accelsim.isa.opcodes import DMAS, Unit
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import Places
from accelsim.memory.crossing import Crossing
from accelsim.memory.rate import Rate
from accelsim.memory.region import lines, whole
from accelsim.memory.second_level import SecondLevel
from accelsim.sim.clock import GRANT, RETURN, Clock, Condition
from accelsim.sim.timing import Timing
from accelsim.units import NEVER

Process = Generator[simpy.Event, Any, None]


class Transfer:
    """A DMA's instruction between its start and its last data.

    Attributes
    ----------
    requested
        Happens with the last burst's grant; its value is the cycle in which the DMA is free.
    complete
        Happens when it is known when all data will be there; its value is that cycle.
    waited
        Cycles before the grant of the last burst in which neither a burst was granted nor its words passed the port.
    """

    def __init__(self, clock: Clock, unit: Unit, layer: int, timing: Timing) -> None:
        self.unit = unit
        self.layer = layer
        self.timing = timing
        # accesses of the port are spread evenly over the bursts: burst n is requested after n of that many shares
        self.port = Rate(timing.bursts, timing.words) if timing.words else None
        self.requested = clock.env.event()
        self.complete = clock.env.event()
        self.granted = 0
        self.waited = 0
        self.free = clock.cycle

    def ready(self, cycle: int) -> int:
        """First cycle, not before `cycle`, in which the next burst is requested."""
        return self.port.earliest(cycle) if self.port else cycle

    def grant(self, cycle: int) -> bool:
        """Take note of a grant; say whether it was the last one."""
        self.waited += max(0, cycle - self.free)
        if self.port:
            self.port.serve(cycle)
            self.free = self.port.done
        else:
            self.free = cycle + 1
        self.granted += 1
        if self.granted < self.timing.bursts:
            return False
        self.requested.succeed(self.free)
        return True


class Dmas(ABC):
    """The DMA units' request ports, served round robin beginning with `load`; the turn moves on with a grant.

    Attributes
    ----------
    grants
        Unit of each granted burst, in order.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._transfers: dict[Unit, Transfer] = {}
        self._arrived = Condition(clock)
        self._turn = 0
        self.grants: list[int] = []
        clock.env.process(self._serve())

    @classmethod
    def of(cls, machine: Machine, clock: Clock, layers: int) -> Dmas | None:
        """The DMAs of a machine; None if its DRAM is ideal, because then transfers take no time of it."""
        match machine.dram:
            case IdealDram():
                return None
            case SimpleDram():
                return SimpleDmas(machine, machine.dram, clock)
            case BankedDram():
                return BankedDmas(machine, machine.dram, clock, layers)

    def start(self, unit: Unit, layer: int, timing: Timing) -> Transfer:
        """Begin a transfer."""
        transfer = Transfer(self._clock, unit, layer, timing)
        self._transfers[unit] = transfer
        self._arrived.notify()
        return transfer

    def in_turn(self) -> list[Transfer]:
        """Transfers in the order in which they are served."""
        order = (DMAS[(self._turn + i) % len(DMAS)] for i in range(len(DMAS)))
        return [self._transfers[unit] for unit in order if unit in self._transfers]

    def _grant(self, transfer: Transfer) -> bool:
        """Grant a transfer's next burst; say whether it was the last one."""
        self.grants.append(transfer.unit)
        self._turn = (DMAS.index(transfer.unit) + 1) % len(DMAS)
        last = transfer.grant(self._clock.cycle)
        if last:
            del self._transfers[transfer.unit]
        return last

    @abstractmethod
    def _serve(self) -> Process:
        """Grant bursts."""

    @abstractmethod
    def tail(self, cycle: int, layer: int) -> int:
        """Cycles that the DRAM needs at its full rate for what a layer's writes wait for in a cycle."""

    @abstractmethod
    def finish(self, cycle: int) -> tuple[int, Activity | None]:
        """Serve what is still buffered when the program ends in a cycle.

        Returns
        -------
        When that is over, and what a banked DRAM has done since the beginning.
        """


class SimpleDmas(Dmas):
    """DMAs before a channel of constant rate, exact in femtoseconds, and latency."""

    def __init__(self, machine: Machine, dram: SimpleDram, clock: Clock) -> None:
        self._rate = Rate(machine.clock_period_fs, dram.burst_period_fs)
        # from when a DMA is free and the channel has moved its last burst to its last data or acknowledgement
        self._latency_cycles = machine.cycles(dram.latency_fs)
        super().__init__(clock)

    def _serve(self) -> Process:
        clock, rate = self._clock, self._rate
        while True:
            if not self._transfers:
                yield self._arrived.wait(GRANT)
            ready = rate.earliest(clock.cycle)
            cycle = min(max(ready, t.ready(clock.cycle)) for t in self._transfers.values())
            if cycle > clock.cycle:
                later = clock.at(cycle, GRANT)
                # while the channel is free for others, a new transfer may come first
                yield later if cycle == ready else later | self._arrived.wait(GRANT)
                continue
            transfer = next(t for t in self.in_turn() if t.ready(clock.cycle) == clock.cycle)
            rate.serve(clock.cycle)
            if self._grant(transfer):
                transfer.complete.succeed(max(transfer.free, rate.done) + self._latency_cycles)

    def tail(self, cycle: int, layer: int) -> int:
        """None: what was granted is being served."""
        del cycle, layer
        return 0

    def finish(self, cycle: int) -> tuple[int, Activity | None]:
        """Nothing is buffered."""
        return cycle, None


@dataclass(slots=True)
class _Awaited:
    """What is still to come of a transfer.

    Parameters
    ----------
    places
        Where its bursts lie.
    covered
        Whether each burst is of the whole line, if a second level asks.
    bursts
        Bursts whose completion is not known yet.
    data
        Last cycle in which data of the others are seen.
    """

    places: Places
    covered: NDArray[np.bool_] | None
    bursts: int
    data: int = 0


class BankedDmas(Dmas):
    """DMAs before the controllers of a DRAM part, or before the second level that stands before them."""

    def __init__(self, machine: Machine, dram: BankedDram, clock: Clock, layers: int) -> None:
        self._outstanding = machine.dma.outstanding_bursts
        requests = len(DMAS) * self._outstanding
        self._memory = (
            SecondLevel(machine, dram, machine.l2, requests, layers)
            if machine.l2
            else Crossing(machine, dram, requests, layers)
        )
        self._burst_bytes = dram.burst_bytes
        self._burst_cycles = dram.burst_bytes / dram.bandwidth_bytes_per_s * machine.clock_hz
        self._awaited: dict[Transfer, _Awaited] = {}
        self._returns: dict[Unit, list[int]] = {unit: [] for unit in DMAS}
        self._in_flight = dict.fromkeys(DMAS, 0)
        super().__init__(clock)

    def start(self, unit: Unit, layer: int, timing: Timing) -> Transfer:
        """Begin a transfer."""
        assert timing.outside  # noqa: S101 - what moves bursts says where
        transfer = super().start(unit, layer, timing)
        places = self._memory.places(lines(timing.outside, self._burst_bytes))
        covered = whole(timing.outside, self._burst_bytes) if isinstance(self._memory, SecondLevel) else None
        self._awaited[transfer] = _Awaited(places, covered, timing.bursts)
        return transfer

    def _serve(self) -> Process:
        clock = self._clock
        while True:
            if not self._awaited:
                yield self._arrived.wait(GRANT)
            self._collect()
            if self._transfers:
                yield clock.next(GRANT)
                self._grant_all()
            wake = self._wake()
            if wake == NEVER:
                continue
            yield clock.at(wake, RETURN) | self._arrived.wait(GRANT)

    def _collect(self) -> None:
        """Run the controllers up to this cycle, and tell transfers whose last data are known when they come."""
        for owner, cycle in self._memory.advance(self._clock.cycle):
            assert isinstance(owner, Transfer)  # noqa: S101 - the owner that was given
            heapq.heappush(self._returns[owner.unit], cycle)
            awaited = self._awaited[owner]
            awaited.data = max(awaited.data, cycle)
            awaited.bursts -= 1
            if not awaited.bursts:
                owner.complete.succeed(max(owner.free, awaited.data))
                del self._awaited[owner]

    def _ready(self, transfer: Transfer) -> bool:
        """Whether a transfer requests a burst in this cycle."""
        returns, cycle = self._returns[transfer.unit], self._clock.cycle
        while returns and returns[0] <= cycle:
            heapq.heappop(returns)
            self._in_flight[transfer.unit] -= 1
        return transfer.ready(cycle) == cycle and self._in_flight[transfer.unit] < self._outstanding

    def _grant_all(self) -> None:
        """Grant what the memory accepts in this cycle."""
        while not self._memory.exhausted(self._clock.cycle):
            for transfer in self.in_turn():
                if self._ready(transfer) and self._request(transfer):
                    self._in_flight[transfer.unit] += 1
                    self._grant(transfer)
                    break
            else:
                return

    def _request(self, transfer: Transfer) -> bool:
        """Give a transfer's next burst to the memory; say whether it was accepted."""
        memory, awaited, burst = self._memory, self._awaited[transfer], transfer.granted
        places, covered = awaited.places, awaited.covered
        write, layer = transfer.timing.writes, transfer.layer
        if isinstance(memory, SecondLevel):
            whole_line = covered is not None and bool(covered[burst])
            return memory.offer(places, burst, transfer, layer, self._clock.cycle, write=write, covered=whole_line)
        if not memory.accepts(places.channel[burst], write=write):
            return False
        memory.push(places, burst, transfer, layer, write=write)
        return True

    def _wake(self) -> int:
        """First later cycle in which a burst may be granted or a completion may become known."""
        cycle = self._clock.cycle
        if not self._awaited:
            return NEVER
        wake = self._memory.eventful
        for transfer in self._transfers.values():
            ready = transfer.ready(cycle)
            if ready > cycle:
                wake = min(wake, ready)
            elif self._in_flight[transfer.unit] >= self._outstanding and self._returns[transfer.unit]:
                wake = min(wake, self._returns[transfer.unit][0])
            elif self._memory.exhausted(cycle):
                wake = min(wake, cycle + 1)
        return max(wake, cycle + 1)

    def tail(self, cycle: int, layer: int) -> int:
        """Cycles at the data buses' full rate for the layer's buffered writes."""
        return math.ceil(self._memory.buffered(cycle, layer) * self._burst_cycles)

    def finish(self, cycle: int) -> tuple[int, Activity | None]:
        """Write dirty lines back and flush the write buffers."""
        over = self._memory.flush(cycle)
        return over, self._memory.activity()
