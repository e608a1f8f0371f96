"""Blocks of constants that the vector unit's functions read from the weight scratchpad.

Little endian and without gaps. `multiplier` and `shift` are a real factor as `datapath.requantize` takes it in the
instruction's rounding mode, `signed` is 1 for int8 and 0 for uint8, zero points are the integers that stand for zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.isa import vector

Int64 = NDArray[np.int64]

#: Entries of a table: one for each byte.
TABLE = 256

#: Of the tile, of the addend and, but for the sign, of the sum, whose range is qmin to qmax.
ADD = np.dtype(
    [
        ("multiplier", "<i4", (3,)),
        ("shift", "i1", (3,)),
        ("signed", "u1", (2,)),
        ("zero_point", "<i2", (3,)),
        ("qmin", "<i2"),
        ("qmax", "<i2"),
    ]
)
#: Of an 8-bit residual; the factor takes it to the scale of the sums.
RESIDUAL = np.dtype([("multiplier", "<i4"), ("shift", "i1"), ("signed", "u1"), ("zero_point", "<i2")])
#: What all channels share; epsilon is added to the sum of squares. `normalize_dtype` adds what each has.
NORMALIZE = np.dtype(
    [
        ("epsilon", "<i8"),
        ("multiplier", "<i4"),
        ("shift", "i1"),
        ("signed", "u1"),
        ("zero_point", "<i2"),
        ("output_zero_point", "<i2"),
    ]
)
#: The scores' scale on the polynomial's grid, multiplier 2^-right; a table needs the sign alone.
SOFTMAX = np.dtype([("multiplier", "<u2"), ("right", "u1"), ("signed", "u1")])
#: The scale on the polynomial's grid, grid_multiplier 2^-grid_right, and what takes the result to the output's.
GELU = np.dtype(
    [
        ("multiplier", "<i4"),
        ("shift", "i1"),
        ("signed", "u1"),
        ("zero_point", "<i2"),
        ("output_zero_point", "<i2"),
        ("grid_multiplier", "<u2"),
        ("grid_right", "u1"),
    ]
)


def normalize_dtype(channels: int, kind: int) -> np.dtype[np.void]:
    """Block of normalize: beta int32 and gamma int8 of n channels; for ORI-LN their factors' M and shifts, uint8."""
    factors = [("lambda_multiplier", "u1", (channels,)), ("lambda_shift", "u1", (channels,))]
    of_channels = [("beta", "<i4", (channels,)), ("gamma", "i1", (channels,))]
    return np.dtype([("common", NORMALIZE), *of_channels, *(factors if kind == vector.Norm.ORI_LN else [])])


def softmax_dtype(*, table: bool) -> np.dtype[np.void]:
    """Block of softmax; a table has 256 exponentials uint16, those of the distances 0 to 255 from the maximum."""
    return np.dtype([("grid", SOFTMAX), *([("exponentials", "<u2", (TABLE,))] if table else [])])


def dequantize_dtype(scales: int) -> np.dtype[np.void]:
    """Block of dequantize: n scales float32, then n zero points int16, which floats have too but do not use."""
    return np.dtype([("scale", "<f4", (scales,)), ("zero_point", "<i2", (scales,))])


def constants_bytes(kind: type[vector.Operands], operands: Int64) -> Int64:
    """Size of the constants of instructions of one kind.

    Parameters
    ----------
    operands
        int64, shape (n, at least the operands of `kind`).
    """
    column = dict(zip(kind._fields, operands.T, strict=False))
    zero = np.zeros_like(column["columns"])
    if kind is vector.Add:
        return zero + ADD.itemsize
    if kind is vector.AddSums:
        return np.where(column["wide"] == 1, 0, RESIDUAL.itemsize)
    if kind is vector.Normalize:
        weighted = column["kind"] == vector.Norm.ORI_LN
        return NORMALIZE.itemsize + np.where(weighted, 7, 5) * column["columns"]
    if kind is vector.Softmax:
        return SOFTMAX.itemsize + 2 * TABLE * column["table"]
    if kind is vector.LookUp:
        return zero + TABLE
    if kind is vector.Gelu:
        return zero + GELU.itemsize
    if kind is vector.Dequantize:
        return 6 * np.where(column["column_scales"] == 1, column["columns"], 1)
    return zero


def result_bytes(kind: type[vector.Operands], operands: Int64) -> Int64:
    """Bytes of a result of instructions of one kind; `operands` as for `constants_bytes`."""
    if kind is vector.Softmax:
        return 1 + operands[:, vector.Softmax._fields.index("wide")]
    one = np.ones(len(operands), np.int64)
    return 4 * one if kind in {vector.Dequantize, vector.AddSums} else one
