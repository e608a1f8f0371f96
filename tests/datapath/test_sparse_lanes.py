"""The lanes against registers stepped cycle by cycle, numpy, and the layers that EIE's paper prints."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_lanes_registers import run

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.datapath.sparse_lanes import SparseLanes

EIE = Path(__file__).parent.parent / "data" / "eie.csv"
CYCLES_A_US = 800  # at the 800 MHz of EIE


def layers() -> list[dict[str, str]]:
    with EIE.open() as file:
        return list(csv.DictReader(file))


@given(
    m=st.integers(1, 4),
    k=st.integers(1, 30),
    n=st.integers(1, 40),
    unit=st.builds(
        SparseLanes, st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.just(40), st.sampled_from([16, 24, 64])
    ),
    densities=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_registers_agree_in_sums_cycles_and_work(
    m: int, k: int, n: int, unit: SparseLanes, densities: tuple[float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    w = (rng.integers(-128, 128, (k, n)) * (rng.random((k, n)) < densities[0])).astype(np.int8)
    x = (rng.integers(0, 256, (m, k)) * (rng.random((m, k)) < densities[1])).astype(np.uint8)
    weights = unit.encode(w)
    stepped = [run(row.tolist(), w, unit.lanes, unit.fifo_depth, unit.index_bits) for row in x]
    sums = unit.multiply(x, weights)
    np.testing.assert_array_equal(sums, [sums for sums, _, _ in stepped])
    np.testing.assert_array_equal(sums, x.astype(np.int64) @ w.astype(np.int64))
    assert unit.cycles(x != 0, weights.counts).tolist() == [cycles for _, cycles, _ in stepped]
    work = unit.work(x != 0, weights)
    together = max(1, unit.fetch_bits // (8 + unit.index_bits))
    read = [
        value
        for row, (_, _, columns) in zip(x, stepped, strict=True)
        for lane in columns
        for k_, column in enumerate(lane)
        for _, value in column
        if row[k_]
    ]
    assert (work.scanned, work.broadcast) == (m * k, np.count_nonzero(x))
    assert (work.entries, work.padding, work.useful) == (len(read), read.count(0), len(read) - read.count(0))
    assert work.useful == ((x != 0).astype(int) @ (w != 0).astype(int)).sum()
    assert work.words == sum(
        len(list(itertools.groupby(at // together for k_ in np.flatnonzero(row) for at in range(*ends[k_ : k_ + 2]))))
        for row in x
        for ends in weights.pointers.tolist()
    )


def test_signed_activations_multiply_exactly() -> None:
    w, x = np.full((3, 2), -128, np.int8), np.full((1, 3), -128, np.int8)
    unit = SparseLanes(2, 8, 4, 1, 64)
    assert unit.multiply(x, unit.encode(w)).tolist() == [[3 * 2**14] * 2]


def test_a_vector_takes_as_long_as_the_slower_of_its_entries_and_its_ports() -> None:
    cycles = np.array([10, 3, 20])
    assert SparseLanes.matmul_cycles(cycles, loaded=4, drained=5) == (10 + 5 + 20, 35 + 5)
    assert SparseLanes.matmul_cycles(cycles, loaded=7, drained=5) == (10 + 7 + 20, 37 + 5)
    assert SparseLanes.drain_words(17, 128) == 5


@given(compute=st.lists(st.integers(1, 30), min_size=1, max_size=8), drained=st.integers(1, 20))
def test_drains_that_take_turns_on_one_port_end_when_the_closed_form_says(compute: list[int], drained: int) -> None:
    # two sets of sums: a vector's are handed over when it is done and those before it, of the last tile too, have left
    handed, left = 0, drained
    for cycles in compute:
        handed = max(handed + cycles, left)
        left = handed + drained
    assert SparseLanes.matmul_cycles(np.array(compute), 0, drained) == (handed, left)


def test_events_charge_padding_as_work_and_find_every_register() -> None:
    unit = SparseLanes.of(
        datapaths.SparseLanes(kind="sparse_lanes", lanes=2, fifo_depth=4, index_bits=1, sums_per_lane=8, fetch_bits=27)
    )
    w = np.zeros((2, 16), np.int8)
    w[0, 14], w[1, 1] = 5, 6  # slot 7 of lane 0 takes three padding entries; slot 0 of lane 1 none
    x = np.array([[3, 0], [0, 0], [1, 1]], np.uint8)
    weights = unit.encode(w)
    work = unit.work(x != 0, weights)
    assert (work.scanned, work.broadcast, work.entries, work.padding) == (6, 3, 4 + 4 + 1, 6)
    cycles = unit.cycles(x != 0, weights.counts)
    assert cycles.tolist() == [1 + 4 + 5, 1, 1 + 4 + 1 + 5]
    counters: Counters = {}
    unit.events(counters, work, int(cycles.sum()), weights.pointer_bits, accumulated=16)
    assert counters == {
        Event(Component.MAC, Operation.INT_COMPARE, 8): 6,
        Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, 24): 3 * 2,
        Event(Component.REGISTER_FILE, Operation.REGISTER_READ, 24): 3 * 2,
        Event(Component.WEIGHT, Operation.SRAM_READ, 16): 2 * 3 * 2,
        # 27 bits hold three entries: lane 0 has 4 in input 0, lane 1 one in input 1, so that x[0] and x[2] fetch two
        # words and x[2] one more
        Event(Component.WEIGHT, Operation.SRAM_READ, 27): 2 + 2 + 1,
        Event(Component.MAC, Operation.INT_ADD, 3): 9,
        Event(Component.MAC, Operation.INT_MULTIPLY, 8, 8): 9,
        Event(Component.MAC, Operation.INT_ADD, 32): 9 + 16,
        Event(Component.REGISTER_FILE, Operation.REGISTER_READ, 32): 9,
        Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, 32): 9,
        Event(Component.MAC, Operation.PE_GATED, 32): 2 * 22 - 9,
    }


def test_tiles_that_do_not_fit_the_lanes_are_refused() -> None:
    unit = SparseLanes(4, 8, 4, 2, 64)
    with pytest.raises(ValueError, match="4 lanes must hold at most 8 sums, not 9"):
        unit.encode(np.zeros((1, 9), np.int8))
    with pytest.raises(ValueError, match=r"counts must have shape \(3, 4\), not \(3, 2\)"):
        unit.cycles(np.zeros((1, 3), bool), np.zeros((3, 2), np.int32))
    with pytest.raises(ValueError, match="activations must have 3 columns, not 2"):
        unit.multiply(np.zeros((1, 2), np.int8), unit.encode(np.zeros((3, 4), np.int8)))


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: layer["layer"])
def test_a_layer_of_eie_takes_the_printed_time(layer: dict[str, str]) -> None:
    rng = np.random.default_rng(0)
    k, n = int(layer["in_dim"]), int(layer["out_dim"])
    # only columns of nonzero activations are processed, so no others are made
    processed = int(np.count_nonzero(rng.random(k) < float(layer["act_density_pct"]) / 100))
    w = (rng.random((processed, n), np.float32) < float(layer["weight_density_pct"]) / 100).astype(np.int8)
    unit = SparseLanes(lanes=64, fifo_depth=8, index_bits=4, sums_per_lane=256, fetch_bits=64)
    weights = unit.encode(w)
    balanced_us = len(weights.values) / unit.lanes / CYCLES_A_US
    (cycles,) = unit.cycles(np.ones((1, processed), bool), weights.counts)
    with_queues_us = cycles / CYCLES_A_US
    theoretical = balanced_us / float(layer["eie_theoretical_us"]) - 1
    actual = with_queues_us / float(layer["eie_actual_us"]) - 1
    if layer["layer"] == "VGG-6":
        # VGG-7 has the same weight density and as many outputs a lane, and so as much padding: its printed time is
        # 1.61 times that without padding, VGG-6's is 1.91 times. The printed densities can't give both.
        assert -0.30 < actual < theoretical < -0.16
    else:
        assert abs(theoretical) < 0.16, f"{balanced_us:.2f} us, {theoretical:+.1%}"
        assert abs(actual) < 0.20, f"{with_queues_us:.2f} us, {actual:+.1%}"
