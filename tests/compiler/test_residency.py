"""Which tile is in which slot, against slots that are filled one step at a time and memories that are kept by byte."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler.residency import EMPTY, Occupied, latest_of_slot, left_by, take_turns
from accelsim.compiler.tiles import Int64

BYTES = 64
#: Of each group: its tiles, how often they are passed, and the steps that use one.
GROUPS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=5)


@given(GROUPS, st.integers(1, 5))
def test_a_tile_fills_the_oldest_slot_when_it_has_none(groups: list[tuple[int, int, int]], slots: int) -> None:
    steps = np.array(
        [
            (group, tile, tiles, number)
            for group, (tiles, passes, uses) in enumerate(groups)
            for number in range(passes)
            for tile in range(tiles)
            for _ in range(uses)
        ]
    )
    held: list[tuple[int, int]] = []  # from the oldest fill on
    fills, numbers, filled = [], [], 0
    for group, tile, _, _ in steps.tolist():
        fills.append((group, tile) not in held)
        if fills[-1]:
            held = [*held, (group, tile)][-slots:]
            filled += 1
        numbers.append(filled - len(held) + held.index((group, tile)))
    turns = take_turns(*steps.T, slots)
    assert turns.fills.tolist() == fills
    assert turns.number.tolist() == numbers


@st.composite
def layers(draw: st.DrawFn) -> tuple[Int64, Int64, Int64]:
    """Slots that do not overlap, and sizes and last uses of the fills that take turns for them."""
    slots = draw(st.integers(1, 4))
    room = BYTES // slots
    addresses = np.arange(slots) * room + draw(st.integers(0, room - 1))
    most = BYTES - int(addresses[-1])
    sizes = draw(st.lists(st.integers(1, min(room, most)), min_size=1, max_size=12))
    last = draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)))
    return addresses, np.array(sizes), np.array(last)


def by_byte(held: Occupied) -> list[int | None]:
    """Last use of each byte; None where nothing is held."""
    last: list[int | None] = [None] * BYTES
    for low, high, step in zip(*(numbers.tolist() for numbers in held), strict=True):
        assert last[low:high] == [None] * (high - low)
        last[low:high] = [step] * (high - low)
    assert (np.diff(held.low) > 0).all()
    return last


@given(st.lists(layers(), max_size=4), st.integers(1, BYTES))
def test_a_byte_may_be_overwritten_after_the_last_use_of_what_it_holds(
    filled: list[tuple[Int64, Int64, Int64]], size: int
) -> None:
    held, expected = EMPTY, [None] * BYTES
    for base, (addresses, sizes, uses) in enumerate(filled):
        last = uses + 10 * base  # a later layer's steps are later
        for number, (length, step) in enumerate(zip(sizes.tolist(), last.tolist(), strict=True)):
            at = int(addresses[number % len(addresses)])
            expected[at : at + length] = [step] * length
        held = held.overwritten(left_by(addresses, sizes, last))
        assert by_byte(held) == expected
    low = np.arange(BYTES - size + 1)
    used = [[step + 1 for step in expected[at : at + size] if step is not None] for at in low]
    assert held.legal(low, low + size).tolist() == [max(steps, default=0) for steps in used]


@given(st.lists(st.integers(0, 99), min_size=1, max_size=12), st.integers(1, 5))
def test_the_latest_of_a_slot_is_the_largest_so_far(steps: list[int], slots: int) -> None:
    latest = [max(steps[number % slots : number + 1 : slots]) for number in range(len(steps))]
    assert latest_of_slot(np.array(steps), slots).tolist() == latest
