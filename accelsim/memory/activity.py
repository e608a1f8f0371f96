"""What a banked DRAM has done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
