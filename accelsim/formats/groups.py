"""Integers of few bits whose groups have small integer scales, which stand for int8: two-level scales without floats.

- `Progressive` is QServe's int4 to int8 (Lin et al., MLSys 2025, arXiv:2405.04532, section 4.1): unsigned integers, an
  8-bit scale and a zero point of the integers' width for each group; a value is (q - z) s, clamped to int8.
- `VectorScaled` is VS-Quant's (Dai et al., MLSys 2021, arXiv:2102.04503): signed integers and a 4-bit scale for each
  vector; a value is q s.

A group is so many rows (K) of one column; the last one may be shorter. Bytes: the scales row by row, then zero points
if there are any, then the integers, each of the three packed low bits first and filled up to whole bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.formats.codec import (
    Encoded,
    Shape,
    check_length,
    checked_shape,
    checked_type,
    pack,
    packed_bytes,
    sign_extended,
    unpack,
)

_INT8 = (-128, 127)


@dataclass(frozen=True, eq=False)
class GroupedTensor(Encoded):
    """A (k, n) matrix of int8 as integers, scales and zero points.

    Parameters
    ----------
    codec
        Widths and the group.
    integers
        int8, or uint8 where there are zero points; shape (k, n).
    scales
        uint8, shape (groups, n).
    zeros
        uint8, shape (groups, n); None if integers are symmetric to 0.
    """

    codec: _Groups
    integers: NDArray[np.generic] = field(repr=False)
    scales: NDArray[np.uint8] = field(repr=False)
    zeros: NDArray[np.uint8] | None = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape of the matrix."""
        return self.integers.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the matrix."""
        return np.dtype(np.int8)

    def to_bytes(self) -> bytes:
        """Scales, zero points, integers."""
        bits = self.codec.bits
        parts = [pack(self.scales, self.codec.scale_bits)]
        parts += [] if self.zeros is None else [pack(self.zeros, bits)]
        return b"".join(part.tobytes() for part in (*parts, pack(self.integers, bits)))

    def decode(self) -> NDArray[np.generic]:
        """Matrix of int8."""
        values = self.integers.astype(np.int32)
        if self.zeros is not None:
            values -= self._rows(self.zeros)
        decoded: NDArray[np.int8] = np.clip(values * self._rows(self.scales), *_INT8).astype(np.int8)
        return decoded

    def _rows(self, of_groups: NDArray[np.uint8]) -> NDArray[np.int32]:
        """What each row's group has, shape (k, n)."""
        return np.repeat(of_groups.astype(np.int32), self.codec.group, axis=0)[: len(self.integers)]


@dataclass(frozen=True, slots=True)
class _Groups:
    """Codec of grouped integers.

    Parameters
    ----------
    bits
        Bits of an integer, 2 to 8.
    group
        Rows (K) that share a scale.

    Attributes
    ----------
    scale_bits
        Bits of a scale.
    has_zeros
        Whether groups have zero points, and integers no sign.
    """

    scale_bits: ClassVar[int]
    has_zeros: ClassVar[bool]
    bits: int
    group: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits must lie between 2 and 8, not {self.bits}")
        if self.group < 1:
            raise ValueError(f"group must be 1 row or more, not {self.group}")

    @property
    def name(self) -> str:
        """Name of the format, its parameters included."""
        return f"{type(self).__name__.lower()}{self.bits}_g{self.group}"

    def encode(self, array: NDArray[np.generic]) -> GroupedTensor:
        """Encode a matrix of int8 exactly, with scales of 1: its values, or their ranges, must fit the integers."""
        rows, _ = self._shape(array.shape, array.dtype)
        values = array.astype(np.int16)
        ones = np.ones(self._groups(array.shape), np.uint8)
        if not self.has_zeros:
            return self.encode_parts(array, ones, None)
        firsts = np.arange(0, rows, self.group)
        lows = np.minimum.reduceat(values, firsts, axis=0) if rows else values
        # zero points are not negative: groups above 0 begin at it
        zeros = np.maximum(-lows, 0)
        fits = zeros < 2**self.bits
        if not fits.all():
            raise ValueError(f"zero points of {self.name} must be below {2**self.bits}, not {zeros[~fits].flat[0]}")
        return self.encode_parts(values + np.repeat(zeros, self.group, axis=0)[:rows], ones, zeros)

    def encode_parts(
        self,
        integers: NDArray[np.generic],
        scales: NDArray[np.integer[Any]],
        zeros: NDArray[np.integer[Any]] | None,
    ) -> GroupedTensor:
        """Pack integers, shape (k, n), and their groups' scales and zero points, shape (groups, n).

        Raises
        ------
        ValueError
            If one does not fit its width, or a shape does not match.
        """
        groups = self._groups(checked_shape(integers.shape, 2))
        if (zeros is None) == self.has_zeros:
            raise ValueError(f"zero points of {self.name} must {'be given' if self.has_zeros else 'be absent'}")
        high = 2 ** (self.bits if self.has_zeros else self.bits - 1) - 1
        low = 0 if self.has_zeros else -high - 1
        _check_fits(f"integers of {self.name}", integers, low, high)
        _check_fits(f"scales of {self.name}", scales, 0, 2**self.scale_bits - 1)
        for what, part in (("scales", scales), ("zero points", zeros)):
            if part is not None and part.shape != groups:
                raise ValueError(f"{what} must have shape {groups}, not {part.shape}")
        if zeros is not None:
            _check_fits(f"zero points of {self.name}", zeros, 0, high)
        kind = np.uint8 if self.has_zeros else np.int8
        zero_points = None if zeros is None else zeros.astype(np.uint8)
        return GroupedTensor(self, integers.astype(kind), scales.astype(np.uint8), zero_points)

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> GroupedTensor:
        """Find a matrix in its stored bytes."""
        rows, columns = self._shape(shape, dtype)
        groups = self._groups(shape)
        size, scales = rows * columns, math.prod(groups)
        lengths = [packed_bytes(scales, self.scale_bits)]
        lengths += [packed_bytes(scales, self.bits) if self.has_zeros else 0, packed_bytes(size, self.bits)]
        check_length(f"{size} values of {self.name}", data, sum(lengths))
        packed = np.split(np.frombuffer(data, np.uint8), np.cumsum(lengths)[:-1])
        found = unpack(packed[0], self.scale_bits, scales).reshape(groups)
        zeros = unpack(packed[1], self.bits, scales).reshape(groups) if self.has_zeros else None
        fields = unpack(packed[2], self.bits, size).reshape(rows, columns)
        if self.has_zeros:
            return GroupedTensor(self, fields, found, zeros)
        return GroupedTensor(self, sign_extended(fields, self.bits), found, zeros)

    def _shape(self, shape: Shape, dtype: DTypeLike) -> tuple[int, int]:
        if checked_type(dtype) != np.int8:
            raise ValueError(f"{self.name} tensors must be int8, not {np.dtype(dtype)}")
        rows, columns = checked_shape(shape, 2)
        return rows, columns

    def _groups(self, shape: Shape) -> tuple[int, int]:
        return -(-shape[0] // self.group), shape[1]


def _check_fits(what: str, values: NDArray[np.generic], low: int, high: int) -> None:
    wide = values.astype(np.int64)
    fits = (wide >= low) & (wide <= high)
    if not fits.all():
        raise ValueError(f"{what} must be {low} to {high}, not {wide[~fits].flat[0]}")


@dataclass(frozen=True, slots=True)
class Progressive(_Groups):
    """Unsigned integers with an 8-bit scale and a zero point for each group."""

    scale_bits: ClassVar[int] = 8
    has_zeros: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class VectorScaled(_Groups):
    """Signed integers with a 4-bit scale for each vector."""

    scale_bits: ClassVar[int] = 4
    has_zeros: ClassVar[bool] = False
