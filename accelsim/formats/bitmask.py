"""A bit a value that says whether it is zero, then the values that are not.

Bytes: the mask, value i at bit i % 8 of byte i // 8, low bits first; then the nonzero values in order, a byte each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.formats.codec import Encoded, Shape, check_length, checked_shape, checked_type, packed_bytes, unpack


@dataclass(frozen=True, eq=False)
class MaskedTensor(Encoded):
    """A tensor as a mask and its nonzero values.

    Parameters
    ----------
    mask
        bool, shape of the tensor: which values are not zero.
    values
        int8 or uint8, shape (nonzeros,).
    """

    mask: NDArray[np.bool_] = field(repr=False)
    values: NDArray[np.generic] = field(repr=False)

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
        return np.packbits(self.mask, bitorder="little").tobytes() + self.values.tobytes()

    def decode(self) -> NDArray[np.generic]:
        """Tensor with its zeros."""
        result = np.zeros(self.shape, self.dtype)
        result[self.mask] = self.values
        return result


@dataclass(frozen=True, slots=True)
class Bitmask:
    """Codec of masked tensors; it has no parameters."""

    name = "bitmask"

    def encode(self, array: NDArray[np.generic]) -> MaskedTensor:
        """Encode a tensor of int8 or uint8."""
        checked_type(array.dtype)
        checked_shape(array.shape)
        mask = array != 0
        return MaskedTensor(mask, array[mask])

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
        check_length(f"a mask with {nonzeros} nonzeros and their values", data, length + nonzeros)
        values = np.frombuffer(data, kind, nonzeros, length)
        if not values.all():
            raise ValueError("values that the mask names must not be 0")
        return MaskedTensor(mask, values)
