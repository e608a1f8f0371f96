"""Integers of 1 to 16 bits, packed low bits first without gaps; with group scales they stand for int8.

int8 tensors are packed as two's complement, uint8 tensors as they are; integers of 9 bits and more are int16 and uint16
tensors. `binary` packs -1 and +1 as the bits 0 and 1, which is what XNOR and popcount work on.

With group scales, a (k, n) tensor of int8 has one integer multiplier for every `group` rows of a column, and one right
shift: the tensor is clamp(round(q * multiplier / 2^shift)) to int8, ties to even, so that no hardware needs floats.
Bytes: the shift (1 byte) and the multipliers row by row (uint8), if there are groups; then the packed integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

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

MAX_SHIFT = 7


def scale(q: NDArray[np.int8], multiplier: NDArray[np.uint8], shift: int) -> NDArray[np.int8]:
    """Multiply, shift right with ties to even, and clamp to int8."""
    product = q.astype(np.int32) * multiplier
    if shift:
        product += (1 << shift - 1) - 1 + ((product >> shift) & 1)
    scaled: NDArray[np.int8] = np.clip(product >> shift, -128, 127).astype(np.int8)
    return scaled


@dataclass(frozen=True, eq=False)
class PackedTensor(Encoded):
    """A packed tensor.

    Parameters
    ----------
    codec
        How it is packed.
    data
        Packed integers, uint8, shape (bytes,).
    multipliers
        uint8, shape (ceil(k / group), n); empty without groups.
    right_shift
        Shift of all products, 0 to `MAX_SHIFT`.
    """

    codec: Packed
    sides: Shape
    kind: np.dtype[np.generic]
    data: NDArray[np.uint8] = field(repr=False)
    multipliers: NDArray[np.uint8] = field(repr=False)
    right_shift: int

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return self.sides

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the tensor."""
        return self.kind

    def to_bytes(self) -> bytes:
        """Shift and multipliers, if there are groups, then the packed integers."""
        head = bytes([self.right_shift]) + self.multipliers.tobytes() if self.codec.group else b""
        return head + self.data.tobytes()

    def fields(self) -> NDArray[np.unsignedinteger[Any]]:
        """Bits of each integer, uint8 or uint16, shape of the tensor; raises ValueError if odd bits follow the last."""
        word = np.uint8 if self.codec.bits <= 8 else np.uint16
        return unpack(self.data, self.codec.bits, self.size, word).reshape(self.sides)

    def quantized(self) -> NDArray[np.generic]:
        """Integers as they are stored, before they are scaled."""
        low = self.fields()
        if self.codec.binary:
            return (2 * low.astype(np.int8) - 1).astype(np.int8)
        return low if self.kind.kind == "u" else sign_extended(low, self.codec.bits)

    def decode(self) -> NDArray[np.generic]:
        """Tensor, scaled if it has groups."""
        if not self.codec.group:
            return self.quantized()
        rows = np.repeat(self.multipliers, self.codec.group, axis=0)[: self.sides[0]]
        return scale(self.quantized().view(np.int8), rows, self.right_shift)


@dataclass(frozen=True, slots=True)
class Packed:
    """Codec of packed integers.

    Parameters
    ----------
    bits
        Bits of an integer, 1 to 16.
    group
        Rows (K) that share a multiplier; 0 for integers that are the tensor itself, as those of more than 8 bits are.
    binary
        Whether the values are -1 and +1; needs 1 bit.
    """

    bits: int
    group: int = 0
    binary: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must lie between 1 and 16, not {self.bits}")
        if self.binary and self.bits != 1:
            raise ValueError(f"binary values must take 1 bit, not {self.bits}")
        if self.group < 0:
            raise ValueError(f"group must be 0 or more rows, not {self.group}")
        if self.group and self.bits > 8:
            raise ValueError(f"integers that share a multiplier must take at most 8 bits, not {self.bits}")

    @property
    def name(self) -> str:
        """Name of the format: int4, int4_g32, binary, ..."""
        return ("binary" if self.binary else f"int{self.bits}") + (f"_g{self.group}" if self.group else "")

    def _tensor(self, shape: Shape, dtype: DTypeLike) -> tuple[Shape, np.dtype[np.generic]]:
        kind = checked_type(dtype, self.bits)
        if kind == np.uint8 and (self.group or self.binary):
            raise ValueError(f"{self.name} tensors must be int8, not uint8")
        return checked_shape(shape, 2 if self.group else None), kind

    def _multipliers(self, shape: Shape) -> Shape:
        return (-(-shape[0] // self.group), shape[1]) if self.group else (0, 0)

    def encode(self, array: NDArray[np.generic]) -> PackedTensor:
        """Pack a tensor whose values fit; groups have the multiplier 1."""
        shape, _ = self._tensor(array.shape, array.dtype)
        return self.encode_scaled(array, np.ones(self._multipliers(shape), np.uint8), 0)

    def encode_scaled(self, q: NDArray[np.generic], multipliers: NDArray[np.integer[Any]], shift: int) -> PackedTensor:
        """Pack integers and what they are scaled by.

        Parameters
        ----------
        q
            int8 (without groups uint8, int16 or uint16 too, by the width), each of at most `bits` bits.
        multipliers
            Integers of 0 to 255, shape (ceil(k / group), n).
        shift
            Right shift, 0 to `MAX_SHIFT`.

        Raises
        ------
        ValueError
            If a value, multiplier or shift does not fit, or a shape does not match.
        """
        shape, kind = self._tensor(q.shape, q.dtype)
        values: NDArray[np.integer[Any]] = q.astype(np.int16 if kind.itemsize == 1 else np.int32)
        high = 2 ** (self.bits if kind.kind == "u" else self.bits - 1) - 1
        low = 0 if kind.kind == "u" else -high - 1
        fits = np.abs(values) == 1 if self.binary else (values >= low) & (values <= high)
        if not fits.all():
            required = "-1 or +1" if self.binary else f"{low} to {high}"
            raise ValueError(f"values of {self.name} must be {required}, not {values[~fits].flat[0]}")
        if multipliers.shape != self._multipliers(shape):
            raise ValueError(f"multipliers must have shape {self._multipliers(shape)}, not {multipliers.shape}")
        if not ((multipliers >= 0) & (multipliers <= 255)).all() or not 0 <= shift <= MAX_SHIFT:
            raise ValueError(f"multipliers must lie between 0 and 255 and the shift between 0 and {MAX_SHIFT}")
        data = pack((values > 0).astype(np.uint8) if self.binary else q, self.bits)
        return PackedTensor(self, shape, kind, data, multipliers.astype(np.uint8), shift)

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> PackedTensor:
        """Find a tensor in its stored bytes."""
        shape, kind = self._tensor(shape, dtype)
        groups = self._multipliers(shape)
        head = 1 + math.prod(groups) if self.group else 0
        values = math.prod(shape)
        check_length(f"{values} values of {self.name}", data, head + packed_bytes(values, self.bits))
        shift = data[0] if self.group else 0
        if shift > MAX_SHIFT:
            raise ValueError(f"the shift must lie between 0 and {MAX_SHIFT}, not {shift}")
        multipliers = np.frombuffer(data[1:head], np.uint8).reshape(groups)
        found = PackedTensor(self, shape, kind, np.frombuffer(data, np.uint8, offset=head), multipliers, shift)
        found.fields()  # refuses odd bits after the last value
        return found
