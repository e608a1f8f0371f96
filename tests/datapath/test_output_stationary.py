"""The array's closed forms and product against registers stepped edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register_models import OutputStationaryRegisters, run_output_tiles

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.output_stationary import OutputStationary


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    m=st.integers(1, 14),
    k=st.integers(1, 12),
    n=st.integers(1, 14),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_a_layer_takes_as_long_in_the_registers_as_the_law_and_the_drains(
    rows: int, columns: int, m: int, k: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-128, 256, (m, k)), rng.integers(-128, 128, (k, n))
    unit = OutputStationary(rows, columns)
    corners = [(top, left) for left in range(0, n, columns) for top in range(0, m, rows)]
    work = [(x[top : top + rows], w[:, left : left + columns]) for top, left in corners]
    starts: list[tuple[int, int]] = []
    start = 0
    for operands, _ in work:
        drain = start + unit.cycles(k, k)[1]
        starts.append((start, drain))
        start = drain + unit.drain_cycles(len(operands), len(operands))
    outputs, last = run_output_tiles(OutputStationaryRegisters(rows, columns), work, starts)
    product = np.zeros((m, n), np.int64)
    for (top, left), sums in zip(corners, outputs, strict=True):
        product[top : top + rows, left : left + columns] = sums
    np.testing.assert_array_equal(product, x @ w)
    np.testing.assert_array_equal(unit.multiply(x, w), x @ w)
    assert last == unit.drained_cycles(m, k, n)
    assert last == unit.law_cycles(m, k, n) + sum(len(operands) for operands, _ in work)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (5, 2)])
def test_a_drain_or_a_tile_one_cycle_earlier_breaks_the_result(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    work = [(rng.integers(1, 9, (rows, 5)), rng.integers(1, 9, (5, columns))) for _ in range(2)]
    drain = OutputStationary(rows, columns).cycles(5, 5)[1]
    again = drain + rows
    for first, second, expected in (
        ((0, drain), (again, again + drain), True),
        ((0, drain - 1), (again, again + drain), False),
        ((0, drain), (again - 1, again + drain), False),
    ):
        outputs, _ = run_output_tiles(OutputStationaryRegisters(rows, columns), work, [first, second])
        assert all(np.array_equal(y, x @ w) for (x, w), y in zip(work, outputs, strict=True)) == expected


def test_ports_that_are_slower_than_the_array_hold_it() -> None:
    unit = OutputStationary.of(datapaths.OutputStationary(kind="output_stationary", rows=4, columns=6))
    assert unit.cycles(10, 0) == unit.cycles(10, 10) == (10, 18)
    assert unit.cycles(10, 25) == (25, 33)
    assert (unit.drain_cycles(3, 0), unit.drain_cycles(3, 9)) == (3, 9)
    assert unit.law_cycles(9, 10, 13) == 3 * 3 * 18
    assert unit.drained_cycles(9, 10, 13) == 3 * 3 * 18 + 3 * 9


@given(*[st.integers(1, 40)] * 3, *[st.integers(1, 9)] * 2)
def test_sram_accesses_are_those_of_the_tiles(m: int, k: int, n: int, rows: int, columns: int) -> None:
    reads, weights, sums = 0, 0, 0
    for top in range(0, m, rows):
        for left in range(0, n, columns):
            height, width = min(rows, m - top), min(columns, n - left)
            reads, weights, sums = reads + height * k, weights + width * k, sums + height * width
    assert OutputStationary(rows, columns).sram_accesses(m, k, n) == (reads, weights, sums)


@given(m=st.integers(1, 5), k=st.integers(1, 8), n=st.integers(1, 4), accumulate=st.booleans())
def test_events_count_every_register_and_product(m: int, k: int, n: int, accumulate: bool) -> None:
    rows, columns = 5, 4
    counters: Counters = {}
    OutputStationary(rows, columns).events(counters, m, k, n, accumulate=accumulate)
    # ones wherever a tile has operands: what an element then holds tells whether it is active, and how far sums move
    model = OutputStationaryRegisters(rows, columns)
    products, moves, port, passed = 0, 0, 0, 0
    for edge in range(k + rows + columns - 2):
        left = np.array([int(r >= rows - m and 0 <= edge - r < k) for r in range(rows)])
        top = np.array([int(c < n and 0 <= edge - c < k) for c in range(columns)])
        model.step(left, top, drain=False)
        products += int((model.x * model.w).sum())
        passed += int(((model.x * model.w) != 0).sum()) * 2  # both operands' registers of an active element
    for _ in range(m):
        held = model.sums != 0
        moves, port = moves + int(held[:-1].sum()), port + int(held[-1].sum())
        model.step(np.zeros(rows, np.int64), np.zeros(columns, np.int64), drain=True)
    assert not model.sums.any()
    found = {(e.component, e.operation, e.bits): times for e, times in counters.items()}
    assert found[Component.MAC, Operation.INT_MULTIPLY, 8] == products == m * k * n
    assert found[Component.MAC, Operation.INT_ADD, 32] == products + m * n * accumulate
    assert found.get((Component.MAC, Operation.PE_GATED, 32), 0) == k * rows * columns - products
    before = sum(lane for side in (m, n) for lane in range(side) for _ in range(k))  # a value passes its lane's latches
    assert found[Component.REGISTER_FILE, Operation.LATCH, 8] == passed + before
    assert found[Component.REGISTER_FILE, Operation.LATCH, 32] == products + moves
    assert port == m * n


@given(
    m=st.integers(1, 30), k=st.integers(1, 30), n=st.integers(1, 30), rows=st.integers(1, 9), columns=st.integers(1, 9)
)
def test_a_direct_drain_takes_its_port_alone_and_moves_no_sum_down(
    m: int, k: int, n: int, rows: int, columns: int
) -> None:
    shifted, direct = OutputStationary(rows, columns), OutputStationary(rows, columns, "direct")
    tiles = [min(rows, m - low) for low in range(0, m, rows) for _ in range(0, n, columns)]
    # each tile is formed, and its sums wait for nothing: the layer takes what SCALE-Sim's law says
    assert sum(direct.cycles(k, k)[1] + direct.drain_cycles(height, 0) for height in tiles) == shifted.law_cycles(
        m, k, n
    )
    assert direct.drain_cycles(rows, 7) == 7
    m, n = min(m, rows), min(n, columns)
    moved: Counters = {}
    unmoved: Counters = {}
    shifted.events(moved, m, k, n, accumulate=False)
    direct.events(unmoved, m, k, n, accumulate=False)
    less = {(e.operation, e.bits): moved[e] - unmoved[e] for e in moved if moved[e] != unmoved[e]}
    moves = sum(i for _ in range(n) for i in range(m))
    assert less == ({(Operation.LATCH, 32): moves} if moves else {})
