"""Blocks of narrow numbers that share a power of two: the OCP Microscaling formats (MX).

From the "OCP Microscaling Formats (MX) Specification", version 1.0, September 2023. A (k, n) matrix is cut into blocks
along K, its first axis; the last block may be shorter. A block has one scale in E8M0, 2^(code - 127), and a value is
its element times the scale. Elements are floats of a sign, an exponent and a mantissa (section 5.3), or int8 / 64.

Quantization is section 6.3: the scale's exponent is floor(log2(largest magnitude)) less the exponent of the element
type's largest power of two, no lower than E8M0's lowest; elements are rounded to nearest, ties to even, and saturate at
the largest number. A block of zeros has the lowest scale, 2^-127. So quantizing once more changes nothing.

Such a scale need not be the one that other writers choose. Stored matrices that they wrote are read exactly; quantized
again, blocks of E4M3 whose largest number is 1.875 times a power of two saturate to 1.75 times it, and blocks with the
int8 element -128, which quantization does not write, lose their lowest bit.

Bytes: the scales row by row, a byte each; then the elements row by row, packed low bits first without gaps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

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
    unpack,
)

ElementName = Literal["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"]

#: Exponent that a scale's code is counted from, and the code that is no number (section 5.4.1).
SCALE_BIAS = 127
SCALE_NAN = 255
_INT8_STEP = 2.0**-6


class ElementType(NamedTuple):
    """Type of a block's elements.

    Parameters
    ----------
    name
        Of the format with such elements.
    exponent, mantissa
        Bits of the fields behind the sign; an integer has no exponent, and all its bits but the sign in the mantissa.
    largest
        Largest number that quantization writes.
    """

    name: str
    exponent: int
    mantissa: int
    largest: float

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return 1 + self.exponent + self.mantissa

    @property
    def bias(self) -> int:
        """Exponent that the field is counted from."""
        return (1 << self.exponent - 1) - 1

    @property
    def top(self) -> int:
        """Exponent of the largest power of two."""
        return math.frexp(self.largest)[1] - 1

    def values(self) -> NDArray[np.float64]:
        """Number of each code, shape (2^bits,); codes that are no number are NaN."""
        codes = np.arange(2**self.bits)
        if not self.exponent:
            return codes.astype(np.uint8).view(np.int8).astype(np.float64) * _INT8_STEP
        field = codes >> self.mantissa & (1 << self.exponent) - 1
        fraction = codes & (1 << self.mantissa) - 1
        whole = np.where(field > 0, fraction + (1 << self.mantissa), fraction)  # without the hidden bit: subnormal
        magnitude: NDArray[np.float64] = np.ldexp(
            whole.astype(np.float64), np.maximum(field, 1) - self.bias - self.mantissa
        )
        magnitude[magnitude > self.largest] = np.nan
        return np.where(codes >> self.bits - 1 > 0, -magnitude, magnitude)

    def codes(self, numbers: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Code of the nearest number, ties to even; beyond the largest, the largest. A negative zero stays negative."""
        magnitude = np.minimum(np.abs(numbers), self.largest)
        if not self.exponent:
            steps = np.rint(np.copysign(magnitude, numbers) / _INT8_STEP)
            return steps.astype(np.int8).view(np.uint8)
        exponent = np.frexp(np.maximum(magnitude, 2.0 ** (1 - self.bias)))[1] - 1  # the lowest normal number's at least
        whole = np.rint(np.ldexp(magnitude, self.mantissa - exponent)).astype(np.int64)
        # one more exponent is as many more codes as the hidden bit is worth, so a mantissa may round up to the next
        code: NDArray[np.int64] = (exponent.astype(np.int64) + self.bias - 1 << self.mantissa) + whole
        code |= np.signbit(numbers).astype(np.int64) << self.bits - 1
        return code.astype(np.uint8)


#: Element types, by table 1 of the specification.
ELEMENTS: dict[ElementName, ElementType] = {
    "e4m3": ElementType("mxfp8_e4m3", 4, 3, 448.0),
    "e5m2": ElementType("mxfp8_e5m2", 5, 2, 57344.0),
    "e3m2": ElementType("mxfp6_e3m2", 3, 2, 28.0),
    "e2m3": ElementType("mxfp6_e2m3", 2, 3, 7.5),
    "e2m1": ElementType("mxfp4_e2m1", 2, 1, 6.0),
    "int8": ElementType("mxint8", 0, 7, 127 / 64),
}


@dataclass(frozen=True, eq=False)
class MicroscaledTensor(Encoded):
    """A matrix as scales and elements.

    Parameters
    ----------
    codec
        Element type and block.
    scales
        E8M0 codes, uint8, shape (ceil(k / block), n).
    codes
        Elements, uint8, shape (k, n).
    """

    codec: Microscale
    scales: NDArray[np.uint8] = field(repr=False)
    codes: NDArray[np.uint8] = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape (k, n) of the matrix."""
        return self.codes.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the matrix: float32."""
        return np.dtype(np.float32)

    def to_bytes(self) -> bytes:
        """Scales, then packed elements."""
        return self.scales.tobytes() + pack(self.codes, self.codec.type.bits).tobytes()

    def exact(self) -> NDArray[np.float64]:
        """Products of elements and scales, which need no rounding; NaN for codes that are no number."""
        shared = self.scales[self.codec.rows(len(self.codes))].astype(np.int64) - SCALE_BIAS
        return np.ldexp(self.codec.type.values()[self.codes], shared)

    def decode(self) -> NDArray[np.float32]:
        """Matrix of float32, exactly the products."""
        return self.exact().astype(np.float32)


@dataclass(frozen=True, slots=True)
class Microscale:
    """A format of scaled blocks.

    Parameters
    ----------
    element
        Type of an element.
    block
        Rows (K) of a column that share a scale; the specification's formats have 32.
    """

    element: ElementName
    block: int = 32

    def __post_init__(self) -> None:
        if self.element not in ELEMENTS:
            raise ValueError(f"element must be one of {', '.join(ELEMENTS)}, not {self.element!r}")
        if self.block < 1:
            raise ValueError(f"block must be at least 1 row, not {self.block}")

    @property
    def name(self) -> str:
        """Name of the format: mxfp8_e4m3, mxint8, with other blocks than 32 mxfp4_e2m1_b16, ..."""
        return self.type.name + ("" if self.block == 32 else f"_b{self.block}")

    @property
    def type(self) -> ElementType:
        """Type of an element."""
        return ELEMENTS[self.element]

    def rows(self, k: int) -> NDArray[np.int64]:
        """Block of each of k rows."""
        return np.arange(k) // self.block

    def encode(self, array: NDArray[np.generic]) -> MicroscaledTensor:
        """Quantize a (k, n) matrix of float32; raises ValueError for other types, infinities and NaN."""
        numbers = checked_floats(array).astype(np.float64)
        largest = np.maximum.reduceat(np.abs(numbers), np.arange(0, len(numbers), self.block), axis=0)
        exponent = np.frexp(largest)[1] - 1 - self.type.top
        shared = np.where(largest > 0, np.maximum(exponent, -SCALE_BIAS), -SCALE_BIAS)
        codes = self.type.codes(np.ldexp(numbers, -shared[self.rows(len(numbers))]))
        return MicroscaledTensor(self, (shared + SCALE_BIAS).astype(np.uint8), codes)

    def quantize(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """What `encode` makes of a (k, n) matrix of float32, as float32."""
        return self.encode(array).decode()

    def from_bytes(self, data: bytes, shape: Shape) -> MicroscaledTensor:
        """Find a matrix in its stored bytes; raises ValueError for bytes that stand for no matrix of float32."""
        k, n = checked_shape(shape, 2)
        blocks, element = -(-k // self.block), self.type
        scaling = blocks * n
        check_length(f"{k * n} values of {self.name}", data, scaling + packed_bytes(k * n, element.bits))
        scales = np.frombuffer(data, np.uint8, scaling).reshape(blocks, n)
        if (scales == SCALE_NAN).any():
            raise ValueError(f"a scale must be a number, not NaN ({SCALE_NAN:#x})")
        codes = unpack(np.frombuffer(data, np.uint8, offset=scaling), element.bits, k * n).reshape(k, n)
        found = MicroscaledTensor(self, scales, codes)
        values = found.exact()
        if np.isnan(values).any():
            raise ValueError(f"an element must be a number, not the code {codes[np.isnan(values)].flat[0]:#x}")
        if (np.abs(values) > np.finfo(np.float32).max).any():
            raise ValueError(f"values must lie in the range of float32, not reach {np.abs(values).max():g}")
        return found
