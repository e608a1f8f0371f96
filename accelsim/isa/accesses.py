"""Which bytes each instruction reads and writes, and until which of its moments."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.datapaths import (
    InputStationary,
    Matrix,
    OuterProduct,
    StructuredSparse,
    TensorCore,
    WeightStationary,
)
from accelsim.config.operands import Operand
from accelsim.datapath.vector.elements import BITS
from accelsim.errors import DefectError
from accelsim.formats import nm
from accelsim.isa import descriptors, images, opcodes, row_constants
from accelsim.isa.computations import Computation
from accelsim.isa.constants import block_bytes
from accelsim.isa.descriptors import MAX_REGIONS, Descriptor
from accelsim.isa.functions import BINARY, TABLE_BYTES, Function, Operation
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import OPCODES, OPERANDS, Memory, Moment
from accelsim.isa.tables import Tables
from accelsim.kernels import classes
from accelsim.memory.region import Region, Runs
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]

#: Bytes of the vector unit's int32 sums, and of its float32 results.
SUM_BYTES, FLOAT_BYTES = 4, 4
#: Values, a byte each, that the weights of an array of tables are numbers of.
SHARED_VALUES = 16


class Access(NamedTuple):
    """One kind of access of an opcode, for all its instructions at once; arrays of int64, shape (n,).

    Rows may have two levels, see `opcodes.Matmul`; `inner` is 0, or None for all, where they have one.
    """

    memory: Int64
    write: bool
    until: Int64
    address: Int64
    stride: Int64
    rows: Int64
    row_bytes: Int64
    inner: Int64 | None = None
    outer_stride: Int64 | None = None

    def part(self, index: Int64) -> Access:
        """That of some of the instructions; rows have one level."""
        memory, write, *others = self[:7]
        return Access(memory[index], write, *(column[index] for column in others))

    @property
    def regions(self) -> list[Access]:
        """Accesses whose rows have one level, of the same bytes."""
        if self.inner is None or self.outer_stride is None or not self.inner.any():
            return [self]
        one = self._replace(rows=self.rows * (self.inner == 0))
        columns = (self.stride, self.rows, self.row_bytes, self.inner, self.outer_stride)
        shapes = zip(*(column.tolist() for column in columns), strict=True)
        found = [_rows_regions(*shape) if shape[3] else () for shape in shapes]
        return [one, *_each(found, self.address, self.memory, self.write, self.until)]


@dataclass(frozen=True, slots=True)
class Accesses:
    """All accesses of a program: those of instructions that are alike stand here once.

    Parameters
    ----------
    kinds
        Which instructions differ.
    first
        Accesses of kind k are first[k] to first[k + 1] - 1, reads before writes; int64, shape (kinds + 1,).
    write, until
        Whether an access writes, and the moment of its instruction until which it lasts; bool and int64, shape
        (accesses of kinds,).
    number
        Number of the region that is touched, int32: tiles repeat, so that the regions are few.
    regions
        Memory, address, stride, rows and row bytes of each region; int64, shape (regions, 5).
    """

    kinds: Kinds
    first: Int64
    write: NDArray[np.bool_]
    until: Int64
    number: NDArray[np.int32]
    regions: Int64

    @property
    def memory(self) -> Int64:
        """Memory of each access."""
        memory: Int64 = self.regions[self.number, 0]
        return memory

    def each(self) -> tuple[Int64, Int64]:
        """Instruction and number of each access of the program, sorted by instruction; int64."""
        times = np.diff(self.first)[self.kinds.number]
        ahead = self.first[self.kinds.number] - (np.cumsum(times) - times)
        return np.repeat(np.arange(len(times)), times), np.repeat(ahead, times) + np.arange(int(times.sum()))

    def of(self, instruction: int) -> range:
        """Numbers of an instruction's accesses."""
        kind = self.kinds.number[instruction]
        return range(int(self.first[kind]), int(self.first[kind + 1]))

    def region(self, access: int | np.integer) -> Region:
        """Bytes of one access, within its memory."""
        return Region(*self.regions[self.number[access], 1:].tolist())

    def ends(self) -> Int64:
        """One past the last byte of each region, shape (regions,)."""
        _, address, stride, rows, row_bytes = self.regions.T
        ends: Int64 = address + (rows - 1) * stride + row_bytes
        return ends


class Tile(NamedTuple):
    """Bytes of a memory that an instruction reads or writes, row by row."""

    memory: Memory
    bytes: Region | Runs

    @property
    def region(self) -> Region:
        """The bytes of an operand whose rows have one level."""
        if isinstance(self.bytes, Runs):
            raise DefectError("rows of two levels are no region, and verify should refuse them here")
        return self.bytes


class Tiles:
    """Tiles of single instructions: what `of_opcode` says, in that order; each different one is worked out once."""

    def __init__(self, machine: Machine, tables: Tables) -> None:
        self._machine = machine
        self._tables = tables
        self._found: dict[tuple[int, tuple[int, ...]], tuple[Tile, ...]] = {}

    def of(self, opcode: int, operands: tuple[int, ...]) -> tuple[Tile, ...]:
        """Tiles of a verified instruction; one that it does not touch has no rows or no bytes."""
        found = self._found.get((opcode, operands))
        if found is None:
            row = np.zeros((1, OPERANDS), np.int64)
            row[0, : len(operands)] = operands
            accesses = of_opcode(opcode, row, self._machine, self._tables)
            found = self._found[opcode, operands] = tuple(_tiles_of(access)[0] for access in accesses)
        return found

    def learn(self, opcode: int, operands: Int64) -> None:
        """Work out the tiles of several verified instructions of an opcode at once, which is sooner than each alone.

        Parameters
        ----------
        operands
            int64, shape (n, OPERANDS).
        """
        if opcode in _OF_SEVERAL_REGIONS:
            return
        accesses = of_opcode(opcode, operands, self._machine, self._tables)
        keys = operands[:, : len(OPCODES[opcode].fields)].tolist()
        for key, found in zip(keys, zip(*map(_tiles_of, accesses), strict=True), strict=True):
            self._found[opcode, tuple(key)] = found


#: Opcodes whose instructions differ in how many regions they touch, so that each alone has its own tiles.
_OF_SEVERAL_REGIONS = {opcodes.GATHER, opcodes.SCATTER, opcodes.COMPUTE, opcodes.REDUCE}
_MEMORIES = tuple(Memory)


def _tiles_of(access: Access) -> list[Tile]:
    """Tiles of one kind of access, one an instruction."""
    memories = [_MEMORIES[number] for number in access.memory.tolist()]
    regions: list[Region | Runs] = [*map(Region, *(column.tolist() for column in access[3:7]))]
    if access.inner is not None and access.outer_stride is not None:
        for i in np.flatnonzero(access.inner):
            address, stride, rows, row_bytes = (int(column[i]) for column in access[3:7])
            inner, outer_stride = int(access.inner[i]), int(access.outer_stride[i])
            regions[i] = Runs.of_rows(address, stride, rows, row_bytes, inner, outer_stride)
    return [*map(Tile, memories, regions)]


def capacity_bytes(machine: Machine, memory: Memory) -> int:
    """Size of a memory; the matrix unit's registers count as bytes, one a weight or eight mask bits.

    The host's memory is addressed as the DRAM is.
    """
    match memory:
        case Memory.DRAM | Memory.HOST:
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
            return register_bytes(machine.matrix)


def register_bytes(matrix: Matrix) -> int:
    """Shadow registers of a datapath, as one range of bytes that every preload fills whole."""
    match matrix:
        case WeightStationary() | InputStationary() | StructuredSparse():
            return matrix.multipliers
        case OuterProduct(skip_zero_columns=True):
            return 2 * ceil_div(matrix.mask_bits, 8)
        case _:
            return 0


def stationary_memory(matrix: Matrix) -> Memory:
    """Scratchpad whose operands a preload brings into the array; the other one's stream through it."""
    return Memory.ACTIVATION if isinstance(matrix, InputStationary) else Memory.WEIGHT


def streaming_memory(matrix: Matrix) -> Memory:
    """Scratchpad whose operands stream through the array."""
    return Memory.WEIGHT if isinstance(matrix, InputStationary) else Memory.ACTIVATION


def held_in(machine: Machine, memory: Memory) -> Memory:
    """The memory that a scratchpad is: that for activations, if it goes by another's name."""
    names = {Memory.WEIGHT: "weight", Memory.OUTPUT: "output"}
    return Memory.ACTIVATION if names.get(memory) in machine.shared else memory


def of_opcode(opcode: int, operands: Int64, machine: Machine, tables: Tables) -> list[Access]:
    """Accesses of instructions that share an opcode, each of the memory that holds its bytes; see `_of_opcode`."""
    found = _of_opcode(opcode, operands, machine, tables)
    if not machine.shared:
        return found
    memories = np.array([held_in(machine, memory) for memory in Memory])
    return [access._replace(memory=memories[access.memory]) for access in found]


def _of_opcode(  # noqa: C901, PLR0911 - one an operand list
    opcode: int, operands: Int64, machine: Machine, tables: Tables
) -> list[Access]:
    """Accesses of instructions that share an opcode.

    A DMA writes what it moves until its end; a store has read its bytes when it is free. The array and the vector
    unit have read their operands when they are free, and their results are there at their end. A matmul takes the
    shadow registers over at its start, or keeps the only registers until its end.
    The engine takes an instruction's tiles from here, in this order; see `Tiles`.

    Parameters
    ----------
    operands
        int64, shape (n, OPERANDS).
    tables
        Of the program.
    """
    column = tuple(operands.T)
    if opcode in {opcodes.GATHER, opcodes.SCATTER}:
        return _windows(opcode, column, tables.descriptors)
    if opcode in opcodes.TYPED:
        return _typed(opcode, column, tables.functions)
    if opcode in {opcodes.LOAD, opcodes.STORE, opcodes.RECEIVE, opcodes.SEND}:
        return _transfers(opcode, column)
    if opcode == opcodes.COMPUTE:
        return _computed(column, tables.computations)
    if opcode == opcodes.DECODE:
        address, encoded, result, values = column[:4]
        zero = np.zeros_like(address)
        return [
            _access(Memory.WEIGHT, address, zero, zero + 1, encoded),
            _access(Memory.WEIGHT, result, zero, zero + 1, values, write=True),
        ]
    if opcode == opcodes.REQUANTIZE:
        return _results(column, column[11], column[12], machine)
    if opcode == opcodes.ACTIVATE:
        return _results(column, column[8], np.full_like(column[0], machine.operand.bits), machine)
    if opcode == opcodes.QUANTIZE:
        return _quantized(column, machine)
    if opcode == opcodes.DEQUANTIZE_SUMS:
        return _dequantized(column)
    if opcode in opcodes.TILEWISE:
        return _tiles(opcode, column)
    return _products(opcode, column, machine)


def _access(memory: Memory, *region: Int64, write: bool = False, until: Moment | Int64 | None = None) -> Access:
    """Access of a fixed memory; writes last until the end, reads until the unit is free, unless told otherwise."""
    size = np.zeros_like(region[0])
    last = (Moment.END if write else Moment.FREE) if until is None else until
    return Access(size + memory, write, size + last, *region)


def _transfers(opcode: int, column: tuple[Int64, ...]) -> list[Access]:
    if opcode in {opcodes.RECEIVE, opcodes.SEND}:
        receive = opcode == opcodes.RECEIVE
        return [
            _access(Memory.DRAM, *column[:4], write=receive, until=Moment.END),
            _access(Memory.HOST, *column[:4], write=not receive, until=Moment.END),
        ]
    dram, dram_stride, rows, row_bytes, scratchpad, address, stride = column[:7]
    outside = (dram, dram_stride, rows, row_bytes)
    inside = (address, stride, rows, row_bytes)
    zero = np.zeros_like(dram)
    if opcode == opcodes.LOAD:
        return [
            _access(Memory.DRAM, *outside, until=Moment.END),
            Access(scratchpad, True, zero + Moment.END, *inside),
        ]
    return [
        Access(scratchpad, False, zero + Moment.FREE, *inside),
        _access(Memory.DRAM, *outside, write=True),
    ]


def _computed(column: tuple[Int64, ...], computations: tuple[Computation, ...]) -> list[Access]:
    """Tensors that the host reads, and the one that it forms."""
    zero = np.zeros_like(column[0])
    chosen = [computations[number] for number in column[0].tolist()]
    given = [tuple(tensor.region for tensor in computation.given) for computation in chosen]
    formed = [(computation.result.region,) for computation in chosen]
    return [
        *_each(given, zero, zero + Memory.HOST, False, Moment.END),
        *_each(formed, zero, zero + Memory.HOST, True, Moment.END),
    ]


def _windows(opcode: int, column: tuple[Int64, ...], windows: Int64) -> list[Access]:
    """Windows in DRAM and on chip: what a gather reads may be told with gaps, what is written never is."""
    dram, number, memory, address = column[:4]
    row, first = column[4:6] if opcode == opcodes.GATHER else (np.zeros_like(dram),) * 2
    table = [Descriptor.read(record) for record in windows]
    found = [
        descriptors.window(table[n], y, x)
        for n, y, x in zip(number.tolist(), row.tolist(), first.tolist(), strict=True)
    ]
    load = opcode == opcodes.GATHER
    outside = _each([w.in_dram for w in found], dram, np.full_like(dram, Memory.DRAM), not load, Moment.END)
    inside = _each([w.on_chip for w in found], address, memory, load, Moment.END if load else Moment.FREE)
    return [*outside, *inside]


def _each(
    regions: Sequence[tuple[Region, ...]], address: Int64, memory: Int64, write: bool, until: Moment | Int64
) -> list[Access]:
    """Accesses of several regions an instruction, as many as the one that has most of them."""
    most = max(map(len, regions), default=0)
    found = np.zeros((most, len(Region._fields), len(regions)), np.int64)
    for i, own in enumerate(regions):
        if own:
            found[: len(own), :, i] = own
    found[:, 0] += address
    last = np.zeros_like(address) + until
    return [Access(memory, write, last, *columns) for columns in found]


@lru_cache(maxsize=4096)
def _rows_regions(stride: int, rows: int, row_bytes: int, inner: int, outer_stride: int) -> tuple[Region, ...]:
    return Runs.of_rows(0, stride, rows, row_bytes, inner, outer_stride).regions(MAX_REGIONS)[0]


def _results(column: tuple[Int64, ...], row_channels: Int64, bits: Int64, machine: Machine) -> list[Access]:
    """Sums and their channels' constants to results of so many bits."""
    sums, sums_stride, rows, columns, constants, address, stride = column[:7]
    zero = np.zeros_like(sums)
    channels = np.where(row_channels == 1, rows, columns)
    return [
        _access(Memory.ACCUMULATOR, sums, sums_stride, rows, machine.operand.sum_bytes * columns),
        _access(Memory.WEIGHT, constants, zero, zero + 1, machine.constant_bytes * channels),
        _access(Memory.OUTPUT, address, stride, rows, ceil_div(columns * bits, 8), write=True),
    ]


def _quantized(column: tuple[Int64, ...], machine: Machine) -> list[Access]:
    """Floats to integers and their rows' scales."""
    address, stride, rows, columns, scales, result, result_stride, bits = column[:8]
    zero = np.zeros_like(address)
    return [
        _access(Memory.ACTIVATION, address, stride, rows, machine.operand.rows_bytes(columns)),
        _access(Memory.ACTIVATION, scales, zero, zero + 1, FLOAT_BYTES * rows, write=True),
        _access(Memory.ACTIVATION, result, result_stride, rows, ceil_div(columns * bits, 8), write=True),
    ]


def _dequantized(column: tuple[Int64, ...]) -> list[Access]:
    """int32 sums and both scales into or onto float32 sums."""
    sums, sums_stride, rows, columns, scales, constants, result, result_stride, accumulate = column[:9]
    zero = np.zeros_like(sums)
    results = (result, result_stride, rows, FLOAT_BYTES * columns)
    return [
        _access(Memory.ACCUMULATOR, sums, sums_stride, rows, SUM_BYTES * columns),
        _access(Memory.ACTIVATION, scales, zero, zero + 1, FLOAT_BYTES * rows),
        _access(Memory.WEIGHT, constants, zero, zero + 1, FLOAT_BYTES * columns),
        _access(Memory.ACCUMULATOR, result, result_stride, rows * accumulate, results[3], until=Moment.END),
        _access(Memory.ACCUMULATOR, *results, write=True),
    ]


def _tiles(opcode: int, column: tuple[Int64, ...]) -> list[Access]:
    """A tile, constants that are none for some kinds, and the tile of results, in this order."""
    zero = np.zeros_like(column[0])
    if opcode == opcodes.TRANSFORM:
        memory, address, stride, rows, columns, to, result, result_stride = column[:8]
        return [
            Access(memory, False, zero + Moment.FREE, address, stride, rows, columns),
            Access(to, True, zero + Moment.END, result, result_stride, rows, columns),
        ]
    memory, address, stride, rows, columns, constants, to, result, result_stride, _, kind, wide = column[:12]
    own = 1 + column[12] if opcode == opcodes.SOFTMAX else 1
    source_bytes = np.where(memory == Memory.ACCUMULATOR, SUM_BYTES * columns, own * columns)
    result_bytes = FLOAT_BYTES * columns if opcode == opcodes.DEQUANTIZE else (1 + wide) * columns
    return [
        Access(memory, False, zero + Moment.FREE, address, stride, rows, source_bytes),
        _access(Memory.WEIGHT, constants, zero, zero + 1, block_bytes(opcode, columns, kind)),
        Access(to, True, zero + Moment.END, result, result_stride, rows, result_bytes),
    ]


def _typed(opcode: int, column: tuple[Int64, ...], functions: Int64) -> list[Access]:
    """Tiles of typed elements: those that are read, the constants of a table, and the result."""
    number, zero = column[0], np.zeros_like(column[0])
    operation, source, other_type, result_type = functions[number, :4].T
    read, written = BITS[source], BITS[result_type]
    if opcode == opcodes.REDUCE:
        _, memory, address, stride, line, height, width, columns, to, result, result_stride, result_line = column[:12]
        shapes = zip(stride, line, height, width, _packed(columns, read), strict=True)
        windows = functions[number][:, Function._fields.index("window_rows") :]
        seen = [images.read(*map(int, shape), *w.tolist()) for shape, w in zip(shapes, windows, strict=True)]
        shapes = zip(result_stride, result_line, height, width, _packed(columns, written), strict=True)
        made = [images.written(*map(int, shape)) for shape in shapes]
        return [
            *_each([image.regions for image in seen], address, memory, False, Moment.FREE),
            *_each([image.regions for image in made], result, to, True, Moment.END),
        ]
    if opcode == opcodes.MOVE:
        _, to, result, result_stride, rows, columns, memory, address, stride = column[:9]
        turned = operation == Operation.TRANSPOSE
        result_rows, result_columns = np.where(turned, columns, rows), np.where(turned, rows, columns)
        own = rows * (operation != Operation.FILL)
        return [
            Access(memory, False, zero + Moment.FREE, address, stride, own, _packed(columns, read)),
            Access(to, True, zero + Moment.END, result, result_stride, result_rows, _packed(result_columns, written)),
        ]
    _, memory, address, stride, rows, columns, to, result, result_stride = column[:9]
    if opcode == opcodes.ROWS:
        size = row_constants.block_bytes(operation, columns)
        return [
            Access(memory, False, zero + Moment.FREE, address, stride, rows, _packed(columns, read)),
            _access(Memory.WEIGHT, column[9], zero, zero + 1, size),
            Access(to, True, zero + Moment.END, result, result_stride, rows, _packed(columns, written)),
        ]
    other_memory, other, other_stride, constants = column[9:13]
    both = np.where(other_stride == 0, 1, rows) * np.isin(operation, BINARY)
    table = (operation == Operation.LOOK_UP).astype(np.int64)
    return [
        Access(memory, False, zero + Moment.FREE, address, stride, rows, _packed(columns, read)),
        Access(other_memory, False, zero + Moment.FREE, other, other_stride, both, _packed(columns, BITS[other_type])),
        _access(Memory.WEIGHT, constants, zero, table, zero + TABLE_BYTES),
        Access(to, True, zero + Moment.END, result, result_stride, rows, _packed(columns, written)),
    ]


def _packed(columns: Int64, bits: Int64) -> Int64:
    """Bytes of rows of elements of so many bits."""
    return ceil_div(columns * bits, 8)


def _products(opcode: int, column: tuple[Int64, ...], machine: Machine) -> list[Access]:
    matrix, operand = machine.matrix, machine.operand
    zero = np.zeros_like(column[0])
    one = zero + 1
    registers = (zero, zero, one, zero + register_bytes(matrix))
    if opcode == opcodes.PRELOAD:
        address, stride, depth, columns, packed, integer_bits, table = column[:7]
        rows, row_bytes = depth, _rows_bytes(columns, operand, integer_bits)
        if isinstance(matrix, StructuredSparse):
            whole = nm.stored_bytes(depth, columns, matrix.kept, matrix.group)
            rows, row_bytes = np.where(packed == 1, 1, rows), np.where(packed == 1, whole, row_bytes)
        until = np.where(chases(address, row_bytes, machine), Moment.START, Moment.END)
        shared = zero + (isinstance(matrix, WeightStationary) and matrix.lookup)
        return [
            _access(stationary_memory(matrix), address, stride, rows, row_bytes),
            _access(Memory.WEIGHT, table, zero, shared, zero + SHARED_VALUES),
            _access(Memory.REGISTERS, *registers, write=True, until=until),
        ]
    if opcode == opcodes.PRELOAD_MASK:
        mask, depth, address, stride, rows = column[:5]
        return [
            _access(Memory.WEIGHT, mask, zero, one, -(-depth // 8)),
            _access(Memory.ACTIVATION, address, stride, depth, rows),
            _access(Memory.REGISTERS, *registers, write=True),
        ]
    if opcode == opcodes.MATMUL:
        address, stride, rows, depth, columns, sums, sums_stride, accumulate, _, integer_bits, *levels = column[:12]
        row_bytes = _rows_bytes(depth, operand, integer_bits)
        taken = Moment.END if isinstance(matrix, _Single) and not _double_buffered(matrix) else Moment.START
        return [
            _access(
                streaming_memory(matrix), address, stride, rows, _rows_bytes(depth, operand, integer_bits), *levels
            ),
            _access(Memory.REGISTERS, *registers, until=taken),
            *_sums(machine, sums, sums_stride, rows, columns, accumulate),
        ]
    if opcode == opcodes.SPMV:
        address, stride, weights, weights_bytes, rows, depth, columns, sums, sums_stride, accumulate = column[:10]
        return [
            _access(Memory.ACTIVATION, address, stride, rows, depth, *column[11:13]),
            _access(Memory.WEIGHT, weights, zero, one, weights_bytes),
            *_sums(machine, sums, sums_stride, rows, columns, accumulate),
        ]
    address, stride, weights, weights_stride, rows, depth, columns, sums, sums_stride, accumulate = column[:10]
    found = []
    if isinstance(matrix, TensorCore):  # rows of activations, a row of weights for each output
        whole = nm.stored_bytes(depth, columns, 2, 4)
        packed = column[11] == 1
        found += [
            _access(Memory.ACTIVATION, address, stride, rows, depth, *column[12:14]),
            _access(
                Memory.WEIGHT, weights, weights_stride, np.where(packed, 1, columns), np.where(packed, whole, depth)
            ),
        ]
        tile = (rows, columns)
    else:  # a row of activations and a row of weights for each input
        found += [
            _access(Memory.ACTIVATION, address, stride, depth, rows),
            _access(Memory.WEIGHT, weights, weights_stride, depth, columns),
        ]
        tile = (columns, rows)
    if register_bytes(matrix):
        found.append(_access(Memory.REGISTERS, *registers, until=Moment.START))
    return [*found, *_sums(machine, sums, sums_stride, *tile, accumulate)]


def _rows_bytes(elements: Int64, operand: Operand, integer_bits: Int64) -> Int64:
    """Bytes of rows of the machine's operands, or of integers of so many bits."""
    return ceil_div(elements * np.where(integer_bits > 0, integer_bits, operand.bits), 8)


def _sums(
    machine: Machine, sums: Int64, stride: Int64, rows: Int64, columns: Int64, accumulate: Int64
) -> tuple[Access, Access]:
    """A tile of sums that is read, where it is added to, and written."""
    row_bytes = machine.operand.sum_bytes * columns
    return (
        _access(Memory.ACCUMULATOR, sums, stride, rows * accumulate, row_bytes, until=Moment.END),
        _access(Memory.ACCUMULATOR, sums, stride, rows, row_bytes, write=True),
    )


_Single = WeightStationary | InputStationary


def _double_buffered(matrix: WeightStationary | InputStationary) -> bool:
    return matrix.double_buffered_weights if isinstance(matrix, WeightStationary) else matrix.double_buffered_inputs


def chases(address: Int64, row_bytes: Int64, machine: Machine) -> NDArray[np.bool_]:
    """Whether a matmul may chase a preload row by row: each access of the port brings at least the next row whole."""
    matrix = machine.matrix
    if not isinstance(matrix, WeightStationary) or matrix.weight_load != "row_addressed":
        return np.zeros(len(address), np.bool_)
    if machine.weight.ideal:
        return np.ones(len(address), np.bool_)
    width = machine.weight.width_bytes
    fits: NDArray[np.bool_] = address % width + row_bytes <= width
    return fits


def of_program(
    instructions: NDArray[np.void], machine: Machine, tables: Tables | None = None, kinds: Kinds | None = None
) -> Accesses:
    """All accesses of a program's instructions, whose opcodes are valid.

    Parameters
    ----------
    tables
        Of the program, if it has any.
    kinds
        Which instructions differ, if that is known already.
    """
    kinds = kinds or Kinds.of(instructions)
    few = instructions[kinds.first]
    opcode, operands = few["opcode"], few["operands"]
    found: list[tuple[Int64, Access]] = []
    count = np.zeros(len(few), np.int64)
    for number in np.flatnonzero(np.bincount(opcode, minlength=len(OPCODES))).tolist():
        index = np.flatnonzero(opcode == number)
        several = (access.regions for access in of_opcode(number, operands[index], machine, tables or Tables()))
        for access in sorted(itertools.chain(*several), key=lambda access: access.write):
            real = np.flatnonzero((access.rows > 0) & (access.row_bytes > 0))
            found.append((index[real], access.part(real)))
            count[index[real]] += 1
    first = np.concatenate(([0], np.cumsum(count)))
    place, total = first[:-1].copy(), int(first[-1])
    write, until = np.empty(total, np.bool_), np.empty(total, np.int64)
    touched = np.empty((total, 5), np.int64)
    for index, access in found:
        at = place[index]
        write[at], until[at] = access.write, access.until
        for column, values in enumerate((access.memory, *access[3:7])):
            touched[at, column] = values
        place[index] = at + 1
    region = np.empty(total, np.int32)
    own = classes.of_rows(touched[:, 0], touched[:, 1:], region)
    return Accesses(kinds, first, write, until, region, touched[own])
