"""Blocks that repeat: the best ones against a search of all, and what is left of a network without some of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.workload.blocks import Blocks, find


def left_out(kinds: list[str], kept: int) -> int:
    """Most layers that can be left out, by trying all blocks at all places."""
    best = 0
    for first, layers in itertools.product(range(len(kinds)), range(1, len(kinds) + 1)):
        block = kinds[first : first + layers]
        repeats = 1
        while kinds[first + repeats * layers : first + (repeats + 1) * layers] == block:
            repeats += 1
        best = max(best, layers * (repeats - kept))
    return best


@given(
    kinds=st.lists(st.sampled_from("ab"), max_size=30)
    | st.builds(
        lambda before, block, times, after: before + block * times + after,
        st.lists(st.sampled_from("abc"), max_size=3),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
        st.integers(1, 8),
        st.lists(st.sampled_from("abc"), max_size=3),
    ),
    kept=st.integers(1, 4),
)
@example(kinds=["a", "a", "a"], kept=3)
@example(kinds=["a", "a", "a", "a"], kept=3)
def test_the_blocks_leave_out_most_layers_and_are_equal(kinds: list[str], kept: int) -> None:
    found = find(kinds, kept)
    if found is None:
        assert left_out(kinds, kept) <= 0
        return
    assert found.layers * (found.repeats - kept) == left_out(kinds, kept) > 0
    blocks = [kinds[found.first + i * found.layers :][: found.layers] for i in range(found.repeats)]
    assert blocks == [blocks[0]] * found.repeats
    assert found.end <= len(kinds)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("", None),
        ("abc", None),
        ("xababababx", Blocks(1, 2, 4)),
        ("aaaaaa", Blocks(0, 1, 6)),
        # the run of single layers leaves out 3, the blocks of three leave out 6
        ("aaaaabcdbcdbcdbcdx", Blocks(5, 3, 4)),
    ],
)
def test_the_shortest_block_at_the_first_place_is_found(kinds: str, expected: Blocks | None) -> None:
    assert find(kinds, 2) == expected


def test_the_first_blocks_and_the_last_one_are_kept() -> None:
    assert "".join("xabABABaby"[i] for i in Blocks(1, 2, 4).left_out(2)) == "ABAB"
