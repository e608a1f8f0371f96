"""The array's cycles and sums against SystemVerilog of it, with both ways of loading weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.weight_stationary import Array
from rtl import verilated

Int64 = NDArray[np.int64]
Tile = tuple[Int64, Int64]
Load = Literal["shift_chain", "row_addressed"]
SLOW = pytest.mark.slow
SIZES = [(4, 4), (3, 5), (5, 2), pytest.param((8, 8), marks=SLOW), pytest.param((16, 16), marks=SLOW)]
MODES = [(True, "shift_chain"), (False, "shift_chain"), (True, "row_addressed"), (False, "row_addressed")]


class Start(NamedTuple):
    """Edge on which a tile's first row of weights may be written, and that on which its swap enters."""

    load: int
    matmul: int


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int, Path]:
    rows, columns = request.param
    return rows, columns, verilated.build(tmp_path_factory.mktemp("ws"), "weight_stationary", R=rows, C=columns)


def tiles(rng: np.random.Generator, count: int, m: int, rows: int, columns: int) -> list[Tile]:
    return [(rng.integers(-128, 256, (m, rows)), rng.integers(-128, 128, (rows, columns))) for _ in range(count)]


def drive(
    simulator: Path,
    array: Array,
    work: list[Tile],
    starts: list[Start],
    *,
    writes: list[int] | None = None,
    arrivals: list[int] | None = None,
) -> Int64:
    """Edge, counted from 1, and sums of each valid output.

    `writes` says how many cycles after a load's start each row is written, `arrivals` how many after a matmul's start
    each row of activations enters: one a cycle unless given.
    """
    rows, columns = array.rows, array.columns
    writes = writes or list(range(rows))
    arrivals = arrivals or list(range(len(work[0][0])))
    edges = starts[-1].matmul + arrivals[-1] + rows + columns + 4
    stimulus = np.zeros((edges, 6 + columns + rows), np.int64)
    stimulus[:, 0] = array.double_buffered
    stimulus[:, 1] = array.weight_load == "row_addressed"
    for (x, w), (load, start) in zip(work, starts, strict=True):
        order = range(rows) if array.weight_load == "row_addressed" else reversed(range(rows))
        for edge, row in zip(writes, order, strict=True):
            stimulus[load + edge, 2:4] = 1, row
            stimulus[load + edge, 6 : 6 + columns] = w[row]
        stimulus[start, 4] = 1
        for edge, values in zip(arrivals, x, strict=True):
            stimulus[start + edge, 5] = 1
            stimulus[start + edge, 6 + columns :] = values
    outputs = verilated.simulate(simulator, simulator.parent, stimulus)
    (valid,) = np.nonzero(outputs[:, 0])
    return np.column_stack((valid + 1, outputs[valid, 1:]))


def engine_starts(array: Array, count: int, m: int, words: int) -> list[Start]:
    """Starts of preloads and matmuls, as the engine's rules give them for tiles that wait for nothing else."""
    free, end = array.matmul_cycles(m, m)
    starts = [Start(0, array.chase_cycles(words))]
    while len(starts) < count:
        before = starts[-1]
        released = before.matmul + (array.swap_cycles if array.double_buffered else end)
        load = max(before.load + array.preload_cycles(words), released)
        starts.append(Start(load, max(before.matmul + free, load + array.chase_cycles(words))))
    return starts


def products(work: list[Tile]) -> Int64:
    return np.vstack([x @ w for x, w in work])


def right(found: Int64, work: list[Tile]) -> bool:
    return np.array_equal(found[:, 1:], products(work))


@pytest.mark.parametrize(("shadows", "load"), MODES)
@pytest.mark.parametrize(("count", "m"), [(1, 1), (1, 7), (4, 1), (3, 5), (3, 40)])
def test_every_sum_leaves_when_the_closed_form_says(
    design: tuple[int, int, Path], shadows: bool, load: Load, count: int, m: int
) -> None:
    rows, columns, simulator = design
    work = tiles(np.random.default_rng(count * 100 + m), count, m, rows, columns)
    array = Array(rows, columns, shadows, load)
    starts = engine_starts(array, count, m, rows)
    found = drive(simulator, array, work, starts)
    expected_edges = [start.matmul + rows + columns - 1 + i for start in starts for i in range(m)]
    assert found[:, 0].tolist() == expected_edges
    np.testing.assert_array_equal(found[:, 1:], products(work))
    assert found[-1, 0] == starts[-1].matmul + array.matmul_cycles(m, m)[1]
    wave = m + rows + columns - 2
    first, interval = {
        (True, "shift_chain"): (rows, max(m, 2 * rows + columns - 2)),
        (False, "shift_chain"): (rows, rows + wave),
        (True, "row_addressed"): (1, max(m, rows, columns)),
        (False, "row_addressed"): (1, 1 + wave),
    }[shadows, load]
    assert found[-1, 0] == first + (count - 1) * interval + wave
    assert found[-1, 0] == array.law_cycles(m, count * rows, columns)


@pytest.mark.parametrize("load", ["shift_chain", "row_addressed"])
def test_a_load_may_follow_the_swap_but_not_one_cycle_earlier(design: tuple[int, int, Path], load: Load) -> None:
    rows, columns, simulator = design
    work = tiles(np.random.default_rng(0), 2, 1, rows, columns)
    array = Array(rows, columns, True, load)
    # the first matmul waits for its whole load, so that the port is free when its swap has passed
    again = rows + array.swap_cycles
    for early in (0, 1):
        starts = [Start(0, rows), Start(again - early, again + rows)]
        assert (
            starts[1].matmul - rows
            == {"shift_chain": 2 * rows + columns - 2, "row_addressed": rows + columns - 1}[load]
        )
        assert right(drive(simulator, array, work, starts), work) == (not early)


@pytest.mark.parametrize("load", ["shift_chain", "row_addressed"])
def test_a_matmul_may_chase_its_load_but_not_one_cycle_earlier(design: tuple[int, int, Path], load: Load) -> None:
    rows, columns, simulator = design
    work = tiles(np.random.default_rng(1), 1, 3, rows, columns)
    array = Array(rows, columns, True, load)
    for early in (0, 1):
        starts = [Start(1, 1 + array.chase_cycles(rows) - early)]
        assert right(drive(simulator, array, work, starts), work) == (not early)


@pytest.mark.parametrize("per_row", [2, 3])
def test_a_port_slower_than_a_row_a_cycle_holds_the_matmul_back(design: tuple[int, int, Path], per_row: int) -> None:
    rows, columns, simulator = design
    work = tiles(np.random.default_rng(2), 3, 4, rows, columns)
    array = Array(rows, columns, True, "row_addressed")
    writes = [per_row * (r + 1) - 1 for r in range(rows)]
    starts = engine_starts(array, 3, 4, per_row * rows)
    assert right(drive(simulator, array, work, starts, writes=writes), work)
    early = [Start(0, starts[0].matmul - 1)]
    assert not right(drive(simulator, array, work[:1], early, writes=writes), work[:1])


def test_rows_that_arrive_late_leave_bubbles_and_the_swap_does_not_wait_for_them(design: tuple[int, int, Path]) -> None:
    rows, columns, simulator = design
    m, late = 4, [2, 3, 7, 9]
    work = tiles(np.random.default_rng(3), 2, m, rows, columns)
    array = Array(rows, columns, True, "row_addressed")
    free, end = array.matmul_cycles(m, late[-1] + 1)
    load = 1 + max(array.swap_cycles, rows)
    starts = [Start(0, 1), Start(load, max(1 + free, load + 1))]
    found = drive(simulator, array, work, starts, arrivals=late)
    assert right(found, work)
    assert found[-1, 0] == starts[-1].matmul + end
