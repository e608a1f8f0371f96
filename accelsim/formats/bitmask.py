"""A bit a value that says whether it is zero, then the values that are not.

Bytes: the mask, value i at bit i % 8 of byte i // 8, low bits first; then the nonzero values in order, packed low bits
first into as many bits as the codec says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.formats.codec import (
    Encoded,
    Shape,
    check_length,
    check_width,
    checked_shape,
    checked_type,
    pack_integers,
    packed_bytes,
    unpack,
    unpack_integers,
)


@dataclass(frozen=True, eq=False)
class MaskedTensor(Encoded):
    """A tensor as a mask and its nonzero values.

    Parameters
    ----------
    mask
        bool, shape of the tensor: which values are not zero.
    values
        int8 or uint8, shape (nonzeros,).
    value_bits
        Bits that each of them is stored in.
    """

    mask: NDArray[np.bool_] = field(repr=False)
    values: NDArray[np.generic] = field(repr=False)
    value_bits: int = 8

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return self.mask.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        return self.values.dtype

    def to_bytes(self) -> bytes:
        """Mask, then values."""
        return np.packbits(self.mask, bitorder="little").tobytes() + pack_integers(self.values, self.value_bits)

    def decode(self) -> NDArray[np.generic]:
        """Tensor with its zeros."""
        result = np.zeros(self.shape, self.dtype)
        result[self.mask] = self.values
        return result


@dataclass(frozen=True, slots=True)
class Bitmask:
    """Codec of masked tensors.

    Parameters
    ----------
    value_bits
        Bits of a stored value, 1 to 8.
    """

    value_bits: int = 8
    name = "bitmask"

    def encode(self, array: NDArray[np.generic]) -> MaskedTensor:
        """Encode a tensor of int8 or uint8."""
        checked_type(array.dtype)
        checked_shape(array.shape)
        mask = array != 0
        check_width(array, self.value_bits)
        return MaskedTensor(mask, array[mask], self.value_bits)

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> MaskedTensor:
        """Find a tensor in its stored bytes."""
        kind = checked_type(dtype)
        shape = checked_shape(shape)
        size = math.prod(shape)
        length = packed_bytes(size, 1)
        if len(data) < length:
            raise ValueError(f"a mask of {size} values must take {length} bytes, not {len(data)}")
        mask = unpack(np.frombuffer(data, np.uint8, length), 1, size).astype(bool).reshape(shape)
        nonzeros = int(np.count_nonzero(mask))
        expected = length + packed_bytes(nonzeros, self.value_bits)
        check_length(f"a mask with {nonzeros} nonzeros and their values", data, expected)
        values = unpack_integers(np.frombuffer(data, np.uint8, offset=length), self.value_bits, nonzeros, kind)
        if not values.all():
            raise ValueError("values that the mask names must not be 0")
        return MaskedTensor(mask, values, self.value_bits)
