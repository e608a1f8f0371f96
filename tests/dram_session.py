"""A DRAM's kernel driven by hand: a trace in pieces, and all that is known of its requests afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part
from accelsim.kernels import dram as kernel
from accelsim.kernels import dram_records as record
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import AddressMap, Places
from accelsim.memory.dram import Dram
from accelsim.memory.trace import Trace

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Served:
    """What became of a trace: commands as `TraceRun.commands` has them, clocks of each request, requests finished."""

    commands: Int64
    accepted: Int64
    done: Int64
    finished: Int64
    end: int
    activity: Activity


#: Commands after which a trace of a test is said never to end.
ENDLESS = 10**6


class Session:
    """A DRAM and the part of a trace that it has not got yet."""

    def __init__(self, part: Part, trace: Trace, *, log: int) -> None:
        self.part, self.trace = part, trace
        self.dram = Dram(part, trace.address.size, log=log)
        self.places: Places = AddressMap.of(part).places(trace.address)
        self.cursor = np.zeros(3, np.int64)
        self.taken: list[Int64] = []
        self.commands = 0

    def inject(self, stop: int, per_clock: int = 0) -> None:
        """Add the requests before number `stop`."""
        at = self.places
        channel, bank = self.dram.channel[at.channel], self.dram.bank[at.bank]
        per_clock = per_clock or self.part.system.inj_per_clk or self.part.system.channels
        while not kernel.inject(
            self.dram.memory,
            channel[:stop],
            at.line,
            bank,
            at.row,
            at.column,
            self.trace.write,
            self.trace.cycle,
            per_clock,
            self.cursor,
        ):
            self.take()

    def take(self) -> None:
        self.taken += [self.dram.take_log(number) for number in range(self.dram.channel.size)]
        self.commands += sum(len(log) for log in self.taken[-self.dram.channel.size :])
        assert self.commands < ENDLESS, "the trace never ends"

    def advance(self, number: int, until: int, stop: int = record.RUN) -> None:
        while not kernel.advance(self.dram.memory, self.dram.channel[number], until, stop):
            self.take()

    def settled(self, number: int) -> bool:
        return bool(kernel.settled(self.dram.memory, self.dram.channel[number]))

    def settle(self) -> None:
        for ch in self.dram.channel.tolist():
            while not kernel.settle(self.dram.memory, ch):
                self.take()

    def flush(self) -> None:
        """Serve the writes that would stay in the buffers, too."""
        m = self.dram.memory
        for ch in self.dram.channel.tolist():
            m[ch + record.FLUSHING] = 1
            m[ch + record.QUIET] = m[ch + record.CLOCK]
        self.settle()

    def close(self) -> Served:
        """Run all channels until the last one is settled and has returned its reads."""
        m = self.dram.memory
        channel = self.dram.channel
        end = max(
            int(self.cursor[1]) + 1,
            int(m[channel + record.CLOCK].max()),
            int(m[channel + record.LAST_RETURN].max()) + 1,
        )
        for number in range(self.dram.channel.size):
            self.advance(number, end)
        self.take()
        commands = np.concatenate(self.taken)
        requests = self.dram.requests
        return Served(
            commands[np.lexsort((commands[:, 2], commands[:, 0]))],
            requests[:, record.ACCEPTED].copy(),
            requests[:, record.DONE].copy(),
            m[m[record.FINISHED] :][: m[record.FINISHED_COUNT]].copy(),
            end,
            self.dram.activity(end),
        )


def serve(part: Part, trace: Trace, *, flush: bool = False, per_clock: int = 0) -> Served:
    """Run a trace in one go."""
    session = Session(part, trace, log=4096)
    session.inject(trace.address.size, per_clock)
    session.settle()
    if flush:
        session.flush()
    return session.close()
