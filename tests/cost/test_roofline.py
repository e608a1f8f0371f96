"""The roofline names what binds."""

from __future__ import annotations

import numpy as np
import pytest
from harness import IDEAL_DRAM, inputs, machine, run
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine
from accelsim.cost import energy
from accelsim.cost.roofline import roofline
from accelsim.results import Bytes, Macs


def place(cycles: int, macs: int, moved: int, array: int, wait_host: int = 0, on: Machine | None = None) -> str:
    counts = Macs(dense=macs, executed=macs, skipped=0, skippable=0)
    traffic = Bytes(dram_read=moved, dram_write=0, sram_read=0, sram_write=0, io=0)
    units = {"matrix": {"wait_host": wait_host}, "preload": {}}
    return roofline(on or machine(), counts, traffic, cycles, array, units).bound


# edge-ws: 256 multipliers, 16 bytes a cycle
@pytest.mark.parametrize(
    ("cycles", "macs", "moved", "array", "wait_host", "bound"),
    [
        (1000, 256_000, 0, 1000, 0, "compute"),
        (1000, 210_000, 1000, 900, 0, "compute"),
        (1000, 10_000, 15_000, 500, 0, "memory"),
        (1000, 10_000, 1000, 900, 0, "fill_drain"),
        (1000, 10_000, 1000, 100, 0, "latency"),
        (1000, 10_000, 1000, 100, 800, "host"),
    ],
)
def test_bound(cycles: int, macs: int, moved: int, array: int, wait_host: int, bound: str) -> None:
    assert place(cycles, macs, moved, array, wait_host) == bound


@pytest.mark.parametrize(("unit", "waited", "bound"), [("preload", 800, "decode"), ("matrix", 800, "decode"),
                                                      ("preload", 400, "latency")])  # fmt: skip
def test_waiting_for_weights_to_be_expanded_is_named(unit: str, waited: int, bound: str) -> None:
    counts = Macs(dense=10_000, executed=10_000, skipped=0, skippable=0)
    traffic = Bytes(dram_read=1000, dram_write=0, sram_read=0, sram_write=0, io=0)
    units = {"matrix": {}, "preload": {}, unit: {"wait_decode": waited}}
    assert roofline(machine(), counts, traffic, 1000, 100, units).bound == bound


def test_waiting_for_a_decode_unit_that_waits_itself_is_latency() -> None:
    counts = Macs(dense=10_000, executed=10_000, skipped=0, skippable=0)
    traffic = Bytes(dram_read=1000, dram_write=0, sram_read=0, sram_write=0, io=0)
    for busy, bound in ((700, "decode"), (100, "latency")):  # of 900 cycles without the array
        units = {"matrix": {}, "preload": {"wait_decode": 800}, "decode": {"busy": busy, "wait_load": 900 - busy}}
        assert roofline(machine(), counts, traffic, 1000, 100, units).bound == bound


@pytest.mark.parametrize(("starved", "bound"), [(800, "memory"), (400, "latency")])
def test_waiting_for_a_dram_that_moves_less_than_its_roof_is_memory(starved: int, bound: str) -> None:
    counts = Macs(dense=10_000, executed=10_000, skipped=0, skippable=0)
    traffic = Bytes(dram_read=1000, dram_write=0, sram_read=0, sram_write=0, io=0)
    units = {"matrix": {}, "preload": {"wait_load": 900}, "load": {"busy": 100, "wait_memory": starved}}
    assert roofline(machine(), counts, traffic, 1000, 100, units).bound == bound


def test_balance_is_one_where_both_roofs_take_the_same_time() -> None:
    counts = Macs(dense=256_000, executed=256_000, skipped=0, skippable=0)
    traffic = Bytes(dram_read=8000, dram_write=8000, sram_read=0, sram_write=0, io=0)
    figures = roofline(machine(), counts, traffic, 1000, 1000, {"matrix": {}, "preload": {}})
    assert figures.balance == 1
    assert figures.ops_per_byte == 32
    assert figures.attained_ops_per_s == figures.peak_ops_per_s == 512e9
    assert figures.peak_bytes_per_s == 16e9


def test_without_a_memory_roof_there_is_no_balance() -> None:
    counts = Macs(dense=1, executed=1, skipped=0, skippable=0)
    traffic = Bytes(dram_read=64, dram_write=0, sram_read=0, sram_write=0, io=0)
    figures = roofline(machine(dram=IDEAL_DRAM), counts, traffic, 10, 10, {"matrix": {}, "preload": {}})
    assert figures.balance is None
    assert figures.peak_bytes_per_s is None


@given(net=networks(max_size=24), on=machines(), batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_executed_point_lies_above_a_roof(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    _, execution = run(net, inputs(np.random.default_rng(seed), net, batch), on)
    active = execution.layer_times().active
    for layer, counters in enumerate(execution.counters):
        assert energy.products(counters) <= active[layer] * on.matrix.multipliers
        moved = energy.moved(counters)
        if on.dram.bandwidth_bytes_per_s is not None:
            seconds = active[layer] * on.clock_period_fs / 1e15
            assert moved.dram_read + moved.dram_write <= seconds * on.dram.bandwidth_bytes_per_s * (1 + 1e-9)
