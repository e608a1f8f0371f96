"""Vector clocks on programs small enough to follow by hand, and on random ones against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.kernels import clocks
from accelsim.kernels.clocks import MOMENTS, WORDS

START, FREE, END = range(MOMENTS)
NONE = -1
UNITS = 3

Clocks = NDArray[np.int32]


def word(unit: int, moment: int) -> int:
    return unit * MOMENTS + moment


def needs(n: int, *some: tuple[int, int, int, int]) -> Clocks:
    """(instruction, unit, moment, how many must have passed)."""
    need = np.zeros((n, WORDS), np.int32)
    for i, unit, moment, count in some:
        need[i, word(unit, moment)] = count
    return need


class Code:
    """Units, signals and waits of a program, and who raises what."""

    def __init__(self, unit: list[int], signal: list[list[int]], wait: list[list[tuple[int, int]]]) -> None:
        self.unit = np.array(unit, np.int8)
        self.signal = np.array(signal, np.int8).reshape(-1, MOMENTS)
        self.wait, self.value = np.full((len(unit), 2), NONE, np.int8), np.zeros((len(unit), 2), np.int32)
        for i, waits in enumerate(wait):
            for place, (semaphore, value) in enumerate(waits):
                self.wait[i, place], self.value[i, place] = semaphore, value
        self.first, self.by = np.zeros(5, np.int64), np.empty(4, np.int64)
        clocks.signals(self.signal, self.first)
        self.given = np.empty(self.first[-1], np.int32)
        arrays = (self.unit, self.signal, self.wait, self.value, self.first, self.given, self.by)
        self.can_be_met = clocks.givers(*arrays)

    def check(self, need: Clocks) -> tuple[int, Clocks]:
        known, previous = np.empty_like(need), np.full(UNITS, NONE, np.int64)
        bad, n, half = -1, len(need), len(need) // 2
        for low, high in ((0, half), (half, n)):
            waits = (self.wait, self.value, self.first, self.given, self.by)
            if bad < 0:
                bad = clocks.check(low, high, self.unit, *waits, FREE, need[low:high], known, previous)
        return bad, known


def chain() -> Code:
    """Unit 0: instructions 0 and 1; unit 1: 2 waits for the end of 1; unit 2: 3 waits for the start of 2."""
    nothing = [NONE] * MOMENTS
    signal = [nothing, [NONE, NONE, 0], [1, NONE, NONE], nothing]
    return Code([0, 0, 1, 2], signal, [[], [], [(0, 1)], [(1, 1)]])


def test_a_wait_tells_all_that_its_producer_knew() -> None:
    code = chain()
    assert code.can_be_met
    bad, known = code.check(needs(4, (3, 0, END, 2)))  # instruction 3 relies on the end of 1
    assert bad == -1
    shape = (-1, MOMENTS)
    assert known[1].reshape(shape)[:3].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]  # the end of 0 is not known
    assert known[2].reshape(shape)[:3].tolist() == [[2, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert known[3].reshape(shape)[:3].tolist() == [[2, 2, 2], [1, 0, 0], [0, 0, 0]]
    bad, _ = code.check(needs(4, (3, 0, END, 2), (3, 1, END, 1)))  # it does not know the end of 2
    assert bad == 3


@pytest.mark.parametrize(
    ("unit", "signal", "wait"),
    [
        ([0, 1], [[NONE, NONE, 0], [NONE, NONE, 0]], [[], []]),  # two units raise it
        ([0, 0], [[NONE, NONE, 0], [NONE, 0, NONE]], [[], []]),  # two moments
        ([0], [[0, NONE, 0]], [[]]),  # of one instruction
        ([0, 1], [[NONE, NONE, 0], [NONE] * 3], [[], [(0, 2)]]),  # too seldom
        ([0, 1], [[NONE] * 3, [NONE, NONE, 0]], [[(0, 1)], []]),  # later
        ([0], [[0, NONE, NONE]], [[(0, 1)]]),  # by itself
        ([0], [[NONE] * 3], [[(3, 1)]]),  # by nobody
    ],
)
def test_waits_that_cannot_be_met_are_found(
    unit: list[int], signal: list[list[int]], wait: list[list[tuple[int, int]]]
) -> None:
    assert not Code(unit, signal, wait).can_be_met


def reduced(unit: list[int], need: Clocks) -> tuple[list[tuple[int, int, int]], Clocks]:
    """Waits that `reduce` leaves, (waiter, pair, producer), and the clocks that follow from them."""
    units = np.array(unit, np.int8)
    by_unit = np.argsort(units, kind="stable").astype(np.int32)
    first = np.searchsorted(units[by_unit], np.arange(UNITS + 1))
    known, previous = np.empty_like(need), np.full(UNITS, NONE, np.int64)
    waiter, pair, producer = (np.empty(need.size, t) for t in (np.int32, np.int8, np.int32))
    found: list[tuple[int, int, int]] = []
    half = len(need) // 2
    for low, high in ((0, half), (half, len(need))):
        results = (known, previous, waiter, pair, producer)
        count = clocks.reduce(low, high, units, first, by_unit, FREE, need[low:high], *results)
        found += zip(*(column[:count].tolist() for column in (waiter, pair, producer)), strict=True)
    return found, known


def test_reduce_keeps_only_what_nothing_else_implies() -> None:
    need = needs(3, (1, 0, END, 1))
    need += needs(3, (2, 0, END, 1))  # implied by the end of 1, which waited for it
    need += needs(3, (2, 1, FREE, 1))  # implied by its end
    need += needs(3, (2, 1, END, 1))
    assert reduced([0, 1, 2], need)[0] == [(1, word(0, END), 0), (2, word(1, END), 1)]


@st.composite
def hazards(draw: st.DrawFn) -> tuple[list[int], Clocks]:
    """Units of instructions, and what each needs of the ones before it."""
    unit = draw(st.lists(st.integers(0, UNITS - 1), min_size=1, max_size=14))
    need = needs(len(unit))
    for i in range(len(unit)):
        for _ in range(draw(st.integers(0, 4))):
            u, m = draw(st.integers(0, UNITS - 1)), draw(st.integers(0, MOMENTS - 1))
            need[i, word(u, m)] = draw(st.integers(0, unit[:i].count(u)))
    return unit, need


def passed(unit: list[int], waits: list[tuple[int, int, int]]) -> list[set[tuple[int, int]]]:
    """(instruction, moment) pairs that have passed when each instruction starts, by what a start means."""
    known: list[set[tuple[int, int]]] = []
    for i, u in enumerate(unit):
        mine: set[tuple[int, int]] = set()
        before = [j for j in range(i) if unit[j] == u]
        for j, moment in [(j, FREE) for j in before[-1:]] + [(p, k % MOMENTS) for w, k, p in waits if w == i]:
            mine |= known[j]
            # a unit's instructions pass each moment one after the other
            mine |= {(e, m) for e in range(j + 1) if unit[e] == unit[j] for m in range(moment + 1)}
        known.append(mine)
    return known


@given(hazards())
def test_what_reduce_leaves_is_enough_and_none_too_many(given_: tuple[list[int], Clocks]) -> None:
    unit, need = given_
    waits, _ = reduced(unit, need)

    def met(some: list[tuple[int, int, int]]) -> bool:
        known = passed(unit, some)
        wanted = (
            ([j for j in range(len(unit)) if unit[j] == k // MOMENTS][need[i, k] - 1], k % MOMENTS, i)
            for i, k in np.argwhere(need).tolist()
        )
        return all((j, m) in known[i] for j, m, i in wanted)

    assert met(waits)
    for w in range(len(waits)):
        assert not met(waits[:w] + waits[w + 1 :])


@given(hazards())
def test_clocks_count_what_has_passed(given_: tuple[list[int], Clocks]) -> None:
    unit, need = given_
    waits, known = reduced(unit, need)
    for clock, mine in zip(known, passed(unit, waits), strict=True):
        for u in range(UNITS):
            for m in range(MOMENTS):
                assert clock[word(u, m)] == sum(unit[j] == u and moment == m for j, moment in mine)


def test_waits_are_for_ranks_among_the_signals_of_a_semaphore_and_fill_the_first_places() -> None:
    signal, wait, value = (
        np.full((5, MOMENTS), NONE, np.int8),
        np.full((5, 2), NONE, np.int8),
        np.zeros((5, 2), np.int32),
    )
    semaphore = np.full(WORDS, NONE, np.int8)
    semaphore[[word(0, FREE), word(0, END), word(1, END)]] = [5, 6, 7]
    waits = [(2, word(0, END), 1), (3, word(0, END), 0), (3, word(1, END), 2), (4, word(0, FREE), 1)]
    waiter, pair, producer = (
        np.array(column, t) for column, t in zip(zip(*waits, strict=True), (np.int32, np.int8, np.int32), strict=True)
    )
    assert clocks.write(waiter, pair, producer, semaphore, signal, wait, value) == NONE
    assert signal.tolist() == [[NONE, NONE, 6], [NONE, 5, 6], [NONE, NONE, 7], [NONE] * 3, [NONE] * 3]
    assert wait.tolist() == [[NONE, NONE], [NONE, NONE], [6, NONE], [6, 7], [5, NONE]]
    assert value.tolist() == [[0, 0], [0, 0], [2, 0], [1, 1], [1, 0]]
    assert clocks.write(waiter, pair, producer, semaphore, signal, wait[:, :1], value) == 3
