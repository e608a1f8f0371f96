"""The array's closed form and product against registers stepped edge by edge."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from register_models import WeightStationaryRegisters, run_tiles

from accelsim.config.datapaths import WeightStationary
from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.weight_stationary import Array
from accelsim.memory.region import Region, words

Load = Literal["shift_chain", "row_addressed"]
LOADS = st.sampled_from(["shift_chain", "row_addressed"])


def tiles(
    rng: np.random.Generator, count: int, m: int, rows: int, columns: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return [(rng.integers(-128, 256, (m, rows)), rng.integers(-128, 128, (rows, columns))) for _ in range(count)]


def registers(rows: int, columns: int, double_buffered: bool, load: Load) -> WeightStationaryRegisters:
    return WeightStationaryRegisters(rows, columns, double_buffered, addressed=load == "row_addressed")


@given(
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    m=st.integers(1, 20),
    count=st.integers(1, 4),
    double_buffered=st.booleans(),
    weight_load=LOADS,
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200)
def test_registers_agree_with_the_tile_formula_and_numpy(
    rows: int, columns: int, m: int, count: int, double_buffered: bool, weight_load: Load, seed: int
) -> None:
    work = tiles(np.random.default_rng(seed), count, m, rows, columns)
    array = Array(rows, columns, double_buffered, weight_load)
    free, end = array.matmul_cycles(m, m)
    # the engine's rules: a load starts when the fold before is taken over, or over; a matmul when its load allows it
    starts = [(0, array.chase_cycles(rows))]
    while len(starts) < count:
        load, start = starts[-1]
        load = max(load + array.preload_cycles(rows), start + (array.swap_cycles if double_buffered else end))
        starts.append((load, max(load + array.chase_cycles(rows), start + free)))
    outputs, last = run_tiles(registers(rows, columns, double_buffered, weight_load), work, starts)
    for (x, w), y in zip(work, outputs, strict=True):
        np.testing.assert_array_equal(y, x @ w)
    wave = m + rows + columns - 2
    first, interval = {
        ("shift_chain", True): (rows, max(m, 2 * rows + columns - 2)),
        ("shift_chain", False): (rows, rows + wave),
        ("row_addressed", True): (1, max(m, rows, columns)),
        ("row_addressed", False): (1, 1 + wave),
    }[weight_load, double_buffered]
    assert last == starts[-1][1] + end == first + (count - 1) * interval + wave
    assert last == array.law_cycles(m, rows, count * columns)
    assert array.interval_cycles(m) == interval


@pytest.mark.parametrize("load", ["shift_chain", "row_addressed"])
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (5, 2)])
def test_a_load_one_cycle_earlier_breaks_the_result(rows: int, columns: int, load: Load) -> None:
    work = tiles(np.random.default_rng(0), 2, 1, rows, columns)
    # the first matmul waits for its whole load, so that the port is free when its swap has passed
    again = rows + Array(rows, columns, True, load).swap_cycles
    for early in (0, 1):
        starts = [(0, rows), (again - early, again - early + rows)]
        outputs, _ = run_tiles(registers(rows, columns, True, load), work, starts)
        right = all(np.array_equal(y, x @ w) for (x, w), y in zip(work, outputs, strict=True))
        assert right == (not early)


@pytest.mark.parametrize("load", ["shift_chain", "row_addressed"])
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (5, 2)])
def test_a_matmul_one_cycle_earlier_outruns_its_weights(rows: int, columns: int, load: Load) -> None:
    work = tiles(np.random.default_rng(1), 1, 3, rows, columns)
    chase = Array(rows, columns, True, load).chase_cycles(rows)
    for early in (0, 1):
        ((y,), _) = run_tiles(registers(rows, columns, True, load), work, [(1, 1 + chase - early)])
        assert np.array_equal(y, work[0][0] @ work[0][1]) == (not early)


@given(
    address=st.integers(0, 40),
    gap=st.integers(0, 40),
    depth=st.integers(1, 9),
    row_bytes=st.integers(1, 40),
    width=st.sampled_from([1, 2, 4, 8, 16, 32]),
)
@settings(max_examples=500)
def test_a_matmul_chases_a_load_as_the_ports_accesses_bring_its_rows(
    address: int, gap: int, depth: int, row_bytes: int, width: int
) -> None:
    array = Array(9, 4, True, "row_addressed")
    fold = Region(address, row_bytes + gap, depth, row_bytes)
    # walk the rows: the port reads a word a cycle and holds it; a row is written when complete, one row a cycle
    held, cycle, written, slowest = -1, -1, -1, 0
    for r in range(depth):
        start = address + r * fold.stride
        for word in range(start // width, (start + row_bytes - 1) // width + 1):
            cycle, held = cycle + (word != held), word
        written = max(written + 1, cycle)
        slowest = max(slowest, written - r)
    taken = (words(fold, width), depth, words(Region(address, 0, 1, row_bytes), width))
    assert array.chase_cycles(*taken) == slowest + 1
    assert array.preload_cycles(*taken) == written + 1 + array.rows - depth  # rows of zeros follow


def test_a_machine_says_how_weights_are_loaded() -> None:
    config = WeightStationary(
        kind="weight_stationary", rows=3, columns=5, double_buffered_weights=True, weight_load="row_addressed"
    )
    array = Array.of(config)
    assert array == Array(3, 5, True, "row_addressed")
    assert (array.swap_cycles, array.preload_cycles(0), array.chase_cycles(0)) == (4, 3, 1)
    chain = Array(3, 5, True)
    assert (chain.swap_cycles, chain.preload_cycles(0), chain.chase_cycles(7)) == (6, 3, 7)


@given(m=st.integers(1, 9), k=st.integers(1, 8), n=st.integers(1, 8), accumulate=st.booleans())
def test_events_count_every_register_and_product(m: int, k: int, n: int, accumulate: bool) -> None:
    counters: Counters = {}
    Array(8, 8, double_buffered=True).matmul_events(counters, m, k, n, accumulate=accumulate)
    found = {(e.component, e.operation, e.bits): times for e, times in counters.items()}
    active = m * k * n
    assert found[Component.MAC, Operation.INT_MULTIPLY, 8] == active
    assert found[Component.MAC, Operation.INT_ADD, 32] == active + m * n * accumulate
    assert found.get((Component.MAC, Operation.PE_GATED, 32), 0) == 64 * m - active
    # edge by edge: latch `stage` of a row's or a column's skew registers holds what came in so many edges before
    edges = range(m + 8 + 8)
    before = sum(0 <= edge - stage < m for edge in edges for r in range(k) for stage in range(r))
    behind = sum(0 <= edge - stage < m for edge in edges for c in range(n) for stage in range(8 - 1 - c))
    assert found[Component.REGISTER_FILE, Operation.LATCH, 8] == active + before
    assert found[Component.REGISTER_FILE, Operation.LATCH, 32] == active + behind
    assert not {o for _, o, _ in found} & {Operation.REGISTER_READ, Operation.REGISTER_WRITE}


@pytest.mark.parametrize("load", ["shift_chain", "row_addressed"])
@pytest.mark.parametrize("double_buffered", [True, False])
def test_preload_events_count_each_write_of_a_weight(load: Load, double_buffered: bool) -> None:
    model = registers(4, 3, double_buffered, load)
    for edge in range(4):
        model.step(load_row=np.ones(3, np.int64), address=edge)
    counters: Counters = {}
    Array(4, 3, double_buffered, load).preload_events(counters, 4, 3)
    found = {(e.component, e.operation, e.bits): times for e, times in counters.items()}
    swapped = 12 * double_buffered  # read from the shadow register and written to the active one
    assert found == {(Component.REGISTER_FILE, Operation.LATCH, 8): model.shadow_writes + swapped}


@given(*[st.integers(1, 40)] * 3, *[st.integers(1, 9)] * 2)
def test_sram_accesses_are_those_of_the_folds(m: int, k: int, n: int, rows: int, columns: int) -> None:
    reads, weights, sums = 0, 0, 0
    for first in range(0, k, rows):
        for left in range(0, n, columns):
            depth, width = min(rows, k - first), min(columns, n - left)
            reads, weights, sums = reads + m * depth, weights + depth * width, sums + m * width
    assert Array(rows, columns, double_buffered=True).sram_accesses(m, k, n) == (reads, weights, sums)
