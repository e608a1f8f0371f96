"""Microscaled blocks against ml_dtypes' casts, the specification's rule in plain Python, and bytes by hand."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.formats.microscale import ELEMENTS, ElementName, Microscale

#: Type of ml_dtypes, largest number, exponent of the largest power of two.
FLOATS: dict[ElementName, tuple[type[np.generic], float, int]] = {
    "e4m3": (ml_dtypes.float8_e4m3fn, 448.0, 8),
    "e5m2": (ml_dtypes.float8_e5m2, 57344.0, 15),
    "e3m2": (ml_dtypes.float6_e3m2fn, 28.0, 4),
    "e2m3": (ml_dtypes.float6_e2m3fn, 7.5, 2),
    "e2m1": (ml_dtypes.float4_e2m1fn, 6.0, 2),
}
BITS: dict[ElementName, int] = {"e4m3": 8, "e5m2": 8, "e3m2": 6, "e2m3": 6, "e2m1": 4, "int8": 8}
names = st.sampled_from(list(ELEMENTS))
floats = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-8, 8, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.5, 1.75, 1.875, 448.0, 464.0, -28.0, 2.0**-149, 2.0**-126, 2.0**127]),
)
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=floats)


def cast(numbers: NDArray[np.float64], element: ElementName) -> NDArray[np.uint8]:
    """Codes of numbers in ml_dtypes' types, which are clipped as E4M3 and E5M2 would overflow."""
    target, largest, _ = FLOATS[element]
    clipped = np.clip(numbers, -largest, largest).astype(np.float32)
    return clipped.astype(target).view(np.uint8) & np.uint8(2 ** BITS[element] - 1)


def shared_exponent(block: list[float], element: ElementName) -> int:
    largest = max(map(abs, block))
    top = 0 if element == "int8" else FLOATS[element][2]
    return max(-127, math.frexp(largest)[1] - 1 - top) if largest else -127


@pytest.mark.parametrize("element", FLOATS)
def test_codes_stand_for_what_ml_dtypes_says(element: ElementName) -> None:
    expected = np.arange(2 ** BITS[element], dtype=np.uint8).view(FLOATS[element][0]).astype(np.float64)
    expected[np.isinf(expected)] = np.nan
    values = ELEMENTS[element].values()
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(np.signbit(values[np.isfinite(values)]), np.signbit(expected[np.isfinite(expected)]))
    assert (ELEMENTS[element].largest, ELEMENTS[element].top) == FLOATS[element][1:]
    assert ELEMENTS[element].bits == BITS[element]


@pytest.mark.parametrize("element", FLOATS)
def test_every_number_and_every_tie_rounds_as_ml_dtypes_casts(element: ElementName) -> None:
    numbers = ELEMENTS[element].values()
    positive = np.sort(numbers[np.isfinite(numbers) & (numbers >= 0)])
    ties = (positive[1:] + positive[:-1]) / 2
    near = np.concatenate((positive, ties, np.nextafter(np.float32(ties), 0), np.nextafter(np.float32(ties), np.inf)))
    tested = np.concatenate((near, -near, [1e30, -1e30, 1e-40, -1e-40, positive[-1] * 1.04])).astype(np.float64)
    np.testing.assert_array_equal(ELEMENTS[element].codes(tested), cast(tested, element))


@given(numbers=hnp.arrays(np.float32, st.integers(0, 30), elements=floats), element=st.sampled_from(list(FLOATS)))
def test_any_number_rounds_as_ml_dtypes_casts(numbers: NDArray[np.float32], element: ElementName) -> None:
    wide = numbers.astype(np.float64)
    np.testing.assert_array_equal(ELEMENTS[element].codes(wide), cast(wide, element))


@given(x=matrices, element=names, block=st.integers(1, 5))
def test_blocks_follow_the_rule_of_the_specification(x: NDArray[np.float32], element: ElementName, block: int) -> None:
    codec = Microscale(element, block)
    encoded = codec.encode(x)
    k, n = x.shape
    exponents = [
        [shared_exponent(x[first : first + block, c].tolist(), element) for c in range(n)]
        for first in range(0, k, block)
    ]
    assert encoded.scales.astype(int).tolist() == [[e + 127 for e in row] for row in exponents]
    expected = encoded.scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    for r in range(k):
        for c in range(n):
            scaled = float(x[r, c]) / 2.0 ** exponents[r // block][c]
            if element == "int8":
                code = max(-127, min(127, round(scaled * 64))) & 255  # Python rounds ties to even
                value = (code - 256 if code > 127 else code) / 64
            else:
                code = int(cast(np.array([scaled]), element)[0])
                value = float(np.array([code], np.uint8).view(FLOATS[element][0]).astype(np.float64)[0])
            assert encoded.codes[r, c] == code
            assert encoded.decode()[r, c] == value * expected[r // block, c]


@given(x=matrices, element=names, block=st.integers(1, 40))
def test_what_is_quantized_comes_back_and_stays(x: NDArray[np.float32], element: ElementName, block: int) -> None:
    codec = Microscale(element, block)
    encoded = codec.encode(x)
    data, values = encoded.to_bytes(), encoded.decode()
    assert (values.dtype, values.shape, encoded.dtype, encoded.shape) == (np.float32, x.shape, np.float32, x.shape)
    assert np.isfinite(values).all()
    found = codec.from_bytes(data, x.shape)
    assert found.to_bytes() == data
    np.testing.assert_array_equal(found.decode(), values)
    np.testing.assert_array_equal(codec.quantize(x), values)
    again = codec.encode(values)
    np.testing.assert_array_equal(again.decode(), values)
    assert again.to_bytes() == data
    k, n = x.shape
    assert encoded.stored_bits == 8 * len(data) == 8 * (-(-k // block) * n + -(-k * n * BITS[element] // 8))


@given(
    element=names,
    shared=hnp.arrays(np.int64, (2, 3), elements=st.integers(-127, 100)),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_representable_blocks_are_not_changed(
    element: ElementName, shared: NDArray[np.int64], seed: int, data: st.DataObject
) -> None:
    numbers = ELEMENTS[element].values()
    usable = numbers[np.isfinite(numbers) & (numbers >= -ELEMENTS[element].largest)]
    chosen = np.random.default_rng(seed).choice(usable, (8, 3))
    if element == "e4m3":  # 480 is no number: scaled up, 1.875 times a power of two would be
        chosen[::4] = data.draw(st.sampled_from([448.0, -256.0]))
    x = np.ldexp(chosen, np.repeat(shared, 4, axis=0)).astype(np.float32)
    np.testing.assert_array_equal(Microscale(element, 4).quantize(x), x)


def test_blocks_of_other_writers_that_quantizing_changes() -> None:
    # by the rule, 240 has the exponent 7 - 8, and 480 saturates
    assert Microscale("e4m3").quantize(np.array([[240.0], [1.0]], np.float32)).tolist() == [[224.0], [1.0]]
    found = Microscale("int8").from_bytes(bytes([127, 0x80, 1]), (2, 1))
    assert found.decode().tolist() == [[-2.0], [1 / 64]]
    assert Microscale("int8").quantize(found.decode()).tolist() == [[-2.0], [0.0]]


def test_a_small_matrix_by_hand() -> None:
    # column 0: 6 is 1.5 x 2^2, exponent 0; codes 6 -> 7, -0.5 -> 9, 2.5 (tie) -> 2 -> 4; column 1: 48 -> exponent 3
    x = np.array([[6.0, 48.0], [-0.5, 0.0], [2.5, -8.0]], np.float32)
    data = bytes([127, 130, 0x77, 0x09, 0xA4])
    encoded = Microscale("e2m1").encode(x)
    assert encoded.to_bytes() == data
    assert encoded.decode().tolist() == [[6.0, 48.0], [-0.5, 0.0], [2.0, -8.0]]
    # blocks of two: 2.5 alone is 1.25 x 2^1, exponent -1, 5 (tie) -> 4 -> 6; -8 is -4 x 2^1
    encoded = Microscale("e2m1", 2).encode(x)
    assert encoded.to_bytes() == bytes([127, 130, 126, 128, 0x77, 0x09, 0xE6])
    # 1.5 and -1 of 64ths, exponent 0
    assert Microscale("int8").encode(np.array([[1.5], [-1.0]], np.float32)).to_bytes() == bytes([127, 96, 0xC0])
    # 6 bits without gaps: 28 -> 31, -28 -> 63
    assert Microscale("e3m2").encode(np.array([[28.0], [-28.0]], np.float32)).to_bytes() == bytes([127, 0xDF, 0x0F])


def test_sizes_and_names_by_hand() -> None:
    x = np.ones((70, 10), np.float32)  # blocks of 32, 32 and 6
    sizes = {Microscale(element).name: Microscale(element).encode(x).stored_bits for element in ELEMENTS}
    assert sizes == {
        "mxfp8_e4m3": 240 + 5600,
        "mxfp8_e5m2": 240 + 5600,
        "mxfp6_e3m2": 240 + 4200,
        "mxfp6_e2m3": 240 + 4200,
        "mxfp4_e2m1": 240 + 2800,
        "mxint8": 240 + 5600,
    }
    assert Microscale("e2m1", 16).name == "mxfp4_e2m1_b16"


def test_zeros_have_the_lowest_scale_and_tiny_numbers_too() -> None:
    for element in ELEMENTS:
        for number in (0.0, 2.0**-149):
            encoded = Microscale(element).encode(np.full((3, 2), number, np.float32))
            assert encoded.scales.tolist() == [[0, 0]]
            assert encoded.to_bytes()[2:] == bytes(len(encoded.to_bytes()) - 2)
            assert not encoded.decode().any()


def test_the_largest_float_saturates() -> None:
    x = np.array([[np.finfo(np.float32).max], [-np.finfo(np.float32).max]])
    for element, largest in {"int8": 127 / 64, **{name: FLOATS[name][1] for name in FLOATS}}.items():
        encoded = Microscale(element).encode(x)
        expected = largest * 2.0 ** (int(encoded.scales[0, 0]) - 127)
        assert encoded.decode().ravel().tolist() == [expected, -expected]


@pytest.mark.parametrize(
    ("element", "data", "message"),
    [
        ("e4m3", bytes(2), "2 values of mxfp8_e4m3 must take 3 bytes, not 2"),
        ("e4m3", bytes(4), "2 values of mxfp8_e4m3 must take 3 bytes, not 4"),
        ("e2m1", bytes(3), "2 values of mxfp4_e2m1 must take 2 bytes, not 3"),
        ("int8", b"\xff\0\0", r"a scale must be a number, not NaN \(0xff\)"),
        ("e4m3", b"\x10\0\x7f", "an element must be a number, not the code 0x7f"),
        ("e4m3", b"\x10\xff\0", "an element must be a number, not the code 0xff"),
        ("e5m2", b"\x10\0\x7c", "an element must be a number, not the code 0x7c"),
        ("e5m2", b"\x10\xfd\0", "an element must be a number, not the code 0xfd"),
        ("e3m2", b"\x10\0\x10", "bits after the last packed value must be 0"),
        ("e2m1", b"\xfe\x04", "values must lie in the range of float32, not reach 3.40282e"),
        ("int8", b"\xfe\0\x80", "values must lie in the range of float32, not reach 3.40282e"),
    ],
)
def test_bytes_that_are_no_matrix_are_refused(element: ElementName, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Microscale(element).from_bytes(data, (2, 1))
    assert "\n" not in str(caught.value)


@given(element=names, data=st.binary(max_size=30), k=st.integers(0, 4), n=st.integers(0, 4), block=st.integers(1, 3))
def test_any_bytes_are_a_matrix_or_refused(element: ElementName, data: bytes, k: int, n: int, block: int) -> None:
    codec = Microscale(element, block)
    length = -(-k // block) * n + -(-k * n * BITS[element] // 8)
    for some in (data, (data + bytes(length))[:length]):
        try:
            found = codec.from_bytes(some, (k, n))
        except ValueError:
            continue
        assert found.to_bytes() == some
        values = found.decode()
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values.astype(np.float64), found.exact())
        once = codec.quantize(values)
        np.testing.assert_array_equal(codec.quantize(once), once)


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**40, 0), (-1, 3)])
def test_a_hostile_shape_takes_no_memory(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a tensor must hold between 0 and"):
        Microscale("e4m3").from_bytes(bytes(9), shape)
    with pytest.raises(ValueError, match="must take"):
        Microscale("e4m3").from_bytes(bytes(9), (2**15, 2**15))
    assert Microscale("e4m3", 2**60).from_bytes(bytes([127, 0x38]), (1, 1)).decode().tolist() == [[1.0]]


def test_what_is_not_quantized_is_refused() -> None:
    codec = Microscale("e2m1")
    for number in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=f"a matrix to be quantized must be finite, not {number}"):
            codec.encode(np.array([[0.0, number]], np.float32))
    with pytest.raises(ValueError, match="a matrix to be quantized must be float32, not float64"):
        codec.encode(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="must have 2 dimensions, not 1"):
        codec.encode(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="must have 2 dimensions, not 3"):
        codec.from_bytes(b"", (0, 0, 0))
    with pytest.raises(ValueError, match="element must be one of e4m3, e5m2, e3m2, e2m3, e2m1, int8, not 'e3m4'"):
        Microscale("e3m4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="block must be at least 1 row, not 0"):
        Microscale("e2m1", 0)
