"""Huffman codes against a heap, brute force, the entropy, and codes written by hand."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.formats.huffman import Huffman, canonical_codes, code_lengths

occurrences = st.lists(st.integers(0, 1000), min_size=2, max_size=40)


def heap_cost(weights: list[int]) -> int:
    """Bits of the best code without a limit: the sum of all merged weights."""
    heap = sorted(weights)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


@given(counts=occurrences)
def test_without_a_tight_limit_the_code_is_as_short_as_the_heaps(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts), 40)
    present = [count for count in counts if count]
    assert [length > 0 for length in lengths] == [count > 0 for count in counts]
    if len(present) > 1:
        assert int(lengths @ np.array(counts)) == heap_cost(present)


@given(counts=st.lists(st.integers(1, 200), min_size=2, max_size=5), limit=st.integers(3, 4))
@settings(max_examples=60)
def test_no_code_within_the_limit_is_shorter(counts: list[int], limit: int) -> None:
    lengths = code_lengths(np.array(counts), limit)
    best = min(
        sum(count * length for count, length in zip(counts, candidate, strict=True))
        for candidate in itertools.product(range(1, limit + 1), repeat=len(counts))
        if sum(2 ** (limit - length) for length in candidate) <= 2**limit
    )
    assert lengths.max() <= limit
    assert int(lengths @ np.array(counts)) == best


def test_fibonacci_counts_would_need_longer_codes_than_the_limit() -> None:
    counts = [1, 1]
    while len(counts) < 25:
        counts.append(counts[-1] + counts[-2])
    assert code_lengths(np.array(counts), 40).max() == 24
    lengths = code_lengths(np.array(counts), 16).astype(int)
    assert lengths.max() == 16
    assert sum(2.0**-lengths) == 1
    x = np.repeat(np.arange(25, dtype=np.int8), np.minimum(counts, 3000))
    np.testing.assert_array_equal(Huffman(max_length=8).encode(x).decode(), x)


@given(counts=occurrences)
def test_codes_are_canonical_and_no_code_begins_another(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts), 16)
    codes = canonical_codes(lengths)
    words = [code.to01() for code in codes.values()]
    assert all(not b.startswith(a) for a, b in itertools.permutations(words, 2))
    assert [len(word) for word in words] == sorted(lengths[lengths > 0].tolist())
    assert words == sorted(words)  # shorter codes first, and in the order of the symbols
    for length in set(lengths[lengths > 0].tolist()):
        symbols = [symbol for symbol, code in codes.items() if len(code) == length]
        assert symbols == sorted(symbols)


def test_a_small_tensor_by_hand() -> None:
    # 7 four times, 1 twice, -1 (255) once: codes 0, 10 for 1, 11 for 255
    x = np.array([7, 1, 7, -1, 7, 1, 7], np.int8)
    mask = bytearray(32)
    mask[0], mask[31] = 0b1000_0010, 0b1000_0000
    lengths = bytes([0x01, 0x01])  # of 1, 7 and 255, less one: 1, 0, 1
    assert Huffman().encode(x).to_bytes() == bytes(mask) + lengths + b"\2\0\0\0" + bytes([0b0100_1101, 0b0000_0000])
    # streams 7 7 7 7 and 1 -1 1
    two = Huffman(streams=2).encode(x)
    assert two.streams == (bytes([0b0000_0000]), bytes([0b1011_1000]))


@given(seed=st.integers(0, 2**32), streams=st.integers(1, 9))
@settings(max_examples=20)
def test_codes_take_at_most_a_bit_more_than_the_entropy(seed: int, streams: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(0, rng.uniform(1, 40), 4000), -128, 127).astype(np.int8)
    _, counts = np.unique(x, return_counts=True)
    p = counts / x.size
    entropy = -(p * np.log2(p)).sum() * x.size
    bits = sum(8 * len(stream) for stream in Huffman(streams).encode(x).streams)
    assert entropy <= bits <= entropy + x.size + 8 * streams


HEAD = Huffman().encode(np.array([7, 1, 7, -1, 7, 1, 7], np.int8)).to_bytes()[:34]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0" * 31, "a mask of symbols must take 32 bytes, not 31"),
        (HEAD[:33], "lengths of 3 codes must end after 34 bytes, not 33"),
        (HEAD[:32] + b"\x11\x01" + b"\1\0\0\0\0", "must belong to a complete prefix code"),
        (HEAD[:32] + b"\x00\x00" + b"\1\0\0\0\0", "must belong to a complete prefix code"),
        (HEAD[:32] + b"\x01\x11" + b"\1\0\0\0\0", "bits after the last packed value must be 0"),
        (HEAD + b"\1\0", "sizes of 1 streams must take 4 bytes, not 2"),
        (HEAD + b"\2\0\0\0\0", "1 streams and their sizes must take 6 bytes, not 5"),
        (HEAD + b"\xff\xff\xff\xff\0", "1 streams and their sizes must take 4294967299 bytes, not 5"),
        (HEAD + b"\0\0\0\0", "7 symbols must take a bit each at least, not 0 in all"),
        (HEAD + b"\1\0\0\0\xff", "a stream of 1 bytes must hold 7 symbols"),
        (HEAD + b"\1\0\0\0\x01", "a stream of 1 bytes must hold 7 symbols"),
        (HEAD + b"\2\0\0\0\0\0", "a stream of 2 bytes must hold 7 symbols and end with the last one's byte"),
        (b"\0" * 32 + b"\1\0\0\0\0", "a stream of 1 bytes must hold 7 symbols"),
    ],
)
def test_bytes_that_no_code_fits_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Huffman().from_bytes(data, (7,))


def test_codes_longer_than_the_decoders_limit_are_refused() -> None:
    counts = [2**i for i in range(12)]
    x = np.repeat(np.arange(12, dtype=np.int8), counts)
    data = Huffman().encode(x).to_bytes()
    with pytest.raises(ValueError, match="codes must have at most 8 bits, not 11"):
        Huffman(max_length=8).from_bytes(data, x.shape)


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="streams must lie between 1 and 256, not 0"):
        Huffman(0)
    with pytest.raises(ValueError, match="max_length must lie between 8 and 16 bits, not 17"):
        Huffman(1, 17)
