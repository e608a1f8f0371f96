"""The host: what crosses its link, and what it computes between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim import units
from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.errors import Fault, ProgramError
from accelsim.golden import exact, interpreter
from accelsim.golden.operators import UNFIT
from accelsim.isa.computations import Computation
from accelsim.isa.opcodes import Compute, HostTransfer, Memory
from accelsim.memory.region import Region, view
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing

_BYTE = Event(Component.HOST, Operation.LINK, 8)
#: An operation on numbers of 64 bits.
_OPERATION = Event(Component.HOST, Operation.HOST_OPERATION, 64)


class HostUnit:
    """Moves bytes between DRAM and the host's memory, and computes there.

    Across a link a transfer takes the link's time and the DRAM's bursts. A host that shares the DRAM has its caches in
    the place of a memory: what it reads and writes takes bursts at the DRAM's own rate, and no link.
    """

    def __init__(self, machine: Machine, memories: Memories, computations: Sequence[Computation]) -> None:
        self.machine = machine
        self.memories = memories
        self.computations = computations
        self._meanings = exact.meanings(machine.fold_inputs)

    def move(self, t: HostTransfer, *, receive: bool) -> None:
        """Copy rows; what nobody computes with need not be sent."""
        host, dram = self.memories.host, self.memories.arrays[Memory.DRAM]
        if receive:
            view(dram, Region(*t))[:] = view(host, Region(*t))
        elif self.memories.host_computes:
            view(host, Region(*t))[:] = view(dram, Region(*t))

    def compute(self, p: Compute) -> None:
        """Do what the nodes mean.

        Raises
        ------
        ProgramError
            If numpy can't: shapes fit, but not what attributes say.
        """
        computation = self.computations[p.computation]
        given = {tensor.name: tensor.read(self.memories.host) for tensor in computation.given}
        wanted = (computation.result.name,)
        try:
            with np.errstate(all="ignore"):
                formed = interpreter.evaluate(
                    computation.graph, given, self._meanings, lambda value: value.numbers, wanted
                )
        except UNFIT as error:
            raise ProgramError(Fault(f"computation {p.computation} must have a meaning, but {error}")) from None
        computation.result.write(self.memories.host, formed[wanted[0]])

    def transfer(self, counters: Counters, t: HostTransfer, bursts: int, *, receive: bool) -> Timing:
        """Time of a transfer, and its bytes over the link."""
        host, outside = self.machine.host, Region(*t)
        if host.io_bandwidth_bytes_per_s is None:
            return Timing(1, 1, bursts=bursts, outside=outside, writes=receive)
        moved = t.rows * t.row_bytes
        count(counters, _BYTE, moved)
        time_fs = round(moved * units.FEMTOSECONDS_PER_SECOND / host.io_bandwidth_bytes_per_s)
        latency = self.machine.cycles(round(host.io_latency_s * units.FEMTOSECONDS_PER_SECOND))
        cycles = max(1, self.machine.cycles(time_fs))
        return Timing(
            cycles, cycles + latency, bursts=bursts, words=cycles, outside=outside, writes=receive, latency=latency
        )

    def take(self, counters: Counters, p: Compute) -> Timing:
        """Time of a computation: its operations at the host's rate, whatever the numbers."""
        rate = self.machine.host.operations_per_s
        assert rate  # noqa: S101 - verify rejects the instruction for a host that computes nothing
        count(counters, _OPERATION, p.operations)
        cycles = max(1, self.machine.cycles(round(p.operations * units.FEMTOSECONDS_PER_SECOND / rate)))
        return Timing(cycles, cycles)
