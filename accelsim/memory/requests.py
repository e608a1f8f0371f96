"""Which bursts a DMA requests for what it loads: those that it has no buffer of.

A unit has a buffer for each burst that may be outstanding. It gives them out in turn, so the bursts that it requested
last are still there, or on their way, and a later row of the same transfer that needs one of them requests nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.kernels.requests import first_of_last
from accelsim.memory.region import Region, Runs, lines

Int64 = NDArray[np.int64]


class Channel(NamedTuple):
    """How a DMA asks for bursts.

    Parameters
    ----------
    burst_bytes
        Bytes of one.
    buffers
        Bursts that are kept, those that were requested last.
    """

    burst_bytes: int
    buffers: int

    @classmethod
    def of(cls, machine: Machine) -> Channel:
        """That of a machine's units."""
        return cls(machine.dram.burst_bytes, machine.dma.outstanding_bursts)


def requested(read: Region | Runs, burst_bytes: int, buffers: int) -> Runs:
    """Whole bursts that are requested for what is read, in order; `Channel` says what the others are."""
    needed = lines(read, burst_bytes)
    burst, first, number = np.unique(needed, return_index=True, return_inverse=True)
    if len(burst) <= buffers:
        asked = needed[np.sort(first)]
    else:
        new = np.empty(len(needed), np.bool_)
        first_of_last(number.astype(np.int64), np.full(len(burst), -buffers - 1, np.int64), buffers, new)
        asked = needed[new]
    return Runs.joined(asked * burst_bytes, np.full(len(asked), burst_bytes, np.int64))
