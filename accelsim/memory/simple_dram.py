"""A DRAM of constant rate and latency: when bursts are granted, and when the last one's data are there."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.config.arch import Machine, SimpleDram
from accelsim.memory.rate import Rate


@dataclass(frozen=True, slots=True)
class Channel:
    """A DRAM channel of constant rate and latency.

    Parameters
    ----------
    rate
        Grants bursts in femtoseconds of channel time; None for an ideal DRAM, which takes any number in a cycle.
    latency_cycles
        Core cycles from when a DMA is free and the channel has moved its last burst to its last data or
        acknowledgement.
    """

    rate: Rate | None
    latency_cycles: int

    @classmethod
    def of(cls, machine: Machine) -> Channel:
        """Channel of a machine, idle."""
        dram = machine.dram
        if isinstance(dram, SimpleDram):
            rate = Rate(machine.clock_period_fs, dram.burst_period_fs)
            return cls(rate, machine.cycles(dram.latency_fs))
        return cls(None, 0)
