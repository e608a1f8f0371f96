"""What a banked DRAM has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Activity:
    """What the channels of a DRAM have done up to a clock; sums over channels.

    Parameters
    ----------
    activates, reads, writes, read_hits, write_hits
        Commands by tag, int64, shape (tags,). A hit is a column command to a row that was accessed since it was opened.
    precharges, demanded_precharges, refreshes, dual_commands
        Commands; a demanded precharge is one that a request asked for.
    accepted_reads, accepted_writes, merged_reads, merged_writes, forwarded_reads, buffered
        Requests: accepted, merged with another one of their line, answered from a pending write, waiting for a command.
    active_clocks, precharged_clocks
        Clocks of all ranks with and without an open bank.
    write_latency
        Sum over writes of the clocks from acceptance to the last data.
    """

    activates: Int64
    reads: Int64
    writes: Int64
    read_hits: Int64
    write_hits: Int64
    precharges: int
    demanded_precharges: int
    refreshes: int
    dual_commands: int
    accepted_reads: int
    accepted_writes: int
    merged_reads: int
    merged_writes: int
    forwarded_reads: int
    buffered: int
    active_clocks: int
    precharged_clocks: int
    write_latency: int

    def count(self, counters: Sequence[Counters], cycles: Int64, burst_bits: int) -> None:
        """Charge each layer what it made the DRAM do; the tags are the layers' numbers.

        Refreshes and standby are shared by time: whole counts, so that the layers sum to the total.

        Parameters
        ----------
        cycles
            Core cycles of each layer, int64, shape (layers,).
        """
        shared = {
            Operation.DRAM_REFRESH: _shares(self.refreshes, cycles),
            Operation.DRAM_ACTIVE_CLOCK: _shares(self.active_clocks, cycles),
            Operation.DRAM_PRECHARGED_CLOCK: _shares(self.precharged_clocks, cycles),
        }
        for layer, table in enumerate(counters):
            count(table, Event(Component.DRAM, Operation.DRAM_READ, burst_bits), int(self.reads[layer]))
            count(table, Event(Component.DRAM, Operation.DRAM_WRITE, burst_bits), int(self.writes[layer]))
            count(table, Event(Component.DRAM, Operation.DRAM_ACTIVATE, 1), int(self.activates[layer]))
            for operation, share in shared.items():
                count(table, Event(Component.DRAM, operation, 1), int(share[layer]))


def _shares(total: int, weights: Int64) -> Int64:
    """Cut a count into whole parts in the ratio of weights; each boundary is rounded down."""
    reached = np.cumsum(weights)
    whole = int(reached[-1]) or 1
    bounds = np.array([total * int(sum_) // whole for sum_ in reached], np.int64)
    return np.diff(bounds, prepend=0)
