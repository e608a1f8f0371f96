"""N:M compression: exact inverses, PyTorch's choices and order, refusal of what no matrix gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.formats import nm

PATTERNS = st.sampled_from([(2, 4), (1, 4), (4, 8), (1, 2), (3, 5), (7, 16)])


def sparse(rng: np.random.Generator, k: int, n: int, kept: int, group: int) -> NDArray[np.int8]:
    w = rng.integers(-128, 128, (k, n)).astype(np.int8)
    for first in range(0, k, group):
        for column in w[first : first + group].T:
            column[rng.permutation(len(column))[int(rng.integers(0, kept + 1)) :]] = 0
    return w


MATRICES = st.builds(
    lambda pattern, k, n, seed: (sparse(np.random.default_rng(seed), k, n, *pattern), *pattern),
    PATTERNS,
    st.integers(0, 40),
    st.integers(0, 6),
    st.integers(0, 2**32),
)


@given(MATRICES, st.data())
def test_a_part_is_what_its_rows_alone_would_be(case: tuple[NDArray[np.int8], int, int], data: st.DataObject) -> None:
    w, kept, group = case
    low = group * data.draw(st.integers(0, len(w) // group))
    high = data.draw(st.integers(low, len(w)))
    alone = nm.compress(w[low:high], kept, group)
    if high == len(w) or high % group == 0:
        assert nm.compress(w, kept, group).part(low, high).to_bytes() == alone.to_bytes()


@given(MATRICES)
def test_expand_is_the_inverse_of_compress(case: tuple[NDArray[np.int8], int, int]) -> None:
    w, kept, group = case
    assert nm.is_nm(w, kept, group)
    packed = nm.compress(w, kept, group)
    rows = -(-len(w) // group) * kept
    assert packed.values.shape == packed.indices.shape == (rows, w.shape[1])
    assert (packed.values.dtype, packed.indices.dtype) == (np.int8, np.uint8)
    again = packed.expand()
    assert again.dtype == w.dtype
    np.testing.assert_array_equal(again, w)
    for g, column in itertools.product(range(rows // kept), range(w.shape[1])):
        positions = packed.indices[g * kept : (g + 1) * kept, column].tolist()
        assert positions == sorted(set(positions))
        assert max(positions) < group
        part = w[g * group : (g + 1) * group, column]
        nonzero = np.flatnonzero(part).tolist()
        # what is filled lies as high as it can
        free = [p for p in range(group) if p not in nonzero]
        assert positions == sorted(nonzero + free[len(free) - (kept - len(nonzero)) :])


@given(MATRICES)
def test_bytes_hold_values_then_positions_in_as_few_bits_as_they_need(case: tuple[NDArray[np.int8], int, int]) -> None:
    w, kept, group = case
    packed = nm.compress(w, kept, group)
    data = packed.to_bytes()
    again = nm.from_bytes(data, *w.shape, kept, group)
    np.testing.assert_array_equal(again.values, packed.values)
    np.testing.assert_array_equal(again.indices, packed.indices)
    np.testing.assert_array_equal(again.expand(), w)
    assert packed.stored_bits == 8 * len(data)
    bits = {2: 1, 4: 2, 5: 3, 8: 3, 16: 4}[group]
    stream = sum(int(p) << (i * bits) for i, p in enumerate(packed.indices.ravel()))
    assert data == packed.values.tobytes() + stream.to_bytes(-(-packed.indices.size * bits // 8), "little")


def test_wider_values_keep_their_type_and_byte_order() -> None:
    w = np.array([[0], [0x1234], [0], [-2]], np.int16)
    data = nm.compress(w, 2, 4).to_bytes()
    assert data == bytes([0x34, 0x12, 0xFE, 0xFF, 0b1101])
    np.testing.assert_array_equal(nm.from_bytes(data, 4, 1, 2, 4, np.int16).expand(), w)


def test_half_of_the_weights_and_two_bits_each_remain_of_2_4() -> None:
    w = sparse(np.random.default_rng(0), 64, 16, 2, 4)
    assert nm.compress(w, 2, 4).stored_bits == 64 * 16 * 8 // 2 + 64 * 16 // 2 * 2
    assert nm.compress(sparse(np.random.default_rng(0), 64, 16, 4, 8), 4, 8).stored_bits == 64 * 16 // 2 * (8 + 3)


@given(PATTERNS, st.integers(0, 2**32))
def test_more_than_kept_nonzeros_are_refused_with_their_place(pattern: tuple[int, int], seed: int) -> None:
    kept, group = pattern
    rng = np.random.default_rng(seed)
    w = sparse(rng, 3 * group, 4, kept, group)
    g, column = int(rng.integers(0, 3)), int(rng.integers(0, 4))
    w[g * group : g * group + kept + 1, column] = 1
    w[g * group + kept + 1 : (g + 1) * group, column] = 0
    assert not nm.is_nm(w, kept, group)
    with pytest.raises(ValueError, match=rf"at most {kept} nonzeros, not {kept + 1} \(group {g}, column {column}\)"):
        nm.compress(w, kept, group)


@pytest.mark.parametrize(("kept", "group"), [(0, 4), (4, 4), (5, 4), (-1, 2), (2, 257)])
def test_what_is_no_pattern_is_refused(kept: int, group: int) -> None:
    for attempt in (lambda: nm.compress(np.zeros((4, 1)), kept, group), lambda: nm.from_bytes(b"", 4, 1, kept, group)):
        with pytest.raises(ValueError, match="kept must be at least 1 and below group"):
            attempt()
    with pytest.raises(ValueError, match="2 dimensions, not 1"):
        nm.is_nm(np.zeros(4), 2, 4)


@pytest.mark.parametrize(
    ("data", "k", "kept", "group", "message"),
    [
        (b"\1\2", 4, 2, 4, "2:4 weights of 4 x 1 must take 3 bytes, not 2"),
        (b"\1\2\4\0", 4, 2, 4, "must take 3 bytes, not 4"),
        (b"\1\2\4", 1 << 60, 2, 4, "must take"),
        (b"\1\2\4", -1, 2, 4, "sides of at least 0, not -1 x 1"),
        (b"\1\2\5", 4, 2, 4, "positions must ascend within a group"),
        (b"\1\2\1", 4, 2, 4, "positions must ascend within a group"),
        (b"\1\2\x14", 4, 2, 4, "bits behind the last position must be 0"),
        (b"\1\2\4", 1, 2, 4, "values behind the last of 1 inputs must be 0"),
        (b"\1\7", 5, 1, 5, "positions must be below 5, not 7"),
    ],
)
def test_bytes_that_no_matrix_gives_are_refused(data: bytes, k: int, kept: int, group: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nm.from_bytes(data, k, 1, kept, group)


@given(st.binary(min_size=10, max_size=10))
def test_any_bytes_are_either_refused_or_those_of_a_matrix(data: bytes) -> None:
    try:
        packed = nm.from_bytes(data, 8, 2, 2, 4)
    except ValueError:
        return
    assert nm.is_nm(packed.expand(), 2, 4)
    assert packed.to_bytes() == data


def test_a_position_named_twice_gets_the_sum() -> None:
    values, indices = np.array([[3], [4]]), np.array([[1], [1]], np.uint8)
    assert nm.scatter(values, indices, 2, 4).tolist() == [[0], [7], [0], [0]]


# PyTorch's layout of 2:4 weights


@pytest.mark.parametrize(
    ("nonzero", "nibble"),
    [
        ([0, 1], 0x4),
        ([0, 2], 0x8),
        ([1, 2], 0x9),
        ([0, 3], 0xC),
        ([1, 3], 0xD),
        ([2, 3], 0xE),
        ([], 0xE),
        ([3], 0xE),
        ([2], 0xE),
        ([1], 0xD),
        ([0], 0xC),
        # PyTorch drops values here
        ([0, 1, 2], 0x8),
        ([0, 1, 3], 0x4),
        ([0, 2, 3], 0x8),
        ([1, 2, 3], 0x9),
        ([0, 1, 2, 3], 0x8),
    ],
)
def test_a_nibble_names_the_positions_that_pytorch_names(nonzero: list[int], nibble: int) -> None:
    assert nm.NIBBLES[sum(1 << i for i in nonzero)] == nibble
    four = np.zeros((4, 1), np.int8)
    four[nonzero] = 5
    if len(nonzero) > 2:
        dense = np.zeros((32, 64), np.int8)
        dense[3, 8:12] = four[:, 0]
        with pytest.raises(ValueError, match=f"at most 2 nonzeros, not {len(nonzero)}"):
            nm.to_semi_structured(dense)
        return
    # the machine's own layout chooses alike
    assert nm.compress(four, 2, 4).indices[:, 0].tolist() == [nibble & 3, nibble >> 2]


def dense_matrix(dtype: str, m: int, k: int, seed: int) -> NDArray[np.generic]:
    rng = np.random.default_rng(seed)
    w = rng.integers(-100, 100, (m, k // 4, 4))
    w[rng.random(w.shape).argsort(axis=2) >= 2] = 0
    w[rng.random(w.shape) < 0.2] = 0
    return w.reshape(m, k).astype(dtype)


@given(
    dtype=st.sampled_from(["int8", "float16", "int16"]),
    m=st.sampled_from([32, 64, 96]),
    k=st.sampled_from([64, 128, 320]),
    seed=st.integers(0, 2**32),
)
def test_pytorch_layout_round_trips_and_is_the_documented_one(dtype: str, m: int, k: int, seed: int) -> None:
    dense = dense_matrix(dtype, m, k, seed)
    stored = nm.to_semi_structured(dense)
    np.testing.assert_array_equal(nm.from_semi_structured(stored), dense)
    word_bytes, group, interweave = (4, 16, 2) if dtype == "int8" else (2, 32, 4)
    nibbles = 2 * word_bytes
    assert (stored.meta.dtype.itemsize, stored.meta.shape) == (word_bytes, (m, k // (4 * nibbles)))
    assert 8 * stored.meta.nbytes == dense.size  # one bit an element
    unsigned = stored.meta.ravel().view(f"u{word_bytes}").tolist()
    for r, c in np.ndindex(*stored.meta.shape):
        # where CUTLASS puts word (r, c): rows interleaved, 2 x 2 blocks swizzled, columns in pairs
        row = r // group * group + (r % 8) * interweave + (r % group) // 8
        column = c
        if row % 2 == 0 and column % 2 == 1:
            row, column = row + 1, column - 1
        elif row % 2 == 1 and column % 2 == 0:
            row, column = row - 1, column + 1
        word = unsigned[column // 2 * m * 2 + row * 2 + column % 2]
        for t in range(nibbles):
            at = (c * nibbles + t) * 4
            four = dense[r, at : at + 4]
            nibble = word >> 4 * t & 15
            assert nibble == nm.NIBBLES[sum(1 << i for i in range(4) if four[i] != 0)]
            assert stored.values[r, at // 2 : at // 2 + 2].tolist() == [four[nibble & 3], four[nibble >> 2]]


@pytest.mark.parametrize("word", ["int16", "int32"])
def test_restore_is_the_inverse_of_reorder(word: str) -> None:
    for m, columns in itertools.product((32, 64, 128), (2, 4, 10)):
        words = np.arange(m * columns).reshape(m, columns).astype(word)
        stored = nm.reorder(words)
        assert sorted(stored.ravel().tolist()) == words.ravel().tolist()
        assert not np.array_equal(stored, words)
        np.testing.assert_array_equal(nm.restore(stored), words)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((16, 64), "int8", "rows must be a multiple of 32, not 16"),
        ((0, 64), "int8", "rows must be a multiple of 32, not 0"),
        ((32, 48), "int8", "columns must be a multiple of 64 for int8, not 48"),
        ((32, 32), "int8", "columns must be a multiple of 64 for int8, not 32"),
        ((32, 48), "float16", "columns must be a multiple of 32 for float16, not 48"),
        ((32, 64), "float32", "weights must be int8 or of 16 bits, not float32"),
    ],
)
def test_shapes_that_pytorch_refuses_are_refused(shape: tuple[int, int], dtype: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nm.to_semi_structured(np.zeros(shape, dtype))


def test_words_that_do_not_belong_to_the_values_are_refused() -> None:
    stored = nm.to_semi_structured(dense_matrix("int8", 32, 64, 0))
    for meta, message in (
        (stored.meta.astype(np.int16), "words for int8 must be int32, not int16"),
        (stored.meta[:, :1], r"words of shape \(32, 1\) do not belong to values of shape \(32, 32\)"),
        (np.zeros_like(stored.meta), "two positions of a nibble must ascend"),
    ):
        with pytest.raises(ValueError, match=message):
            nm.from_semi_structured(nm.SemiStructured(stored.values, meta))


@given(k=st.integers(1, 40), group=st.integers(1, 9), of=st.integers(1, 9), data=st.data())
def test_the_densest_group_of_a_pattern_is_that_of_its_fullest_matrices(
    k: int, group: int, of: int, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(1, group))
    found = nm.densest_group(k, kept, group, of)
    # the group at `low` holds most where each group of the pattern has its nonzeros in it, as far as it reaches
    counts = []
    for low in range(0, k, of):
        column = np.zeros(k, bool)
        for first in range(0, k, group):
            inside = [i for i in range(first, min(first + group, k)) if low <= i < low + of]
            column[inside[:kept]] = True
        counts.append(int(column[low : low + of].sum()))
    assert found == max(counts)
