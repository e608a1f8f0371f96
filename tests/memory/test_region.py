"""Words, banks and overlaps of strided regions against sets of bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.memory.region import Region, banks, interleaved_banks, lines, overlap, view, words


@st.composite
def regions(draw: st.DrawFn) -> Region:
    row_bytes = draw(st.integers(1, 20))
    stride = row_bytes + draw(st.sampled_from([0, 0, 1, 3, 16, 40]))
    return Region(draw(st.integers(0, 50)), stride, draw(st.integers(1, 8)), row_bytes)


def byte_list(region: Region) -> list[int]:
    return [region.address + r * region.stride + i for r in range(region.rows) for i in range(region.row_bytes)]


@given(regions(), st.integers(1, 33))
def test_words_are_counted_row_by_row_through_a_buffer_of_one(region: Region, word: int) -> None:
    touched = [byte // word for byte in byte_list(region)]
    assert words(region, word) == 1 + sum(a != b for a, b in itertools.pairwise(touched))


@given(regions(), st.integers(1, 64))
def test_banks_are_those_of_the_bytes(region: Region, size: int) -> None:
    assert banks(region, size) == tuple(sorted({byte // size for byte in byte_list(region)}))


@given(regions(), regions())
def test_overlap_is_a_common_byte(a: Region, b: Region) -> None:
    assert overlap(a, b) == bool(set(byte_list(a)) & set(byte_list(b)))


@given(regions())
def test_a_view_reads_and_writes_the_bytes(region: Region) -> None:
    memory = np.arange(600).astype(np.uint8)
    window = view(memory, region)
    assert window.reshape(-1).tolist() == memory[byte_list(region)].tolist()
    window[:] = 255
    assert (memory == 255).sum() >= region.rows * region.row_bytes
    assert (memory[byte_list(region)] == 255).all()


@pytest.mark.parametrize("region", [Region(-1, 0, 1, 1), Region(0, 0, 1, 11), Region(0, 5, 3, 1), Region(9, -1, 2, 1)])
def test_a_view_never_leaves_its_memory(region: Region) -> None:
    with pytest.raises(IndexError):
        view(np.zeros(10, np.uint8), region)


@given(region=regions(), word=st.sampled_from([1, 2, 4, 16]), count=st.integers(1, 8))
def test_interleaved_banks_are_those_of_the_words(region: Region, word: int, count: int) -> None:
    words = {byte // word for byte in byte_list(region)}
    assert interleaved_banks(region, word, count) == tuple(sorted({number % count for number in words}))


@given(region=regions(), line=st.sampled_from([1, 2, 4, 16, 64]))
def test_lines_are_as_many_as_words_and_cover_the_bytes(region: Region, line: int) -> None:
    found = lines(region, line)
    assert len(found) == words(region, line)
    assert set(found.tolist()) == {byte // line for byte in byte_list(region)}
    assert (found[1:] != found[:-1]).all()
