"""The array's closed form and product against registers stepped edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from register_models import WeightStationaryRegisters, run_tiles

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.weight_stationary import Array


def tiles(
    rng: np.random.Generator, count: int, m: int, rows: int, columns: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return [(rng.integers(-128, 256, (m, rows)), rng.integers(-128, 128, (rows, columns))) for _ in range(count)]


@given(
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    m=st.integers(1, 20),
    count=st.integers(1, 4),
    double_buffered=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_registers_agree_with_the_tile_formula_and_numpy(
    rows: int, columns: int, m: int, count: int, double_buffered: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    work = tiles(rng, count, m, rows, columns)
    array = Array(rows, columns, double_buffered)
    free, end = array.matmul_cycles(m, m)
    load = array.preload_cycles(rows)
    # the engine's rules: a load starts when the fold before is taken over, or over; a matmul when its load is
    start, swapped = 0, 0
    starts: list[tuple[int, int]] = []
    for i in range(count):
        if i == 0:
            begin = 0
        elif double_buffered:
            begin = max(start, swapped)
        else:
            begin = start + end
        start = max(begin + load, start + free if i else 0)
        swapped = start + array.swap_cycles
        starts.append((begin, start))
    outputs, last = run_tiles(WeightStationaryRegisters(rows, columns, double_buffered), work, starts)
    for (x, w), y in zip(work, outputs, strict=True):
        np.testing.assert_array_equal(y, x @ w)
    assert last == starts[-1][1] + end
    interval = max(m, 2 * rows + columns - 2) if double_buffered else 2 * rows + columns + m - 2
    assert last == rows + (count - 1) * interval + m + rows + columns - 2


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (5, 2)])
def test_a_load_one_cycle_earlier_breaks_the_result(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    work = tiles(rng, 2, 1, rows, columns)
    good = [(0, rows), (rows + rows + columns - 2, 3 * rows + columns - 2)]
    bad = [good[0], (good[1][0] - 1, good[1][1] - 1)]
    for starts, expected in ((good, True), (bad, False)):
        outputs, _ = run_tiles(WeightStationaryRegisters(rows, columns, double_buffered=True), work, starts)
        right = all(np.array_equal(y, x @ w) for (x, w), y in zip(work, outputs, strict=True))
        assert right == expected


@given(m=st.integers(1, 9), k=st.integers(1, 8), n=st.integers(1, 8), accumulate=st.booleans())
def test_events_count_every_register_and_product(m: int, k: int, n: int, accumulate: bool) -> None:
    counters: Counters = {}
    Array(8, 8, double_buffered=True).matmul_events(counters, m, k, n, accumulate=accumulate)
    found = {(e.component, e.operation, e.bits): times for e, times in counters.items()}
    active = m * k * n
    assert found[Component.MAC, Operation.INT_MULTIPLY, 8] == active
    assert found[Component.MAC, Operation.INT_ADD, 32] == active + m * n * accumulate
    assert found.get((Component.MAC, Operation.PE_GATED, 32), 0) == 64 * m - active
    assert found[Component.REGISTER_FILE, Operation.REGISTER_READ, 8] == 2 * active
    assert found[Component.REGISTER_FILE, Operation.REGISTER_WRITE, 8] == active
    assert found[Component.REGISTER_FILE, Operation.REGISTER_READ, 32] == active
    assert found[Component.REGISTER_FILE, Operation.REGISTER_WRITE, 32] == active


def test_preload_events_count_each_hop_of_the_chain() -> None:
    registers = WeightStationaryRegisters(4, 3, double_buffered=True)
    fold = np.ones((4, 3), np.int64)
    writes = 0
    for edge in range(4):
        before = registers.shadow_valid.sum()
        registers.step(load_row=fold[3 - edge])
        writes += int(registers.shadow_valid.sum())
        assert registers.shadow_valid.sum() == before + 3
    counters: Counters = {}
    Array(4, 3, double_buffered=True).preload_events(counters, 4, 3)
    by_operation = {e.operation: times for e, times in counters.items()}
    assert by_operation[Operation.REGISTER_WRITE] == writes + 12  # hops, and the later swap
    assert by_operation[Operation.REGISTER_READ] == writes - 12 + 12
