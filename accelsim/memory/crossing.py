"""The banked DRAM as the core's clock sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import BankedDram, Machine
from accelsim.kernels import dram as kernel
from accelsim.kernels import dram_queues
from accelsim.kernels import dram_records as record
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import AddressMap, Places
from accelsim.memory.dram import Dram
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]


class Crossing:
    """Carries requests from core cycles to DRAM clocks, and their completions back.

    A request of core cycle c enters the controller before clock ceil(c Tc / Td); data of clock d are seen in core cycle
    ceil(d Td / Tc). Each DRAM clock takes as many requests as the part accepts in a clock.

    Parameters
    ----------
    requests
        Requests that may be in flight at once.
    tags
        Tags of requests, whose commands are counted apart.
    """

    def __init__(self, machine: Machine, dram: BankedDram, requests: int, tags: int) -> None:
        self._core_fs, self._dram_fs = machine.clock_period_fs, dram.part.clock_period_fs
        self._dram = Dram(dram.part, requests, tags)
        self._map = AddressMap.of(dram.part)
        self._per_clock = dram.part.requests_per_clock
        self._room = dram.part.system.trans_queue_size
        self._free = list(range(requests))
        self._owner: list[object] = [None] * requests
        self._quiet = 0
        self._edge = -1
        self._accepted = 0

    def edge(self, cycle: int) -> int:
        """First DRAM clock that is not before a core cycle."""
        return ceil_div(cycle * self._core_fs, self._dram_fs)

    def cycle(self, clock: int) -> int:
        """First core cycle that is not before a DRAM clock."""
        return ceil_div(clock * self._dram_fs, self._core_fs)

    def places(self, lines: Int64) -> Places:
        """Where bursts lie, each given by its number."""
        return self._map.places(lines << self._map.burst_bits)

    def advance(self, cycle: int) -> list[tuple[object, int]]:
        """Run all DRAM clocks before a core cycle.

        Returns
        -------
        The owner of each request whose completion has become known, and the core cycle in which it is seen.
        """
        m = self._dram.memory
        self._quiet = int(kernel.run(m, self.edge(cycle)))
        count = int(m[record.FINISHED_COUNT])
        if not count:
            return []
        begin = int(m[record.FINISHED])
        m[record.FINISHED_COUNT] = 0
        known = []
        for request in m[begin : begin + count].tolist():
            done = int(m[m[record.REQUESTS] + request * record.REQUEST_WORDS + record.DONE])
            known.append((self._owner[request], self.cycle(done)))
            self._owner[request] = None
            self._free.append(request)
        return known

    @property
    def eventful(self) -> int:
        """First core cycle before which something can have happened that `advance` did not see yet."""
        return self._quiet * self._dram_fs // self._core_fs + 1

    def exhausted(self, cycle: int) -> bool:
        """Whether the DRAM clocks of a core cycle have accepted all requests that they take."""
        edge = self.edge(cycle)
        if edge != self._edge:
            self._edge, self._accepted = edge, 0
        return self._accepted >= self.capacity(cycle)

    def capacity(self, cycle: int) -> int:
        """Requests that the DRAM clocks of a core cycle take; one clock if the cycle begins none."""
        clocks = self.edge(cycle) - self.edge(cycle - 1) if cycle else 1
        return max(1, clocks) * self._per_clock

    def accepts(self, channel: int, *, write: bool) -> bool:
        """Whether a channel's queue for reads or writes has room."""
        ch = self._dram.channel[channel]
        return bool(self._dram.memory[ch + (record.WRITES if write else record.READS)] < self._room)

    def push(self, places: Places, burst: int, owner: object, tag: int, *, write: bool) -> None:
        """Add a request; `advance` has run up to the cycle and the channel accepts it."""
        request = self._free.pop()
        self._owner[request] = owner
        self._accepted += 1
        ch = int(self._dram.channel[places.channel[burst]])
        self._quiet = min(self._quiet, int(self._dram.memory[ch + record.CLOCK]))
        dram_queues.push(
            self._dram.memory,
            ch,
            int(places.line[burst]),
            int(self._dram.bank[places.bank[burst]]),
            int(places.row[burst]),
            int(places.column[burst]),
            write,
            request,
            tag,
        )

    def flush(self, cycle: int) -> int:
        """Serve what stays in the write buffers from a core cycle on; return the cycle by which all data have moved."""
        m = self._dram.memory
        kernel.run(m, self.edge(cycle))
        kernel.flush(m)
        last = max(cycle, self.cycle(int(m[self._dram.channel + record.LAST_DATA].max())))
        kernel.run(m, max(self.edge(last), int(m[self._dram.channel + record.CLOCK].max())))
        return last

    def activity(self) -> Activity:
        """What all channels have done; after `flush`."""
        return self._dram.activity(int(self._dram.memory[self._dram.channel[0] + record.CLOCK]))

    def buffered(self, cycle: int, tag: int) -> int:
        """Writes of a tag that wait for their commands at the beginning of a core cycle."""
        kernel.run(self._dram.memory, self.edge(cycle))
        return self._dram.buffered_writes(tag)
