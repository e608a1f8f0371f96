"""The machine that a program runs on: bytes in memories, and what one instruction does and takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine, Sram
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath import requantize, weight_stationary
from accelsim.errors import AccelSimError
from accelsim.isa import opcodes
from accelsim.isa.opcodes import OPCODES, SUM_BYTES, Memory
from accelsim.isa.program import Program
from accelsim.memory.region import Region, banks, view, words

Bank = tuple[Memory, int]

_ISSUE = Event(Component.HOST, Operation.ISSUE, 32)
_COMPONENT = {
    Memory.ACTIVATION: Component.ACTIVATION,
    Memory.WEIGHT: Component.WEIGHT,
    Memory.OUTPUT: Component.OUTPUT,
    Memory.ACCUMULATOR: Component.ACCUMULATOR,
}


@dataclass(frozen=True, slots=True)
class Work:
    """What an instruction takes.

    Parameters
    ----------
    free, end
        Cycles from start until the unit takes the next instruction, and until the results are visible; for a DMA,
        whose times the memory system decides, `free` is 1.
    bursts
        DRAM bursts of a DMA, else 0.
    words
        Accesses of the scratchpad's port that a DMA makes, one a cycle; 0 if the port is without limit.
    """

    free: int
    end: int
    bursts: int = 0
    words: int = 0


class Core:
    """Executes single instructions: moves the bytes, counts the events, says the time.

    Parameters
    ----------
    counters
        One table of events a layer, filled as instructions execute.
    memories
        The bytes of each memory; the weight registers as int8, shape (R, C).
    """

    def __init__(self, program: Program, machine: Machine) -> None:
        self.machine = machine
        self.array = weight_stationary.Array.of(machine.matrix)
        self.srams: dict[Memory, Sram] = {
            Memory.ACTIVATION: machine.activation,
            Memory.WEIGHT: machine.weight,
            Memory.OUTPUT: machine.output,
            Memory.ACCUMULATOR: machine.accumulator,
        }
        sizes = {memory: sram.capacity_bytes for memory, sram in self.srams.items()}
        sizes[Memory.DRAM] = program.header.dram_bytes
        try:
            self.memories = {memory: np.zeros(size, np.uint8) for memory, size in sizes.items()}
        except MemoryError:
            raise AccelSimError(
                f"memories of {machine.name} must fit this computer, but {sum(sizes.values())} bytes do not"
            ) from None
        self.memories[Memory.DRAM][: program.image.size] = program.image
        self.registers = np.zeros((machine.matrix.rows, machine.matrix.columns), np.int8)
        self.counters: list[Counters] = [{} for _ in program.header.layers]

    def execute(self, record: np.void) -> Work:
        """Do what one verified instruction does, and say what it takes."""
        opcode = int(record["opcode"])
        operands = OPCODES[opcode].operands(*record["operands"][: len(OPCODES[opcode].fields)].tolist())
        counters = self.counters[record["layer"]]
        count(counters, _ISSUE, 1)
        match operands:
            case opcodes.Transfer():
                return self._transfer(counters, operands, load=opcode == opcodes.LOAD)
            case opcodes.Preload():
                return self._preload(counters, operands)
            case opcodes.Matmul():
                return self._matmul(counters, operands)
            case opcodes.Requantize():
                return self._requantize(counters, operands)

    def banks(self, used: list[tuple[Memory, Region]]) -> tuple[Bank, ...]:
        """Banks of which an instruction that uses these regions needs a port from start to free."""
        touched = {
            (memory, bank)
            for memory, region in used
            if memory in self.srams and not self.srams[memory].ideal
            for bank in banks(region, self.srams[memory].bank_bytes)
        }
        return tuple(sorted(touched))

    def _bytes(self, memory: Memory, region: Region) -> NDArray[np.uint8]:
        return view(self.memories[memory], region)

    def _port(self, counters: Counters, memory: Memory, region: Region, operation: Operation) -> int:
        """Charge the accesses of a region; return the cycles that they take on a port."""
        sram = self.srams[memory]
        accesses = words(region, sram.width_bytes)
        count(counters, Event(_COMPONENT[memory], operation, sram.width_bits), accesses)
        return 0 if sram.ideal else accesses

    def _transfer(self, counters: Counters, t: opcodes.Transfer, *, load: bool) -> Work:
        outside = Region(t.dram, t.dram_stride, t.rows, t.row_bytes)
        inside = Region(t.address, t.stride, t.rows, t.row_bytes)
        memory = Memory(t.memory)
        burst_bytes = self.machine.dram.burst_bytes
        bursts = words(outside, burst_bytes)
        dram, pad = self._bytes(Memory.DRAM, outside), self._bytes(memory, inside)
        if load:
            pad[:] = dram
            count(counters, Event(Component.DRAM, Operation.DRAM_READ, 8 * burst_bytes), bursts)
            accesses = self._port(counters, memory, inside, Operation.SRAM_WRITE)
        else:
            dram[:] = pad
            count(counters, Event(Component.DRAM, Operation.DRAM_WRITE, 8 * burst_bytes), bursts)
            accesses = self._port(counters, memory, inside, Operation.SRAM_READ)
        return Work(1, 1, bursts, accesses)

    def _preload(self, counters: Counters, p: opcodes.Preload) -> Work:
        fold = Region(p.address, p.stride, p.depth, p.columns)
        self.registers[:] = 0
        self.registers[: p.depth, : p.columns] = self._bytes(Memory.WEIGHT, fold).view(np.int8)
        cycles = self.array.preload_cycles(self._port(counters, Memory.WEIGHT, fold, Operation.SRAM_READ))
        self.array.preload_events(counters, p.depth, p.columns)
        return Work(cycles, cycles)

    def _matmul(self, counters: Counters, p: opcodes.Matmul) -> Work:
        rows = Region(p.address, p.stride, p.rows, p.depth)
        tile = Region(p.sums, p.sums_stride, p.rows, SUM_BYTES * p.columns)
        x = self._bytes(Memory.ACTIVATION, rows)
        products = self.array.multiply(x.view(np.int8) if p.signed else x, self.registers[: p.depth, : p.columns])
        window = self._bytes(Memory.ACCUMULATOR, tile)
        if p.accumulate:
            products += _sums(window)
            self._port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_READ)
        window[:] = products.astype("<i4").view(np.uint8)  # int32 wraps as the adders do
        # sums are read, added and written back in one pass of the accumulator's port
        port = max(
            self._port(counters, Memory.ACTIVATION, rows, Operation.SRAM_READ),
            self._port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_WRITE),
        )
        self.array.matmul_events(counters, p.rows, p.depth, p.columns, accumulate=bool(p.accumulate))
        free, end = self.array.matmul_cycles(p.rows, port)
        return Work(free, end)

    def _requantize(self, counters: Counters, p: opcodes.Requantize) -> Work:
        tile = Region(p.sums, p.sums_stride, p.rows, SUM_BYTES * p.columns)
        table = Region(p.constants, 0, 1, opcodes.CONSTANT_BYTES * p.columns)
        result = Region(p.address, p.stride, p.rows, p.columns)
        constants = self._bytes(Memory.WEIGHT, table)[0]
        bias, multiplier = np.split(constants[: 8 * p.columns].copy().view("<i4").astype(np.int64), 2)
        shift = constants[8 * p.columns :].view(np.int8)
        total = _sums(self._bytes(Memory.ACCUMULATOR, tile)) + bias
        mode = requantize.MODES[p.rounding]
        q = requantize.requantize(total, multiplier, shift, p.zero_point, mode, qmin=p.qmin, qmax=p.qmax)
        self._bytes(Memory.OUTPUT, result)[:] = q.astype(np.uint8)  # int8 and uint8 share their low 8 bits
        requantize.events(counters, p.rows * p.columns)
        # the channels' constants fill the lanes before the first row of sums is read
        fill = self._port(counters, Memory.WEIGHT, table, Operation.SRAM_READ)
        port = max(
            self._port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_READ),
            self._port(counters, Memory.OUTPUT, result, Operation.SRAM_WRITE),
        )
        vector = self.machine.vector
        free, end = requantize.cycles(p.rows, p.columns, vector.lanes, port, vector.latency_cycles)
        return Work(fill + free, fill + end)


def _sums(window: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 values of a window of little-endian int32 bytes, shape (rows, 4 n) to (rows, n)."""
    return np.ascontiguousarray(window).view("<i4").astype(np.int64)
