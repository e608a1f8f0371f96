"""What holds for every part and every trace: rules kept, nothing lost, order of data kept, calls cut anywhere."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from dram_checker import RD, REF, WR, Rules, violations
from dram_session import Served, Session, serve
from dram_strategies import odd_parts, parts, traces
from hypothesis import given
from hypothesis import strategies as st

from accelsim.config.dram import Part
from accelsim.kernels import dram as kernel
from accelsim.kernels import dram_records as record
from accelsim.memory.address_map import AddressMap
from accelsim.memory.trace import Trace

any_part = st.one_of(parts(), odd_parts())


@given(st.data())
def test_no_command_breaks_a_rule_of_the_part(data: st.DataObject) -> None:
    part = data.draw(any_part)
    served = serve(part, data.draw(traces(part, 600)), flush=data.draw(st.booleans()))
    assert violations(part, served.commands, served.end) == []


@given(st.data())
def test_no_request_is_lost_or_served_twice(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part))
    served = serve(part, trace)
    done = served.activity
    reads, writes = int(done.reads.sum()), int(done.writes.sum())
    assert done.accepted_reads == (~trace.write).sum() == reads + done.merged_reads + done.forwarded_reads
    assert done.accepted_writes == trace.write.sum() == writes + done.merged_writes + done.buffered
    kinds = served.commands[:, 1]
    assert (reads, writes) == ((kinds == RD).sum(), (kinds == WR).sum())
    assert np.array_equal(np.sort(served.finished), np.arange(trace.address.size))
    assert (served.done > served.accepted).all()
    assert done.buffered <= 8 * part.system.channels


@given(st.data())
def test_requests_are_accepted_in_order_and_not_before_their_cycle(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part))
    accepted = serve(part, trace).accepted
    assert (np.diff(accepted) >= 0).all()
    assert (accepted > trace.cycle).all()
    limit = part.system.inj_per_clk or part.system.channels
    assert np.unique(accepted, return_counts=True)[1].max() <= limit


def replay(part: Part, trace: Trace, served: Served) -> tuple[dict[int, int], dict[int, int], list[str]]:
    """Follow the data: what each read returns, what the memory holds, and what is wrong on the way.

    A write's value is its number + 1; memory begins with 0 everywhere.
    """
    at = AddressMap.of(part).places(trace.address)
    place_of = zip(at.channel.tolist(), at.bank.tolist(), at.row.tolist(), at.column.tolist(), strict=True)
    line_at = dict(zip(place_of, at.line.tolist(), strict=True))
    events = [(clock, 0, number) for number, clock in enumerate(served.accepted.tolist())]
    events += [(clock, 1, number) for number, clock in enumerate(served.commands[:, 0].tolist())]
    memory: dict[int, int] = {}
    buffered: dict[int, int] = {}
    waiting: dict[int, list[int]] = {}
    returned: dict[int, int] = {}
    faults = []
    rules = Rules(part)
    for clock, what, number in sorted(events):
        if what == 0:
            line = int(at.line[number])
            if trace.write[number]:
                buffered[line] = number + 1
            elif line in buffered:
                returned[number] = buffered[line]
                faults += ["a forwarded read is late"] * int(served.done[number] != clock + 1)
            else:
                waiting.setdefault(line, []).append(number)
            continue
        _, kind, channel, rank, group, bank, row, column = served.commands[number].tolist()
        if kind not in (RD, WR):
            continue
        bank += ((channel * part.ranks + rank) * rules.groups + group) * rules.group_banks
        line = line_at[channel, bank, row, column]
        if kind == WR:
            if line not in buffered:
                faults.append("a write command without a write")
            memory[line] = buffered.pop(line, -1)
        else:
            if line not in waiting:
                faults.append("a read command without a read")
            for reader in waiting.pop(line, []):
                returned[reader] = memory.get(line, 0)
                if served.done[reader] != clock + rules.latency[RD] + rules.burst:
                    faults.append("a read returns at another clock than its data")
    return returned, memory, faults


@given(st.data())
def test_each_read_returns_what_program_order_says(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part, 600))
    served = serve(part, trace, flush=True)
    returned, memory, faults = replay(part, trace, served)
    assert faults == []
    lines = AddressMap.of(part).places(trace.address).line.tolist()
    held: dict[int, int] = {}
    for number, (line, write) in enumerate(zip(lines, trace.write.tolist(), strict=True)):
        if write:
            held[line] = number + 1
        else:
            assert returned[number] == held.get(line, 0)
    assert memory == held


@given(st.data())
def test_a_flush_empties_the_write_buffers(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part))
    session = Session(part, trace, log=0)
    session.inject(trace.address.size)
    kernel.flush(session.dram.memory)
    by_kernel = session.close()
    assert by_kernel.activity.buffered == 0
    assert by_kernel.activity.writes.sum() + by_kernel.activity.merged_writes == trace.write.sum()
    assert session.dram.buffered_writes(0) == 0
    logged = serve(part, trace, flush=True)
    assert int((logged.commands[:, 1] == WR).sum()) == logged.activity.writes.sum()


def counts(served: Served) -> list[object]:
    return [np.asarray(value).tolist() for value in astuple(served.activity)]


def equal(one: Served, other: Served) -> None:
    assert np.array_equal(one.commands, other.commands)
    assert np.array_equal(one.accepted, other.accepted)
    assert np.array_equal(one.done, other.done)
    assert one.end == other.end
    assert counts(one) == counts(other)


@given(st.data())
def test_the_result_does_not_depend_on_how_a_trace_is_cut_into_calls(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part))
    count = trace.address.size
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    session = Session(part, trace, log=data.draw(st.sampled_from((2, 3, 10, 500))))
    channels = session.dram.channel.size
    while session.cursor[0] < count:
        # a channel may run until the clock after which the next request is tried, and no further
        limit = max(int(session.cursor[1]), int(trace.cycle[session.cursor[0]])) + 1
        for number in range(channels):
            clock = int(session.dram.memory[session.dram.channel[number] + record.CLOCK])
            session.advance(number, min(limit, clock + int(random.integers(0, 100))))
        session.inject(min(count, int(session.cursor[0]) + int(random.integers(0, 40))))
    for number in range(channels):
        until = int(session.dram.memory[session.dram.channel[number] + record.CLOCK])
        while not session.settled(number):
            until += int(random.integers(1, 60))
            session.advance(number, until, record.SETTLED)
    equal(session.close(), serve(part, trace))


@given(st.data())
def test_skipping_clocks_changes_nothing(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part, 100))
    end = serve(part, trace).end
    skipped, stepped = (Session(part, trace, log=0) for _ in range(2))
    m = stepped.dram.memory
    for session in (skipped, stepped):
        session.inject(trace.address.size)
        for number in range(session.dram.channel.size):
            session.advance(number, int(session.cursor[1]) + 1)
    for number, ch in enumerate(stepped.dram.channel.tolist()):
        wake = slice(m[ch + record.WAKE_LIST], m[ch + record.FREE_LIST])
        for clock in range(int(m[ch + record.CLOCK]), min(end, int(m[ch + record.CLOCK]) + 3000)):
            m[wake] = 0
            m[ch + record.QUIET] = clock
            stepped.advance(number, clock + 1)
        skipped.advance(number, int(m[ch + record.CLOCK]))
        m[wake] = skipped.dram.memory[wake] = 0
        m[ch + record.QUIET] = skipped.dram.memory[ch + record.QUIET] = 0
    assert np.array_equal(m, skipped.dram.memory)


@given(st.data())
def test_nothing_happens_before_the_clock_that_run_names(data: st.DataObject) -> None:
    part = data.draw(any_part)
    trace = data.draw(traces(part, 100))
    session = Session(part, trace, log=0)
    session.inject(trace.address.size)
    m = session.dram.memory
    until = int(m[session.dram.channel + record.CLOCK].max()) + data.draw(st.integers(0, 300))
    quiet = kernel.run(m, until)
    assert quiet >= until
    before = m.copy()
    for number, ch in enumerate(session.dram.channel.tolist()):
        # every clock is run, whatever the channel remembers of how long it has nothing to do
        for clock in range(until, min(quiet, until + 500)):
            m[ch + record.QUIET] = clock
            session.advance(number, clock + 1)
        m[ch + record.CLOCK] = before[ch + record.CLOCK]
        m[ch + record.QUIET] = before[ch + record.QUIET]
        wake = slice(m[ch + record.WAKE_LIST], m[ch + record.FREE_LIST])
        m[wake] = before[wake]
    assert np.array_equal(m, before)


@given(st.data())
def test_channels_do_not_know_of_each_other(data: st.DataObject) -> None:
    part = data.draw(any_part.filter(lambda part: part.system.channels > 1))
    trace = data.draw(traces(part))
    together = serve(part, trace)
    channel = AddressMap.of(part).places(trace.address).channel
    for number in range(part.system.channels):
        own = channel == number
        if not own.any():
            continue
        # the same requests at the same clocks, and nothing for the other channels
        alone = serve(
            part, Trace(trace.address[own], trace.write[own], together.accepted[own] - 1), per_clock=trace.address.size
        )
        end = min(alone.end, together.end)
        assert np.array_equal(alone.accepted, together.accepted[own])
        assert np.array_equal(alone.done, together.done[own])
        first, second = (
            served.commands[(served.commands[:, 2] == number) & (served.commands[:, 0] < end)]
            for served in (alone, together)
        )
        assert np.array_equal(first, second)
        rest = alone.commands[alone.commands[:, 2] != number]
        assert (rest[:, 1] == REF).all()


@given(st.data())
def test_open_clocks_are_those_between_activates_and_closing(data: st.DataObject) -> None:
    part = data.draw(any_part.filter(lambda part: part.system.row_buf_policy == "OPEN_PAGE"))
    served = serve(part, data.draw(traces(part)))
    active = 0
    banks: dict[tuple[int, int], set[tuple[int, int]]] = {}
    since: dict[tuple[int, int], int] = {}
    for clock, kind, channel, rank, group, bank, _, _ in served.commands.tolist():
        if kind > 1:
            continue
        open_banks = banks.setdefault((channel, rank), set())
        if kind == 0:
            if not open_banks:
                since[channel, rank] = clock
            open_banks.add((group, bank))
        else:
            open_banks.remove((group, bank))
            if not open_banks:
                active += clock - since[channel, rank]
    active += sum(served.end - since[where] for where, still_open in banks.items() if still_open)
    assert served.activity.active_clocks == active
    assert served.activity.active_clocks + served.activity.precharged_clocks == (
        part.ranks * part.system.channels * served.end
    )
