"""The machine that a program runs on: what one instruction does and takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import units
from accelsim.config import datapaths
from accelsim.config.arch import BankedDram, Machine
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath import activate, requantize
from accelsim.datapath.outer_product import OuterProduct
from accelsim.isa import opcodes
from accelsim.isa.opcodes import OPCODES, Memory
from accelsim.isa.program import Program
from accelsim.memory.region import Region, view, words
from accelsim.sim import matrix
from accelsim.sim.decode import DecodeUnit
from accelsim.sim.memories import Memories
from accelsim.sim.vector import VectorUnit
from accelsim.sim.work import Work

_ISSUE = Event(Component.HOST, Operation.ISSUE, 32)


class Core:
    """Executes single instructions: moves the bytes, counts the events, says the time.

    Parameters
    ----------
    counters
        One table of events a layer, filled as instructions execute.
    effectual
        Products of each layer whose factors are both nonzero, so far.
    """

    def __init__(self, program: Program, machine: Machine) -> None:
        self.machine = machine
        self.memories = Memories(program, machine)
        self.matrix = matrix.of(machine, self.memories)
        self.vector = VectorUnit(machine, self.memories)
        # an outer-product unit sees zeros as activations are written to their scratchpad
        config = machine.matrix
        self.zero_detectors = OuterProduct.of(config) if isinstance(config, datapaths.OuterProduct) else None
        self.decode = DecodeUnit(machine, self.memories)
        self.counters: list[Counters] = [{} for _ in program.header.layers]
        self.effectual = [0] * len(program.header.layers)

    def execute(self, record: np.void) -> Work:
        """Do what one verified instruction does, and say what it takes."""
        opcode = int(record["opcode"])
        operands = OPCODES[opcode].operands(*record["operands"][: len(OPCODES[opcode].fields)].tolist())
        counters = self.counters[record["layer"]]
        count(counters, _ISSUE, 1)
        match operands:
            case opcodes.Transfer() | opcodes.HostTransfer():
                return self._move(counters, opcode, operands)
            case opcodes.Decode():
                return self.decode.execute(counters, operands)
            case opcodes.Requantize():
                return self._requantize(counters, operands)
            case opcodes.Activate():
                return self._activate(counters, operands)
            case opcodes.Unary() | opcodes.Binary() | opcodes.Hadamard():
                return self.vector.execute(counters, opcode, record["operands"])
            case _:
                work = self.matrix.execute(counters, operands)
                self.effectual[record["layer"]] += work.effectual
                return work

    def _move(self, counters: Counters, opcode: int, t: opcodes.Transfer | opcodes.HostTransfer) -> Work:
        if isinstance(t, opcodes.Transfer):
            return self._transfer(counters, t, load=opcode == opcodes.LOAD)
        return self._host_transfer(counters, t, receive=opcode == opcodes.RECEIVE)

    def _transfer(self, counters: Counters, t: opcodes.Transfer, *, load: bool) -> Work:
        outside = Region(t.dram, t.dram_stride, t.rows, t.row_bytes)
        inside = Region(t.address, t.stride, t.rows, t.row_bytes)
        memory = Memory(t.memory)
        bursts = words(outside, self.machine.dram.burst_bytes)
        self._count_bursts(counters, bursts, write=not load)
        dram, pad = self.memories.bytes(Memory.DRAM, outside), self.memories.bytes(memory, inside)
        if load:
            pad[:] = dram
            accesses = self.memories.port(counters, memory, inside, Operation.SRAM_WRITE)
            if memory == Memory.ACTIVATION and self.zero_detectors:
                self.zero_detectors.detect_events(counters, t.rows * t.row_bytes)
        else:
            dram[:] = pad
            accesses = self.memories.port(counters, memory, inside, Operation.SRAM_READ)
        return Work(1, 1, bursts=bursts, words=accesses, outside=outside, writes=not load)

    def _host_transfer(self, counters: Counters, t: opcodes.HostTransfer, *, receive: bool) -> Work:
        """Move bytes over the link; those that are received stand in the image until then."""
        host = self.machine.host
        assert host.io_bandwidth_bytes_per_s  # noqa: S101 - verify rejects the instruction for a machine without a link
        outside = Region(t.dram, t.dram_stride, t.rows, t.row_bytes)
        burst_bytes = self.machine.dram.burst_bytes
        bursts = words(outside, burst_bytes)
        if receive:
            self.memories.bytes(Memory.DRAM, outside)[:] = view(self.memories.host, outside)
        self._count_bursts(counters, bursts, write=receive)
        moved = t.rows * t.row_bytes
        count(counters, Event(Component.HOST, Operation.LINK, 8), moved)
        time_fs = round(moved * units.FEMTOSECONDS_PER_SECOND / host.io_bandwidth_bytes_per_s)
        latency = self.machine.cycles(round(host.io_latency_s * units.FEMTOSECONDS_PER_SECOND))
        cycles = max(1, self.machine.cycles(time_fs))
        return Work(
            cycles, cycles + latency, bursts=bursts, words=cycles, outside=outside, writes=receive, latency=latency
        )

    def _count_bursts(self, counters: Counters, bursts: int, *, write: bool) -> None:
        """Charge bursts; a banked DRAM says itself what it has moved."""
        if not isinstance(self.machine.dram, BankedDram):
            operation = Operation.DRAM_WRITE if write else Operation.DRAM_READ
            count(counters, Event(Component.DRAM, operation, 8 * self.machine.dram.burst_bytes), bursts)

    def _requantize(self, counters: Counters, p: opcodes.Requantize) -> Work:
        sum_bytes = self.machine.operand.sum_bytes
        constants, channels = self._constants(p)
        bias = _channels(constants[: sum_bytes * channels].view(f"<i{sum_bytes}").astype(np.int64), p)
        scales = constants[sum_bytes * channels :]
        multiplier = _channels(scales[: 4 * channels].copy().view("<i4").astype(np.int64), p)
        shift = _channels(scales[4 * channels :].view(np.int8), p)
        mode = requantize.MODES[p.rounding]
        total = self.memories.sums(self._sums(p)) + bias
        q = requantize.requantize(total, multiplier, shift, p.zero_point, mode, qmin=p.qmin, qmax=p.qmax)
        requantize.events(counters, p.rows * p.columns)
        return self._results(counters, p, q)

    def _activate(self, counters: Counters, p: opcodes.Activate) -> Work:
        constants, _ = self._constants(p)
        bias = _channels(constants.view("<f4"), p)
        sums = self.memories.sums(self._sums(p))
        values = activate.activate(sums, bias, self.machine.matrix.operands, relu=p.relu == 1)
        activate.events(counters, p.rows * p.columns)
        return self._results(counters, p, values)

    def _sums(self, p: opcodes.Requantize | opcodes.Activate) -> Region:
        return Region(p.sums, p.sums_stride, p.rows, self.machine.operand.sum_bytes * p.columns)

    def _table(self, p: opcodes.Requantize | opcodes.Activate) -> Region:
        return Region(p.constants, 0, 1, self.machine.constant_bytes * (p.rows if p.row_channels else p.columns))

    def _constants(self, p: opcodes.Requantize | opcodes.Activate) -> tuple[NDArray[np.uint8], int]:
        """Bytes of the channels' constants, and how many channels there are."""
        return self.memories.bytes(Memory.WEIGHT, self._table(p))[0].copy(), p.rows if p.row_channels else p.columns

    def _results(
        self, counters: Counters, p: opcodes.Requantize | opcodes.Activate, values: NDArray[np.generic]
    ) -> Work:
        """Write results; the channels' constants fill the lanes before the first row of sums is read."""
        result = Region(p.address, p.stride, p.rows, self.machine.operand.row_bytes(p.columns))
        fill = self.memories.port(counters, Memory.WEIGHT, self._table(p), Operation.SRAM_READ)
        port = max(
            self.memories.port(counters, Memory.ACCUMULATOR, self._sums(p), Operation.SRAM_READ),
            self.memories.store_operands(counters, result, values),
        )
        vector = self.machine.vector
        free, end = requantize.cycles(p.rows, p.columns, vector.lanes, port, vector.latency_cycles)
        return Work(fill + free, fill + end)


def _channels(values: NDArray[Any], p: opcodes.Requantize | opcodes.Activate) -> NDArray[Any]:
    """Constants of channels, so that they broadcast against a tile: down its rows, or across its columns."""
    return values[:, None] if p.row_channels else values
