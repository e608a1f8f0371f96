"""ggml's blocks of quantized weights, as GGUF files hold them, byte for byte.

A block is 32 inputs (K) of one output, or 256 of the formats whose names end in k; blocks follow each other input by
input, then output by output. Layouts and formulas are those of ggml's `block_*` structures and `dequantize_row_*`
(ggml-common.h, ggml-quants.c); d and m below are float16, bytes are in this order, and all arithmetic is float32:

======  =====  =================================================  ==========================
format  bytes  block                                              number
======  =====  =================================================  ==========================
q4_0    18     d, 16 bytes of q                                   d (q - 8)
q4_1    20     d, m, 16 bytes of q                                d q + m
q5_0    22     d, 4 bytes of fifth bits, 16 of the lower four     d (q - 16)
q5_1    24     d, m, 4 bytes of fifth bits, 16 of the lower four  d q + m
q8_0    34     d, 32 bytes of q, signed                           d q
q4_k    144    d, m, 12 bytes of scales, 128 of q                 d s q - m t
q5_k    176    d, m, 12 bytes of scales, 32 of fifth bits,        d s q - m t
               128 of the lower four
q6_k    210    128 bytes of lower four bits, 64 of upper two,     d s (q - 32)
               16 scales, d
======  =====  =================================================  ==========================

In bytes of four bits, the lower half belongs to the first 16 numbers, the upper half to the 16 behind them; in q4_k and
q5_k to the first and the second 32 of 64. These have scales s and t of 6 bits for every 32 numbers, q6_k signed ones of
8 bits for every 16; bit i of q5_k's fifth bits belongs to the numbers of the i-th 32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.codec import Encoded, Shape, check_length, checked_floats, checked_shape

Float32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]
GgmlName = Literal["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"]

#: Bits of a weight's fields that numbers of 32 have in common: half and double words of a block.
_HALF, _WORD = np.dtype("<f2"), np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class BlockTensor(Encoded):
    """A (k, n) matrix as blocks.

    Parameters
    ----------
    codec
        Their format.
    blocks
        uint8, shape (n, blocks of an output, bytes of a block); perhaps a part of a file that is not in memory.
    """

    codec: Ggml
    blocks: Bytes = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Shape (k, n) of the matrix."""
        return (self.blocks.shape[1] * self.codec.block, self.blocks.shape[0])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the matrix: float32."""
        return np.dtype(np.float32)

    def to_bytes(self) -> bytes:
        """The blocks."""
        return self.blocks.tobytes()

    def decode(self) -> Float32:
        """Matrix of float32; its memory is that of its transpose (n, k)."""
        layout = self.codec.layout
        numbers: Float32 = layout.decode(self.blocks.reshape(-1, layout.bytes))
        return numbers.reshape(len(self.blocks), -1).T

    def part(self, k: slice, n: slice) -> BlockTensor:
        """Blocks of some inputs, which begin and end at blocks, and some outputs."""
        block = self.codec.block
        if k.start % block or k.stop % block:
            raise ValueError(f"inputs must begin and end at blocks of {block}, not {k.start} and {k.stop}")
        return BlockTensor(self.codec, self.blocks[n, k.start // block : k.stop // block])


@dataclass(frozen=True, slots=True)
class Ggml:
    """A format of ggml."""

    name: GgmlName

    @property
    def layout(self) -> Layout:
        """What a block is."""
        return LAYOUTS[self.name]

    @property
    def block(self) -> int:
        """Inputs of a block."""
        return self.layout.numbers

    def of(self, blocks: Bytes) -> BlockTensor:
        """A matrix of blocks; raises ValueError if a scale is infinite or NaN."""
        scales = np.concatenate([blocks[..., at : at + 2] for at in self.layout.scales], axis=-1).view(_HALF)
        if not np.isfinite(scales).all():
            raise ValueError(f"scales of {self.name} must be finite, but some are not")
        return BlockTensor(self, blocks)

    def encode(self, array: NDArray[np.generic]) -> BlockTensor:
        """Quantize a (k, n) matrix of float32 as ggml's `quantize_row_*_ref` does, k a multiple of the block.

        Raises
        ------
        ValueError
            For other types and shapes, infinities and NaN, and for formats whose quantizer searches (those of 256).
        """
        numbers = checked_floats(array)
        if self.layout.encode is None:
            raise ValueError(f"{self.name} has no rounding of its own: its quantizer searches for scales")
        if len(numbers) % self.block:
            raise ValueError(f"inputs must be a multiple of {self.block}, not {len(numbers)}")
        blocks = self.layout.encode(np.ascontiguousarray(numbers.T).reshape(-1, self.block))
        return self.of(blocks.reshape(numbers.shape[1], -1, self.layout.bytes))

    def from_bytes(self, data: bytes, shape: Shape) -> BlockTensor:
        """Find a matrix in its stored bytes; raises ValueError for bytes that stand for no matrix of float32."""
        k, n = checked_shape(shape, 2)
        if k % self.block:
            raise ValueError(f"inputs must be a multiple of {self.block}, not {k}")
        count = k // self.block
        check_length(f"{k * n} values of {self.name}", data, count * n * self.layout.bytes)
        return self.of(np.frombuffer(data, np.uint8).reshape(n, count, self.layout.bytes))


class Layout(NamedTuple):
    """A block.

    Parameters
    ----------
    numbers, bytes
        How many it has.
    bits
        Of an integer.
    scales
        First bytes of its float16 fields.
    factors
        Its integer scales, beside those.
    decode
        Numbers (blocks, numbers) of blocks (blocks, bytes).
    encode
        The inverse, which rounds; None if there is no rule for it.
    """

    numbers: int
    bytes: int
    bits: int
    scales: tuple[int, ...]
    factors: int
    decode: Callable[[Bytes], Float32]
    encode: Callable[[Float32], Bytes] | None


def _half(blocks: Bytes, at: int) -> Float32:
    """A float16 field of each block, shape (blocks, 1)."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(_HALF).astype(np.float32)


def _halves(numbers: Float32) -> Bytes:
    """Float16 fields of bytes, shape (blocks, 2), of numbers (blocks, 1)."""
    with np.errstate(over="ignore"):
        return numbers.astype(_HALF).view(np.uint8)


def _nibbles(blocks: Bytes, at: int, numbers: int) -> Float32:
    """Fields of four bits, the lower halves of so many bytes first, as float32."""
    packed = blocks[:, at : at + numbers // 2]
    fields = np.empty((len(blocks), numbers), np.float32)
    fields[:, : numbers // 2] = packed & 15
    fields[:, numbers // 2 :] = packed >> 4
    return fields


def _fives(blocks: Bytes, at: int) -> Float32:
    """Fields of five bits: 32 fifth bits, then the lower four, as float32."""
    fields = _nibbles(blocks, at + 4, 32)
    fields += 16 * np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little").astype(np.float32)
    return fields


def _decode_q4_0(blocks: Bytes) -> Float32:
    q = _nibbles(blocks, 2, 32)
    q -= 8
    q *= _half(blocks, 0)
    return q


def _decode_q4_1(blocks: Bytes) -> Float32:
    q = _nibbles(blocks, 4, 32)
    q *= _half(blocks, 0)
    q += _half(blocks, 2)
    return q


def _decode_q5_0(blocks: Bytes) -> Float32:
    q = _fives(blocks, 2)
    q -= 16
    q *= _half(blocks, 0)
    return q


def _decode_q5_1(blocks: Bytes) -> Float32:
    q = _fives(blocks, 4)
    q *= _half(blocks, 0)
    q += _half(blocks, 2)
    return q


def _decode_q8_0(blocks: Bytes) -> Float32:
    numbers = blocks[:, 2:].view(np.int8).astype(np.float32)
    numbers *= _half(blocks, 0)
    return numbers


def _decode_q4_k(blocks: Bytes) -> Float32:
    return _scaled(blocks, _pairs(blocks[:, 16:]))


def _decode_q5_k(blocks: Bytes) -> Float32:
    q = _pairs(blocks[:, 48:])
    q += 16 * (blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1).astype(np.float32)
    return _scaled(blocks, q)


def _pairs(packed: Bytes) -> Float32:
    """Fields of four bits, as float32, shape (blocks, 8, 32)."""
    fields = packed.reshape(-1, 4, 32)
    q = np.empty((len(packed), 4, 2, 32), np.float32)
    q[:, :, 0] = fields & 15
    q[:, :, 1] = fields >> 4
    return q.reshape(-1, 8, 32)


def _scaled(blocks: Bytes, q: Float32) -> Float32:
    """Numbers of 8 sub-blocks, each with its scale and its least number."""
    # s and t of sub-blocks 0 to 3 are the low 6 bits of bytes 0 to 3 and 4 to 7, whose upper two bits belong to those
    # of sub-blocks 4 to 7, which have their low four in bytes 8 to 11
    first, second, last = (blocks[:, at : at + 4] for at in (4, 8, 12))
    s = np.concatenate([first & 63, (last & 15) | (first >> 6) << 4], axis=1)
    t = np.concatenate([second & 63, (last >> 4) | (second >> 6) << 4], axis=1)
    q *= (_half(blocks, 0) * s)[..., None]
    q -= (_half(blocks, 2) * t)[..., None]
    return q.reshape(-1, 256)


def _decode_q6_k(blocks: Bytes) -> Float32:
    low, high = blocks[:, :128].reshape(-1, 2, 2, 32), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    q = np.empty((len(blocks), 2, 4, 32), np.float32)
    # of 128 numbers, the lower halves of 64 bytes are the first 64, the upper halves the others
    q[:, :, :2] = (low & 15) | (high >> np.array([[0], [2]], np.uint8) & 3) << 4
    q[:, :, 2:] = (low >> 4) | (high >> np.array([[4], [6]], np.uint8) & 3) << 4
    q -= 32
    numbers = q.reshape(-1, 16, 16)
    numbers *= (_half(blocks, 208) * blocks[:, 192:208].view(np.int8))[..., None]
    return numbers.reshape(-1, 256)


def _inverse(d: Float32) -> Float32:
    """1 / d, and 0 for 0."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(d == 0, np.float32(0), np.float32(1) / d)


def _rounded(numbers: Float32, most: int) -> Bytes:
    """Whole part of positive numbers, at most so much."""
    return np.minimum(np.trunc(numbers), most).astype(np.uint8)


def _extreme(x: Float32) -> Float32:
    """The first number of the largest magnitude of each block, shape (blocks, 1)."""
    return np.take_along_axis(x, np.abs(x).argmax(axis=1, keepdims=True), axis=1)


def _packed(q: Bytes) -> Bytes:
    """Bytes of 32 fields of four bits."""
    packed: Bytes = (q[:, :16] & np.uint8(15)) | (q[:, 16:] & np.uint8(15)) << np.uint8(4)
    return packed


def _fifths(q: Bytes) -> Bytes:
    """Bytes of 32 fields of five bits."""
    return np.concatenate([np.packbits(q >> 4, axis=1, bitorder="little"), _packed(q)], axis=1)


def _encode_q4_0(x: Float32) -> Bytes:
    d = _extreme(x) / np.float32(-8)
    return np.concatenate([_halves(d), _packed(_rounded(x * _inverse(d) + np.float32(8.5), 15))], axis=1)


def _encode_q4_1(x: Float32) -> Bytes:
    least = x.min(axis=1, keepdims=True)
    d = (x.max(axis=1, keepdims=True) - least) / np.float32(15)
    q = _rounded((x - least) * _inverse(d) + np.float32(0.5), 15)
    return np.concatenate([_halves(d), _halves(least), _packed(q)], axis=1)


def _encode_q5_0(x: Float32) -> Bytes:
    d = _extreme(x) / np.float32(-16)
    return np.concatenate([_halves(d), _fifths(_rounded(x * _inverse(d) + np.float32(16.5), 31))], axis=1)


def _encode_q5_1(x: Float32) -> Bytes:
    least = x.min(axis=1, keepdims=True)
    d = (x.max(axis=1, keepdims=True) - least) / np.float32(31)
    q = _rounded((x - least) * _inverse(d) + np.float32(0.5), 31)
    return np.concatenate([_halves(d), _halves(least), _fifths(q)], axis=1)


def _encode_q8_0(x: Float32) -> Bytes:
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    scaled = x * _inverse(d)
    q = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # ties away from zero
    return np.concatenate([_halves(d), q.astype(np.int8).view(np.uint8)], axis=1)


LAYOUTS: dict[GgmlName, Layout] = {
    "q4_0": Layout(32, 18, 4, (0,), 0, _decode_q4_0, _encode_q4_0),
    "q4_1": Layout(32, 20, 4, (0, 2), 0, _decode_q4_1, _encode_q4_1),
    "q5_0": Layout(32, 22, 5, (0,), 0, _decode_q5_0, _encode_q5_0),
    "q5_1": Layout(32, 24, 5, (0, 2), 0, _decode_q5_1, _encode_q5_1),
    "q8_0": Layout(32, 34, 8, (0,), 0, _decode_q8_0, _encode_q8_0),
    "q4_k": Layout(256, 144, 4, (0, 2), 16, _decode_q4_k, None),
    "q5_k": Layout(256, 176, 5, (0, 2), 16, _decode_q5_k, None),
    "q6_k": Layout(256, 210, 6, (208,), 16, _decode_q6_k, None),
}
