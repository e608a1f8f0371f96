"""Relative indices: each nonzero with the zeros since the one before it, interleaved over lanes.

As EIE stores its matrices (Han et al., ISCA 2016, section III; one lane is Deep Compression's format, Han et al., ICLR
2016, section 2). Output n of a (k, n) matrix belongs to lane n modulo lanes, at slot n // lanes of it. For each input
k, a lane holds the nonzeros of its slots in order: the value, and an index that counts the zero slots since the entry
before, or since the first slot. More than 2^bits - 1 zeros take padding entries, each with the largest index and the
value 0, which is one more zero. Pointers say where each input's entries start.

Bytes: 1 byte with the width of a pointer in bytes (2 or 4); lane by lane, k + 1 little-endian pointers that count the
lane's entries; the values of lane 0, 1, ..., in as many bits each as the codec says; the indices in the same order.
Values and indices are packed low bits first, and each is filled up with zero bits to whole bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

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
from accelsim.kernels import counting

Int64 = NDArray[np.int64]

MAX_LANES = 4096
_WIDTHS = (2, 4)


def slots(outputs: int, lanes: int) -> Int64:
    """Outputs that each lane holds, shape (lanes,)."""
    return (outputs - np.arange(lanes) + lanes - 1) // lanes


@dataclass(frozen=True, eq=False)
class EncodedLanes(Encoded):
    """A matrix as the lanes hold it.

    Parameters
    ----------
    matrix
        Shape (k, n) of the matrix.
    lanes, index_bits
        Lanes, and bits of an index.
    pointers
        int64, shape (lanes, k + 1): entries of a lane before each input; the last is the number of its entries.
    values
        int8 or uint8, shape (entries,), lane by lane.
    indices
        uint8, shape (entries,): zeros before each entry.
    value_bits
        Bits that each value is stored in.

    Raises
    ------
    ValueError
        If the arrays don't describe a matrix in the one way that `encode` does.
    """

    matrix: tuple[int, int]
    lanes: int
    index_bits: int
    pointers: Int64 = field(repr=False)
    values: NDArray[np.generic] = field(repr=False)
    indices: NDArray[np.uint8] = field(repr=False)
    value_bits: int = 8

    def __post_init__(self) -> None:
        pointers, entries = self.pointers, len(self.values)
        if pointers.shape != (self.lanes, self.matrix[0] + 1):
            raise ValueError(f"pointers must have shape {(self.lanes, self.matrix[0] + 1)}, not {pointers.shape}")
        if pointers[:, 0].any() or (np.diff(pointers) < 0).any():
            raise ValueError("the pointers of a lane must begin with 0 and must not fall")
        if pointers[:, -1].sum() != entries or len(self.indices) != entries:
            raise ValueError(f"the pointers must count all {entries} values and {len(self.indices)} indices")
        if (self.indices > self._longest).any():
            raise ValueError(f"an index must have at most {self.index_bits} bits")
        if (self._slot >= np.repeat(slots(self.matrix[1], self.lanes), pointers[:, -1])).any():
            raise ValueError("the zeros before an entry must not lead past the lane's last output")
        padding = self.values == 0
        last = self._segments[:, 1][self._segments[:, 0] < self._segments[:, 1]] - 1
        if (self.indices[padding] != self._longest).any() or padding[last].any():
            raise ValueError("an entry with value 0 must have the largest index and another entry after it")

    @property
    def shape(self) -> Shape:
        """Shape (k, n) of the matrix."""
        return self.matrix

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        return self.values.dtype

    @property
    def _longest(self) -> int:
        return (1 << self.index_bits) - 1

    @property
    def starts(self) -> Int64:
        """First entry of each lane and input among all entries, shape (lanes, k + 1)."""
        ends = np.cumsum(self.pointers[:, -1])
        begin = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        return self.pointers + begin[:, None]

    @property
    def _segments(self) -> Int64:
        """First entry, and the entry after the last, of each lane and input; shape (lanes * k, 2)."""
        starts = self.starts
        return np.stack((starts[:, :-1].ravel(), starts[:, 1:].ravel()), axis=1)

    @cached_property
    def counts(self) -> NDArray[np.int32]:
        """Entries of each input and lane, padding included; shape (k, lanes)."""
        return np.ascontiguousarray(np.diff(self.pointers).T.astype(np.int32))

    @cached_property
    def padding_counts(self) -> NDArray[np.int32]:
        """Padding entries of each input and lane, shape (k, lanes)."""
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.values == 0)))
        first, end = self._segments.T
        return np.ascontiguousarray((before[end] - before[first]).reshape(self.lanes, -1).T.astype(np.int32))

    @property
    def padding(self) -> int:
        """Padding entries of the whole matrix."""
        return int(np.count_nonzero(self.values == 0))

    @property
    def pointer_bits(self) -> int:
        """Width of a stored pointer: 16 bits if no lane has more entries than they count, else 32."""
        return 16 if int(self.pointers.max(initial=0)) < 2**16 else 32

    @cached_property
    def _slot(self) -> Int64:
        """Slot of each entry in its lane."""
        steps = np.cumsum(self.indices.astype(np.int64) + 1)
        first, end = self._segments.T
        before = np.concatenate((np.zeros(1, np.int64), steps))[first]
        slot: Int64 = steps - np.repeat(before, end - first) - 1
        return slot

    def to_bytes(self) -> bytes:
        """Pointer width, pointers, values, packed indices."""
        width = self.pointer_bits // 8
        pointers = self.pointers.astype(f"<u{width}").tobytes()
        values = pack_integers(self.values, self.value_bits)
        return bytes([width]) + pointers + values + pack(self.indices, self.index_bits).tobytes()

    def decode(self) -> NDArray[np.generic]:
        """Matrix, shape (k, n)."""
        k, n = self.matrix
        first, end = self._segments.T
        segment = np.repeat(np.arange(self.lanes * k), end - first)
        lane, row = np.divmod(segment, max(k, 1))
        result = np.zeros((k, n), self.dtype)
        result[row, self._slot * self.lanes + lane] = self.values
        return result


@dataclass(frozen=True, slots=True)
class Relative:
    """Codec of relative indices.

    Parameters
    ----------
    index_bits
        Bits of an index, 1 to 8.
    lanes
        Lanes that the outputs are dealt to; 1 keeps the rows of the matrix whole.
    value_bits
        Bits of a stored value, 1 to 8.
    """

    index_bits: int = 4
    lanes: int = 1
    value_bits: int = 8
    name = "relative"

    def __post_init__(self) -> None:
        if not 1 <= self.index_bits <= 8:
            raise ValueError(f"index_bits must lie between 1 and 8, not {self.index_bits}")
        if not 1 <= self.lanes <= MAX_LANES:
            raise ValueError(f"lanes must lie between 1 and {MAX_LANES}, not {self.lanes}")

    def encode(self, array: NDArray[np.generic]) -> EncodedLanes:
        """Encode a (k, n) matrix of int8 or uint8."""
        checked_type(array.dtype)
        check_width(array, self.value_bits)
        k, n = checked_shape(array.shape, 2)
        deep = -(-n // self.lanes)
        dealt = np.zeros((k, deep * self.lanes), array.dtype)
        dealt[:, :n] = array
        dealt = dealt.reshape(k, deep, self.lanes).transpose(2, 0, 1).reshape(self.lanes * k, deep)
        segment, slot = np.nonzero(dealt)
        follows = np.zeros(len(segment), bool)
        follows[1:] = segment[1:] == segment[:-1]
        previous = np.where(follows, np.concatenate((np.zeros(1, np.int64), slot))[:-1], -1)
        pads, rest = np.divmod(slot - previous - 1, 2**self.index_bits)
        places = np.cumsum(pads + 1) - 1  # the padding stands before the nonzero it leads to
        entries = int(places[-1]) + 1 if len(places) else 0
        values = np.zeros(entries, array.dtype)
        indices = np.full(entries, 2**self.index_bits - 1, np.uint8)
        values[places] = dealt[segment, slot]
        indices[places] = rest
        counts = np.bincount(segment, weights=pads + 1, minlength=self.lanes * k).astype(np.int64)
        pointers = np.zeros((self.lanes, k + 1), np.int64)
        np.cumsum(counts.reshape(self.lanes, k), axis=1, out=pointers[:, 1:])
        return EncodedLanes((k, n), self.lanes, self.index_bits, pointers, values, indices, self.value_bits)

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> EncodedLanes:
        """Find a matrix in its stored bytes."""
        kind = checked_type(dtype)
        k, n = checked_shape(shape, 2)
        if not data or data[0] not in _WIDTHS:
            raise ValueError(f"pointers must have 2 or 4 bytes, not {data[0] if data else 'no width'}")
        width, amount = data[0], self.lanes * (k + 1)
        if len(data) < 1 + amount * width:
            raise ValueError(f"{amount} pointers must take {amount * width} bytes, not {len(data) - 1}")
        pointers = np.frombuffer(data, f"<u{width}", amount, 1).astype(np.int64).reshape(self.lanes, k + 1)
        entries, begin = int(pointers[:, -1].sum()), 1 + amount * width
        behind = begin + packed_bytes(entries, self.value_bits)
        check_length(f"relative indices with {entries} entries", data, behind + packed_bytes(entries, self.index_bits))
        packed = np.frombuffer(data, np.uint8)
        values = unpack_integers(packed[begin:behind], self.value_bits, entries, kind)
        indices = unpack(packed[behind:], self.index_bits, entries)
        found = EncodedLanes((k, n), self.lanes, self.index_bits, pointers, values, indices, self.value_bits)
        if found.pointer_bits != 8 * width:
            raise ValueError(f"pointers must have {found.pointer_bits} bits, not {8 * width}")
        return found


def encode(w: NDArray[np.generic], lanes: int, index_bits: int) -> EncodedLanes:
    """Encode a (k, n) matrix for a number of lanes."""
    return Relative(index_bits, lanes).encode(w)


def entries(w: NDArray[np.generic], lanes: int, index_bits: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count what `encode` writes of a (k, n) matrix of 8 bits: entries of each input and lane, and padding among them.

    Returns
    -------
    As `EncodedLanes.counts` and `EncodedLanes.padding_counts`, shape (k, lanes).
    """
    found, padding = np.zeros((len(w), lanes), np.int32), np.zeros((len(w), lanes), np.int32)
    counting.relative_entries(w.view(np.uint8), lanes, index_bits, found, padding)
    return found, padding


def stored_bytes(k: int, entries: NDArray[np.int64], index_bits: int) -> int:
    """Bytes that `EncodedLanes.to_bytes` takes for k inputs and so many entries of each lane, shape (lanes,)."""
    width = 2 if entries.max(initial=0) < 2**16 else 4
    total = int(entries.sum())
    return 1 + len(entries) * (k + 1) * width + total + -(-total * index_bits // 8)
