"""Operands of the vector unit's functions on tiles.

A function takes a tile of bytes (or of the accumulator's int32 sums, where it says so) row by row and writes another.
The operands say where the bytes lie and which function it is; what the integers stand for stands in a block of
`accelsim.isa.constants`. All functions share their first five operands, and those with constants the first eight.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from accelsim.datapath.vector.fixed_point import MAX_CHANNELS
from accelsim.isa.field import ADDRESS, COUNT, STRIDE, Field

#: Most levels of a Hadamard transform: a block is at most a row.
MAX_LEVELS = MAX_CHANNELS.bit_length() - 1


class Add(NamedTuple):
    """Operands of add: two 8-bit tiles at different scales to int8 or uint8 in the output scratchpad."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int
    addend_memory: int
    addend: int
    addend_stride: int
    rounding: int


class AddSums(NamedTuple):
    """Operands of add_sums: a residual or a bias onto a tile of int32 sums in the accumulator."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    sums: int
    sums_stride: int
    constants: int
    wide: int
    one_row: int
    rounding: int


class Normalize(NamedTuple):
    """Operands of normalize: each row of 8-bit integers to int8."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int
    kind: int
    rounding: int


class Softmax(NamedTuple):
    """Operands of softmax: each row of scores to shares."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int
    table: int
    wide: int


class LookUp(NamedTuple):
    """Operands of look_up: a byte of a table for each byte."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int


class Gelu(NamedTuple):
    """Operands of gelu: the polynomial of 8-bit integers to int8."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int
    rounding: int


class Hadamard(NamedTuple):
    """Operands of hadamard: blocks of 2^levels int8 of each row to int8."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    levels: int
    right: int


class Dequantize(NamedTuple):
    """Operands of dequantize: bytes to float32."""

    memory: int
    address: int
    stride: int
    rows: int
    columns: int
    result: int
    result_stride: int
    constants: int
    type: int
    column_scales: int


Function = Add | Normalize | Softmax | LookUp | Gelu | Hadamard | Dequantize
#: Every instruction of this module.
Operands = Function | AddSums


class Norm(IntEnum):
    """Kinds of normalization; in ORI-LN the squares are weighted by the outlier channels' factors."""

    RMS = 0
    LAYER = 1
    ORI_LN = 2


class ByteType(IntEnum):
    """Types of the bytes that dequantize takes."""

    INT8 = 0
    UINT8 = 1
    FP8_E4M3 = 2
    FP8_E5M2 = 3


def _tile(memories: str, last_memory: int, columns: int = COUNT) -> tuple[Field, ...]:
    return (
        Field("memory", 1, last_memory, f"where the tile is: {memories}"),
        Field("address", 0, ADDRESS, "first byte of the tile"),
        Field("stride", 0, STRIDE, "bytes from row to row of the tile"),
        Field("rows", 1, COUNT, "rows of the tile"),
        Field("columns", 1, columns, "values of a row"),
    )


_SCRATCHPADS = "1 activation, 2 weight, 3 output"
_BYTES, _ROWS = _tile(_SCRATCHPADS, 3), _tile(_SCRATCHPADS, 3, MAX_CHANNELS)
_SCORES = _tile(_SCRATCHPADS + ", 4 int32 sums in the accumulator", 4, MAX_CHANNELS)
_RESULT = (
    Field("result", 0, ADDRESS, "first result in the output scratchpad"),
    Field("result_stride", 0, STRIDE, "bytes from row to row of results"),
)
_ROUNDING = Field("rounding", 0, 255, "number of the rounding scheme in datapath.requantize.MODES")


def _constants(what: str) -> Field:
    return Field("constants", 0, ADDRESS, f"in the weight scratchpad: {what}")


ADD = (
    *_BYTES,
    *_RESULT,
    _constants("the block ADD of isa.constants"),
    Field("addend_memory", 1, 3, f"where the other tile is: {_SCRATCHPADS}"),
    Field("addend", 0, ADDRESS, "first byte of the other tile"),
    Field("addend_stride", 0, STRIDE, "bytes from row to row of the other tile"),
    _ROUNDING,
)
ADD_SUMS = (
    *_BYTES,
    Field("sums", 0, ADDRESS, "first sum in the accumulator, int32"),
    Field("sums_stride", 0, STRIDE, "bytes from row to row of sums"),
    _constants("the block RESIDUAL of isa.constants; none for int32"),
    Field("wide", 0, 1, "1 for int32 at the sums' scale, 0 for 8-bit integers, which are rescaled"),
    Field("one_row", 0, 1, "1 if one row, a bias, is added to every row of sums"),
    _ROUNDING,
)
NORMALIZE = (
    *_ROWS,
    *_RESULT,
    _constants("the block of isa.constants.normalize_dtype"),
    Field("kind", 0, len(Norm) - 1, "0 RMSNorm, 1 LayerNorm, 2 RMSNorm with outlier weights (ORI-LN)"),
    _ROUNDING,
)
SOFTMAX = (
    *_SCORES,
    *_RESULT,
    _constants("the block of isa.constants.softmax_dtype"),
    Field("table", 0, 1, "1 for a table of exponentials of 8-bit scores, 0 for the polynomial"),
    Field("wide", 0, 1, "1 for uint16 shares in Q0.16, 0 for uint8 in Q0.8"),
)
LOOK_UP = (*_BYTES, *_RESULT, _constants("256 results, by the byte that they are of"))
GELU = (*_BYTES, *_RESULT, _constants("the block GELU of isa.constants"), _ROUNDING)
HADAMARD = (
    *_ROWS,
    *_RESULT,
    Field("levels", 1, MAX_LEVELS, "p of the blocks of 2^p channels"),
    Field("right", 0, MAX_LEVELS, "bits by which results are shifted right, at most p; p / 2 keeps the norm"),
)
DEQUANTIZE = (
    *_BYTES,
    *_RESULT,
    _constants("the block of isa.constants.dequantize_dtype"),
    Field("type", 0, len(ByteType) - 1, "0 int8, 1 uint8, 2 fp8_e4m3, 3 fp8_e5m2"),
    Field("column_scales", 0, 1, "1 if each column has its scale, 0 if there is one for all"),
)
