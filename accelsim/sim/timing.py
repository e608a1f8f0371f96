"""What an instruction takes."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.memory.region import Region, Runs


@dataclass(frozen=True, slots=True)
class Timing:
    """What an instruction takes, as far as it does not depend on the moment at which it starts.

    Parameters
    ----------
    free, end
        Cycles from start until the unit takes the next instruction, and until the results are visible; for a DMA,
        whose times the memory system decides, `free` is 1.
    drain
        Cycles for which the results move out behind the instruction's back, or 0. The unit is not free before the
        drain of the instruction before it is over, and its own begins then; `end` comes that much later.
    swap
        Cycles after the start before the next preload may start.
    bursts
        DRAM bursts of a DMA, else 0.
    words
        Cycles of the scratchpad's port, or of the host's link, that a DMA takes; 0 if it is without limit.
    outside
        Bytes of the DRAM that a DMA moves, or None.
    writes
        Whether a DMA writes to DRAM.
    latency
        Cycles from a DMA's last data in DRAM, or from it, to its end.
    """

    free: int
    end: int
    drain: int = 0
    swap: int = 0
    bursts: int = 0
    words: int = 0
    outside: Region | Runs | None = None
    writes: bool = False
    latency: int = 0
