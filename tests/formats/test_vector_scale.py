"""Vectors with scales on two levels against exact fractions, numbers written by hand, and bytes that are no matrix."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.formats.vector_scale import VectorScale

FLOAT_MAX = float(np.finfo(np.float32).max)
floats = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-8, 8, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -7.5, 2.0**-149, -(2.0**-126), FLOAT_MAX, -FLOAT_MAX]),
)
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=floats)
codecs = st.builds(VectorScale, st.integers(2, 8), st.integers(1, 5), st.integers(1, 16))


def gamma_of(column: list[float], codec: VectorScale) -> Fraction:
    """Largest float32 that is no larger than the column's scale must be; the lowest above 0 at least."""
    wanted = Fraction(max(map(abs, column), default=0)) / ((2 ** (codec.bits - 1) - 1) * (2**codec.scale_bits - 1))
    bits = 0  # of a positive float32, which ascend with the number
    for bit in reversed(range(31)):
        number = struct.unpack("<f", (bits | 1 << bit).to_bytes(4, "little"))[0]
        if number <= FLOAT_MAX and Fraction(number) <= wanted:
            bits |= 1 << bit
    if wanted:
        bits = max(bits, 1)
    return Fraction(struct.unpack("<f", bits.to_bytes(4, "little"))[0])


@given(x=matrices, codec=codecs)
def test_scales_and_elements_are_those_of_exact_fractions(x: NDArray[np.float32], codec: VectorScale) -> None:
    encoded = codec.encode(x)
    top, largest = 2**codec.scale_bits - 1, 2 ** (codec.bits - 1) - 1
    k, n = x.shape
    decoded = encoded.decode()
    for c in range(n):
        gamma = gamma_of(x[:, c].tolist(), codec)
        assert Fraction(float(encoded.gammas[c])) == gamma
        for first in range(0, k, codec.vector):
            vector = [Fraction(value) for value in x[first : first + codec.vector, c].tolist()]
            scale = 0
            if any(vector):
                scale = max(1, min(top, round(max(map(abs, vector)) / largest / gamma)))  # ties to even
            assert encoded.scales[first // codec.vector, c] == scale
            for r, value in enumerate(vector, first):
                element = max(-largest, min(largest, round(value / (scale * gamma)))) if scale else 0
                assert encoded.elements[r, c] == element
                assert Fraction(float(encoded.exact()[r, c])) == element * scale * gamma
                assert decoded[r, c] == np.float32(float(element * scale * gamma))


@given(x=matrices, codec=codecs)
def test_what_is_quantized_comes_back_from_its_bytes(x: NDArray[np.float32], codec: VectorScale) -> None:
    encoded = codec.encode(x)
    data, (k, n) = encoded.to_bytes(), x.shape
    found = codec.from_bytes(data, x.shape)
    assert found.to_bytes() == data
    for one in (encoded, found):
        values = one.decode()
        assert (one.shape, one.dtype, values.shape, values.dtype) == (x.shape, np.float32, x.shape, np.float32)
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, codec.quantize(x))
    scales = -(-(-(-k // codec.vector) * n * codec.scale_bits) // 8)
    assert encoded.stored_bits == 8 * len(data) == 8 * (4 * n + scales + -(-k * n * codec.bits // 8))


magnitudes = st.floats(2.0**-60, 100, width=32)  # whose gammas are not subnormal


@given(
    x=hnp.arrays(np.float32, (7, 3), elements=st.one_of(st.just(0.0), magnitudes, magnitudes.map(lambda v: -v))),
    codec=codecs,
)
def test_errors_are_half_a_step_where_nothing_is_clipped(x: NDArray[np.float32], codec: VectorScale) -> None:
    encoded = codec.encode(x)
    step = encoded.scales[codec.rows(7)] * encoded.gammas.astype(np.float64)
    inside = np.abs(x) <= codec.largest * step
    error = np.abs(encoded.exact() - x)
    assert (error[inside] <= step[inside] / 2).all()
    # a clipped element is the vector's largest, and its scale was rounded down from less than 1.5 times it
    assert (np.abs(x[~inside]) < 1.5 * (codec.largest * step)[~inside] * (1 + 2.0**-20)).all()


def test_a_small_matrix_by_hand() -> None:
    # Q = 7, scales up to 3. Column 0: largest 42, s = 6, gamma = 2; its vectors need 3 and 5 / 14, which is 1 at least
    # column 1: largest 21, s = 3, gamma = 1; vectors need 3 and 2
    x = np.array([[42.0, 3.0], [-15.0, -21.0], [2.1, 14.0], [-5.0, -3.0]], np.float32)
    encoded = VectorScale(4, vector=2, scale_bits=2).encode(x)
    assert encoded.gammas.tolist() == [2.0, 1.0]
    assert encoded.scales.tolist() == [[3, 3], [1, 2]]
    assert encoded.elements.tolist() == [[7, 1], [-2, -7], [1, 7], [-2, -2]]  # -15 / 6, -5 / 2, -3 / 2: ties to even
    assert encoded.integers().tolist() == [[21, 3], [-6, -21], [1, 14], [-2, -4]]
    assert encoded.decode().tolist() == [[42.0, 3.0], [-12.0, -21.0], [2.0, 14.0], [-4.0, -4.0]]
    data = bytes([0, 0, 0, 0x40, 0, 0, 0x80, 0x3F, 0b10_01_11_11, 0x17, 0x9E, 0x71, 0xEE])
    assert encoded.to_bytes() == data
    np.testing.assert_array_equal(VectorScale(4, 2, 2).from_bytes(data, (4, 2)).decode(), encoded.decode())


def test_sizes_and_names_by_hand() -> None:
    x = np.ones((100, 10), np.float32)  # 2 vectors of 64 or 7 of 16 a column
    assert VectorScale(4).encode(x).stored_bits == 320 + 80 + 4000
    assert VectorScale(3, 16, 6).encode(x).stored_bits == 320 + 424 + 3000  # 420 bits of scales fill 53 bytes
    assert VectorScale(4).name == "vsq4_s4_v64"
    assert VectorScale(3, 16, 6).name == "vsq3_s6_v16"


def test_zeros_have_no_scale_and_tiny_numbers_the_lowest() -> None:
    codec = VectorScale(8, 2)
    encoded = codec.encode(np.array([[0.0, 2.0**-149], [-0.0, 0.0], [0.0, 0.0]], np.float32))
    assert encoded.gammas.tolist() == [0.0, 2.0**-149]
    assert encoded.scales.tolist() == [[0, 1], [0, 0]]
    assert encoded.decode().tolist() == [[0.0, 2.0**-149], [0.0, 0.0], [0.0, 0.0]]


def test_the_largest_float_stays_finite() -> None:
    x = np.array([[FLOAT_MAX], [-FLOAT_MAX]], np.float32)
    for bits in range(2, 9):
        for scale_bits in range(1, 17):
            values = VectorScale(bits, 64, scale_bits).quantize(x)
            np.testing.assert_allclose(values, x, rtol=2.0**-22)


def stored(gamma: float, scale: int, *elements: int) -> bytes:
    """Bytes of a column of 4-bit elements with one scale."""
    return struct.pack("<f", gamma) + bytes([scale, elements[0] & 15 | (elements[1] & 15) << 4, elements[2] & 15])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (stored(1, 1, 1, 2, 3)[:-1], "3 values of vsq4_s4_v64 must take 7 bytes, not 6"),
        (stored(1, 1, 1, 2, 3) + b"\0", "3 values of vsq4_s4_v64 must take 7 bytes, not 8"),
        (stored(float("nan"), 1, 1, 2, 3), "the scale of a column must be finite and not negative, not nan"),
        (stored(float("inf"), 1, 1, 2, 3), "the scale of a column must be finite and not negative, not inf"),
        (stored(-1.5, 1, 1, 2, 3), "the scale of a column must be finite and not negative, not -1.5"),
        (stored(-0.0, 0, 0, 0, 0), "the scale of a column must be finite and not negative, not -0.0"),
        (stored(1, 1, 1, -8, 3), "elements must lie between -7 and 7, not -8"),
        (stored(0, 1, 0, 0, 0), "what has the scale 0 must be 0"),
        (stored(1, 0, 0, 0, 1), "what has the scale 0 must be 0"),
        (stored(1, 16, 1, 2, 3), "bits after the last packed value must be 0"),
        (stored(1, 1, 1, 2, 3)[:-1] + b"\x13", "bits after the last packed value must be 0"),
        (stored(FLOAT_MAX, 1, 1, 2, 3), "values must lie in the range of float32, not reach 1.02085e"),
    ],
)
def test_bytes_that_are_no_matrix_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        VectorScale(4).from_bytes(data, (3, 1))
    assert "\n" not in str(caught.value)


@given(data=st.binary(max_size=30), k=st.integers(0, 5), n=st.integers(0, 3), codec=codecs)
def test_any_bytes_are_a_matrix_or_refused(data: bytes, k: int, n: int, codec: VectorScale) -> None:
    length = len(codec.encode(np.zeros((k, n), np.float32)).to_bytes())
    for some in (data, (data + bytes(length))[:length]):
        try:
            found = codec.from_bytes(some, (k, n))
        except ValueError:
            continue
        assert found.to_bytes() == some
        assert found.decode().shape == (k, n)
        assert np.isfinite(found.decode()).all()


@given(x=matrices, codec=codecs, flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=3))
def test_damaged_bytes_are_another_matrix_or_refused(
    x: NDArray[np.float32], codec: VectorScale, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(codec.encode(x).to_bytes())
    for position, value in flips if data else []:
        data[position % len(data)] = value
    try:
        found = codec.from_bytes(bytes(data), x.shape)
    except ValueError:
        return
    assert found.to_bytes() == data
    assert np.isfinite(found.decode()).all()


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**40, 0), (-1, 3)])
def test_a_hostile_shape_takes_no_memory(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a tensor must hold between 0 and"):
        VectorScale(4).from_bytes(bytes(9), shape)
    with pytest.raises(ValueError, match="must take"):
        VectorScale(4).from_bytes(bytes(9), (2**15, 2**15))
    assert VectorScale(4, 2**60).from_bytes(stored(1, 1, 1, 2, 3), (3, 1)).decode().tolist() == [[1.0], [2.0], [3.0]]


def test_what_is_not_quantized_is_refused() -> None:
    codec = VectorScale(4)
    for number in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=f"a matrix to be quantized must be finite, not {number}"):
            codec.encode(np.array([[0.0, number]], np.float32))
    with pytest.raises(ValueError, match="a matrix to be quantized must be float32, not float16"):
        codec.encode(np.zeros((2, 2), np.float16))
    with pytest.raises(ValueError, match="must have 2 dimensions, not 1"):
        codec.encode(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="bits must lie between 2 and 8, not 1"):
        VectorScale(1)
    with pytest.raises(ValueError, match="bits must lie between 2 and 8, not 9"):
        VectorScale(9)
    with pytest.raises(ValueError, match="vector must be at least 1 row, not 0"):
        VectorScale(4, 0)
    with pytest.raises(ValueError, match="scale_bits must lie between 1 and 16, not 17"):
        VectorScale(4, 64, 17)
