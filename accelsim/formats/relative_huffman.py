"""Deep Compression's format: relative indices whose values and indices are both Huffman codes.

Han et al., ICLR 2016, arXiv:1510.00149, sections 2 to 4: nonzeros with the zeros before them, the values from a small
codebook, both streams coded. The values' table of codes is the codebook. Rows of the matrix follow each other in one
lane.

Bytes: the entries and the bytes of the values' codes, 4 bytes each, little-endian; the values' codes, then those of the
indices, as `huffman` stores a tensor of shape (entries,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.formats.codec import Encoded, Shape, checked_shape, checked_type
from accelsim.formats.huffman import Huffman, HuffmanTensor
from accelsim.formats.relative import EncodedLanes, Relative

_HEAD = 2 * 4


@dataclass(frozen=True, eq=False)
class CodedRuns(Encoded):
    """A tensor as coded values and coded runs of zeros.

    Parameters
    ----------
    whole
        Shape of the tensor.
    runs
        All its values in one row, as relative indices.
    values, indices
        Those of the entries, shape (entries,), as codes.
    """

    whole: Shape
    runs: EncodedLanes = field(repr=False)
    values: HuffmanTensor = field(repr=False)
    indices: HuffmanTensor = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return self.whole

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values."""
        return self.runs.dtype

    def to_bytes(self) -> bytes:
        """Entries, length of the values' codes, both codes."""
        values = self.values.to_bytes()
        return np.array([self.values.size, len(values)], "<u4").tobytes() + values + self.indices.to_bytes()

    def decode(self) -> NDArray[np.generic]:
        """Tensor with its zeros."""
        return self.runs.decode().reshape(self.whole)


@dataclass(frozen=True, slots=True)
class RelativeHuffman:
    """Codec of coded runs.

    Parameters
    ----------
    index_bits
        Bits of an index before it is coded, 1 to 8.
    streams
        Bit streams that each of the two codes is dealt to.
    """

    index_bits: int = 4
    streams: int = 1
    name = "relative_huffman"

    @property
    def _relative(self) -> Relative:
        return Relative(self.index_bits)

    @property
    def _huffman(self) -> Huffman:
        return Huffman(self.streams)

    def __post_init__(self) -> None:
        _ = self._relative, self._huffman  # whose parameters these are

    def encode(self, array: NDArray[np.generic]) -> CodedRuns:
        """Encode a tensor of int8 or uint8."""
        checked_type(array.dtype)
        runs = self._relative.encode(array.reshape(1, math.prod(checked_shape(array.shape))))
        return CodedRuns(array.shape, runs, self._huffman.encode(runs.values), self._huffman.encode(runs.indices))

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> CodedRuns:
        """Find a tensor in its stored bytes."""
        kind, size = checked_type(dtype), math.prod(checked_shape(shape))
        if len(data) < _HEAD:
            raise ValueError(f"counts of entries and bytes must take {_HEAD} bytes, not {len(data)}")
        entries, length = np.frombuffer(data, "<u4", 2).tolist()
        if entries > size or length > len(data) - _HEAD:
            raise ValueError(
                f"{size} values must have at most as many entries, and codes be within {len(data)} bytes, "
                f"not {entries} and {length}"
            )
        values = self._huffman.from_bytes(data[_HEAD : _HEAD + length], (entries,), kind)
        indices = self._huffman.from_bytes(data[_HEAD + length :], (entries,), np.uint8)
        runs = EncodedLanes((1, size), 1, self.index_bits, np.array([[0, entries]]), values.decode(), indices.symbols)
        return CodedRuns(checked_shape(shape), runs, values, indices)
