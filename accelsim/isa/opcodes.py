"""The one table of opcodes, and the fixed-width record that holds an instruction.

Every instruction names the counting semaphores that it waits for and, per moment of its own (start, free, end), the
semaphore that it raises by one. Memories are addressed in bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Unit(IntEnum):
    """A unit with an in-order queue; the order is the order of service within a cycle.

    The matrix unit comes before preload, so that in the cycle in which a matmul takes the shadow weights over, the
    next preload may already be started.
    """

    LOAD = 0
    STORE = 1
    MATRIX = 2
    PRELOAD = 3
    VECTOR = 4


class Moment(IntEnum):
    """When a signal is given, or an access is over."""

    START = 0
    FREE = 1
    END = 2


class Memory(IntEnum):
    """What an address points into."""

    DRAM = 0
    ACTIVATION = 1
    WEIGHT = 2
    OUTPUT = 3
    ACCUMULATOR = 4
    REGISTERS = 5


UNITS = len(Unit)
MOMENTS = len(Moment)
#: Semaphores that an instruction can wait for.
WAITS = 4
#: Operands of the widest instruction.
OPERANDS = 12
#: "No semaphore" in a record.
NONE = -1
SEMAPHORES = 128

INSTRUCTION = np.dtype(
    [
        ("opcode", "u1"),
        ("signal", "i1", (MOMENTS,)),
        ("wait", "i1", (WAITS,)),
        ("layer", "<i4"),
        ("value", "<i4", (WAITS,)),
        ("operands", "<i8", (OPERANDS,)),
    ]
)


class Transfer(NamedTuple):
    """Operands of load and store: rows of bytes between DRAM and a scratchpad."""

    dram: int
    dram_stride: int
    rows: int
    row_bytes: int
    memory: int
    address: int
    stride: int


class Preload(NamedTuple):
    """Operands of preload: a fold of depth x columns operands into the shadow registers."""

    address: int
    stride: int
    depth: int
    columns: int
    packed: int


class PreloadMask(NamedTuple):
    """Operands of preload_mask: which inputs (K) of a tile have a nonzero, of weights and of activations."""

    mask: int
    depth: int
    address: int
    stride: int
    rows: int


class Matmul(NamedTuple):
    """Operands of matmul: rows that stream through the array times the fold, into or onto the accumulator."""

    address: int
    stride: int
    rows: int
    depth: int
    columns: int
    sums: int
    sums_stride: int
    accumulate: int
    signed: int


class Multiply(NamedTuple):
    """Operands of multiply: both factors from the scratchpads, into or onto the accumulator."""

    address: int
    stride: int
    weights: int
    weights_stride: int
    rows: int
    depth: int
    columns: int
    sums: int
    sums_stride: int
    accumulate: int
    signed: int
    packed: int


class Spmv(NamedTuple):
    """Operands of spmv: rows of activations times an encoded sparse matrix, into or onto the accumulator."""

    address: int
    stride: int
    weights: int
    weights_bytes: int
    rows: int
    depth: int
    columns: int
    sums: int
    sums_stride: int
    accumulate: int
    signed: int


class Requantize(NamedTuple):
    """Operands of requantize: a tile of sums to 8-bit integers in the output scratchpad."""

    sums: int
    sums_stride: int
    rows: int
    columns: int
    constants: int
    address: int
    stride: int
    zero_point: int
    qmin: int
    qmax: int
    rounding: int
    row_channels: int


class Activate(NamedTuple):
    """Operands of activate: a tile of float32 sums to the machine's float type in the output scratchpad."""

    sums: int
    sums_stride: int
    rows: int
    columns: int
    constants: int
    address: int
    stride: int
    relu: int
    row_channels: int


Operands = Transfer | Preload | PreloadMask | Matmul | Multiply | Spmv | Requantize | Activate


class Field(NamedTuple):
    """One operand: its name, its range and what it means."""

    name: str
    low: int
    high: int
    meaning: str


class Opcode(NamedTuple):
    """One row of the table."""

    mnemonic: str
    unit: Unit
    operands: type[Operands]
    fields: tuple[Field, ...]
    meaning: str

    @property
    def number(self) -> int:
        """Number of the opcode in a record."""
        return OPCODES.index(self)


_A48, _S31, _N24 = 2**48 - 1, 2**31 - 1, 2**24 - 1
_TRANSFER = (
    Field("dram", 0, _A48, "first byte in DRAM"),
    Field("dram_stride", 0, _S31, "bytes from row to row in DRAM"),
    Field("rows", 1, _N24, "rows"),
    Field("row_bytes", 1, _S31, "bytes of a row"),
    Field("memory", Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output"),
    Field("address", 0, _A48, "first byte in the scratchpad"),
    Field("stride", 0, _S31, "bytes from row to row in the scratchpad"),
)
_SUMS = (
    Field("sums", 0, _A48, "first sum in the accumulator"),
    Field("sums_stride", 0, _S31, "bytes from row to row of sums"),
    Field("accumulate", 0, 1, "1 adds to the sums that are there, 0 replaces them"),
    Field("signed", 0, 1, "1 for signed activations, 0 for unsigned"),
)

OPCODES: tuple[Opcode, ...] = (
    Opcode("load", Unit.LOAD, Transfer, _TRANSFER, "DRAM to scratchpad"),
    Opcode("store", Unit.STORE, Transfer, _TRANSFER, "scratchpad to DRAM"),
    Opcode(
        "preload",
        Unit.PRELOAD,
        Preload,
        (
            Field("address", 0, _A48, "first operand in the scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of the fold"),
            Field("depth", 1, _N24, "rows of the fold, k; at most what the array holds"),
            Field("columns", 1, 4096, "columns of the fold; at most the array's columns"),
            Field("packed", 0, 1, "1 for N:M weights: kept values row by row, then their indices, in one run"),
        ),
        "scratchpad to shadow registers",
    ),
    Opcode(
        "preload_mask",
        Unit.PRELOAD,
        PreloadMask,
        (
            Field("mask", 0, _A48, "weights' bits in the weight scratchpad: bit i % 8 of byte i / 8 is input i's"),
            Field("depth", 1, _N24, "inputs, k"),
            Field("address", 0, _A48, "first activation; zero detectors keep a bit for each input and block of rows"),
            Field("stride", 0, _S31, "bytes from input to input of activations"),
            Field("rows", 1, 4096, "samples of the block, m"),
        ),
        "skip bits to the mask registers",
    ),
    Opcode(
        "matmul",
        Unit.MATRIX,
        Matmul,
        (
            Field("address", 0, _A48, "first element that streams, in its scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row"),
            Field("rows", 1, _N24, "rows that stream"),
            Field("depth", 1, _N24, "elements of a row, k of the fold"),
            Field("columns", 1, 4096, "sums of a row, columns of the fold"),
            *_SUMS,
        ),
        "streaming rows times the fold into the accumulator; takes the shadow registers over at its start",
    ),
    Opcode(
        "multiply",
        Unit.MATRIX,
        Multiply,
        (
            Field("address", 0, _A48, "first activation in the activation scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of activations"),
            Field("weights", 0, _A48, "first weight in the weight scratchpad"),
            Field("weights_stride", 0, _S31, "bytes from row to row of weights"),
            Field("rows", 1, _N24, "samples, m"),
            Field("depth", 1, _N24, "inputs, k"),
            Field("columns", 1, _N24, "outputs, n"),
            *_SUMS,
            Field("packed", 0, 1, "1 for 2:4 weights: kept values row by row, then their indices, in one run"),
        ),
        "activations times weights into the accumulator, both from the scratchpads",
    ),
    Opcode(
        "spmv",
        Unit.MATRIX,
        Spmv,
        (
            Field("address", 0, _A48, "first activation in the activation scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of activations"),
            Field("weights", 0, _A48, "first byte of the encoded weights in the weight scratchpad"),
            Field("weights_bytes", 1, _S31, "bytes of the encoded weights"),
            Field("rows", 1, _N24, "samples, m"),
            Field("depth", 1, _N24, "inputs, k"),
            Field("columns", 1, _N24, "outputs, n"),
            *_SUMS,
        ),
        "nonzero activations times encoded columns of weights into the accumulator",
    ),
    Opcode(
        "requantize",
        Unit.VECTOR,
        Requantize,
        (
            Field("sums", 0, _A48, "first sum in the accumulator, int32"),
            Field("sums_stride", 0, _S31, "bytes from row to row of sums"),
            Field("rows", 1, _N24, "rows of the tile"),
            Field("columns", 1, _N24, "columns of the tile"),
            Field(
                "constants",
                0,
                _A48,
                "in the weight scratchpad, for n channels: n bias int32, n multipliers int32, n shifts int8",
            ),
            Field("address", 0, _A48, "first result in the output scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of results"),
            Field("zero_point", -(2**15), 2**16 - 1, "integer that stands for zero"),
            Field("qmin", -(2**15), 2**16 - 1, "smallest result"),
            Field("qmax", -(2**15), 2**16 - 1, "largest result"),
            Field("rounding", 0, 255, "number of the rounding scheme in datapath.requantize.MODES"),
            Field("row_channels", 0, 1, "1 if each row is a channel, 0 if each column is one"),
        ),
        "bias, scale, zero point and clamp; sums to integers of the machine's type",
    ),
    Opcode(
        "activate",
        Unit.VECTOR,
        Activate,
        (
            Field("sums", 0, _A48, "first sum in the accumulator, float32"),
            Field("sums_stride", 0, _S31, "bytes from row to row of sums"),
            Field("rows", 1, _N24, "rows of the tile"),
            Field("columns", 1, _N24, "columns of the tile"),
            Field("constants", 0, _A48, "in the weight scratchpad, for n channels: n bias float32"),
            Field("address", 0, _A48, "first result in the output scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of results"),
            Field("relu", 0, 1, "1 if negative sums become 0"),
            Field("row_channels", 0, 1, "1 if each row is a channel, 0 if each column is one"),
        ),
        "bias, ReLU and rounding to nearest even; float32 sums to the machine's float type",
    ),
)

LOAD, STORE, PRELOAD, PRELOAD_MASK, MATMUL, MULTIPLY, SPMV, REQUANTIZE, ACTIVATE = range(len(OPCODES))
#: Opcodes that form products; all have the operands rows, depth and columns.
PRODUCTS = (MATMUL, MULTIPLY, SPMV)
UNIT_OF = np.array([opcode.unit for opcode in OPCODES], np.int8)


def products(instructions: NDArray[np.void]) -> NDArray[np.int64]:
    """Products m k n that each instruction forms, zeros among its operands included; int64, shape (n,)."""
    result = np.zeros(len(instructions), np.int64)
    for number in PRODUCTS:
        names = OPCODES[number].operands._fields
        index = np.flatnonzero(instructions["opcode"] == number)
        places = [names.index(name) for name in ("rows", "depth", "columns")]
        result[index] = instructions["operands"][index][:, places].prod(axis=1)
    return result
