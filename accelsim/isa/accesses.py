"""Which bytes each instruction reads and writes, and until which of its moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import opcodes
from accelsim.isa.opcodes import CONSTANT_BYTES, SUM_BYTES, Memory, Moment
from accelsim.memory.region import Region

Int64 = NDArray[np.int64]


class Access(NamedTuple):
    """One kind of access of an opcode, for all its instructions at once; arrays of int64, shape (n,)."""

    memory: Int64
    write: bool
    until: Moment
    address: Int64
    stride: Int64
    rows: Int64
    row_bytes: Int64


@dataclass(frozen=True, slots=True)
class Accesses:
    """All accesses of a program; arrays of shape (accesses,), sorted by instruction, reads before writes."""

    instruction: Int64
    memory: Int64
    write: NDArray[np.bool_]
    until: Int64
    address: Int64
    stride: Int64
    rows: Int64
    row_bytes: Int64

    def region(self, access: int | np.integer) -> Region:
        """Bytes of one access, within its memory."""
        return Region(*(int(c[access]) for c in (self.address, self.stride, self.rows, self.row_bytes)))


def capacity_bytes(machine: Machine, memory: Memory) -> int:
    """Size of a memory; the array's weight registers count as bytes, one a weight."""
    match memory:
        case Memory.DRAM:
            return machine.dram.capacity_bytes
        case Memory.ACTIVATION:
            return machine.activation.capacity_bytes
        case Memory.WEIGHT:
            return machine.weight.capacity_bytes
        case Memory.OUTPUT:
            return machine.output.capacity_bytes
        case Memory.ACCUMULATOR:
            return machine.accumulator.capacity_bytes
        case Memory.REGISTERS:
            return machine.matrix.multipliers


def of_opcode(opcode: int, operands: Int64, machine: Machine) -> list[Access]:
    """Accesses of instructions that share an opcode.

    A DMA writes what it moves until its end; a store has read its bytes when it is free. The array and the vector
    unit have read their operands when they are free, and their results are there at their end. A matmul takes the
    shadow registers over at its start, or keeps the only registers until its end.

    Parameters
    ----------
    operands
        int64, shape (n, OPERANDS).
    """
    column = tuple(operands.T)
    zero, one = np.zeros(len(operands), np.int64), np.ones(len(operands), np.int64)

    def access(memory: Memory, *region: Int64, write: bool = False, until: Moment = Moment.FREE) -> Access:
        return Access(zero + memory, write, Moment.END if write else until, *region)

    registers = (zero, zero, one, zero + machine.matrix.multipliers)
    if opcode in {opcodes.LOAD, opcodes.STORE}:
        dram, dram_stride, rows, row_bytes, scratchpad, address, stride = column[:7]
        outside = (dram, dram_stride, rows, row_bytes)
        inside = (address, stride, rows, row_bytes)
        if opcode == opcodes.LOAD:
            return [
                access(Memory.DRAM, *outside, until=Moment.END),
                Access(scratchpad, True, Moment.END, *inside),
            ]
        return [
            Access(scratchpad, False, Moment.FREE, *inside),
            access(Memory.DRAM, *outside, write=True),
        ]
    if opcode == opcodes.PRELOAD:
        address, stride, depth, columns = column[:4]
        return [
            access(Memory.WEIGHT, address, stride, depth, columns),
            access(Memory.REGISTERS, *registers, write=True),
        ]
    if opcode == opcodes.MATMUL:
        address, stride, rows, depth, columns, sums, sums_stride = column[:7]
        taken = Moment.START if machine.matrix.double_buffered_weights else Moment.END
        added = rows * column[7]  # no rows are read where the tile replaces the sums
        return [
            access(Memory.ACTIVATION, address, stride, rows, depth),
            access(Memory.REGISTERS, *registers, until=taken),
            access(Memory.ACCUMULATOR, sums, sums_stride, added, SUM_BYTES * columns, until=Moment.END),
            access(Memory.ACCUMULATOR, sums, sums_stride, rows, SUM_BYTES * columns, write=True),
        ]
    sums, sums_stride, rows, columns, constants, address, stride = column[:7]
    return [
        access(Memory.ACCUMULATOR, sums, sums_stride, rows, SUM_BYTES * columns),
        access(Memory.WEIGHT, constants, zero, one, CONSTANT_BYTES * columns),
        access(Memory.OUTPUT, address, stride, rows, columns, write=True),
    ]


def of_program(instructions: NDArray[np.void], machine: Machine) -> Accesses:
    """All accesses of a program's instructions, whose opcodes are valid."""
    columns: list[list[Int64]] = [[] for _ in range(8)]
    for number in range(len(opcodes.OPCODES)):
        (index,) = np.nonzero(instructions["opcode"] == number)
        if not len(index):
            continue
        for access in of_opcode(number, instructions["operands"][index], machine):
            real = access.rows > 0
            row = (index, access.memory, np.full(len(index), access.write), np.full(len(index), access.until))
            for place, value in zip(columns, (*row, *access[3:]), strict=True):
                place.append(value[real].astype(np.int64))
    joined = [np.concatenate(c) if c else np.zeros(0, np.int64) for c in columns]
    order = np.lexsort((joined[2], joined[0]))
    instruction, memory, write, *rest = (c[order] for c in joined)
    return Accesses(instruction, memory, write.astype(bool), *rest)
