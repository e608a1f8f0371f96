"""What every storage format offers, and the arithmetic on bits that formats share.

A codec holds a format's parameters. It turns an array of int8 or uint8 into an `Encoded` value and finds one again in
stored bytes, given the array's shape and type, which a program's tables carry. Bytes that don't describe such an array
are refused, and sizes are held against the bytes present before memory is taken. Packed integers of more than 8 bits
stand for int16 or uint16; formats that scale blocks of narrow numbers take float32 and give back the nearest they hold.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: Values of one tensor, at most; what a hostile shape could make a decoder allocate.
MAX_VALUES = 2**31

Shape = tuple[int, ...]
Word = TypeVar("Word", bound=np.unsignedinteger[Any])


class Encoded(ABC):
    """One tensor in a storage format."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Shape of the tensor."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the tensor: int8 or uint8; int16, uint16 or float32 of the formats that say so."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Bytes as they are stored, tables and padding included."""

    @abstractmethod
    def decode(self) -> NDArray[np.generic]:
        """Tensor of `shape` and `dtype`."""

    @property
    def size(self) -> int:
        """Values of the tensor."""
        return math.prod(self.shape)

    @property
    def stored_bits(self) -> int:
        """Bits that the tensor takes in memory, counted from its bytes."""
        return 8 * len(self.to_bytes())


class Codec(Protocol):
    """A storage format with its parameters.

    Contract: `encode` raises ValueError if the format can't hold the values; else ``encode(x).decode()`` equals x, and
    ``from_bytes(data, x.shape, x.dtype)`` of its bytes has the same bytes.
    """

    @property
    def name(self) -> str:
        """Name of the format."""

    def encode(self, array: NDArray[np.generic]) -> Encoded:
        """Encode a tensor of int8 or uint8."""

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> Encoded:
        """Find a tensor in its stored bytes; raises ValueError for bytes that `to_bytes` can't have written."""


def checked_type(dtype: DTypeLike, bits: int = 8) -> np.dtype[np.generic]:
    """Type of a tensor: int8 or uint8, or for values of more than 8 bits int16 or uint16."""
    found, width = np.dtype(dtype), 8 if bits <= 8 else 16
    if found not in (np.dtype(f"int{width}"), np.dtype(f"uint{width}")):
        raise ValueError(f"stored tensors must be int{width} or uint{width}, not {found}")
    return found


def checked_floats(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """Matrix to be quantized: float32, shape (k, n), neither infinite nor NaN."""
    if array.dtype != np.float32:
        raise ValueError(f"a matrix to be quantized must be float32, not {array.dtype}")
    checked_shape(array.shape, 2)
    floats = array.astype(np.float32, copy=False)
    finite = np.isfinite(floats)
    if not finite.all():
        raise ValueError(f"a matrix to be quantized must be finite, not {floats[~finite].flat[0]}")
    return floats


def checked_shape(shape: Shape, dimensions: int | None = None) -> Shape:
    """Shape of a tensor, bounded so that its values fit in memory."""
    if dimensions is not None and len(shape) != dimensions:
        raise ValueError(f"the tensor must have {dimensions} dimensions, not {len(shape)}")
    if any(not 0 <= side <= MAX_VALUES for side in shape) or math.prod(shape) > MAX_VALUES:
        raise ValueError(f"a tensor must hold between 0 and {MAX_VALUES} values, not shape {shape}")
    return tuple(int(side) for side in shape)


def check_length(what: str, data: bytes, expected: int) -> None:
    """Refuse bytes that are more or fewer than their own tables, or the shape, ask for."""
    if len(data) != expected:
        raise ValueError(f"{what} must take {expected} bytes, not {len(data)}")


def packed_bytes(values: int, bits: int) -> int:
    """Bytes that values of a number of bits take, packed without gaps."""
    return -(-values * bits // 8)


def pack(values: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    """Pack the low bits of each value, low bits first: bit b of value i is bit i * bits + b of the stream.

    Parameters
    ----------
    values
        Integers of 8 to 64 bits, any shape, taken row by row.
    bits
        Bits of a value, 0 to 32; values of no bits take no bytes.
    """
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1, 1)
    if bits == 8 * little.itemsize:
        return little.reshape(-1).view(np.uint8).copy()  # a stored tensor is no window on the caller's
    stream = np.unpackbits(little.view(np.uint8), axis=1, count=bits, bitorder="little")
    return np.packbits(stream, bitorder="little")


@overload
def unpack(data: NDArray[np.uint8], bits: int, values: int) -> NDArray[np.uint8]: ...


@overload
def unpack(data: NDArray[np.uint8], bits: int, values: int, word: type[Word]) -> NDArray[Word]: ...


def unpack(
    data: NDArray[np.uint8], bits: int, values: int, word: type[np.unsignedinteger[Any]] = np.uint8
) -> NDArray[np.unsignedinteger[Any]]:
    """Unpack values, the inverse of `pack`.

    Parameters
    ----------
    data
        As many bytes as `packed_bytes` says.
    bits
        Bits of a value, at most those of a word; values of no bits are zeros that share one word of memory.
    values
        How many.
    word
        Unsigned type of the result.

    Raises
    ------
    ValueError
        If bits beyond the last value are set.
    """
    used = values * bits - 8 * (len(data) - 1)
    if len(data) and data[-1] >> used:
        raise ValueError("bits after the last packed value must be 0")
    if not bits:
        return np.broadcast_to(word(0), (values,))
    if 8 % bits == 0:  # the usual widths, without a byte for each bit
        fields = (data[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & np.uint8(2**bits - 1)
        return fields.reshape(-1)[:values].astype(word, copy=False)
    size = np.dtype(word).itemsize
    if bits == 8 * size:
        return data.view(np.dtype(word).newbyteorder("<")).astype(word)
    stream = np.unpackbits(data, count=values * bits, bitorder="little").reshape(values, bits)
    low = np.zeros((values, size), np.uint8)
    low[:, : packed_bytes(bits, 1)] = np.packbits(stream, axis=1, bitorder="little")
    return low.view(np.dtype(word).newbyteorder("<")).reshape(values).astype(word, copy=False)


def narrowest(values: NDArray[np.generic]) -> int:
    """Bits of the narrowest integers that hold all of some values of 8 bits: two's complement where they are signed."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if values.dtype.kind == "u":
        return max(1, high.bit_length())
    return max(high, -low - 1).bit_length() + 1


def check_width(values: NDArray[np.generic], bits: int) -> None:
    """Refuse values of 8 bits that do not fit fewer."""
    if narrowest(values) > bits:
        raise ValueError(f"values must fit {bits} bits, and not need {narrowest(values)}")


def pack_integers(values: NDArray[np.generic], bits: int) -> bytes:
    """Pack int8 or uint8, which fit, into fewer bits each."""
    return pack(values, bits).tobytes()


def sign_extended(low: NDArray[np.unsignedinteger[Any]], bits: int) -> NDArray[np.signedinteger[Any]]:
    """Integers of the words' width of which these are the low bits, in two's complement."""
    above = 8 * low.itemsize - bits
    return (low << low.dtype.type(above)).view(f"i{low.itemsize}") >> above


def unpack_integers(data: NDArray[np.uint8], bits: int, values: int, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Unpack int8 or uint8, the inverse of `pack_integers`; raises ValueError if odd bits follow the last."""
    low = unpack(data, bits, values)
    return sign_extended(low, bits) if kind.kind == "i" else low
