"""Whole programs on machines with a second level."""

from __future__ import annotations

from dataclasses import fields

import engines
import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, inputs, machine, network, run
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

import accelsim
from accelsim.config.arch import L2, Machine
from accelsim.config.load import load_machine, load_part, load_technology
from accelsim.config.tech import Component, Event, Operation
from accelsim.cost import energy, static
from accelsim.memory.region import lines
from accelsim.memory.second_level import SecondLevel, SecondLevelActivity
from accelsim.results import Execution
from accelsim.sim.dma import BankedDmas
from accelsim.sim.timing import Timing

DDR4 = load_part("DDR4_8Gb_x8_3200")
L2_64K = L2(capacity_bytes=65536, ways=16, banks=4, width_bits=512, ports=1, latency_cycles=20)
cached = machines().filter(lambda on: on.l2 is not None)


def done_by(execution: Execution) -> SecondLevelActivity:
    assert isinstance(execution.activity, SecondLevelActivity)
    return execution.activity


@given(net=networks(max_size=24), on=cached, batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_any_program_is_bit_exact_accounted_for_and_below_its_roof(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)
    done, active = done_by(execution), execution.layer_times().active
    for layer, counters in enumerate(execution.counters):
        moved = energy.moved(counters)
        assert on.l2 is not None
        assert moved.l2_read == done.port_reads[layer] * on.l2.width_bits // 8
        assert moved.l2_write == done.port_writes[layer] * on.l2.width_bits // 8
        assert moved.dram_read + moved.dram_write == on.dram.burst_bytes * (done.reads[layer] + done.writes[layer])
        seconds = active[layer] * on.clock_period_fs / 1e15
        assert moved.dram_read + moved.dram_write <= seconds * (on.dram.bandwidth_bytes_per_s or 0) * (1 + 1e-9)
    assert done.accepted_reads == done.fetches.sum() == done.reads.sum() + done.merged_reads + done.forwarded_reads
    assert done.accepted_writes == done.write_backs.sum() == done.writes.sum() + done.merged_writes
    assert done.buffered == 0


@given(net=networks(max_size=24), on=cached, seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_the_same_run_twice_is_equal(net: IntegerNetwork, on: Machine, seed: int) -> None:
    program = net.compile(inputs(np.random.default_rng(seed), net, 5), on)
    one, two = (engines.execute(program, on) for _ in range(2))
    assert (one.cycles, one.counters) == (two.cycles, two.counters)
    for array in ("start", "free", "end"):
        assert np.array_equal(getattr(one.timeline, array), getattr(two.timeline, array))
    assert np.array_equal(one.grants, two.grants)
    for f in fields(SecondLevelActivity):
        assert np.array_equal(getattr(one.activity, f.name), getattr(two.activity, f.name)), f.name


@given(net=networks(max_size=40), on=cached, batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_with_room_for_all_data_no_line_is_read_from_dram_twice(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    line = on.dram.burst_bytes
    roomy = on.model_copy(
        update={"l2": L2(capacity_bytes=2**20 * line, ways=16, banks=2, width_bits=512, ports=1, latency_cycles=3)}
    )
    program, execution = run(net, inputs(np.random.default_rng(seed), net, batch), roomy)
    assume(program.header.dram_bytes <= 2**20 * line)
    done = done_by(execution)
    assert done.fetches.sum() <= -(-program.header.dram_bytes // line)
    assert done.write_backs.sum() <= -(-program.header.dram_bytes // line)
    assert len(execution.grants) >= done.hits.sum() + done.fetches.sum()


def test_a_second_level_keeps_data_from_dram_that_are_used_again() -> None:
    rng = np.random.default_rng(1)
    net = network(rng, [96, 96, 96])
    x = inputs(rng, net, 64)
    small = {"activation": {"capacity_bytes": 2048, "banks": 1}, "weight": {"capacity_bytes": 2048, "banks": 1}}
    bare = machine(dram={"kind": "banked", "part": DDR4}, **small)
    _, without = run(net, x, bare)
    _, cached = run(net, x, bare.model_copy(update={"l2": L2_64K}))
    assert without.activity
    done = done_by(cached)
    # the first layer's input is read for each strip of its weights, its output by the second layer
    assert done.accepted_reads < 0.6 * without.activity.accepted_reads
    # both have requested the same
    assert (
        len(cached.grants) == len(without.grants) == without.activity.accepted_reads + without.activity.accepted_writes
    )
    assert np.array_equal(cached.dram, without.dram)
    assert energy.moved(without.counters[0]).l2_read == energy.moved(without.counters[0]).l2_write == 0


def test_stores_tell_which_lines_they_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, bool, bool]] = []
    offer = SecondLevel.offer

    def logged(self: SecondLevel, *request: object, write: bool, covered: bool) -> bool:
        accepted = offer(self, *request, write=write, covered=covered)  # type: ignore[arg-type]  # passed on as it came
        if accepted:
            places, burst = request[:2]
            told.append((int(places.line[burst]), write, covered))  # type: ignore[attr-defined]  # it is a Places
        return accepted

    started: list[Timing] = []
    start = BankedDmas.start

    def noted(self: BankedDmas, unit: object, layer: int, timing: Timing) -> object:
        started.append(timing)
        return start(self, unit, layer, timing)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(SecondLevel, "offer", logged)
    monkeypatch.setattr(BankedDmas, "start", noted)
    rng = np.random.default_rng(2)
    net = network(rng, [40, 100])
    run(net, inputs(rng, net, 20), machine(dram={"kind": "banked", "part": DDR4}, l2=L2_64K))
    expected = []
    for timing in started:
        r = timing.outside
        assert r is not None
        inside = {r.address + row * r.stride + byte for row in range(r.rows) for byte in range(r.row_bytes)}
        expected += [
            (line, timing.writes, all(64 * line + byte in inside for byte in range(64)))
            for line in lines(r, 64).tolist()
        ]
    assert sorted(told) == sorted(expected)
    stores = [covered for _, write, covered in told if write]
    assert True in stores
    assert False in stores


def test_accesses_are_priced_by_the_bank_and_leak() -> None:
    on = load_machine("edge-tensorcore")
    assert on.l2 is not None
    read = Event(Component.L2, Operation.SRAM_READ, on.l2.width_bits)
    sized = load_technology("cacti-45nm")
    assert energy.each_pj(read, sized, on) == sized.energy_pj(read, on.l2.capacity_bytes / 4 / 1024)
    smaller = on.model_copy(update={"l2": on.l2.model_copy(update={"capacity_bytes": 65536})})
    assert energy.each_pj(read, sized, smaller) < energy.each_pj(read, sized, on)
    # 5 pJ for 32 bits
    assert energy.each_pj(read, load_technology("han2015-45nm"), on) == pytest.approx(5 * 512 / 32)
    without = on.model_copy(update={"l2": None})
    for name in ("han2015-45nm", "cacti-45nm", "horowitz2014-45nm"):
        technology = load_technology(name)
        more = set(static.with_static({}, 1, technology, on)) - set(static.with_static({}, 1, technology, without))
        expected = {Operation.LEAKAGE} if technology.leakage else set()
        assert more == {Event(Component.L2, operation, 8 * on.l2.capacity_bytes) for operation in expected}


def test_a_run_charges_the_shared_level_of_the_tensor_cores() -> None:
    summary = accelsim.run("digits-mlp", "edge-tensorcore").summary
    assert summary.bit_exact
    rows = [row for row in summary.counters if row.component == "l2"]
    assert {(row.operation, row.bits, row.each_pj) for row in rows} == {("sram_read", 512, 80), ("sram_write", 512, 80)}
    counts = {row.operation: row.count for row in rows}
    assert summary.bytes.l2_read == 64 * counts["sram_read"] > 0
    assert summary.bytes.l2_write == 64 * counts["sram_write"] > 0
    sram = [row for row in summary.counters if row.operation in {"sram_read", "sram_write"}]
    assert summary.energy_pj.sram == pytest.approx(sum(row.count * row.each_pj for row in sram))
    read = sum(row.count * row.bits // 8 for row in sram if row.operation == "sram_read")
    assert summary.bytes.sram_read == read
    # the last layer has time for the write-backs at the end, which it is charged
    for layer in summary.layers:
        moved = layer.bytes.dram_read + layer.bytes.dram_write
        assert moved <= layer.active_cycles * 1e-9 * (layer.roofline.peak_bytes_per_s or 0) * (1 + 1e-9)
    assert accelsim.run("digits-mlp", "edge-ws").summary.bytes.l2_read == 0
