"""Compressed rows and columns by hand, against plain loops, and bytes that no encoder writes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from accelsim.formats.csr import Csc, Csr, index_bits, pointer_bits, stored_bytes

matrices = hnp.arrays(
    st.sampled_from([np.int8, np.uint8]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40),
    elements=st.one_of(st.just(0), st.integers(0, 127)),
    fill=st.just(0),
)
codecs = st.sampled_from([Csr(), Csc()])


def looped(rows: list[list[int]]) -> tuple[list[int], list[int], list[int]]:
    """Pointers, indices and values of a list of lines."""
    pointers, indices, values = [0], [], []
    for row in rows:
        for place, value in enumerate(row):
            if value:
                indices.append(place)
                values.append(value)
        pointers.append(len(values))
    return pointers, indices, values


def bit_string(numbers: list[int], bits: int) -> bytes:
    number = sum(value << (bits * i) for i, value in enumerate(numbers))
    return number.to_bytes(math.ceil(len(numbers) * bits / 8), "little")


@given(w=matrices, codec=codecs)
def test_lines_are_those_of_plain_loops(w: NDArray[np.generic], codec: Csr | Csc) -> None:
    lines = w if codec == Csr() else w.T
    pointers, indices, values = looped(lines.tolist())
    encoded = codec.encode(w)
    assert encoded.pointers.tolist() == pointers
    assert encoded.indices.tolist() == indices
    assert encoded.values.tolist() == values
    # widths by logarithms, which powers of two below 2^52 get exactly
    places = math.ceil(math.log2(lines.shape[1])) if lines.shape[1] else 0
    counts = math.ceil(math.log2(len(values) + 1))
    data = encoded.to_bytes()
    assert data == (
        len(values).to_bytes(4, "little")
        + bit_string(pointers, counts)
        + bit_string(indices, places)
        + bytes(value & 255 for value in values)
    )
    assert encoded.stored_bits == 8 * len(data) == 8 * stored_bytes(*lines.shape, len(values))
    found = codec.from_bytes(data, w.shape, w.dtype)
    assert found.to_bytes() == data
    for one in (encoded, found):
        np.testing.assert_array_equal(one.decode(), w)
        assert one.decode().dtype == w.dtype
        assert one.decode().flags.c_contiguous


def test_a_small_matrix_by_hand() -> None:
    w = np.array([[0, 7, 0, 0, -1], [0, 0, 0, 0, 0], [2, 0, 0, 0, 0]], np.int8)
    # pointers 0 2 2 3 of 2 bits, indices 1 4 0 of 3 bits
    by_rows = bytes([3, 0, 0, 0, 0b11_10_10_00, 0b00_100_001, 0b0, 7, 255, 2])
    # pointers 0 1 2 2 2 3 of 2 bits, indices 2 0 0 of 2 bits
    by_columns = bytes([3, 0, 0, 0, 0b10_10_01_00, 0b1110, 0b00_00_10, 2, 7, 255])
    for codec, data in ((Csr(), by_rows), (Csc(), by_columns)):
        assert codec.encode(w).to_bytes() == data
        np.testing.assert_array_equal(codec.from_bytes(data, (3, 5)).decode(), w)
    assert (Csr().name, Csc().name) == ("csr", "csc")


def test_sizes_by_hand() -> None:
    w = np.zeros((64, 300), np.int8)
    w[::4, 7] = 1
    # 16 nonzeros: 65 or 301 pointers of 5 bits, 16 indices of 9 or 6 bits, 16 bytes
    assert Csr().encode(w).stored_bits == 8 * (4 + 41 + 18 + 16)
    assert Csc().encode(w).stored_bits == 8 * (4 + 189 + 12 + 16)
    assert Csr().encode(np.zeros((64, 300), np.int8)).stored_bits == 32
    assert Csr().encode(np.ones((3, 1), np.int8)).stored_bits == 8 * (4 + 1 + 0 + 3)


def test_widths_are_as_many_bits_as_their_numbers_need() -> None:
    assert [index_bits(places) for places in (0, 1, 2, 3, 4, 5, 256, 257, 2**31)] == [0, 0, 1, 2, 2, 3, 8, 9, 31]
    assert [pointer_bits(nonzeros) for nonzeros in (0, 1, 2, 3, 4, 255, 256, 2**31)] == [0, 1, 2, 2, 3, 8, 9, 32]


@pytest.mark.parametrize("codec", [Csr(), Csc()])
@pytest.mark.parametrize("shape", [(700, 300), (3, 70_000), (70_000, 2)])
def test_wide_pointers_and_indices_come_back(codec: Csr | Csc, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    w = np.where(rng.random(shape) < 0.4, rng.integers(-128, 128, shape), 0).astype(np.int8)
    encoded = codec.encode(w)
    assert encoded.stored_bits == 8 * len(encoded.to_bytes())
    np.testing.assert_array_equal(codec.from_bytes(encoded.to_bytes(), shape).decode(), w)


GOOD = bytes([3, 0, 0, 0, 0b11_10_10_00, 0b00_100_001, 0b0, 7, 255, 2])


def changed(position: int, value: int) -> bytes:
    return GOOD[:position] + bytes([value]) + GOOD[position + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a count of nonzeros must take 4 bytes, not 0"),
        (GOOD[:3], "a count of nonzeros must take 4 bytes, not 3"),
        (GOOD[:-1], "csr with 3 nonzeros must take 10 bytes, not 9"),
        (GOOD + b"\0", "csr with 3 nonzeros must take 10 bytes, not 11"),
        (changed(0, 15), "csr with 15 nonzeros must take 27 bytes, not 10"),
        (changed(0, 16), "a matrix of 15 values must hold at most as many nonzeros, not 16"),
        (changed(3, 255), "a matrix of 15 values must hold at most as many nonzeros, not 4278190083"),
        (changed(4, 0b11_10_10_01), "pointers must begin with 0, must not descend, and must end with 3"),
        (changed(4, 0b11_01_10_00), "pointers must begin with 0, must not descend, and must end with 3"),
        (changed(4, 0b10_10_10_00), "pointers must begin with 0, must not descend, and must end with 3"),
        (changed(5, 0b00_101_001), "indices must be below 5, not 5"),
        (changed(5, 0b00_001_001), "indices must ascend within a line"),
        (changed(5, 0b00_000_001), "indices must ascend within a line"),
        (changed(4, 0b11_11_11_00), "indices must ascend within a line"),
        (changed(6, 0b10), "bits after the last packed value must be 0"),
        (changed(8, 0), "values that are stored must not be 0"),
    ],
)
def test_bytes_that_no_encoder_writes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Csr().from_bytes(data, (3, 5))
    assert "\n" not in str(caught.value)


def test_odd_bits_after_the_last_pointer_are_refused() -> None:
    data = Csr().encode(np.ones((1, 1), np.int8)).to_bytes()
    assert data == bytes([1, 0, 0, 0, 0b10, 1])
    with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
        Csr().from_bytes(bytes([1, 0, 0, 0, 0b110, 1]), (1, 1))


@given(flips=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 255)), max_size=4), codec=codecs, data=st.data())
def test_changed_bytes_are_another_matrix_or_refused(
    flips: list[tuple[int, int]], codec: Csr | Csc, data: st.DataObject
) -> None:
    shape = data.draw(st.sampled_from([(3, 5), (5, 3), (3, 8), (1, 8)]))
    changing = bytearray(GOOD)
    for position, value in flips:
        changing[position] = value
    try:
        found = codec.from_bytes(bytes(changing), shape)
    except ValueError:
        return
    assert found.to_bytes() == changing
    assert codec.encode(found.decode()).to_bytes() == changing  # a matrix has one encoding


@given(
    nonzeros=st.integers(0, 6), rest=st.binary(max_size=12), rows=st.integers(0, 4), columns=st.integers(0, 6)
)  # fmt: skip
def test_any_bytes_are_a_matrix_or_refused(nonzeros: int, rest: bytes, rows: int, columns: int) -> None:
    data = nonzeros.to_bytes(4, "little") + rest
    for codec in (Csr(), Csc()):
        try:
            found = codec.from_bytes(data, (rows, columns))
        except ValueError:
            continue
        assert codec.encode(found.decode()).to_bytes() == data


@pytest.mark.parametrize("codec", [Csr(), Csc()])
def test_many_empty_lines_that_take_no_bytes_take_no_memory(codec: Csr | Csc) -> None:
    shape = (2**31, 0) if codec == Csr() else (0, 2**31)  # pointers would take 8 GiB
    found = codec.from_bytes(bytes(4), shape)
    assert found.to_bytes() == bytes(4)
    assert found.decode().shape == shape


def test_tensors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must have 2 dimensions, not 1"):
        Csr().encode(np.zeros(3, np.int8))
    with pytest.raises(ValueError, match="must have 2 dimensions, not 3"):
        Csc().from_bytes(bytes(4), (1, 2, 3))
