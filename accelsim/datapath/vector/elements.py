"""Types of a tile's elements: integers of 8, 16 and 32 bits and floats of 16 and 32, little-endian and without gaps.

Integers are computed as int64, floats as float32: of a 16-bit float that is exact, and results are rounded to it once,
to nearest even.
"""

from __future__ import annotations

from enum import IntEnum

import ml_dtypes
import numpy as np
from numpy.typing import NDArray


class Element(IntEnum):
    """A type; its number in a program."""

    INT8 = 0
    UINT8 = 1
    INT16 = 2
    INT32 = 3
    FP16 = 4
    BF16 = 5
    FP32 = 6

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type in numpy."""
        return _DTYPES[self]

    @property
    def bytes(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def is_float(self) -> bool:
        """Whether it is a float."""
        return self >= Element.FP16

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value of an integer."""
        info = np.iinfo(self.dtype)  # type: ignore[type-var] # of integers alone
        return int(info.min), int(info.max)


_DTYPES: dict[Element, np.dtype[np.generic]] = {
    Element.INT8: np.dtype("i1"),
    Element.UINT8: np.dtype("u1"),
    Element.INT16: np.dtype("<i2"),
    Element.INT32: np.dtype("<i4"),
    Element.FP16: np.dtype("<f2"),
    Element.BF16: np.dtype(ml_dtypes.bfloat16),
    Element.FP32: np.dtype("<f4"),
}
#: Bytes of an element of each type, int64.
WIDTHS = np.array([element.bytes for element in Element], np.int64)
#: Types of one byte.
BYTES = (Element.INT8, Element.UINT8)


def unpack(data: NDArray[np.uint8], element: Element) -> NDArray[np.int64] | NDArray[np.float32]:
    """Values of rows of bytes: int64, or float32; shape (rows, columns)."""
    values = np.ascontiguousarray(data).view(element.dtype)
    if element.is_float:
        return values.astype(np.float32)
    return values.astype(np.int64)


def pack(values: NDArray[np.generic], element: Element) -> NDArray[np.uint8]:
    """Bytes of rows of values inside a type's range; floats are rounded to nearest even, or overflow to infinity."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.astype(element.dtype)).view(np.uint8)


def float_of(bits: int) -> np.float32:
    """float32 of 32 bits."""
    return np.float32(np.array([bits], np.uint32).view(np.float32)[0])


def bits_of(real: float) -> int:
    """Bits of the nearest float32."""
    return int(np.array(real, np.float32).view(np.uint32))
