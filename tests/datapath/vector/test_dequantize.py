"""fp8 and int8 to float32 against ml_dtypes, golden and exact products."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import dequantize
from accelsim.datapath.vector.dequantize import Fp8
from accelsim.golden import vector as golden

CODES = np.arange(256).astype(np.uint8)
TYPES: dict[Fp8, type] = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}


@pytest.mark.parametrize("fp8", TYPES)
def test_every_byte_has_the_value_that_ml_dtypes_gives(fp8: Fp8) -> None:
    ours = dequantize.fp8_to_float32(CODES, fp8)
    theirs = CODES.view(TYPES[fp8]).astype(np.float32)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


@pytest.mark.parametrize(("fp8", "exponent_bits"), [("fp8_e4m3", 4), ("fp8_e5m2", 5)])
def test_every_byte_has_the_value_of_the_format(fp8: Fp8, exponent_bits: int) -> None:
    expected = np.array([golden.fp8(code, exponent_bits) for code in CODES.tolist()])
    np.testing.assert_array_equal(dequantize.fp8_to_float32(CODES, fp8), expected)


def test_named_values() -> None:
    e4m3 = dequantize.fp8_to_float32(np.array([0x00, 0x80, 0x01, 0x07, 0x08, 0x38, 0x7E, 0x7F], np.uint8), "fp8_e4m3")
    assert e4m3[:7].tolist() == [0, -0.0, 2**-9, 7 * 2**-9, 2**-6, 1, 448]
    assert np.isnan(e4m3[7])
    e5m2 = dequantize.fp8_to_float32(np.array([0x01, 0x03, 0x04, 0x3C, 0x7B, 0xFC, 0x7D], np.uint8), "fp8_e5m2")
    assert e5m2[:6].tolist() == [2**-16, 3 * 2**-16, 2**-14, 1, 57344, -np.inf]
    assert np.isnan(e5m2[6])


FLOAT32 = st.floats(width=32, min_value=2.0**-100, max_value=2.0**100)


@given(st.lists(FLOAT32, min_size=256, max_size=256), st.sampled_from(sorted(TYPES)))
def test_a_scale_a_channel_is_one_rounding(scales: list[float], fp8: Fp8) -> None:
    got = dequantize.dequantize_fp8(CODES, np.array(scales), fp8)
    for code, scale, value in zip(CODES.tolist(), scales, got.tolist(), strict=True):
        exact = golden.fp8(code, 4 if fp8 == "fp8_e4m3" else 5)
        if np.isfinite(exact):
            # 4 bits times 24 are exact in float64, which float32 then rounds to nearest even
            assert value == np.float32(exact * scale)
        else:
            assert np.isnan(value) if np.isnan(exact) else value == exact


def test_overflow_and_undefined_products_are_ieees() -> None:
    codes = np.array([0x7C, 0x7B, 0xFB], np.uint8)
    got = dequantize.dequantize_fp8(codes, np.array([0.0, 3e38, 3e38]), "fp8_e5m2")
    assert np.isnan(got[0])
    assert got[1:].tolist() == [np.inf, -np.inf]


@given(FLOAT32, st.integers(-128, 127))
def test_integers_times_their_scale_are_rounded_once(scale: float, zero_point: int) -> None:
    x = CODES.view(np.int8)
    got = dequantize.dequantize_int8(x, zero_point, scale)
    assert got.dtype == np.float32
    for integer, value in zip(x.tolist(), got.tolist(), strict=True):
        exact = (integer - zero_point) * Fraction(scale)
        below, above = (Fraction(float(np.nextafter(np.float32(value), np.float32(end)))) for end in (-np.inf, np.inf))
        assert abs(Fraction(value) - exact) <= min(abs(below - exact), abs(above - exact))


def test_an_integer_channel_has_its_own_scale_and_zero_point() -> None:
    x = np.array([[10, 200], [0, 255]], np.uint8)
    assert dequantize.dequantize_int8(x, [0, 128], [0.5, 2]).tolist() == [[5, 144], [0, 254]]


def test_one_pass_of_three_stages_and_its_events() -> None:
    assert dequantize.cycles(4, 20, 16, 3) == (8, 10)
    counters: Counters = {}
    dequantize.fp8_events(counters, 3)
    dequantize.int8_events(counters, 2)
    assert {(e.component, e.operation, e.bits): times for e, times in counters.items()} == {
        (Component.VECTOR, Operation.INT_ADD, 8): 5,
        (Component.VECTOR, Operation.INT_SHIFT, 3): 3,
        (Component.VECTOR, Operation.INT_ADD, 9): 2,
        (Component.VECTOR, Operation.INT_SHIFT, 9): 2,
        (Component.VECTOR, Operation.FLOAT_MULTIPLY, 32): 5,
    }
