"""Canonical Huffman codes of bytes, dealt to several bit streams so that as many decoders can work at once.

Code lengths are the best that do not exceed a limit (package-merge: Larmore and Hirschberg, "A fast algorithm for
optimal length-limited Huffman codes", JACM 37(3), 1990). Codes of one length are consecutive numbers in the order of
their symbols, shorter ones come first, and a code's first bit is its highest; so the lengths are all that is stored.
Symbol i of the tensor belongs to stream i modulo streams.

Bytes: a mask of the 256 symbols that occur, bit s % 8 of byte s // 8 for symbol s (a value's 8 bits); the length less
one of each of them, packed in 4 bits, low bits first; the bytes of each stream (uint32, little endian); the streams,
each filled up with zero bits to whole bytes, first bit in the highest bit of a byte.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
from bitarray import bitarray, decodetree
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

#: Longest code that the stored table can hold, in bits.
MAX_LENGTH = 16
MAX_STREAMS = 256
SYMBOLS = 256
_MASK_BYTES = SYMBOLS // 8
_LENGTH_BITS = 4


def code_lengths(occurrences: NDArray[np.int64], limit: int) -> NDArray[np.uint8]:
    """Lengths of the best prefix code that is nowhere longer than a limit.

    Parameters
    ----------
    occurrences
        Occurrences of each symbol, shape (symbols,); those that do not occur get the length 0, a sole one 1.
    limit
        Longest code in bits; 2^limit must not be below the number of symbols that occur.
    """
    present = np.flatnonzero(occurrences)
    lengths = np.zeros(len(occurrences), np.uint8)
    if len(present) < 2:
        lengths[present] = 1
        return lengths
    order = present[np.argsort(occurrences[present], kind="stable")]
    coins = occurrences[order].astype(np.int64)
    row, rows = coins, [np.ones(len(coins), np.bool_)]  # of each row, which of its items are coins, in order of weight
    for _ in range(limit - 1):
        packages = row[: len(row) // 2 * 2].reshape(-1, 2).sum(axis=1)  # an odd one out is dropped
        items = np.concatenate((coins, packages))
        sorting = np.argsort(items, kind="stable")
        row = items[sorting]
        rows.append(sorting < len(coins))
    # a row's first coins are the lightest symbols, and its first packages those of the first items of the row before
    taken = 2 * len(coins) - 2
    for is_coin in reversed(rows):
        symbols = int(np.count_nonzero(is_coin[:taken]))
        lengths[order[:symbols]] += 1
        taken = 2 * (taken - symbols)
    return lengths


def canonical_codes(lengths: NDArray[np.uint8]) -> dict[int, bitarray]:
    """Code of each symbol that has a length, by the order of lengths and symbols."""
    codes = {}
    code, before = 0, 0
    for symbol in sorted(np.flatnonzero(lengths).tolist(), key=lambda s: (lengths[s], s)):
        length = int(lengths[symbol])
        code <<= length - before
        codes[symbol] = bitarray(f"{code:0{length}b}")
        code, before = code + 1, length
    return codes


@dataclass(frozen=True, eq=False)
class HuffmanTensor(Encoded):
    """A tensor as code lengths and bit streams.

    Parameters
    ----------
    lengths
        uint8, shape (256,): code length of each symbol, 0 for those that do not occur.
    streams
        The bit streams, whole bytes each.
    symbols
        uint8, shape of the tensor: what the streams decode to.
    """

    kind: np.dtype[np.generic]
    lengths: NDArray[np.uint8] = field(repr=False)
    streams: tuple[bytes, ...] = field(repr=False)
    symbols: NDArray[np.uint8] = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return self.symbols.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the tensor."""
        return self.kind

    def to_bytes(self) -> bytes:
        """Mask of symbols, lengths, sizes of the streams, streams."""
        used = self.lengths > 0
        table = np.packbits(used, bitorder="little").tobytes() + pack(self.lengths[used] - 1, _LENGTH_BITS).tobytes()
        sizes = np.array([len(stream) for stream in self.streams], "<u4").tobytes()
        return table + sizes + b"".join(self.streams)

    def decode(self) -> NDArray[np.generic]:
        """Tensor of the symbols."""
        return self.symbols.view(self.kind)


@dataclass(frozen=True, slots=True)
class Huffman:
    """Codec of canonical Huffman codes.

    Parameters
    ----------
    streams
        Bit streams that the symbols are dealt to, 1 to 256.
    max_length
        Longest code in bits, 8 to 16: 8 bits hold any 256 symbols.
    """

    streams: int = 1
    max_length: int = MAX_LENGTH
    name = "huffman"

    def __post_init__(self) -> None:
        if not 1 <= self.streams <= MAX_STREAMS:
            raise ValueError(f"streams must lie between 1 and {MAX_STREAMS}, not {self.streams}")
        if not 8 <= self.max_length <= MAX_LENGTH:
            raise ValueError(f"max_length must lie between 8 and {MAX_LENGTH} bits, not {self.max_length}")

    def encode(self, array: NDArray[np.generic]) -> HuffmanTensor:
        """Encode a tensor of int8 or uint8."""
        kind = checked_type(array.dtype)
        checked_shape(array.shape)
        symbols = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape)
        flat = symbols.ravel()
        lengths = code_lengths(np.bincount(flat, minlength=SYMBOLS), self.max_length)
        codes = canonical_codes(lengths)
        streams = []
        for s in range(self.streams):
            bits = bitarray(endian="big")
            if codes:  # bitarray refuses a code without symbols
                bits.encode(codes, flat[s :: self.streams].tolist())
            streams.append(bits.tobytes())
        return HuffmanTensor(kind, lengths, tuple(streams), symbols)

    def from_bytes(self, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> HuffmanTensor:
        """Find a tensor in its stored bytes."""
        kind = checked_type(dtype)
        shape = checked_shape(shape)
        size = math.prod(shape)
        lengths, begin = self._table(data)
        streams = self._streams(data[begin:], size)
        codes = canonical_codes(lengths)
        flat = np.zeros(size, np.uint8)
        for s, stream in enumerate(streams):
            dealt = len(range(s, size, self.streams))
            flat[s :: self.streams] = _symbols(stream, codes, lengths, dealt)
        return HuffmanTensor(kind, lengths, streams, flat.reshape(shape))

    def _table(self, data: bytes) -> tuple[NDArray[np.uint8], int]:
        """Code lengths, and where the bytes after them begin."""
        if len(data) < _MASK_BYTES:
            raise ValueError(f"a mask of symbols must take {_MASK_BYTES} bytes, not {len(data)}")
        used = unpack(np.frombuffer(data, np.uint8, _MASK_BYTES), 1, SYMBOLS).astype(bool)
        amount = int(np.count_nonzero(used))
        end = _MASK_BYTES + packed_bytes(amount, _LENGTH_BITS)
        if len(data) < end:
            raise ValueError(f"lengths of {amount} codes must end after {end} bytes, not {len(data)}")
        lengths = np.zeros(SYMBOLS, np.uint8)
        lengths[used] = unpack(np.frombuffer(data[_MASK_BYTES:end], np.uint8), _LENGTH_BITS, amount) + 1
        if lengths.max() > self.max_length:
            raise ValueError(f"codes must have at most {self.max_length} bits, not {lengths.max()}")
        space = int((2.0 ** (MAX_LENGTH - lengths[used].astype(np.int64))).sum())
        complete = 2 ** (MAX_LENGTH - 1) if amount == 1 else 2**MAX_LENGTH
        if amount and space != complete:
            raise ValueError("code lengths must belong to a complete prefix code")
        return lengths, end

    def _streams(self, data: bytes, symbols: int) -> tuple[bytes, ...]:
        """Bit streams of so many symbols, of at least one bit each."""
        if len(data) < 4 * self.streams:
            raise ValueError(f"sizes of {self.streams} streams must take {4 * self.streams} bytes, not {len(data)}")
        sizes = np.frombuffer(data, "<u4", self.streams).tolist()
        check_length(f"{self.streams} streams and their sizes", data, 4 * self.streams + sum(sizes))
        if symbols > 8 * sum(sizes):
            raise ValueError(f"{symbols} symbols must take a bit each at least, not {8 * sum(sizes)} in all")
        ends = np.cumsum([4 * self.streams, *sizes]).tolist()
        return tuple(data[first:end] for first, end in pairwise(ends))


def _symbols(stream: bytes, codes: dict[int, bitarray], lengths: NDArray[np.uint8], amount: int) -> NDArray[np.uint8]:
    """Decode so many symbols, which must fill the stream up to the last byte's zero bits."""
    bits = bitarray(stream, endian="big")
    symbols = np.zeros(0, np.uint8)
    if codes and amount:
        with suppress(ValueError):  # the stream ends, or leaves the code, before the last symbol
            symbols = np.fromiter(islice(bits.decode(decodetree(codes)), amount), np.uint8, amount)
    used = int(lengths[symbols].sum())
    if len(symbols) != amount or len(bits) != 8 * packed_bytes(used, 1) or bits[used:].any():
        raise ValueError(f"a stream of {len(stream)} bytes must hold {amount} symbols and end with the last one's byte")
    return symbols
