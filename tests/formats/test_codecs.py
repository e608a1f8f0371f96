"""What every codec promises: each array comes back, stored bits are real bytes, and other bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.formats import codec
from accelsim.formats.bitmask import Bitmask
from accelsim.formats.codebook import Codebook
from accelsim.formats.codec import Codec
from accelsim.formats.csr import Csc, Csr
from accelsim.formats.groups import Progressive, VectorScaled
from accelsim.formats.huffman import Huffman
from accelsim.formats.packed import Packed
from accelsim.formats.relative import Relative
from accelsim.formats.relative_huffman import RelativeHuffman

CODECS: list[Codec] = [
    Packed(8),
    Packed(8, group=3),
    Packed(16),
    Progressive(8, 3),
    VectorScaled(8, 3),
    Relative(4, 1),
    Relative(2, 3),
    Bitmask(),
    Csr(),
    Csc(),
    Codebook(8),
    Huffman(),
    RelativeHuffman(),
    RelativeHuffman(index_bits=2, streams=3),
    Huffman(streams=3, max_length=8),
]
#: Codecs that store values of few bits one by one.
NARROW: list[Bitmask | Csr | Csc | Relative] = [
    kind(value_bits=bits) for kind in (Bitmask, Csr, Csc, Relative) for bits in (1, 3, 4, 7)
]
shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=25)


def elements(dtype: np.dtype[np.generic]) -> st.SearchStrategy[int]:
    """Any value, often 0."""
    return st.one_of(st.just(0), st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max))


def signed_type(coder: Codec) -> np.dtype[np.generic]:
    """Type of the signed tensors that a codec takes."""
    return np.dtype(np.int16 if getattr(coder, "bits", 8) > 8 else np.int8)


def arrays(coder: Codec) -> st.SearchStrategy[NDArray[np.generic]]:
    """Matrices of the signed and the unsigned type; scaled tensors are signed."""
    signed = signed_type(coder)
    types = [signed] if getattr(coder, "group", 0) else [signed, np.dtype(f"u{signed}")]
    return st.sampled_from(types).flatmap(lambda dtype: hnp.arrays(dtype, shapes, elements=elements(dtype)))


def assert_round_trip(coder: Codec, x: NDArray[np.generic]) -> None:
    encoded = coder.encode(x)
    data = encoded.to_bytes()
    found = coder.from_bytes(data, x.shape, x.dtype)
    assert encoded.stored_bits == 8 * len(data)
    assert found.to_bytes() == data
    for one in (encoded, found):
        decoded = one.decode()
        np.testing.assert_array_equal(decoded, x)
        assert (one.shape, one.dtype, decoded.dtype) == (x.shape, x.dtype, x.dtype)


@pytest.mark.parametrize("coder", CODECS, ids=repr)
@given(data=st.data())
def test_every_array_comes_back_from_its_bytes(coder: Codec, data: st.DataObject) -> None:
    assert_round_trip(coder, data.draw(arrays(coder)))


@pytest.mark.parametrize("coder", CODECS, ids=repr)
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0, 0), np.int8),
        np.zeros((0, 7), np.int8),
        np.zeros((7, 0), np.int8),
        np.zeros((5, 9), np.int8),
        np.full((5, 9), -1, np.int8),
        np.arange(-128, 128, dtype=np.int8).reshape(16, 16),
        np.asfortranarray(np.arange(60, dtype=np.int8).reshape(6, 10)),
        np.arange(60, dtype=np.int8).reshape(6, 10)[::2, 1::3],
    ],
    ids=["empty", "no rows", "no columns", "zeros", "one symbol", "all symbols", "column order", "strides"],
)
def test_arrays_at_the_edges_come_back(coder: Codec, x: NDArray[np.int8]) -> None:
    wide = signed_type(coder)
    assert_round_trip(coder, x if wide == np.int8 else x.astype(wide, order="K") * 257)


@pytest.mark.parametrize("coder", NARROW, ids=repr)
@given(data=st.data())
def test_values_of_few_bits_come_back_and_take_as_many(
    coder: Bitmask | Csr | Csc | Relative, data: st.DataObject
) -> None:
    bits = coder.value_bits
    dtype, low, high = data.draw(
        st.sampled_from([(np.int8, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (np.uint8, 0, 2**bits - 1)])
    )
    x = data.draw(hnp.arrays(dtype, shapes, elements=st.one_of(st.just(0), st.integers(low, high))))
    assert_round_trip(coder, x)
    wide = type(coder)()
    stored = len(wide.encode(x).values)
    assert wide.encode(x).stored_bits - coder.encode(x).stored_bits == 8 * (stored - -(-stored * bits // 8))
    with pytest.raises(ValueError, match=f"values must fit {bits} bits, and not need {bits + 1}"):
        coder.encode(np.full((1, 2), high + 1, dtype))
    if low:
        with pytest.raises(ValueError, match=f"values must fit {bits} bits"):
            coder.encode(np.full((1, 2), low - 1, dtype))


@pytest.mark.parametrize("coder", [*CODECS, *NARROW], ids=repr)
@given(data=st.binary(max_size=100), shape=shapes)
def test_any_bytes_are_a_tensor_or_refused_in_one_sentence(coder: Codec, data: bytes, shape: tuple[int, int]) -> None:
    try:
        found = coder.from_bytes(data, shape, signed_type(coder))
    except ValueError as error:
        assert str(error)
        assert "\n" not in str(error)
        return
    assert found.to_bytes() == data
    assert found.decode().shape == shape


@pytest.mark.parametrize("coder", CODECS, ids=repr)
@given(data=st.data())
def test_damaged_bytes_are_another_tensor_or_refused(coder: Codec, data: st.DataObject) -> None:
    x = data.draw(hnp.arrays(signed_type(coder), (3, 5), elements=st.sampled_from([0, 0, 1, -7, 100])))
    good = bytearray(coder.encode(x).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(len(good) - 2, len(good)))])
    try:
        found = coder.from_bytes(cut, x.shape, x.dtype)
    except ValueError:
        return
    assert found.to_bytes() == cut
    assert found.decode().shape == x.shape


@pytest.mark.parametrize("coder", CODECS, ids=repr)
@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**40, 0), (3, -1)])
def test_a_hostile_shape_is_refused_before_memory_is_taken(coder: Codec, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must hold between 0 and 2147483648 values"):
        coder.from_bytes(b"\2" * 50, shape, signed_type(coder))


@pytest.mark.parametrize("coder", CODECS, ids=repr)
def test_a_large_shape_needs_as_many_bytes(coder: Codec) -> None:
    for data in (b"", b"\1" * 200):
        with pytest.raises(ValueError, match="must"):
            coder.from_bytes(data, (2**15, 2**15), signed_type(coder))


@pytest.mark.parametrize("coder", CODECS, ids=repr)
def test_other_types_are_refused(coder: Codec) -> None:
    width, other = (8, 16) if signed_type(coder) == np.int8 else (16, 8)
    for dtype in ("float32", f"int{other}", "int32"):
        message = f"stored tensors must be int{width} or uint{width}, not {dtype}"
        with pytest.raises(ValueError, match=message):
            coder.encode(np.zeros((2, 2), dtype))
        with pytest.raises(ValueError, match=message):
            coder.from_bytes(b"", (2, 2), dtype)


@given(
    values=hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.uint32, np.int32]), st.integers(0, 40)),
    bits=st.integers(0, 32),
)
def test_packing_is_the_number_that_the_values_write_to_that_base(values: NDArray[np.generic], bits: int) -> None:
    low = [int(value) & (2**bits - 1) for value in values.astype(np.int64)]
    if values.dtype == np.int32 or bits <= 8 * values.dtype.itemsize:
        number = sum(value << (bits * i) for i, value in enumerate(low))
    else:  # a value has no bits above its own
        number = sum(int(value) << (bits * i) for i, value in enumerate(values))
    packed = codec.pack(values, bits)
    assert packed.dtype == np.uint8
    assert packed.tobytes() == number.to_bytes(codec.packed_bytes(len(values), bits), "little")
    for word in (np.uint8, np.uint16, np.uint32):
        if bits <= 8 * np.dtype(word).itemsize:
            found = codec.unpack(packed, bits, len(values), word)
            assert found.dtype == word
            assert found.tolist() == low
    if bits <= 8:
        assert codec.unpack(packed, bits, len(values)).dtype == np.uint8


@pytest.mark.parametrize("bits", [1, 5, 7, 8, 9, 11, 15, 16, 17, 31, 32])
def test_bits_behind_the_last_value_must_be_zero(bits: int) -> None:
    free = 8 * codec.packed_bytes(3, bits) - 3 * bits
    data = codec.pack(np.full(3, 2**bits - 1, np.uint32), bits)
    assert codec.unpack(data, bits, 3, np.uint32).tolist() == [2**bits - 1] * 3
    for bit in range(8 - free, 8):
        odd = data.copy()
        odd[-1] |= 1 << bit
        with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
            codec.unpack(odd, bits, 3, np.uint32)


def test_sizes_of_each_format_by_hand() -> None:
    x = np.zeros((4, 8), np.int8)
    x[0, 0], x[3, 7] = 5, -5
    bits = {type(coder).__name__: coder.encode(x).stored_bits for coder in (Packed(4), Bitmask(), Codebook(2), Csr())}
    # compressed rows: a count, 5 pointers of 2 bits, 2 indices of 3 bits, filled up to bytes, 2 values
    assert bits == {"Packed": 32 * 4, "Bitmask": 32 + 2 * 8, "Codebook": 4 * 8 + 32 * 2, "Csr": 32 + 16 + 8 + 16}
    assert Packed(12).encode(x.astype(np.int16)).stored_bits == 32 * 12
    # a mask of symbols, three lengths in 4 bits, one size, and 30 + 2 * 2 bits of code
    assert Huffman().encode(x).stored_bits == 256 + 16 + 32 + 40
