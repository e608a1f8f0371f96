"""Rows of multiplier operands as bytes: integers of 16 to 2 bits, binary, and floats of 32 to 8 bits.

Elements of a row follow each other without gaps, the first in the lowest bits, little-endian; a row begins at a byte.
A binary operand is +1 or -1, stored as 1 or 0.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import OPERANDS, OperandType
from accelsim.formats.codec import sign_extended

_FLOATS: dict[OperandType, np.dtype[np.generic]] = {
    "fp32": np.dtype("<f4"),
    "fp16": np.dtype("<f2"),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp8_e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "fp8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
}


def float_type(operand: OperandType) -> np.dtype[np.generic]:
    """Numpy type of a float operand."""
    return _FLOATS[operand]


def pack_rows(values: NDArray[np.generic], operand: OperandType) -> NDArray[np.uint8]:
    """Bytes of rows of operands.

    Parameters
    ----------
    values
        Shape (rows, elements): integers within the type's range, -1 and 1 for binary, floats that the type represents.

    Returns
    -------
    uint8, shape (rows, row_bytes).
    """
    if operand in _FLOATS:
        return _bytes(values.astype(_FLOATS[operand]))
    bits = OPERANDS[operand].bits
    if bits >= 8:
        there = values.dtype == f"<u{bits // 8}"  # signed and unsigned share their bits
        return _bytes(values if there else values.astype(f"<i{bits // 8}", copy=False))
    fields = (
        (values.astype(np.int8) > 0).astype(np.uint8) if operand == "binary" else values.astype(np.int8).view(np.uint8)
    )
    stream = np.unpackbits(fields[..., None], axis=-1, count=bits, bitorder="little")
    return np.packbits(stream.reshape(len(values), -1), axis=1, bitorder="little")


def unpack_rows(
    data: NDArray[np.uint8], elements: int, operand: OperandType, *, signed: bool = True
) -> NDArray[np.generic]:
    """Operands that rows of bytes hold; the inverse of `pack_rows`.

    Parameters
    ----------
    data
        Shape (rows, row_bytes).
    elements
        Elements of a row.
    signed
        Whether integers are signed; floats and binary operands always are.

    Returns
    -------
    Shape (rows, elements): int16, int8 or uint8 (uint16) integers; float32.
    """
    if operand in _FLOATS:
        return np.ascontiguousarray(data).view(_FLOATS[operand]).astype(np.float32)
    bits = OPERANDS[operand].bits
    if bits == 8:
        return data.view(np.int8) if signed else data
    if bits == 16:
        return np.ascontiguousarray(data).view("<i2" if signed else "<u2")
    stream = np.unpackbits(data, axis=1, count=elements * bits, bitorder="little").reshape(len(data), elements, bits)
    fields = np.packbits(stream, axis=2, bitorder="little").reshape(len(data), elements)
    if operand == "binary":
        return (2 * fields.astype(np.int8) - 1).astype(np.int8)
    return sign_extended(fields, bits) if signed else fields


def _bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    # numbers of a row must follow each other, rows need not
    rows = values if values.strides[-1] == values.itemsize else np.ascontiguousarray(values)
    return rows.view(np.uint8)
