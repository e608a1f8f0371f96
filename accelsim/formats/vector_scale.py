"""Vectors of narrow integers with scales on two levels: an integer for each vector, a float for each column (VSQ).

From Dai et al., "VS-Quant: Per-vector Scaled Quantization for Accurate Low-Precision Neural Network Inference", MLSys
2021 (arXiv:2102.04503), equation 7. A (k, n) matrix is cut into vectors along K, its first axis; the last of a column
may be shorter. Element q of vector v in column n stands for q * scale[v, n] * gamma[n], rounded once to float32.

Quantization is symmetric: with Q = 2^(bits - 1) - 1, a vector needs the scale s = largest magnitude / Q. gamma is the
column's largest s over 2^scale_bits - 1, and a scale is s / gamma rounded to nearest, ties to even, as in the paper.
Rounding up instead would clip nothing, but measured on drawn weights it errs more where the format is used, at 4 bits
and fewer; from 6 bits on it errs less. Two choices are this module's own. A scale is 1 at least where a vector has a
nonzero, or the vector would be lost. And elements are divided by the scale that is stored, rounded to nearest, ties to
even, and clipped to Q, so none is farther from its value than it must be. gamma is rounded down, so that no value
exceeds the largest float32, but not to 0; where gamma is below 2^-126 that clips more than a last bit.

Bytes: the gammas (float32, little endian); the scales row by row, packed low bits first; the elements row by row in
two's complement, packed likewise. Each of the last two is filled up with zero bits to whole bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.codec import (
    Encoded,
    Shape,
    check_length,
    checked_floats,
    checked_shape,
    pack,
    packed_bytes,
    sign_extended,
    unpack,
)

_GAMMA_BYTES = 4


@dataclass(frozen=True, eq=False)
class VectorScaledTensor(Encoded):
    """A matrix as integers and the scales of their vectors and columns.

    Parameters
    ----------
    codec
        Widths and length of a vector.
    gammas
        float32, shape (n,).
    scales
        uint16, shape (ceil(k / vector), n).
    elements
        int8, shape (k, n).
    """

    codec: VectorScale
    gammas: NDArray[np.float32] = field(repr=False)
    scales: NDArray[np.uint16] = field(repr=False)
    elements: NDArray[np.int8] = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape (k, n) of the matrix."""
        return self.elements.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the matrix: float32."""
        return np.dtype(np.float32)

    def to_bytes(self) -> bytes:
        """Gammas, packed scales, packed elements."""
        scales, elements = pack(self.scales, self.codec.scale_bits), pack(self.elements, self.codec.bits)
        return self.gammas.astype("<f4").tobytes() + scales.tobytes() + elements.tobytes()

    def integers(self) -> NDArray[np.int32]:
        """Elements times the scales of their vectors, shape (k, n): what integer hardware accumulates."""
        scales = self.scales[self.codec.rows(len(self.elements))]
        return np.multiply(self.elements, scales, dtype=np.int32)

    def exact(self) -> NDArray[np.float64]:
        """Products before they are rounded to float32: of 23 and 24 bits at most, so exact."""
        return np.multiply(self.integers(), self.gammas, dtype=np.float64)

    def decode(self) -> NDArray[np.float32]:
        """Matrix of float32."""
        return self.exact().astype(np.float32)


@dataclass(frozen=True, slots=True)
class VectorScale:
    """A format of scaled vectors.

    Parameters
    ----------
    bits
        Bits of an element, 2 to 8.
    vector
        Rows (K) of a column that share an integer scale; 16 in the paper.
    scale_bits
        Bits of an integer scale, 1 to 16.
    """

    bits: int
    vector: int = 64
    scale_bits: int = 4

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits must lie between 2 and 8, not {self.bits}")
        if self.vector < 1:
            raise ValueError(f"vector must be at least 1 row, not {self.vector}")
        if not 1 <= self.scale_bits <= 16:
            raise ValueError(f"scale_bits must lie between 1 and 16, not {self.scale_bits}")

    @property
    def name(self) -> str:
        """Name of the format, by its widths and the length of a vector: vsq4_s4_v64, ..."""
        return f"vsq{self.bits}_s{self.scale_bits}_v{self.vector}"

    @property
    def largest(self) -> int:
        """Largest magnitude Q of an element."""
        return (1 << self.bits - 1) - 1

    def rows(self, k: int) -> NDArray[np.int64]:
        """Vector of each of k rows."""
        return np.arange(k) // self.vector

    def encode(self, array: NDArray[np.generic]) -> VectorScaledTensor:
        """Quantize a (k, n) matrix of float32; raises ValueError for other types, infinities and NaN."""
        numbers = checked_floats(array).astype(np.float64)
        largest = np.maximum.reduceat(np.abs(numbers), np.arange(0, len(numbers), self.vector), axis=0)
        top = (1 << self.scale_bits) - 1
        wanted = largest.max(axis=0, initial=0) / (self.largest * top)
        gammas = wanted.astype(np.float32)
        gammas = np.where(gammas > wanted, np.nextafter(gammas, np.float32(0)), gammas)
        gammas = np.where(wanted > 0, np.maximum(gammas, np.finfo(np.float32).smallest_subnormal), np.float32(0))
        steps = np.where(gammas > 0, gammas.astype(np.float64), 1)  # columns of zeros divide by anything
        scales = np.clip(np.rint(largest / (self.largest * steps)), largest > 0, top)
        divisors = (np.maximum(scales, 1) * steps)[self.rows(len(numbers))]
        elements = np.clip(np.rint(numbers / divisors), -self.largest, self.largest)
        return VectorScaledTensor(self, gammas, scales.astype(np.uint16), elements.astype(np.int8))

    def quantize(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """What `encode` makes of a (k, n) matrix of float32, as float32."""
        return self.encode(array).decode()

    def from_bytes(self, data: bytes, shape: Shape) -> VectorScaledTensor:
        """Find a matrix in its stored bytes; raises ValueError for bytes that can't be one's."""
        k, n = checked_shape(shape, 2)
        vectors, begin = -(-k // self.vector), _GAMMA_BYTES * n
        middle = begin + packed_bytes(vectors * n, self.scale_bits)
        check_length(f"{k * n} values of {self.name}", data, middle + packed_bytes(k * n, self.bits))
        gammas = np.frombuffer(data, "<f4", n).astype(np.float32)
        bad = ~np.isfinite(gammas) | np.signbit(gammas)
        if bad.any():
            raise ValueError(f"the scale of a column must be finite and not negative, not {gammas[bad][0]}")
        packed = np.frombuffer(data, np.uint8)
        scales = unpack(packed[begin:middle], self.scale_bits, vectors * n, np.uint16).reshape(vectors, n)
        fields = unpack(packed[middle:], self.bits, k * n).reshape(k, n)
        elements = sign_extended(fields, self.bits)
        if (elements < -self.largest).any():
            raise ValueError(f"elements must lie between {-self.largest} and {self.largest}, not {elements.min()}")
        found = VectorScaledTensor(self, gammas, scales, elements)
        if scales[:, gammas == 0].any() or elements[scales[self.rows(k)] == 0].any():
            raise ValueError("what has the scale 0 must be 0")
        exact = np.abs(found.exact())
        if (exact > np.finfo(np.float32).max).any():
            raise ValueError(f"values must lie in the range of float32, not reach {exact.max():g}")
        return found
