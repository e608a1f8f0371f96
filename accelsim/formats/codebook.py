"""Indices into a table of shared values (Deep Compression, Han et al., ICLR 2016, section 3).

Bytes: the table of 2^bits values, a byte each, unused ones 0; then an index for each value, packed low bits first.
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
    checked_shape,
    checked_type,
    pack,
    packed_bytes,
    unpack,
)


@dataclass(frozen=True, eq=False)
class IndexedTensor(Encoded):
    """A tensor as indices into a table.

    Parameters
    ----------
    bits
        Bits of an index.
    table
        int8 or uint8, shape (2^bits,).
    indices
        uint8, shape of the tensor.
    """

    bits: int
    table: NDArray[np.generic] = field(repr=False)
    indices: NDArray[np.uint8] = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return self.indices.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the table's values."""
        return self.table.dtype

    def to_bytes(self) -> bytes:
        """Table, then packed indices."""
        return self.table.tobytes() + pack(self.indices, self.bits).tobytes()

    def decode(self) -> NDArray[np.generic]:
        """Tensor, each value looked up."""
        return self.table[self.indices]


@dataclass(frozen=True, slots=True)
class Codebook:
    """Codec of indexed tensors.

    Parameters
    ----------
    bits
        Bits of an index, 1 to 8.
    """

    bits: int
    name = "codebook"

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"bits of an index must lie between 1 and 8, not {self.bits}")

    def encode(self, array: NDArray[np.generic]) -> IndexedTensor:
        """Encode a tensor of at most 2^bits different values; the table holds them in ascending order."""
        checked_type(array.dtype)
        checked_shape(array.shape)
        found, indices = np.unique(array, return_inverse=True)
        if len(found) > 2**self.bits:
            raise ValueError(f"the tensor must have at most {2**self.bits} different values, not {len(found)}")
        table = np.zeros(2**self.bits, array.dtype)
        table[: len(found)] = found
        return IndexedTensor(self.bits, table, indices.reshape(array.shape).astype(np.uint8))

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> IndexedTensor:
        """Find a tensor in its stored bytes."""
        kind = checked_type(dtype)
        shape = checked_shape(shape)
        size, entries = math.prod(shape), 2**self.bits
        check_length(f"a table of {entries} and {size} indices", data, entries + packed_bytes(size, self.bits))
        indices = unpack(np.frombuffer(data, np.uint8, offset=entries), self.bits, size)
        return IndexedTensor(self.bits, np.frombuffer(data, kind, entries), indices.reshape(shape))
