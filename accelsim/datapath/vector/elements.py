"""Types of a tile's elements: integers of 2 to 32 bits and floats of 16 and 32, little-endian and without gaps.

Elements of 4 and 2 bits are packed as `formats.operands` packs operands, the first in the lowest bits; a row of them
begins at a byte, and what its last byte has over is written as 0.

Integers are computed as int64, floats as float32: of a 16-bit float that is exact, and results are rounded to it once,
to nearest even.
"""

from __future__ import annotations

from enum import IntEnum

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import INTEGERS
from accelsim.formats.operands import pack_rows, unpack_rows
from accelsim.units import ceil_div


class Element(IntEnum):
    """A type; its number in a program."""

    INT8 = 0
    UINT8 = 1
    INT16 = 2
    INT32 = 3
    FP16 = 4
    BF16 = 5
    FP32 = 6
    INT4 = 7
    UINT4 = 8
    INT2 = 9
    UINT2 = 10

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type in numpy, which holds packed ones one a byte."""
        return _DTYPES[self]

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return _PACKED_BITS.get(self, 8 * self.dtype.itemsize)

    @property
    def is_float(self) -> bool:
        """Whether it is a float."""
        return self in {Element.FP16, Element.BF16, Element.FP32}

    @property
    def is_narrow(self) -> bool:
        """Whether it is an integer of 8 bits or fewer."""
        return self.bits <= 8

    @property
    def is_packed(self) -> bool:
        """Whether several share a byte."""
        return self in _PACKED_BITS

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value of an integer."""
        signed = self.dtype.kind == "i"
        return -(2 ** (self.bits - 1)) if signed else 0, 2 ** (self.bits - signed) - 1

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row of elements."""
        return ceil_div(columns * self.bits, 8)


_DTYPES: dict[Element, np.dtype[np.generic]] = {
    Element.INT8: np.dtype("i1"),
    Element.UINT8: np.dtype("u1"),
    Element.INT16: np.dtype("<i2"),
    Element.INT32: np.dtype("<i4"),
    Element.FP16: np.dtype("<f2"),
    Element.BF16: np.dtype(ml_dtypes.bfloat16),
    Element.FP32: np.dtype("<f4"),
    Element.INT4: np.dtype("i1"),
    Element.UINT4: np.dtype("u1"),
    Element.INT2: np.dtype("i1"),
    Element.UINT2: np.dtype("u1"),
}
_PACKED_BITS = {Element.INT4: 4, Element.UINT4: 4, Element.INT2: 2, Element.UINT2: 2}
#: Bits of an element of each type, int64.
BITS = np.array([element.bits for element in Element], np.int64)
#: Types of one byte.
BYTES = (Element.INT8, Element.UINT8)


def unpack(data: NDArray[np.uint8], element: Element, columns: int) -> NDArray[np.int64] | NDArray[np.float32]:
    """Values of rows of bytes: int64, or float32; shape (rows, columns)."""
    if element.is_packed:
        signed = element.dtype.kind == "i"
        return unpack_rows(data, columns, INTEGERS[element.bits], signed=signed).astype(np.int64)
    values = np.ascontiguousarray(data).view(element.dtype)
    if element.is_float:
        return values.astype(np.float32)
    return values.astype(np.int64)


def pack(values: NDArray[np.generic], element: Element) -> NDArray[np.uint8]:
    """Bytes of rows of values inside a type's range; floats are rounded to nearest even, or overflow to infinity."""
    if element.is_packed:
        return pack_rows(values, INTEGERS[element.bits])
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.astype(element.dtype)).view(np.uint8)


def float_of(bits: int) -> np.float32:
    """float32 of 32 bits."""
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])


def bits_of(real: float) -> int:
    """Bits of the nearest float32."""
    return int(np.array(real, np.float32).view(np.uint32))
