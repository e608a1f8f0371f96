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
    HOST = 6


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
#: The same records, of each its opcode, signals and waits alone, as two numbers.
ORDERED = np.dtype({"names": ["order"], "formats": [("<i4", (2,))], "offsets": [0], "itemsize": INSTRUCTION.itemsize})


class Span(NamedTuple):
    """What stands behind an operand in its list: its range and what it means."""

    low: int
    high: int
    meaning: str


_A48, _S31, _N24 = 2**48 - 1, 2**31 - 1, 2**24 - 1


def _place(meaning: str) -> Span:
    """Address in a memory."""
    return Span(0, _A48, meaning)


def _stride(meaning: str) -> Span:
    """Bytes from one to the next."""
    return Span(0, _S31, meaning)


def _count(meaning: str) -> Span:
    """Number of which there is at least one."""
    return Span(1, _N24, meaning)


def _flag(meaning: str) -> Span:
    return Span(0, 1, meaning)


class Transfer(NamedTuple):
    """Operands of load and store: rows of bytes between DRAM and a scratchpad."""

    dram: Annotated[int, _place("first byte in DRAM")]
    dram_stride: Annotated[int, _stride("bytes from row to row in DRAM")]
    rows: Annotated[int, _count("rows")]
    row_bytes: Annotated[int, Span(1, _S31, "bytes of a row")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("first byte in the scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row in the scratchpad")]


class Preload(NamedTuple):
    """Operands of preload: a fold of depth x columns operands into the shadow registers."""

    address: Annotated[int, _place("first operand in the scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of the fold")]
    depth: Annotated[int, _count("rows of the fold, k; at most what the array holds")]
    columns: Annotated[int, Span(1, 4096, "columns of the fold; at most the array's columns")]
    packed: Annotated[int, _flag("1 for N:M weights: kept values row by row, then their indices, in one run")]
    integer_bits: Annotated[
        int, Span(0, 8, "8 or 4 for signed integers of so many bits and int32 sums, 0 for the machine's own type")
    ] = 0
    table: Annotated[int, _place("in the weight scratchpad, 16 int8: values that weights are numbers of; else 0")] = 0


class PreloadMask(NamedTuple):
    """Operands of preload_mask: which inputs (K) of a tile have a nonzero, of weights and of activations."""

    mask: Annotated[int, _place("weights' bits in the weight scratchpad: bit i % 8 of byte i / 8 is input i's")]
    depth: Annotated[int, _count("inputs, k")]
    address: Annotated[int, _place("first activation; zero detectors keep a bit for each input and block of rows")]
    stride: Annotated[int, _stride("bytes from input to input of activations")]
    rows: Annotated[int, Span(1, 4096, "samples of the block, m")]


class Matmul(NamedTuple):
    """Operands of matmul: rows that stream through the array times the fold, into or onto the accumulator."""

    address: Annotated[int, _place("first element that streams, in its scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows that stream")]
    depth: Annotated[int, _count("elements of a row, k of the fold")]
    columns: Annotated[int, Span(1, 4096, "sums of a row, columns of the fold")]
    sums: Annotated[int, _place("first sum in the accumulator")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    accumulate: Annotated[int, _flag("1 adds to the sums that are there, 0 replaces them")]
    signed: Annotated[int, _flag("1 for signed activations, 0 for unsigned")]
    integer_bits: Annotated[
        int, Span(0, 8, "8 or 4 for signed integers of so many bits and int32 sums, 0 for the machine's own type")
    ] = 0
    inner: Annotated[
        int, Span(0, _N24, "rows of a run, the output's width for a convolution; 0 if all rows are one run")
    ] = 0
    outer_stride: Annotated[int, _stride("bytes from run to run; 0 if all rows are one run")] = 0


class Multiply(NamedTuple):
    """Operands of multiply: both factors from the scratchpads, into or onto the accumulator."""

    address: Annotated[int, _place("first activation in the activation scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of activations")]
    weights: Annotated[int, _place("first weight in the weight scratchpad")]
    weights_stride: Annotated[int, _stride("bytes from row to row of weights")]
    rows: Annotated[int, _count("samples, m")]
    depth: Annotated[int, _count("inputs, k")]
    columns: Annotated[int, _count("outputs, n")]
    sums: Annotated[int, _place("first sum in the accumulator")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    accumulate: Annotated[int, _flag("1 adds to the sums that are there, 0 replaces them")]
    signed: Annotated[int, _flag("1 for signed activations, 0 for unsigned")]
    packed: Annotated[int, _flag("1 for 2:4 weights: kept values row by row, then their indices, in one run")]
    inner: Annotated[
        int, Span(0, _N24, "rows of a run, the output's width for a convolution; 0 if all rows are one run")
    ] = 0
    outer_stride: Annotated[int, _stride("bytes from run to run; 0 if all rows are one run")] = 0


class Spmv(NamedTuple):
    """Operands of spmv: rows of activations times an encoded sparse matrix, into or onto the accumulator."""

    address: Annotated[int, _place("first activation in the activation scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of activations")]
    weights: Annotated[int, _place("first byte of the encoded weights in the weight scratchpad")]
    weights_bytes: Annotated[int, Span(1, _S31, "bytes of the encoded weights")]
    rows: Annotated[int, _count("samples, m")]
    depth: Annotated[int, _count("inputs, k")]
    columns: Annotated[int, _count("outputs, n")]
    sums: Annotated[int, _place("first sum in the accumulator")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    accumulate: Annotated[int, _flag("1 adds to the sums that are there, 0 replaces them")]
    signed: Annotated[int, _flag("1 for signed activations, 0 for unsigned")]
    inner: Annotated[
        int, Span(0, _N24, "rows of a run, the output's width for a convolution; 0 if all rows are one run")
    ] = 0
    outer_stride: Annotated[int, _stride("bytes from run to run; 0 if all rows are one run")] = 0


class Requantize(NamedTuple):
    """Operands of requantize: a tile of sums to integers in the output scratchpad."""

    sums: Annotated[int, _place("first sum in the accumulator, int32")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    constants: Annotated[
        int, _place("in the weight scratchpad, for n channels: n bias int32, n multipliers int32, n shifts int8")
    ]
    address: Annotated[int, _place("first result in the output scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of results")]
    zero_point: Annotated[int, Span(-(2**15), 2**16 - 1, "integer that stands for zero")]
    qmin: Annotated[int, Span(-(2**15), 2**16 - 1, "smallest result")]
    qmax: Annotated[int, Span(-(2**15), 2**16 - 1, "largest result")]
    rounding: Annotated[int, Span(0, 255, "number of the rounding scheme in datapath.requantize.MODES")]
    row_channels: Annotated[int, _flag("1 if each row is a channel, 0 if each column is one")]
    result_bits: Annotated[
        int, Span(1, 16, "bits of a result: those of the machine's type, 8 if it is narrower, or 16")
    ]


class Activate(NamedTuple):
    """Operands of activate: a tile of float32 sums to the machine's float type in the output scratchpad."""

    sums: Annotated[int, _place("first sum in the accumulator, float32")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    constants: Annotated[int, _place("in the weight scratchpad, for n channels: n bias float32")]
    address: Annotated[int, _place("first result in the output scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of results")]
    relu: Annotated[int, _flag("1 if negative sums become 0")]
    row_channels: Annotated[int, _flag("1 if each row is a channel, 0 if each column is one")]


class Decode(NamedTuple):
    """Operands of decode: a run of encoded bytes to a run of bytes, both in the weight scratchpad."""

    address: Annotated[int, _place("first encoded byte in the weight scratchpad")]
    bytes: Annotated[int, Span(1, _S31, "encoded bytes")]
    result: Annotated[int, _place("first byte of the values in the weight scratchpad")]
    values: Annotated[int, Span(1, _S31, "bytes of the values")]
    format: Annotated[int, Span(0, 255, "storage format: its number in formats.storage.FORMATS")]
    bits: Annotated[int, Span(0, 8, "bits of a packed integer, a relative or a codebook index; else 0")]
    rows: Annotated[int, _count("rows (K) of the matrix of values")]
    group: Annotated[int, Span(0, _N24, "rows that share a scale; 0 if none do")]
    value_bits: Annotated[int, Span(0, 7, "bits of a nonzero of relative, bitmask, csr and csc; 0 for 8")] = 0


class Normalize(NamedTuple):
    """Operands of normalize: rows of bytes to rows of int8, constants in the weight scratchpad, see `isa.constants`."""

    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("first element in that memory")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "columns of the tile, the row's channels")]
    constants: Annotated[
        int,
        _place(
            "in the weight scratchpad, without gaps: epsilon int64, multiplier int32, rounding uint8, zero points "
            "int16 of input and result; then for n channels: n beta int32, n gamma int8, n shifts int8; for kind 2 "
            "also n M and n shifts of lambda^2, uint8"
        ),
    ]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first result in that memory")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    signed: Annotated[int, _flag("1 for int8 elements, 0 for uint8")]
    kind: Annotated[int, Span(0, 2, "0 RMSNorm, 1 LayerNorm, 2 RMSNorm with outlier weights lambda^2")]


class Softmax(NamedTuple):
    """Operands of softmax: rows to their shares, constants in the weight scratchpad, see `isa.constants`."""

    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "a scratchpad, or 4 for int32 accumulator sums")]
    address: Annotated[int, _place("first element in that memory")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "columns of the tile, the row's channels")]
    constants: Annotated[
        int,
        _place(
            "in the weight scratchpad, without gaps: for kinds 0 and 2 multiplier uint16 and right shift uint8 of the "
            "scale, for kind 2 then the mask as int32: queries, keys that the first one sees, those more that each "
            "next one does (0 or 1), the window (0 for none) and sinks; for kind 1 256 uint16"
        ),
    ]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first result in that memory")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    signed: Annotated[int, _flag("1 for int8 elements, 0 for uint8")]
    kind: Annotated[
        int, Span(0, 2, "0 polynomial, 1 table of exponentials, of 8-bit elements, 2 polynomial of what a row sees")
    ]
    wide: Annotated[int, _flag("1 for results in Q0.16, little-endian, 0 for Q0.8; both unsigned")]
    wide_source: Annotated[int, _flag("1 for int16 elements in a scratchpad, little-endian, 0 for 8 bits")] = 0
    row: Annotated[int, Span(0, _N24, "query of the mask that the first row is; 0 without one")] = 0


class Gelu(NamedTuple):
    """Operands of gelu: bytes to int8, constants in the weight scratchpad, see `isa.constants`."""

    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("first element in that memory")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    constants: Annotated[
        int,
        _place(
            "in the weight scratchpad, without gaps: multiplier int32, shift int8, rounding uint8, zero points int16 "
            "of input and result, multiplier uint16 and right shift uint8 onto the grid"
        ),
    ]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first result in that memory")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    signed: Annotated[int, _flag("1 for int8 elements, 0 for uint8")]


class Dequantize(NamedTuple):
    """Operands of dequantize: bytes to float32, scales in the weight scratchpad, see `isa.constants`."""

    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("first element in that memory")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    constants: Annotated[
        int,
        _place(
            "in the weight scratchpad, without gaps: for n columns: n scales float32; for kind 0 then n zero points "
            "int16"
        ),
    ]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first result in that memory")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    signed: Annotated[int, _flag("1 for int8 elements, 0 for uint8")]
    kind: Annotated[int, Span(0, 2, "0 integers, 1 fp8 E4M3, 2 fp8 E5M2")]


class Transform(NamedTuple):
    """Operands of transform: a tile of int8 values to their transform, shifted right."""

    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("first element in that memory")]
    stride: Annotated[int, _stride("bytes from row to row")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile, a multiple of 2^levels")]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first result in that memory")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    levels: Annotated[int, Span(1, INT32_LEVELS, "p: each block of 2^p int8 elements is transformed")]
    right: Annotated[int, Span(0, INT32_LEVELS, "bits of the right shift, to nearest; p / 2 make it orthonormal")]


class HostTransfer(NamedTuple):
    """Operands of receive and send: rows of bytes between DRAM and the same addresses of the host's memory."""

    dram: Annotated[int, _place("first byte in DRAM")]
    dram_stride: Annotated[int, _stride("bytes from row to row in DRAM")]
    rows: Annotated[int, _count("rows")]
    row_bytes: Annotated[int, Span(1, _S31, "bytes of a row")]


class Compute(NamedTuple):
    """Operands of compute: what the host makes of tensors in its memory, and how many operations that takes."""

    computation: Annotated[int, _stride("number of the computation in the program")]
    operations: Annotated[int, Span(1, _A48, "operations, those of its nodes' work")]


class Quantize(NamedTuple):
    """Operands of quantize: rows of floats to rows of integers and a scale each, all in the activation scratchpad."""

    address: Annotated[int, _place("first float in the activation scratchpad")]
    stride: Annotated[int, _stride("bytes from row to row of floats")]
    rows: Annotated[int, _count("rows of the tile, each with a scale of its own")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "columns of the tile")]
    scales: Annotated[int, _place("in the activation scratchpad, without gaps: n float32, one a row")]
    result: Annotated[int, _place("first integer in the activation scratchpad")]
    result_stride: Annotated[int, _stride("bytes from row to row of integers")]
    integer_bits: Annotated[int, Span(4, 8, "bits of an integer, 8 or 4")]


class DequantizeSums(NamedTuple):
    """Operands of dequantize_sums: a tile of int32 sums, times its rows' and columns' scales, onto float32 sums."""

    sums: Annotated[int, _place("first sum in the accumulator, int32")]
    sums_stride: Annotated[int, _stride("bytes from row to row of sums")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    scales: Annotated[int, _place("in the activation scratchpad, without gaps: float32, one a row")]
    constants: Annotated[int, _place("in the weight scratchpad, without gaps: float32, one a column")]
    result: Annotated[int, _place("first result in the accumulator, float32")]
    result_stride: Annotated[int, _stride("bytes from row to row of results")]
    accumulate: Annotated[int, _flag("1 adds to the float32 sums that are there, 0 replaces them")]


class Gather(NamedTuple):
    """Operands of gather: a window of bytes from DRAM to a scratchpad, padded where it leaves an image."""

    dram: Annotated[
        int, Span(-_A48, _A48, "byte in DRAM of the window's first run, or where it would be if it is padding")
    ]
    descriptor: Annotated[int, _stride("number of the window's descriptor in the program")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("byte in the scratchpad of the window's first run")]
    row: Annotated[int, Span(-_N24, _N24, "row of the image that the window begins at; 0 if rows are not bounded")]
    column: Annotated[int, Span(-_N24, _N24, "column of the image that it begins at; 0 if columns are not bounded")]


class Scatter(NamedTuple):
    """Operands of scatter: a window of bytes from a scratchpad to DRAM."""

    dram: Annotated[
        int, Span(-_A48, _A48, "byte in DRAM of the window's first run, or where it would be if it is padding")
    ]
    descriptor: Annotated[int, _stride("number of the window's descriptor in the program")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.OUTPUT, "scratchpad: 1 activation, 2 weight, 3 output")]
    address: Annotated[int, _place("byte in the scratchpad of the window's first run")]


class Map(NamedTuple):
    """Operands of map: one tile or two to one of as many rows and columns."""

    function: Annotated[int, _stride("number of what is done in the program's table of functions")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the tile, 1 to 4")]
    address: Annotated[int, _place("first element of the tile")]
    stride: Annotated[int, _stride("bytes from row to row of the tile")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first element of the result")]
    result_stride: Annotated[int, _stride("bytes from row to row of the result")]
    other_memory: Annotated[int, Span(0, Memory.ACCUMULATOR, "memory on chip of the other tile; 0 without one")] = 0
    other: Annotated[int, _place("first element of the other tile")] = 0
    other_stride: Annotated[int, _stride("bytes from row to row of it; 0 takes one row for all rows")] = 0
    constants: Annotated[int, _place("in the weight scratchpad: 256 results of a table; else 0")] = 0


class Reduce(NamedTuple):
    """Operands of reduce: windows of an image on chip, whose channels stand side by side, to an image of results."""

    function: Annotated[int, _stride("number of what is done in the program's table of functions")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the tile, 1 to 4")]
    address: Annotated[int, _place("first element of the first window")]
    stride: Annotated[int, _stride("bytes from pixel to pixel of a row of the image")]
    line_stride: Annotated[int, _stride("bytes from row to row of the image")]
    height: Annotated[int, _count("rows of results")]
    width: Annotated[int, _count("results of a row, a pixel each")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "channels of a pixel")]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first element of the result")]
    result_stride: Annotated[int, _stride("bytes from result to result of a row")]
    result_line_stride: Annotated[int, _stride("bytes from row to row of results")]


class Move(NamedTuple):
    """Operands of move: a tile to another place, as it is or with rows and columns exchanged, or one byte all over."""

    function: Annotated[int, _stride("number of what is done in the program's table of functions")]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first element of the result")]
    result_stride: Annotated[int, _stride("bytes from row to row of the result")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, _count("columns of the tile")]
    memory: Annotated[int, Span(0, Memory.ACCUMULATOR, "memory on chip of the tile; 0 without one")] = 0
    address: Annotated[int, _place("first element of the tile")] = 0
    stride: Annotated[int, _stride("bytes from row to row of the tile")] = 0


class Rows(NamedTuple):
    """Operands of rows: a tile of whole rows of floats to one of as many, by a function of each row."""

    function: Annotated[int, _stride("number of what is done in the program's table of functions")]
    memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the tile, 1 to 4")]
    address: Annotated[int, _place("first element of the tile")]
    stride: Annotated[int, _stride("bytes from row to row of the tile")]
    rows: Annotated[int, _count("rows of the tile")]
    columns: Annotated[int, Span(1, MAX_CHANNELS, "columns of the tile, all of a row")]
    result_memory: Annotated[int, Span(Memory.ACTIVATION, Memory.ACCUMULATOR, "memory on chip of the result, 1 to 4")]
    result: Annotated[int, _place("first element of the result")]
    result_stride: Annotated[int, _stride("bytes from row to row of the result")]
    constants: Annotated[
        int,
        _place(
            "in the weight scratchpad, without gaps: of rms_norm n gamma float32, of layer_norm then n beta; of "
            "softmax the mask as int32: queries, keys that the first one sees, those more that each next one does "
            "(0 or 1), the window (0 for none) and sinks; else 0"
        ),
    ] = 0
    row: Annotated[int, Span(0, _N24, "query of softmax's mask that the first row is; else 0")] = 0


class Normalization(IntEnum):
    """Kinds of normalize: RMSNorm, LayerNorm, RMSNorm with outlier weights (ORI-LN)."""

    RMS = 0
    LAYER = 1
    WEIGHTED = 2


class Exponential(IntEnum):
    """Kinds of softmax: I-BERT's polynomial, a table of 256 exponentials, or the polynomial of what a row sees."""

    POLYNOMIAL = 0
    TABLE = 1
    MASKED = 2


class ByteMeaning(IntEnum):
    """Kinds of dequantize: what a byte stands for."""

    INTEGER = 0
    FP8_E4M3 = 1
    FP8_E5M2 = 2


Operands = (
    Transfer
    | Preload
    | PreloadMask
    | Matmul
    | Multiply
    | Spmv
    | Requantize
    | Activate
    | Decode
    | Normalize
    | Softmax
    | Gelu
    | Dequantize
    | Transform
    | HostTransfer
    | Compute
    | Quantize
    | DequantizeSums
    | Gather
    | Scatter
    | Map
    | Reduce
    | Move
    | Rows
)


class Field(NamedTuple):
    """One operand: its name, its range and what it means."""

    name: str
    low: int
    high: int
    meaning: str


def fields_of(operands: type[Operands]) -> tuple[Field, ...]:
    """Fields that a list of operands declares; the names are its own."""
    hints = get_type_hints(operands, include_extras=True)
    return tuple(Field(name, *hints[name].__metadata__[0]) for name in operands._fields)


class Opcode(NamedTuple):
    """One row of the table."""

    mnemonic: str
    unit: Unit
    operands: type[Operands]
    meaning: str

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its operands."""
        return _FIELDS[self.operands]

    @property
    def number(self) -> int:
        """Number of the opcode in a record."""
        return OPCODES.index(self)


OPCODES: tuple[Opcode, ...] = (
    Opcode("load", Unit.LOAD, Transfer, "DRAM to scratchpad"),
    Opcode("store", Unit.STORE, Transfer, "scratchpad to DRAM"),
    Opcode("preload", Unit.PRELOAD, Preload, "scratchpad to shadow registers"),
    Opcode("preload_mask", Unit.PRELOAD, PreloadMask, "skip bits to the mask registers"),
    Opcode(
        "matmul",
        Unit.MATRIX,
        Matmul,
        "streaming rows times the fold into the accumulator; takes the shadow registers over at its start",
    ),
    Opcode(
        "multiply", Unit.MATRIX, Multiply, "activations times weights into the accumulator, both from the scratchpads"
    ),
    Opcode("spmv", Unit.MATRIX, Spmv, "nonzero activations times encoded columns of weights into the accumulator"),
    Opcode(
        "requantize",
        Unit.VECTOR,
        Requantize,
        "bias, scale, zero point and clamp; sums to integers of the machine's type, or of 8 bits",
    ),
    Opcode(
        "activate",
        Unit.VECTOR,
        Activate,
        "bias, ReLU and rounding to nearest even; float32 sums to the machine's float type",
    ),
    Opcode("decode", Unit.DECODE, Decode, "encoded weights to weights"),
    Opcode("normalize", Unit.VECTOR, Normalize, "8-bit rows over their root mean square or standard deviation to int8"),
    Opcode("softmax", Unit.VECTOR, Softmax, "softmax of each row"),
    Opcode("gelu", Unit.VECTOR, Gelu, "GELU of 8-bit elements by a polynomial to int8"),
    Opcode("dequantize", Unit.VECTOR, Dequantize, "bytes times their column's scale to float32"),
    Opcode("transform", Unit.VECTOR, Transform, "Walsh-Hadamard transform of int8 elements to int8"),
    Opcode("receive", Unit.IO, HostTransfer, "host to DRAM, over the host's link if it has one"),
    Opcode("send", Unit.IO, HostTransfer, "DRAM to host, over the host's link if it has one"),
    Opcode(
        "quantize",
        Unit.VECTOR,
        Quantize,
        "rows of floats over their largest magnitude, to signed integers of the range that is symmetric to 0",
    ),
    Opcode(
        "dequantize_sums",
        Unit.VECTOR,
        DequantizeSums,
        "int32 sums times their row's and their column's scale into or onto float32 sums",
    ),
    Opcode(
        "gather",
        Unit.LOAD,
        Gather,
        "window of DRAM to scratchpad, padded where it leaves an image: padding, im2col, transposes, broadcasts",
    ),
    Opcode("scatter", Unit.STORE, Scatter, "window of scratchpad to DRAM"),
    Opcode("map", Unit.VECTOR, Map, "convert, add, multiply or look up elements, or a function of each float"),
    Opcode("reduce", Unit.VECTOR, Reduce, "maximum or sum of each window and channel of an image"),
    Opcode("move", Unit.VECTOR, Move, "copy, transpose or fill"),
    Opcode("compute", Unit.IO, Compute, "what no unit does, by the host, from its memory to its memory"),
    Opcode("rows", Unit.VECTOR, Rows, "softmax or a normalization of each row of floats"),
)

LOAD, STORE, PRELOAD, PRELOAD_MASK, MATMUL, MULTIPLY, SPMV, REQUANTIZE, ACTIVATE, DECODE = range(10)
NORMALIZE, SOFTMAX, GELU, DEQUANTIZE, TRANSFORM, RECEIVE, SEND = range(10, 17)
QUANTIZE, DEQUANTIZE_SUMS, GATHER, SCATTER, MAP, REDUCE, MOVE, COMPUTE, ROWS = range(17, len(OPCODES))
#: Opcodes that form products; all have the operands rows, depth and columns.
PRODUCTS = (MATMUL, MULTIPLY, SPMV)
#: Opcodes that make tiles of tiles on the vector unit.
TILEWISE = range(NORMALIZE, TRANSFORM + 1)
#: Opcodes whose functions stand in the program's table.
TYPED = (MAP, REDUCE, MOVE, ROWS)
_FIELDS = {opcode.operands: fields_of(opcode.operands) for opcode in OPCODES}
UNIT_OF = np.array([opcode.unit for opcode in OPCODES], np.int8)


def products(instructions: NDArray[np.void]) -> NDArray[np.int64]:
    """Products m k n that each instruction forms, zeros among its operands included; int64, shape (n,)."""
    result = np.zeros(len(instructions), np.int64)
    for number in PRODUCTS:
        names = OPCODES[number].operands._fields
        index = np.flatnonzero(instructions["opcode"] == number)
        m, k, n = (instructions["operands"][index, names.index(name)] for name in ("rows", "depth", "columns"))
        result[index] = m * k * n
    return result
