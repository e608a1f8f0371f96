"""The machine that a program runs on: what one instruction does and takes."""

from __future__ import annotations

import numpy as np

from accelsim.config.arch import Machine
from accelsim.config.datapaths import OuterProduct
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath import requantize
from accelsim.isa import opcodes
from accelsim.isa.opcodes import OPCODES, Memory
from accelsim.isa.program import Program
from accelsim.memory.region import Region, words
from accelsim.sim import matrix
from accelsim.sim.memories import Memories
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
        self.counters: list[Counters] = [{} for _ in program.header.layers]
        self.effectual = [0] * len(program.header.layers)

    def execute(self, record: np.void) -> Work:
        """Do what one verified instruction does, and say what it takes."""
        opcode = int(record["opcode"])
        operands = OPCODES[opcode].operands(*record["operands"][: len(OPCODES[opcode].fields)].tolist())
        counters = self.counters[record["layer"]]
        count(counters, _ISSUE, 1)
        match operands:
            case opcodes.Transfer():
                return self._transfer(counters, operands, load=opcode == opcodes.LOAD)
            case opcodes.Requantize():
                return self._requantize(counters, operands)
            case _:
                work = self.matrix.execute(counters, operands)
                self.effectual[record["layer"]] += work.effectual
                return work

    def _transfer(self, counters: Counters, t: opcodes.Transfer, *, load: bool) -> Work:
        outside = Region(t.dram, t.dram_stride, t.rows, t.row_bytes)
        inside = Region(t.address, t.stride, t.rows, t.row_bytes)
        memory = Memory(t.memory)
        burst_bytes = self.machine.dram.burst_bytes
        bursts = words(outside, burst_bytes)
        dram, pad = self.memories.bytes(Memory.DRAM, outside), self.memories.bytes(memory, inside)
        if load:
            pad[:] = dram
            count(counters, Event(Component.DRAM, Operation.DRAM_READ, 8 * burst_bytes), bursts)
            accesses = self.memories.port(counters, memory, inside, Operation.SRAM_WRITE)
            self._detect_zeros(counters, memory, t.rows * t.row_bytes)
        else:
            dram[:] = pad
            count(counters, Event(Component.DRAM, Operation.DRAM_WRITE, 8 * burst_bytes), bursts)
            accesses = self.memories.port(counters, memory, inside, Operation.SRAM_READ)
        return Work(1, 1, bursts=bursts, words=accesses)

    def _detect_zeros(self, counters: Counters, memory: Memory, loaded_bytes: int) -> None:
        """Charge the detectors that see which activations are zero as they are written, where the datapath skips."""
        config = self.machine.matrix
        if memory == Memory.ACTIVATION and isinstance(config, OuterProduct) and config.skip_zero_columns:
            count(counters, Event(Component.ACTIVATION, Operation.LOGIC, 8), loaded_bytes)

    def _requantize(self, counters: Counters, p: opcodes.Requantize) -> Work:
        channels = p.rows if p.row_channels else p.columns
        tile = Region(p.sums, p.sums_stride, p.rows, self.machine.operand.sum_bytes * p.columns)
        table = Region(p.constants, 0, 1, self.machine.constant_bytes * channels)
        result = Region(p.address, p.stride, p.rows, p.columns)
        constants = self.memories.bytes(Memory.WEIGHT, table)[0]
        bias, multiplier = np.split(constants[: 8 * channels].copy().view("<i4").astype(np.int64), 2)
        shift = constants[8 * channels :].view(np.int8)
        if p.row_channels:
            bias, multiplier, shift = (c[:, None] for c in (bias, multiplier, shift))
        total = self.memories.sums(tile) + bias
        mode = requantize.MODES[p.rounding]
        q = requantize.requantize(total, multiplier, shift, p.zero_point, mode, qmin=p.qmin, qmax=p.qmax)
        self.memories.bytes(Memory.OUTPUT, result)[:] = q.astype(np.uint8)  # int8 and uint8 share their low 8 bits
        requantize.events(counters, p.rows * p.columns)
        # the channels' constants fill the lanes before the first row of sums is read
        fill = self.memories.port(counters, Memory.WEIGHT, table, Operation.SRAM_READ)
        port = max(
            self.memories.port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_READ),
            self.memories.port(counters, Memory.OUTPUT, result, Operation.SRAM_WRITE),
        )
        vector = self.machine.vector
        free, end = requantize.cycles(p.rows, p.columns, vector.lanes, port, vector.latency_cycles)
        return Work(fill + free, fill + end)
