"""The array with its roles exchanged, against registers that hold activations and stream weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from register_models import WeightStationaryRegisters, run_tiles

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.input_stationary import InputStationary


def machine(rows: int, columns: int, double_buffered: bool) -> InputStationary:
    return InputStationary.of(
        datapaths.InputStationary(
            kind="input_stationary", rows=rows, columns=columns, double_buffered_inputs=double_buffered
        )
    )


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    stripes=st.integers(1, 3),
    n=st.integers(1, 12),
    double_buffered=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_layer_takes_as_long_in_the_registers_as_the_law_says(
    rows: int, columns: int, stripes: int, n: int, double_buffered: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    unit = machine(rows, columns, double_buffered)
    x, w = rng.integers(-128, 256, (stripes * columns, rows)), rng.integers(-128, 128, (rows, n))
    interval = max(n, 2 * rows + columns - 2) if double_buffered else 2 * rows + columns + n - 2
    # each stripe of C samples is held, transposed, while all outputs' weights stream by as rows
    work = [(w.T, x[i * columns : (i + 1) * columns].T) for i in range(stripes)]
    starts = [(i * interval, i * interval + rows) for i in range(stripes)]
    outputs, last = run_tiles(WeightStationaryRegisters(rows, columns, double_buffered), work, starts)
    assert last == unit.law_cycles(len(x), rows, n)
    np.testing.assert_array_equal(np.vstack([y.T for y in outputs]), x @ w)
    np.testing.assert_array_equal(unit.multiply(x, w), x @ w)


def test_without_shadow_registers_the_law_is_scale_sims() -> None:
    assert machine(4, 6, double_buffered=False).law_cycles(m=13, k=9, n=20) == 3 * 3 * (2 * 4 + 6 + 20 - 2)


@given(*[st.integers(1, 40)] * 3, *[st.integers(1, 9)] * 2)
def test_sram_accesses_are_those_of_the_folds(m: int, k: int, n: int, rows: int, columns: int) -> None:
    reads, weights, sums = 0, 0, 0
    for first in range(0, k, rows):
        for top in range(0, m, columns):
            depth, samples = min(rows, k - first), min(columns, m - top)
            reads, weights, sums = reads + depth * samples, weights + n * depth, sums + n * samples
    found = machine(rows, columns, double_buffered=False).sram_accesses(m, k, n)
    assert (found.activation_reads, found.weight_reads, found.sum_writes) == (reads, weights, sums)


def test_events_are_those_of_held_activations_and_streamed_weights() -> None:
    counters: Counters = {}
    unit = machine(4, 3, double_buffered=True)
    unit.preload_events(counters, m=2, k=4)
    assert {(e.operation, e.bits): times for e, times in counters.items()} == {
        (Operation.LATCH, 8): 2 * (4 + 3 + 2 + 1) + 2 * 4,  # hops down the chain, and the swap
    }
    counters.clear()
    unit.matmul_events(counters, m=2, k=4, n=5, accumulate=True)
    found = {(e.component, e.operation): times for e, times in counters.items() if e.component is Component.MAC}
    assert found == {
        (Component.MAC, Operation.INT_MULTIPLY): 40,
        (Component.MAC, Operation.INT_ADD): 40 + 10,
        (Component.MAC, Operation.PE_GATED): 5 * 12 - 40,
    }
