"""The one table of opcodes, and the fixed-width record that holds an instruction.

Every instruction names the counting semaphores that it waits for and, per moment of its own (start, free, end), the
semaphore that it raises by one. Memories are addressed in bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from accelsim.datapath.vector.fixed_point import MAX_CHANNELS
from accelsim.datapath.vector.hadamard import INT32_LEVELS


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
    DECODE = 5
    IO = 6


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
#: Units that move bytes to and from DRAM, in the order in which they are served.
DMAS = (Unit.LOAD, Unit.STORE, Unit.IO)
MOMENTS = len(Moment)
#: Semaphores that an instruction can wait for.
WAITS = 4
#: Operands of the widest instruction.
OPERANDS = 14
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


class HostTransfer(NamedTuple):
    """Operands of receive and send: rows of bytes between the host and DRAM."""

    dram: int
    dram_stride: int
    rows: int
    row_bytes: int


class Gather(NamedTuple):
    """Operands of gather: a window of bytes from DRAM to a scratchpad, padded where it leaves an image."""

    dram: int
    descriptor: int
    memory: int
    address: int
    row: int
    column: int


class Scatter(NamedTuple):
    """Operands of scatter: a window of bytes from a scratchpad to DRAM."""

    dram: int
    descriptor: int
    memory: int
    address: int


class Preload(NamedTuple):
    """Operands of preload: a fold of depth x columns operands into the shadow registers."""

    address: int
    stride: int
    depth: int
    columns: int
    packed: int
    integer_bits: int = 0
    table: int = 0


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
    integer_bits: int = 0
    inner: int = 0
    outer_stride: int = 0


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
    inner: int = 0
    outer_stride: int = 0


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
    inner: int = 0
    outer_stride: int = 0


class Requantize(NamedTuple):
    """Operands of requantize: a tile of sums to integers in the output scratchpad."""

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
    result_bits: int


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


class Quantize(NamedTuple):
    """Operands of quantize: rows of floats to rows of integers and a scale each, all in the activation scratchpad."""

    address: int
    stride: int
    rows: int
    columns: int
    scales: int
    result: int
    result_stride: int
    integer_bits: int


class Dequantize(NamedTuple):
    """Operands of dequantize_sums: a tile of int32 sums, times its rows' and columns' scales, onto float32 sums."""

    sums: int
    sums_stride: int
    rows: int
    columns: int
    scales: int
    constants: int
    result: int
    result_stride: int
    accumulate: int


class Decode(NamedTuple):
    """Operands of decode: a run of encoded bytes to a run of bytes, both in the weight scratchpad."""

    address: int
    bytes: int
    result: int
    values: int
    format: int
    bits: int
    rows: int
    group: int


class Unary(NamedTuple):
    """Operands of the vector unit's instructions that make one tile of another; not all of them have the last ones.

    Constants stand in the weight scratchpad, as `isa.constants` lays them out.
    """

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    constants: int
    result_memory: int
    result: int
    result_stride: int
    signed: int = 0
    kind: int = 0
    wide: int = 0


class Transform(NamedTuple):
    """Operands of transform: a tile of int8 values to their transform, shifted right."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result_memory: int
    result: int
    result_stride: int
    levels: int
    right: int


class Normalization(IntEnum):
    """Kinds of normalize: RMSNorm, LayerNorm, RMSNorm with outlier weights (ORI-LN)."""

    RMS = 0
    LAYER = 1
    WEIGHTED = 2


class Exponential(IntEnum):
    """Kinds of softmax: I-BERT's polynomial, or a table of 256 exponentials."""

    POLYNOMIAL = 0
    TABLE = 1


class Code(IntEnum):
    """Kinds of dequantize: what a byte stands for."""

    INTEGER = 0
    FP8_E4M3 = 1
    FP8_E5M2 = 2


class Field(NamedTuple):
    """One operand: its name, its range and what it means."""

    name: str
    low: int
    high: int
    meaning: str


class Span(NamedTuple):
    """What stands behind an operand in its list: its range and what it means."""

    low: int
    high: int
    meaning: str


_A48, _S31, _N24 = 2**48 - 1, 2**31 - 1, 2**24 - 1
_FunctionNumber = Annotated[int, Span(0, _S31, "number of what is done in the program's table of functions")]
_Rows = Annotated[int, Span(1, _N24, "rows of the tile")]
_Columns = Annotated[int, Span(1, _N24, "columns of the tile")]
_Source = Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the tile, 1 to 4")]
_Address = Annotated[int, Span(0, _A48, "first element of the tile")]
_Stride = Annotated[int, Span(0, _S31, "bytes from row to row of the tile")]
_Result = Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
_ResultAddress = Annotated[int, Span(0, _A48, "first element of the result")]
_ResultStride = Annotated[int, Span(0, _S31, "bytes from row to row of the result")]


class Map(NamedTuple):
    """Operands of map: one tile or two to one of as many rows and columns."""

    function: _FunctionNumber
    memory: _Source
    address: _Address
    stride: _Stride
    rows: _Rows
    columns: _Columns
    result_memory: _Result
    result: _ResultAddress
    result_stride: _ResultStride
    other_memory: Annotated[int, Span(0, Memory.ACCUMULATOR, "memory on chip of the other tile; 0 without one")] = 0
    other: Annotated[int, Span(0, _A48, "first element of the other tile")] = 0
    other_stride: Annotated[int, Span(0, _S31, "bytes from row to row of it; 0 takes one row for all rows")] = 0
    constants: Annotated[int, Span(0, _A48, "in the weight scratchpad: 256 results of a table; else 0")] = 0


class Reduce(NamedTuple):
    """Operands of reduce: windows of an image on chip, whose channels stand side by side, to an image of results."""

    function: _FunctionNumber
    memory: _Source
    address: Annotated[int, Span(0, _A48, "first element of the first window")]
    stride: Annotated[int, Span(0, _S31, "bytes from pixel to pixel of a row of the image")]
    line_stride: Annotated[int, Span(0, _S31, "bytes from row to row of the image")]
    height: Annotated[int, Span(1, _N24, "rows of results")]
    width: Annotated[int, Span(1, _N24, "results of a row, a pixel each")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "channels of a pixel")]
    result_memory: _Result
    result: _ResultAddress
    result_stride: Annotated[int, Span(0, _S31, "bytes from result to result of a row")]
    result_line_stride: Annotated[int, Span(0, _S31, "bytes from row to row of results")]


class Move(NamedTuple):
    """Operands of move: a tile to another place, as it is or with rows and columns exchanged, or one byte all over."""

    function: _FunctionNumber
    result_memory: _Result
    result: _ResultAddress
    result_stride: _ResultStride
    rows: _Rows
    columns: _Columns
    memory: Annotated[int, Span(0, Memory.ACCUMULATOR, "memory on chip of the tile; 0 without one")] = 0
    address: _Address = 0
    stride: _Stride = 0


def fields_of(operands: type[NamedTuple]) -> tuple[Field, ...]:
    """Fields that a list of operands declares."""
    hints = get_type_hints(operands, include_extras=True)
    return tuple(Field(name, *hints[name].__metadata__[0]) for name in operands._fields)


Operands = (
    Transfer
    | HostTransfer
    | Gather
    | Scatter
    | Preload
    | PreloadMask
    | Matmul
    | Multiply
    | Spmv
    | Requantize
    | Activate
    | Quantize
    | Dequantize
    | Decode
    | Unary
    | Transform
    | Map
    | Reduce
    | Move
)


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
#: Row r stands at address + (r // inner) outer_stride + (r % inner) stride: a kernel's place on an image, say.
_TWO_LEVELS = (
    Field("inner", 0, _N24, "rows of a run, the output's width for a convolution; 0 if all rows are one run"),
    Field("outer_stride", 0, _S31, "bytes from run to run; 0 if all rows are one run"),
)
_WINDOW = (
    Field("dram", -_A48, _A48, "byte in DRAM of the window's first run, or where it would be if it is padding"),
    Field("descriptor", 0, _S31, "number of the window's descriptor in the program"),
    Field("memory", Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output"),
    Field("address", 0, _A48, "byte in the scratchpad of the window's first run"),
)
_INTEGERS = Field(
    "integer_bits", 0, 8, "8 or 4 for signed integers of so many bits and int32 sums, 0 for the machine's own type"
)
_SCRATCHPAD = Field("memory", Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")
_FROM = (
    Field("address", 0, _A48, "first element in that memory"),
    Field("stride", 0, _S31, "bytes from row to row"),
    Field("rows", 1, _N24, "rows of the tile"),
)
_COLUMNS = Field("columns", 1, _N24, "columns of the tile")
_CHANNELS = Field("columns", 1, MAX_CHANNELS, "columns of the tile, the row's channels")
_RESULT = (
    Field("result_memory", Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4"),
    Field("result", 0, _A48, "first result in that memory"),
    Field("result_stride", 0, _S31, "bytes from row to row of results"),
)
_SIGNED = Field("signed", 0, 1, "1 for int8 elements, 0 for uint8")


def _constants(meaning: str) -> Field:
    return Field("constants", 0, _A48, f"in the weight scratchpad, without gaps: {meaning}")


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
            _INTEGERS,
            Field("table", 0, _A48, "in the weight scratchpad, 16 int8: values that weights are numbers of; else 0"),
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
            _INTEGERS,
            *_TWO_LEVELS,
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
            *_TWO_LEVELS,
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
            *_TWO_LEVELS,
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
            Field("result_bits", 1, 16, "bits of a result: those of the machine's type, or 8 if it is narrower"),
        ),
        "bias, scale, zero point and clamp; sums to integers of the machine's type, or of 8 bits",
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
    Opcode(
        "decode",
        Unit.DECODE,
        Decode,
        (
            Field("address", 0, _A48, "first encoded byte in the weight scratchpad"),
            Field("bytes", 1, _S31, "encoded bytes"),
            Field("result", 0, _A48, "first byte of the values in the weight scratchpad"),
            Field("values", 1, _S31, "bytes of the values"),
            Field(
                "format",
                0,
                255,
                "storage format: its number in formats.storage.FORMATS",
            ),
            Field("bits", 0, 8, "bits of a packed integer, a relative or a codebook index; else 0"),
            Field("rows", 1, _N24, "rows (K) of the matrix of values"),
            Field("group", 0, _N24, "rows that share a scale; 0 if none do"),
        ),
        "encoded weights to weights",
    ),
    Opcode(
        "normalize",
        Unit.VECTOR,
        Unary,
        (
            _SCRATCHPAD,
            *_FROM,
            _CHANNELS,
            _constants(
                "epsilon int64, multiplier int32, rounding uint8, zero points int16 of input and result; then for n "
                "channels: n beta int32, n gamma int8, n shifts int8; for kind 2 also n M and n shifts of lambda^2, "
                "uint8"
            ),
            *_RESULT,
            _SIGNED,
            Field("kind", 0, 2, "0 RMSNorm, 1 LayerNorm, 2 RMSNorm with outlier weights lambda^2"),
        ),
        "8-bit rows over their root mean square or standard deviation to int8",
    ),
    Opcode(
        "softmax",
        Unit.VECTOR,
        Unary,
        (
            Field("memory", Memory.ACTIVATION, Memory.ACCUMULATOR, "a scratchpad, or 4 for int32 accumulator sums"),
            *_FROM,
            _CHANNELS,
            _constants("for kind 0 multiplier uint16 and right shift uint8 of the scale; for kind 1 256 uint16"),
            *_RESULT,
            _SIGNED,
            Field("kind", 0, 1, "0 for the polynomial, 1 for a table of exponentials, of 8-bit elements only"),
            Field("wide", 0, 1, "1 for results in Q0.16, little-endian, 0 for Q0.8; both unsigned"),
        ),
        "softmax of each row",
    ),
    Opcode(
        "gelu",
        Unit.VECTOR,
        Unary,
        (
            _SCRATCHPAD,
            *_FROM,
            _COLUMNS,
            _constants(
                "multiplier int32, shift int8, rounding uint8, zero points int16 of input and result, "
                "multiplier uint16 and right shift uint8 onto the grid"
            ),
            *_RESULT,
            _SIGNED,
        ),
        "GELU of 8-bit elements by a polynomial to int8",
    ),
    Opcode(
        "dequantize",
        Unit.VECTOR,
        Unary,
        (
            _SCRATCHPAD,
            *_FROM,
            _COLUMNS,
            _constants("for n columns: n scales float32; for kind 0 then n zero points int16"),
            *_RESULT,
            _SIGNED,
            Field("kind", 0, 2, "0 integers, 1 fp8 E4M3, 2 fp8 E5M2"),
        ),
        "bytes times their column's scale to float32",
    ),
    Opcode(
        "transform",
        Unit.VECTOR,
        Transform,
        (
            _SCRATCHPAD,
            *_FROM,
            Field("columns", 1, _N24, "columns of the tile, a multiple of 2^levels"),
            *_RESULT,
            Field("levels", 1, INT32_LEVELS, "p: each block of 2^p int8 elements is transformed"),
            Field("right", 0, INT32_LEVELS, "bits of the right shift, to nearest; p / 2 make it orthonormal"),
        ),
        "Walsh-Hadamard transform of int8 elements to int8",
    ),
    Opcode("receive", Unit.IO, HostTransfer, _TRANSFER[:4], "host to DRAM, over the host's link"),
    Opcode("send", Unit.IO, HostTransfer, _TRANSFER[:4], "DRAM to host, over the host's link"),
    Opcode(
        "quantize",
        Unit.VECTOR,
        Quantize,
        (
            Field("address", 0, _A48, "first float in the activation scratchpad"),
            Field("stride", 0, _S31, "bytes from row to row of floats"),
            Field("rows", 1, _N24, "rows of the tile, each with a scale of its own"),
            Field("columns", 1, MAX_CHANNELS, "columns of the tile"),
            Field("scales", 0, _A48, "in the activation scratchpad, without gaps: n float32, one a row"),
            Field("result", 0, _A48, "first integer in the activation scratchpad"),
            Field("result_stride", 0, _S31, "bytes from row to row of integers"),
            Field("integer_bits", 4, 8, "bits of an integer, 8 or 4"),
        ),
        "rows of floats over their largest magnitude, to signed integers of the range that is symmetric to 0",
    ),
    Opcode(
        "dequantize_sums",
        Unit.VECTOR,
        Dequantize,
        (
            Field("sums", 0, _A48, "first sum in the accumulator, int32"),
            Field("sums_stride", 0, _S31, "bytes from row to row of sums"),
            Field("rows", 1, _N24, "rows of the tile"),
            Field("columns", 1, _N24, "columns of the tile"),
            Field("scales", 0, _A48, "in the activation scratchpad, without gaps: float32, one a row"),
            Field("constants", 0, _A48, "in the weight scratchpad, without gaps: float32, one a column"),
            Field("result", 0, _A48, "first result in the accumulator, float32"),
            Field("result_stride", 0, _S31, "bytes from row to row of results"),
            Field("accumulate", 0, 1, "1 adds to the float32 sums that are there, 0 replaces them"),
        ),
        "int32 sums times their row's and their column's scale into or onto float32 sums",
    ),
    Opcode(
        "gather",
        Unit.LOAD,
        Gather,
        (
            *_WINDOW,
            Field("row", -_N24, _N24, "row of the image that the window begins at; 0 if rows are not bounded"),
            Field("column", -_N24, _N24, "column of the image that it begins at; 0 if columns are not bounded"),
        ),
        "window of DRAM to scratchpad, padded where it leaves an image: padding, im2col, transposes, broadcasts",
    ),
    Opcode("scatter", Unit.STORE, Scatter, _WINDOW, "window of scratchpad to DRAM"),
    Opcode("map", Unit.VECTOR, Map, fields_of(Map), "convert, add, multiply or look up elements"),
    Opcode("reduce", Unit.VECTOR, Reduce, fields_of(Reduce), "maximum or sum of each window and channel of an image"),
    Opcode("move", Unit.VECTOR, Move, fields_of(Move), "copy, transpose or fill"),
)

LOAD, STORE, PRELOAD, PRELOAD_MASK, MATMUL, MULTIPLY, SPMV, REQUANTIZE, ACTIVATE, DECODE = range(10)
NORMALIZE, SOFTMAX, GELU, DEQUANTIZE, TRANSFORM, RECEIVE, SEND = range(10, 17)
QUANTIZE, DEQUANTIZE_SUMS, GATHER, SCATTER, MAP, REDUCE, MOVE = range(17, len(OPCODES))
#: Opcodes that form products; all have the operands rows, depth and columns.
PRODUCTS = (MATMUL, MULTIPLY, SPMV)
#: Opcodes that make tiles of tiles on the vector unit.
TILEWISE = range(NORMALIZE, TRANSFORM + 1)
#: Opcodes whose functions stand in the program's table.
TYPED = (MAP, REDUCE, MOVE)
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
