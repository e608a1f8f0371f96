"""Relative indices against the paper's example, a walk written in plain Python, and bytes that no encoder writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sparse_lanes_registers import padded_columns

from accelsim.formats.relative import EncodedLanes, Relative, encode, stored_bytes

matrices = hnp.arrays(
    st.sampled_from([np.int8, np.uint8]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40),
    elements=st.one_of(st.just(0), st.integers(0, 127)),
    fill=st.just(0),
)


@given(w=matrices, lanes=st.integers(1, 9), bits=st.integers(1, 8))
def test_every_matrix_comes_back_from_its_bytes(w: NDArray[np.generic], lanes: int, bits: int) -> None:
    codec = Relative(bits, lanes)
    encoded = codec.encode(w)
    data = encoded.to_bytes()
    found = codec.from_bytes(data, w.shape, w.dtype)
    for decoded in (encoded.decode(), found.decode()):
        np.testing.assert_array_equal(decoded, w)
        assert decoded.dtype == w.dtype
    assert found.to_bytes() == data
    assert encoded.stored_bits == 8 * len(data)


@given(w=matrices, lanes=st.integers(1, 9), bits=st.integers(1, 8))
def test_entries_are_those_of_a_walk_along_each_lane(w: NDArray[np.generic], lanes: int, bits: int) -> None:
    encoded = encode(w, lanes, bits)
    columns = [padded_columns(w, lane, lanes, bits) for lane in range(lanes)]
    assert encoded.counts.tolist() == [[len(columns[lane][k]) for lane in range(lanes)] for k in range(len(w))]
    assert encoded.values.tolist() == [value for lane in columns for column in lane for _, value in column]
    padding = [[sum(value == 0 for _, value in columns[lane][k]) for lane in range(lanes)] for k in range(len(w))]
    assert encoded.padding_counts.tolist() == padding
    assert encoded.padding == sum(map(sum, padding))
    assert stored_bytes(len(w), encoded.counts.sum(axis=0, dtype=np.int64), bits) == len(encoded.to_bytes())
    for lane in range(lanes):
        for k, column in enumerate(columns[lane]):
            first = encoded.starts[lane, k]
            outputs = np.cumsum(encoded.indices[first : first + len(column)].astype(int) + 1) - 1
            assert (outputs * lanes + lane).tolist() == [output for output, _ in column]


def test_the_example_of_the_paper() -> None:
    # EIE, section III-B: [0,0,1,2,0 x 18,3] is v = [1,2,0,3], z = [2,0,15,2]
    row = np.array([[0, 0, 1, 2, *[0] * 18, 3, 0]], np.int8)
    encoded = encode(row, 1, 4)
    assert encoded.values.tolist() == [1, 2, 0, 3]
    assert encoded.indices.tolist() == [2, 0, 15, 2]
    assert encoded.to_bytes() == bytes([2, 0, 0, 4, 0, 1, 2, 0, 3, 0x02, 0x2F])


def test_a_lane_holds_every_so_many_outputs() -> None:
    encoded = encode(np.array([[1, 2, 3, 4, 5], [0, 6, 0, 0, 7]], np.int8), 2, 4)
    assert encoded.pointers.tolist() == [[0, 3, 4], [0, 2, 3]]
    assert encoded.values.tolist() == [1, 3, 5, 7, 2, 4, 6]
    assert encoded.indices.tolist() == [0, 0, 0, 2, 0, 0, 0]


def test_pointers_grow_to_32_bits_when_a_lane_has_more_entries_than_16_bits_count() -> None:
    for n, width in ((255, 16), (257, 32)):
        w = np.ones((256, n), np.int8)
        encoded = encode(w, 1, 4)
        assert encoded.pointer_bits == width
        assert stored_bytes(256, encoded.pointers[:, -1], 4) == len(encoded.to_bytes())
        assert encoded.stored_bits == 8 * (1 + 257 * width // 8 + w.size + w.size // 2)
        np.testing.assert_array_equal(Relative().from_bytes(encoded.to_bytes(), w.shape).decode(), w)


GOOD = encode(np.array([[0, 0, 1, 2, *[0] * 18, 3, 0]], np.int8), 1, 4).to_bytes()


def changed(position: int, value: int) -> bytes:
    return GOOD[:position] + bytes([value]) + GOOD[position + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "pointers must have 2 or 4 bytes, not no width"),
        (changed(0, 3), "pointers must have 2 or 4 bytes, not 3"),
        (GOOD[:4], "2 pointers must take 4 bytes, not 3"),
        (GOOD[:-1], "relative indices with 4 entries must take 11 bytes, not 10"),
        (GOOD + b"\0", "relative indices with 4 entries must take 11 bytes, not 12"),
        (changed(1, 1), "must begin with 0 and must not fall"),
        (changed(4, 255), "must take"),  # 65284 entries
        (changed(10, 0x4F), "must not lead past the lane's last output"),
        (changed(10, 0x2E), "an entry with value 0 must have the largest index"),
        (changed(8, 0)[:9] + bytes([0x02, 0xFF]), "must not lead past"),
        (bytes([2, 0, 0, 1, 0, 0, 0x0F]), "another entry after it"),  # padding that leads to nothing
        (b"\4\0\0\0\0\4\0\0\0" + GOOD[5:], "pointers must have 16 bits, not 32"),
    ],
)
def test_bytes_that_no_encoder_writes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Relative().from_bytes(data, (1, 24))
    assert "\n" not in str(caught.value)


@given(data=st.binary(max_size=60), k=st.integers(0, 3), n=st.integers(0, 20), lanes=st.integers(1, 3))
def test_any_bytes_are_a_matrix_or_refused(data: bytes, k: int, n: int, lanes: int) -> None:
    codec = Relative(4, lanes)
    try:
        found = codec.from_bytes(data, (k, n))
    except ValueError:
        return
    assert found.to_bytes() == data
    assert codec.encode(found.decode()).to_bytes() == data  # a matrix has one encoding


@given(flip=st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)))
def test_a_changed_byte_is_another_matrix_or_refused(flip: tuple[int, int]) -> None:
    data = changed(flip[0], GOOD[flip[0]] ^ flip[1])
    try:
        found = Relative().from_bytes(data, (1, 24))
    except ValueError:
        return
    assert Relative().encode(found.decode()).to_bytes() == data


def test_odd_bits_after_the_last_index_are_refused() -> None:
    data = encode(np.array([[1]], np.int8), 1, 4).to_bytes()
    with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
        Relative().from_bytes(data[:-1] + b"\x10", (1, 1))


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**40, 0), (-1, 3)])
def test_a_hostile_shape_takes_no_memory(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a tensor must hold between 0 and"):
        Relative().from_bytes(GOOD, shape)


def test_parameters_and_tensors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="index_bits must lie between 1 and 8, not 9"):
        Relative(9)
    with pytest.raises(ValueError, match="lanes must lie between 1 and 4096, not 0"):
        Relative(4, 0)
    with pytest.raises(ValueError, match="must have 2 dimensions, not 3"):
        Relative().encode(np.zeros((1, 2, 3), np.int8))
    with pytest.raises(ValueError, match="must be int8 or uint8, not int32"):
        Relative().encode(np.zeros((1, 2), np.int32))
    with pytest.raises(ValueError, match=r"pointers must have shape \(1, 2\), not \(2, 1\)"):
        EncodedLanes((1, 1), 1, 4, np.zeros((2, 1), np.int64), np.zeros(0, np.int8), np.zeros(0, np.uint8))
