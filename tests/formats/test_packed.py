"""Packed integers and their group scales against numbers written by hand and exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.formats.packed import Packed, scale


def test_low_bits_come_first_in_twos_complement() -> None:
    assert Packed(4).encode(np.array([1, -1, -8, 7], np.int8)).to_bytes() == bytes([0xF1, 0x78])
    assert Packed(2).encode(np.array([1, -1, -2, 0, 1], np.int8)).to_bytes() == bytes([0b00_10_11_01, 0b01])
    assert Packed(1).encode(np.array([0, -1, -1, 0], np.int8)).to_bytes() == bytes([0b0110])
    assert Packed(4).encode(np.array([1, 15], np.uint8)).to_bytes() == bytes([0xF1])
    assert Packed(12).encode(np.array([1, -1, -2048], np.int16)).to_bytes() == bytes([0x01, 0xF0, 0xFF, 0x00, 0x08])
    assert Packed(16).encode(np.array([1, -2], np.int16)).to_bytes() == bytes([1, 0, 0xFE, 0xFF])
    assert Packed(9).encode(np.array([256, 511], np.uint16)).to_bytes() == bytes([0x00, 0b1111_1111, 0b11])


def test_binary_is_plus_and_minus_one() -> None:
    codec = Packed(1, binary=True)
    x = np.array([1, -1, -1, 1, 1], np.int8)
    assert codec.encode(x).to_bytes() == bytes([0b11001])
    np.testing.assert_array_equal(codec.from_bytes(bytes([0b11001]), (5,)).decode(), x)
    assert codec.name == "binary"


def kind(bits: int, signed: bool) -> np.dtype[np.generic]:
    """Type of the tensors of a width."""
    return np.dtype(f"{'int' if signed else 'uint'}{8 if bits <= 8 else 16}")


@given(bits=st.integers(1, 16), signed=st.booleans(), seed=st.integers(0, 2**32), size=st.integers(0, 50))
def test_every_integer_that_fits_comes_back(bits: int, signed: bool, seed: int, size: int) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    x = np.random.default_rng(seed).integers(low, high, size).astype(kind(bits, signed))
    encoded = Packed(bits).encode(x)
    assert encoded.stored_bits == 8 * -(-size * bits // 8)
    found = Packed(bits).from_bytes(encoded.to_bytes(), x.shape, x.dtype).decode()
    np.testing.assert_array_equal(found, x)
    assert found.dtype == encoded.dtype == x.dtype


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
@pytest.mark.parametrize("signed", [True, False])
def test_a_stored_tensor_shares_no_memory(bits: int, signed: bool) -> None:
    x = np.ones((3, 2), kind(bits, signed))
    encoded = Packed(bits).encode(x)
    x[:] = 0
    for one in (encoded, Packed(bits).from_bytes(encoded.to_bytes(), x.shape, x.dtype)):
        decoded = one.decode()
        decoded += 1  # it is the caller's to write
        assert (one.decode() == 1).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 9, 12, 15])
@pytest.mark.parametrize("signed", [True, False])
def test_the_first_integer_that_does_not_fit_is_refused(bits: int, signed: bool) -> None:
    top, dtype = 2 ** (bits - signed), kind(bits, signed)
    Packed(bits).encode(np.array([top - 1], dtype))
    with pytest.raises(ValueError, match=rf"values of int{bits} must be .* to {top - 1}, not {top}"):
        Packed(bits).encode(np.array([0, top], dtype))
    if signed:
        Packed(bits).encode(np.array([-top], dtype))
        with pytest.raises(ValueError, match=f"must be -{top} to {top - 1}, not -{top + 1}"):
            Packed(bits).encode(np.array([-top - 1], dtype))


@given(q=st.integers(-128, 127), multiplier=st.integers(0, 255), shift=st.integers(0, 7))
def test_scaling_rounds_the_exact_quotient_to_even(q: int, multiplier: int, shift: int) -> None:
    exact = round(Fraction(q * multiplier, 2**shift))  # Python rounds ties to even
    found = scale(np.array([q], np.int8), np.array([multiplier], np.uint8), shift)
    assert found.tolist() == [max(-128, min(127, exact))]


@given(
    q=hnp.arrays(
        np.int8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12), elements=st.integers(-8, 7)
    ),
    group=st.integers(1, 5),
    shift=st.integers(0, 7),
    seed=st.integers(0, 2**32),
)
def test_rows_of_a_group_share_their_columns_multipliers(
    q: NDArray[np.int8], group: int, shift: int, seed: int
) -> None:
    k, n = q.shape
    multipliers = np.random.default_rng(seed).integers(0, 256, (-(-k // group), n))
    codec = Packed(4, group)
    encoded = codec.encode_scaled(q, multipliers, shift)
    found = codec.from_bytes(encoded.to_bytes(), (k, n))
    expected = [
        [max(-128, min(127, round(Fraction(int(q[r, c] * multipliers[r // group, c]), 2**shift)))) for c in range(n)]
        for r in range(k)
    ]
    for one in (encoded, found):
        np.testing.assert_array_equal(one.decode(), np.array(expected).reshape(k, n))
        np.testing.assert_array_equal(one.quantized(), q)
    assert encoded.stored_bits == 8 * (1 + multipliers.size + -(-q.size * 4 // 8))
    assert codec.name == f"int4_g{group}"


def test_parameters_and_bytes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="bits must lie between 1 and 16, not 17"):
        Packed(17)
    with pytest.raises(ValueError, match="integers that share a multiplier must take at most 8 bits, not 9"):
        Packed(9, 4)
    with pytest.raises(ValueError, match="must be int16 or uint16, not int8"):
        Packed(9).encode(np.zeros(3, np.int8))
    with pytest.raises(ValueError, match="must be int8 or uint8, not int16"):
        Packed(8).encode(np.zeros(3, np.int16))
    with pytest.raises(ValueError, match="3 values of int9 must take 4 bytes, not 3"):
        Packed(9).from_bytes(bytes(3), (3,), np.uint16)
    with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
        Packed(9).from_bytes(bytes([0, 0, 0, 0b1000]), (3,), np.int16)
    with pytest.raises(ValueError, match="binary values must take 1 bit, not 2"):
        Packed(2, binary=True)
    with pytest.raises(ValueError, match="group must be 0 or more rows, not -1"):
        Packed(4, -1)
    with pytest.raises(ValueError, match="binary tensors must be int8, not uint8"):
        Packed(1, binary=True).encode(np.ones(3, np.uint8))
    with pytest.raises(ValueError, match=r"values of binary must be -1 or \+1, not 0"):
        Packed(1, binary=True).encode(np.array([1, 0], np.int8))
    with pytest.raises(ValueError, match=r"multipliers must have shape \(2, 1\), not \(1, 1\)"):
        Packed(4, 2).encode_scaled(np.zeros((3, 1), np.int8), np.ones((1, 1), int), 0)
    for multiplier, shift in ((256, 0), (-1, 0), (1, 8)):
        with pytest.raises(ValueError, match="must lie between 0 and 255 and the shift between 0 and 7"):
            Packed(4, 2).encode_scaled(np.zeros((2, 1), np.int8), np.full((1, 1), multiplier), shift)
    with pytest.raises(ValueError, match="the shift must lie between 0 and 7, not 8"):
        Packed(4, 2).from_bytes(b"\x08\x01\x00", (2, 1))
    with pytest.raises(ValueError, match="3 values of int4 must take 2 bytes, not 1"):
        Packed(4).from_bytes(b"\0", (3,))
    with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
        Packed(4).from_bytes(b"\0\x10", (3,))
