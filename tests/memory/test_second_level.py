"""The second level against a cache of lists, made from what was granted and answered alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from unittest import mock

import numpy as np
import pytest
from harness import machine
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import parts, second_levels

from accelsim.config.arch import L2, BankedDram, Machine
from accelsim.config.load import load_part
from accelsim.memory.address_map import Places
from accelsim.memory.crossing import Crossing
from accelsim.memory.region import Region, lines, whole
from accelsim.memory.second_level import SecondLevel, SecondLevelActivity

TAGS = 3
DDR4 = load_part("DDR4_8Gb_x8_3200")
#: 16 lines of 64 bytes: 2 sets of 8, a bank each.
SMALL = {"capacity_bytes": 1024, "ways": 8, "banks": 2, "width_bits": 512, "ports": 1, "latency_cycles": 5}


def on(**changes: int) -> Machine:
    return machine(dram={"kind": "banked", "part": DDR4}, l2=L2(**{**SMALL, **changes}))


@dataclass(frozen=True)
class Request:
    line: int
    write: bool = False
    covered: bool = True
    tag: int = 0


@dataclass
class Driven:
    """Cycles in which requests were granted and answered, what DRAM was asked for and when, and what was counted."""

    granted: list[int] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)
    asked: list[tuple[int, bool]] = field(default_factory=list)
    asked_at: list[int] = field(default_factory=list)
    before_flush: int = 0
    over: int = 0
    activity: SecondLevelActivity | None = None


def drive(where: Machine, requests: list[Request], outstanding: int = 8, *, skip: bool = False) -> Driven:
    """Offer requests in order, each cycle as many as are accepted; then flush."""
    assert isinstance(where.dram, BankedDram)
    assert where.l2 is not None
    level = SecondLevel(where, where.dram, where.l2, outstanding, TAGS)
    places = level.places(np.array([r.line for r in requests], np.int64))
    seen, cycle, push = Driven(), 0, Crossing.push

    def logged(self: Crossing, at: Places, burst: int, owner: object, tag: int, *, write: bool) -> None:
        seen.asked.append((int(at.line[burst]), write))
        seen.asked_at.append(cycle)
        push(self, at, burst, owner, tag, write=write)

    with mock.patch.object(Crossing, "push", logged):
        while len(seen.answered) < len(requests):
            assert cycle < 10**6, "it never ends"
            for owner, at in level.advance(cycle):
                assert isinstance(owner, int)
                assert at > cycle - 1
                seen.answered[owner] = at
            while len(seen.granted) < len(requests):
                number = len(seen.granted)
                flying = number - sum(at <= cycle for at in seen.answered.values())
                r = requests[number]
                if flying == outstanding or not level.offer(
                    places, number, number, r.tag, cycle, write=r.write, covered=r.covered
                ):
                    break
                seen.granted.append(cycle)
            later = [at for at in seen.answered.values() if at > cycle]
            cycle = max(cycle + 1, min([level.eventful, *later])) if skip else cycle + 1
        seen.before_flush = len(seen.asked)
        seen.over = level.flush(cycle)
    seen.activity = level.activity()
    assert level.buffered(seen.over, TAGS - 1) == 0
    return seen


@dataclass
class Model:
    """A cache as lists of [line, dirty, cycle from which it is there], the least recently used first."""

    hits: list[int] = field(default_factory=lambda: [0] * TAGS)
    fetches: list[int] = field(default_factory=lambda: [0] * TAGS)
    write_backs: list[int] = field(default_factory=lambda: [0] * TAGS)
    reads: list[int] = field(default_factory=lambda: [0] * TAGS)
    writes: list[int] = field(default_factory=lambda: [0] * TAGS)
    asked: list[tuple[int, bool]] = field(default_factory=list)
    flushed: list[tuple[int, bool]] = field(default_factory=list)
    #: accesses that each request holds its port for
    accesses: list[int] = field(default_factory=list)


def model(where: Machine, requests: list[Request], driven: Driven) -> Model:
    """Follow the grants; assert when each was answered, if DRAM does not decide."""
    assert where.l2 is not None
    latency, ways = where.l2.latency_cycles, where.l2.ways
    sets = where.l2.capacity_bytes // ways // where.dram.burst_bytes
    cache: dict[int, list[list[int]]] = {}
    m = Model()
    for number, (r, cycle) in enumerate(zip(requests, driven.granted, strict=True)):
        held = cache.setdefault(r.line % sets, [])
        found = [entry for entry in held if entry[0] == r.line]
        before = sum(m.reads) + sum(m.writes)
        if found:
            m.hits[r.tag] += 1
            held.remove(found[0])
            held.append(found[0])
            m.reads[r.tag] += not r.write
            assert driven.answered[number] == max(cycle, found[0][2]) + latency
        else:
            fetch = not (r.write and r.covered)
            if fetch:
                m.fetches[r.tag] += 1
                m.writes[r.tag] += 1
                m.asked.append((r.line, False))
                assert driven.answered[number] > cycle + latency
            else:
                assert driven.answered[number] == cycle + latency
            if len(held) == ways:
                out = next(entry for entry in held if entry[2] <= cycle)
                held.remove(out)
                if out[1]:
                    m.write_backs[r.tag] += 1
                    m.reads[r.tag] += 1
                    m.asked.append((out[0], True))
            held.append([r.line, 0, driven.answered[number] - latency])
        if r.write:
            held[-1][1] = 1
            m.writes[r.tag] += 1
        m.accesses.append(sum(m.reads) + sum(m.writes) - before)
    m.flushed = [(entry[0], True) for held in cache.values() for entry in held if entry[1]]
    m.write_backs[-1] += len(m.flushed)
    m.reads[-1] += len(m.flushed)
    return m


@st.composite
def cached(draw: st.DrawFn) -> Machine:
    part = draw(parts())
    clock = draw(st.sampled_from([1e9, 7e8, 3e9]))
    return machine(clock_hz=clock, dram={"kind": "banked", "part": part}, l2=draw(second_levels(part.burst_bytes)))


@st.composite
def streams(draw: st.DrawFn) -> list[Request]:
    """Requests of few lines, so that they meet, or of many."""
    span = draw(st.sampled_from([2, 20, 300]))
    size = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    writes = rng.random(size) < draw(st.sampled_from([0.0, 0.3, 0.9]))
    covered = rng.random(size) < 0.5
    columns = (rng.integers(0, span, size), writes, covered, rng.integers(0, TAGS, size))
    return [Request(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


@given(where=cached(), requests=streams(), outstanding=st.sampled_from([1, 3, 40]))
def test_hits_fetches_and_write_backs_are_those_of_a_cache_of_lists(
    where: Machine, requests: list[Request], outstanding: int
) -> None:
    driven = drive(where, requests, outstanding)
    m, done = model(where, requests, driven), driven.activity
    assert done is not None
    assert where.l2 is not None
    assert (done.hits.tolist(), done.fetches.tolist()) == (m.hits, m.fetches)
    assert done.write_backs.tolist() == m.write_backs
    a_line = -(-8 * where.dram.burst_bytes // where.l2.width_bits)
    assert done.port_reads.tolist() == [a_line * n for n in m.reads]
    assert done.port_writes.tolist() == [a_line * n for n in m.writes]
    # DRAM is asked for exactly that, in that order; the flush may take its own
    assert driven.asked[: driven.before_flush] == m.asked
    assert sorted(driven.asked[driven.before_flush :]) == sorted(m.flushed)
    # and serves all of it
    assert done.accepted_reads == sum(m.fetches) == done.reads.sum() + done.merged_reads + done.forwarded_reads
    assert done.accepted_writes == sum(m.write_backs) == done.writes.sum() + done.merged_writes
    assert done.buffered == 0
    written = {r.line for r in requests if r.write}
    assert {line for line, write in driven.asked if write} == written


@given(where=cached(), requests=streams(), outstanding=st.sampled_from([1, 3, 40]))
def test_a_bank_serves_one_access_a_port_at_once(where: Machine, requests: list[Request], outstanding: int) -> None:
    driven = drive(where, requests, outstanding)
    l2 = where.l2
    assert l2 is not None
    a_line = -(-8 * where.dram.burst_bytes // l2.width_bits)
    spans = [
        (r.line % l2.banks, cycle, cycle + a_line * accesses)
        for r, cycle, accesses in zip(requests, driven.granted, model(where, requests, driven).accesses, strict=True)
    ]
    for bank, cycle, _ in spans:
        assert sum(b == bank and begin <= cycle < end for b, begin, end in spans) <= l2.ports


@given(where=cached(), requests=streams(), outstanding=st.sampled_from([3, 40]))
def test_dram_is_not_asked_for_more_than_it_accepts_a_clock_and_one_write_back(
    where: Machine, requests: list[Request], outstanding: int
) -> None:
    assert isinstance(where.dram, BankedDram)
    driven, part = drive(where, requests, outstanding), where.dram.part
    at = driven.asked_at[: driven.before_flush]
    # DRAM clocks that have begun by a core cycle; those of its own cycle count as one at least
    clock = [-(-cycle * where.clock_period_fs // part.clock_period_fs) for cycle in at]
    before = [-(-(cycle - 1) * where.clock_period_fs // part.clock_period_fs) if cycle else -1 for cycle in at]
    for first in range(len(at)):
        for last in range(first, len(at)):
            clocks = clock[last] - clock[first] + max(1, clock[first] - before[first])
            assert last - first + 1 <= clocks * part.requests_per_clock + 1


@given(where=cached(), requests=streams(), outstanding=st.sampled_from([1, 3, 40]))
def test_nothing_happens_in_cycles_that_it_says_can_be_skipped(
    where: Machine, requests: list[Request], outstanding: int
) -> None:
    stepped, skipped = (drive(where, requests, outstanding, skip=skip) for skip in (False, True))
    assert (stepped.granted, stepped.answered) == (skipped.granted, skipped.answered)
    assert stepped.asked == skipped.asked


@given(requests=streams())
def test_with_room_for_all_data_each_line_is_read_once_at_most(requests: list[Request]) -> None:
    driven = drive(on(capacity_bytes=2**16), requests)
    fetched = [line for line, write in driven.asked if not write]
    assert len(set(fetched)) == len(fetched)
    assert all(not write for _, write in driven.asked[: driven.before_flush])


@given(requests=streams())
def test_a_level_of_one_line_comes_to_an_end(requests: list[Request]) -> None:
    driven = drive(on(capacity_bytes=64, ways=1, banks=1), requests)
    assert len(driven.granted) == len(requests)


def test_a_hit_takes_the_latency_and_a_miss_as_much_beside_the_dram() -> None:
    driven = drive(on(), [Request(0), Request(0), Request(1)])
    bare = drive(on(latency_cycles=1), [Request(0)])
    assert driven.granted == [0, 1, 1]
    assert driven.answered[0] == bare.answered[0] + 4
    # the second one waits for the first one's fetch
    assert driven.answered[1] == driven.answered[0]
    late = drive(on(), [Request(0), Request(0)], outstanding=1)
    assert late.granted[1] == late.answered[0]
    assert late.answered[1] == late.granted[1] + 5


def test_a_whole_write_needs_no_fetch_and_a_part_of_a_line_does() -> None:
    whole_line = drive(on(), [Request(0, write=True)])
    assert (whole_line.granted, whole_line.answered) == ([0], {0: 5})
    assert whole_line.asked == [(0, True)]
    part = drive(on(), [Request(0, write=True, covered=False)])
    assert part.answered == drive(on(), [Request(0)]).answered
    assert part.asked == [(0, False), (0, True)]


def test_a_write_back_is_charged_to_the_tag_that_made_room_and_the_rest_to_the_last() -> None:
    requests = [Request(2 * line, write=True, tag=0) for line in range(8)] + [Request(16, tag=1)]
    driven = drive(on(), requests)
    assert driven.activity is not None
    assert driven.activity.write_backs.tolist() == [0, 1, 7]
    assert driven.activity.writes.tolist() == [0, 1, 7]
    assert driven.activity.reads.tolist() == [0, 1, 0]


def test_a_narrow_port_serves_a_line_in_several_cycles() -> None:
    requests = [Request(0, write=True), Request(2, write=True), Request(1, write=True)]
    assert drive(on(), requests).granted == [0, 1, 1]
    assert drive(on(width_bits=128), requests).granted == [0, 4, 4]
    assert drive(on(width_bits=128, ports=2), requests).granted == [0, 0, 0]


@given(
    address=st.integers(0, 100),
    row_bytes=st.integers(1, 60),
    gap=st.integers(0, 20),
    rows=st.integers(1, 9),
    line_bytes=st.sampled_from([1, 4, 16]),
)
def test_a_line_is_covered_if_all_its_bytes_are_in_the_region(
    address: int, row_bytes: int, gap: int, rows: int, line_bytes: int
) -> None:
    region = Region(address, row_bytes + gap if rows > 1 else 0, rows, row_bytes)
    inside = {region.address + row * region.stride + byte for row in range(rows) for byte in range(row_bytes)}
    expected = [
        all(line * line_bytes + byte in inside for byte in range(line_bytes))
        for line in lines(region, line_bytes).tolist()
    ]
    assert whole(region, line_bytes).tolist() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"capacity_bytes": 1000},
            r"l2.capacity_bytes must be a power of two of sets, each 8 lines of 64 bytes, not 1",
        ),
        ({"capacity_bytes": 1536}, "not 1536"),
        ({"capacity_bytes": 256}, "not 256"),
        ({"banks": 3}, r"l2.banks must be a power of two and at most the sets \(2\), not 3"),
        ({"banks": 4}, "not 4"),
        ({"latency_cycles": 0}, "greater than or equal to 1"),
    ],
)
def test_sizes_that_make_no_cache_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        on(**changes)


def test_a_second_level_needs_a_banked_dram() -> None:
    with pytest.raises(
        ValidationError, match="l2 must stand before a banked DRAM, not before one whose kind is simple"
    ):
        machine(l2=L2(**SMALL))
