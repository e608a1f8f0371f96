"""The memory side's kernels against the classes of the reference engine, call for call."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, fields

import numpy as np
import pytest
from dram_strategies import NAMES, odd_parts, parts, shipped_part
from harness import machine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import second_levels

from accelsim.config.arch import L2, BankedDram, Machine
from accelsim.config.dram import Part
from accelsim.kernels import crossing as kernel
from accelsim.kernels import crossing_records as record
from accelsim.kernels import handover
from accelsim.memory.activity import Activity
from accelsim.memory.controllers import Controllers
from accelsim.memory.crossing import Crossing
from accelsim.memory.second_level import SecondLevel
from accelsim.units import NEVER

TAGS = 3
PORTS = 3
CLOCKS_HZ = (1e9, 7e8, 3e9, 123456789.0, 1e6)


def on(part: Part, clock_hz: float = 1e9, l2: L2 | None = None) -> Machine:
    return machine(clock_hz=clock_hz, dram={"kind": "banked", "part": part}, l2=l2)


@dataclass(frozen=True)
class Transfer:
    """Bursts that a port requests one after the other."""

    lines: list[int]
    covered: list[bool]
    write: bool
    tag: int


class Both:
    """The reference engine's classes and the kernels; every call gives the same, or fails."""

    def __init__(self, where: Machine, requests: int, lines: int | None = None) -> None:
        assert isinstance(where.dram, BankedDram)
        self.classes = (
            SecondLevel(where, where.dram, where.l2, requests, TAGS)
            if where.l2
            else Crossing(where, where.dram, requests, TAGS)
        )
        self.kernels = Controllers(where, where.dram, requests, TAGS, lines)
        self.m, self.c = self.kernels.dram, self.kernels.crossing
        self.level = kernel.level(self.c)

    def advance(self, cycle: int) -> list[tuple[int, int]]:
        count, begin = kernel.advance(self.m, self.c, self.level, cycle), self.c[kernel.KNOWN]
        known = self.c[begin : begin + 2 * count].reshape(-1, 2).tolist()
        expected = self.classes.advance(cycle)
        assert known == [list(pair) for pair in expected]
        return expected  # type: ignore[return-value]  # the owners are those that were given

    def exhausted(self, cycle: int) -> bool:
        exhausted = kernel.exhausted(self.c, self.level, cycle)
        assert exhausted == self.classes.exhausted(cycle)
        return exhausted

    def offer(self, transfer: Transfer, burst: int, owner: int, cycle: int) -> bool:
        line, covered, write, tag = transfer.lines[burst], transfer.covered[burst], transfer.write, transfer.tag
        places, classes = self.classes.places(np.array([line])), self.classes
        if isinstance(classes, SecondLevel):
            expected = classes.offer(places, 0, owner, tag, cycle, write=write, covered=covered)
        else:
            expected = classes.accepts(int(places.channel[0]), write=write)
            if expected:
                classes.push(places, 0, owner, tag, write=write)
        assert kernel.offer(self.m, self.c, self.level, line, write, covered, owner, tag, cycle) == expected
        return expected

    def eventful(self) -> int:
        eventful = kernel.eventful(self.c, self.level)
        assert eventful == self.classes.eventful
        return eventful

    def buffered(self, cycle: int) -> None:
        for tag in range(TAGS):
            assert kernel.buffered(self.m, self.c, self.level, cycle, tag) == self.classes.buffered(cycle, tag)

    def finish(self, cycle: int) -> Activity:
        over = kernel.flush(self.m, self.c, cycle)
        assert over == self.classes.flush(cycle)
        self.buffered(over)
        done, expected = self.kernels.activity(), self.classes.activity()
        assert type(done) is type(expected)
        for f in fields(expected):
            assert np.array_equal(getattr(done, f.name), getattr(expected, f.name)), f.name
        return done


def drive(both: Both, streams: list[list[Transfer]], outstanding: int, rng: np.random.Generator) -> Activity:
    """Grant bursts round robin as `BankedDmas` does; ask for buffered writes now and then."""
    left = [list(stream) for stream in streams]
    granted, in_flight, turn, owners = [0] * PORTS, [0] * PORTS, 0, 0
    owner, port_of = [0] * PORTS, dict[int, int]()
    returns: list[list[int]] = [[] for _ in range(PORTS)]
    cycle, unknown = 0, 0
    while any(left) or unknown:
        assert cycle < 10**7, "it never ends"
        if rng.random() < 0.1:
            both.buffered(cycle)
            both.eventful()
        for whose, seen in both.advance(cycle):
            heapq.heappush(returns[port_of[whose]], seen)
            unknown -= 1
        while not both.exhausted(cycle):
            for port in ((turn + i) % PORTS for i in range(PORTS)):
                while returns[port] and returns[port][0] <= cycle:
                    heapq.heappop(returns[port])
                    in_flight[port] -= 1
                if not left[port] or in_flight[port] == outstanding:
                    continue
                if not granted[port]:
                    owner[port], owners = owners, owners + 1
                    port_of[owner[port]] = port
                transfer = left[port][0]
                if both.offer(transfer, granted[port], owner[port], cycle):
                    in_flight[port] += 1
                    unknown += 1
                    granted[port] = (granted[port] + 1) % len(transfer.lines)
                    if not granted[port]:
                        left[port].pop(0)
                    turn = (port + 1) % PORTS
                    break
            else:
                break
        if rng.random() < 0.1:
            both.buffered(cycle)
        waits = [r[0] for r in returns if r and r[0] > cycle]
        full = both.exhausted(cycle) and any(left)
        wake = min([both.eventful(), *waits, cycle + 1 if full else NEVER])
        cycle = max(wake, cycle + 1) + (int(rng.integers(0, 500)) if rng.random() < 0.02 else 0)
    return both.finish(cycle)


def pattern(rng: np.random.Generator, bursts: int, most: int) -> list[list[Transfer]]:
    """Transfers of contiguous bursts and of scattered ones, of lines that meet and of lines that don't."""
    pool = rng.integers(0, bursts, int(rng.choice((1, 4, 30, 300))))
    writes = rng.choice((0.0, 0.3, 0.5, 1.0))

    def transfer() -> Transfer:
        size = int(rng.integers(1, 1 + rng.choice((1, 5, most))))
        if rng.random() < 0.5:
            lines = np.minimum(rng.choice(pool) + np.arange(size), bursts - 1)
        else:
            lines = rng.choice(pool, size)
        covered = rng.random(size) < rng.choice((0.0, 0.5, 1.0))
        return Transfer(lines.tolist(), covered.tolist(), bool(rng.random() < writes), int(rng.integers(TAGS)))

    return [[transfer() for _ in range(int(rng.integers(0, 5)))] for _ in range(PORTS)]


@st.composite
def levels(draw: st.DrawFn, part: Part) -> L2 | None:
    """None, a small second level, one of a single wide set, or one that holds everything."""
    line = part.burst_bytes
    fixed = {"width_bits": 512, "ports": 1, "latency_cycles": 3}
    wide = L2(capacity_bytes=64 * line, ways=64, banks=1, **fixed)
    large = L2(capacity_bytes=2**16 * line, ways=16, banks=8, **fixed)
    return draw(st.one_of(st.none(), second_levels(line), second_levels(line), st.sampled_from((wide, large))))


@given(st.data())
def test_every_call_gives_what_the_reference_engines_classes_give(data: st.DataObject) -> None:
    part = data.draw(st.one_of(parts(), odd_parts()))
    where = on(part, data.draw(st.sampled_from(CLOCKS_HZ)), data.draw(levels(part)))
    outstanding = data.draw(st.sampled_from((1, 3, 16, 64)))
    bursts = part.capacity_bytes // part.burst_bytes
    bursts = data.draw(st.sampled_from((min(bursts, 40), min(bursts, 5000), bursts)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    both = Both(where, PORTS * outstanding, data.draw(st.sampled_from((None, bursts))))
    drive(both, pattern(rng, bursts, 40), outstanding, rng)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_part_serves_streams_and_scattered_bursts_alike(name: str, cached: bool) -> None:
    part = shipped_part(name)
    l2 = L2(capacity_bytes=16 * 4 * part.burst_bytes, ways=4, banks=4, width_bits=512, ports=1, latency_cycles=20)
    rng = np.random.default_rng(5)
    bursts = part.capacity_bytes // part.burst_bytes
    scattered = rng.integers(0, bursts, 60)
    streams = [
        [Transfer(list(range(100, 160)), [False] * 60, False, 0)],
        [Transfer(list(range(5000, 5060)), [True] * 60, True, 1)],
        [Transfer(scattered.tolist(), [False] * 60, False, 2), Transfer(scattered.tolist(), [False] * 60, True, 2)],
    ]
    done = drive(Both(on(part, l2=l2 if cached else None), PORTS * 16), streams, 16, rng)
    assert done.accepted_reads >= 60
    assert done.accepted_writes >= 60
    assert done.buffered == 0


@given(
    name=st.sampled_from(NAMES),
    clock_hz=st.floats(1e3, 1e12),
    count=st.integers(0, 2**62),
    small=st.integers(0, 10**4),
)
def test_clocks_and_cycles_are_exact_as_long_as_they_fit_a_word(
    name: str, clock_hz: float, count: int, small: int
) -> None:
    where = on(shipped_part(name), clock_hz)
    both = Both(where, 1)
    assert isinstance(where.dram, BankedDram)
    assert isinstance(both.classes, Crossing)
    core_fs, dram_fs = where.clock_period_fs, where.dram.part.clock_period_fs
    late, later = count * dram_fs // max(core_fs, dram_fs), count * core_fs // max(core_fs, dram_fs)
    for cycle in (small, late):
        assert handover.edge(both.c, cycle) == both.classes.edge(cycle)
        both.exhausted(cycle)
        assert both.c[record.CAPACITY] == both.classes.capacity(cycle)
    for clock in (small, later):
        assert handover.seen(both.c, clock) == both.classes.cycle(clock)


def words(part: Part, l2: L2, lines: int | None) -> NDArray[np.int64]:
    where = on(part, l2=l2)
    assert isinstance(where.dram, BankedDram)
    return Controllers(where, where.dram, 8, TAGS, lines).crossing


def test_a_second_level_takes_room_for_the_lines_that_requests_may_name() -> None:
    part = shipped_part("DDR4_8Gb_x8_3200")
    l2 = L2(capacity_bytes=2**32, ways=16, banks=8, width_bits=512, ports=1, latency_cycles=3)
    assert words(part, l2, 1000).size < 7 * 1024
    # six words for each of its 2^26 lines, of which untouched ones take no memory
    assert words(part, l2, None).nbytes < 2**26 * 8 * 6
    few = l2.model_copy(update={"capacity_bytes": 2**16})
    assert words(part, few, None).size < 6 * 1024 + 1000


@given(
    seed=st.integers(0, 2**32 - 1),
    sets=st.sampled_from((1, 4, 2**12)),
    bursts=st.one_of(st.integers(1, 12), st.integers(1, 300)),
)
@settings(max_examples=60)
def test_a_second_level_that_holds_all_that_is_named_evicts_nothing(seed: int, sets: int, bursts: int) -> None:
    part, rng = shipped_part("HBM2_8Gb_x128"), np.random.default_rng(seed)
    l2 = L2(capacity_bytes=sets * 512 * part.burst_bytes, ways=512, banks=1, width_bits=512, ports=2, latency_cycles=1)
    both = Both(on(part, l2=l2), PORTS * 16, bursts)
    done = drive(both, pattern(rng, bursts, 40), 16, rng)
    assert done.accepted_reads <= bursts
