"""Compressed rows and columns: the nonzeros line by line, each with its place in the line (CSR and CSC).

As in Saad, "Iterative Methods for Sparse Linear Systems", 2nd edition, SIAM 2003, section 3.4. The lines of `Csr` are
the rows of a matrix, those of `Csc` its columns. Pointers say how many nonzeros stand before each line, and in all.

Bytes: the nonzeros (uint32, little endian); a pointer for each line and one more, ceil(log2(nonzeros + 1)) bits each;
an index for each nonzero, ceil(log2(places of a line)) bits; the nonzeros in the same order, in as many bits each as
the codec says. Pointers, indices and values are packed low bits first, and each is filled up with zero bits to whole
bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.formats.codec import (
    Encoded,
    Shape,
    check_length,
    check_width,
    checked_shape,
    checked_type,
    pack,
    pack_integers,
    packed_bytes,
    unpack,
    unpack_integers,
)

_COUNT_BYTES = 4


def pointer_bits(nonzeros: int) -> int:
    """Bits of a pointer, which may be the number of all nonzeros: ceil(log2(nonzeros + 1))."""
    return nonzeros.bit_length()


def index_bits(places: int) -> int:
    """Bits that name one of a line's places: ceil(log2(places)); none if there is one place, or no place at all."""
    return max(places - 1, 0).bit_length()


def stored_bytes(lines: int, places: int, nonzeros: int, value_bits: int = 8) -> int:
    """Bytes that `CompressedLines.to_bytes` takes for so many lines, of so many places each."""
    pointers = packed_bytes(lines + 1, pointer_bits(nonzeros))
    indices = packed_bytes(nonzeros, index_bits(places))
    return _COUNT_BYTES + pointers + indices + packed_bytes(nonzeros, value_bits)


@dataclass(frozen=True, eq=False)
class CompressedLines(Encoded):
    """A matrix as its nonzeros, line by line.

    Parameters
    ----------
    sides
        Shape (rows, columns) of the matrix.
    axis
        Axis that numbers the lines: 0 for rows, 1 for columns.
    pointers
        uint32, shape (lines + 1,): nonzeros before each line; the last is the number of all.
    indices
        uint32, shape (nonzeros,): place of each in its line, ascending within a line.
    values
        int8 or uint8, shape (nonzeros,).
    value_bits
        Bits that each of them is stored in.
    """

    sides: tuple[int, int]
    axis: int
    pointers: NDArray[np.uint32] = field(repr=False)
    indices: NDArray[np.uint32] = field(repr=False)
    values: NDArray[np.generic] = field(repr=False)
    value_bits: int = 8

    @property
    def shape(self) -> Shape:
        """Shape (rows, columns) of the matrix."""
        return self.sides

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        return self.values.dtype

    def to_bytes(self) -> bytes:
        """Count, packed pointers, packed indices, values."""
        nonzeros, places = len(self.values), self.sides[1 - self.axis]
        pointers = pack(self.pointers, pointer_bits(nonzeros)) if nonzeros else np.zeros(0, np.uint8)
        indices = pack(self.indices, index_bits(places))
        count = nonzeros.to_bytes(_COUNT_BYTES, "little")
        return count + pointers.tobytes() + indices.tobytes() + pack_integers(self.values, self.value_bits)

    def decode(self) -> NDArray[np.generic]:
        """Matrix with its zeros."""
        result = np.zeros(self.sides, self.dtype)
        if len(self.values):  # else the pointers, which took no bytes, need no memory either
            lines = np.repeat(np.arange(len(self.pointers) - 1), np.diff(self.pointers))
            by_lines = result if self.axis == 0 else result.T
            by_lines[lines, self.indices] = self.values
        return result


@dataclass(frozen=True, slots=True)
class _Lines:
    """Codec of compressed lines along an axis.

    Parameters
    ----------
    value_bits
        Bits of a stored value, 1 to 8.
    """

    _axis: ClassVar[int]
    value_bits: int = 8

    @property
    def name(self) -> str:
        """Name of the format."""
        return type(self).__name__.lower()

    def encode(self, array: NDArray[np.generic]) -> CompressedLines:
        """Encode a (rows, columns) matrix of int8 or uint8."""
        checked_type(array.dtype)
        check_width(array, self.value_bits)
        rows, columns = checked_shape(array.shape, 2)
        by_lines = array if self._axis == 0 else array.T
        lines, indices = np.nonzero(by_lines)
        pointers = np.zeros(len(by_lines) + 1, np.uint32)
        np.cumsum(np.bincount(lines, minlength=len(by_lines)), out=pointers[1:])
        return CompressedLines(
            (rows, columns), self._axis, pointers, indices.astype(np.uint32), by_lines[lines, indices], self.value_bits
        )

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> CompressedLines:
        """Find a matrix in its stored bytes."""
        kind = checked_type(dtype)
        rows, columns = sides = checked_shape(shape, 2)
        lines, places = sides[self._axis], sides[1 - self._axis]
        if len(data) < _COUNT_BYTES:
            raise ValueError(f"a count of nonzeros must take {_COUNT_BYTES} bytes, not {len(data)}")
        nonzeros, size = int.from_bytes(data[:_COUNT_BYTES], "little"), math.prod(sides)
        if nonzeros > size:
            raise ValueError(f"a matrix of {size} values must hold at most as many nonzeros, not {nonzeros}")
        check_length(
            f"{self.name} with {nonzeros} nonzeros", data, stored_bytes(lines, places, nonzeros, self.value_bits)
        )
        behind = _COUNT_BYTES + packed_bytes(lines + 1, pointer_bits(nonzeros))
        packed = np.frombuffer(data, np.uint8)
        pointers = unpack(packed[_COUNT_BYTES:behind], pointer_bits(nonzeros), lines + 1, np.uint32)
        last = len(data) - packed_bytes(nonzeros, self.value_bits)
        indices = unpack(packed[behind:last], index_bits(places), nonzeros, np.uint32)
        values = unpack_integers(packed[last:], self.value_bits, nonzeros, kind)
        found = CompressedLines((rows, columns), self._axis, pointers, indices, values, self.value_bits)
        if nonzeros:
            _check(found, places)
        return found


def _check(found: CompressedLines, places: int) -> None:
    """Refuse pointers, indices and values that don't describe a matrix in the one way that a codec does."""
    pointers, indices, nonzeros = found.pointers, found.indices, len(found.values)
    if pointers[0] != 0 or pointers[-1] != nonzeros or (pointers[1:] < pointers[:-1]).any():
        raise ValueError(f"pointers must begin with 0, must not descend, and must end with {nonzeros}")
    if indices.max() >= places:
        raise ValueError(f"indices must be below {places}, not {indices.max()}")
    ascends = np.ones(nonzeros + 1, bool)  # one more for the lines without nonzeros at the end
    ascends[1:-1] = indices[1:] > indices[:-1]
    ascends[pointers] = True
    if not ascends.all():
        raise ValueError("indices must ascend within a line")
    if not found.values.all():
        raise ValueError("values that are stored must not be 0")


@dataclass(frozen=True, slots=True)
class Csr(_Lines):
    """Codec of compressed rows."""

    _axis: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Csc(_Lines):
    """Codec of compressed columns."""

    _axis: ClassVar[int] = 1
