"""The array's cycles and sums against SystemVerilog of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.weight_stationary import Array
from rtl import verilated

Int64 = NDArray[np.int64]
Tile = tuple[Int64, Int64]
SIZES = [(4, 4), (3, 5), (5, 2), (8, 8), pytest.param((16, 16), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int, Path]:
    rows, columns = request.param
    return rows, columns, verilated.build(tmp_path_factory.mktemp("ws"), "weight_stationary", R=rows, C=columns)


def tiles(rng: np.random.Generator, count: int, m: int, rows: int, columns: int) -> list[Tile]:
    return [(rng.integers(-128, 256, (m, rows)), rng.integers(-128, 128, (rows, columns))) for _ in range(count)]


def drive(design: tuple[int, int, Path], shadows: bool, work: list[Tile], starts: list[tuple[int, int]]) -> Int64:
    """Edge, counted from 1, and sums of each valid output; loads and first rows enter at the given edges."""
    rows, columns, simulator = design
    edges = starts[-1][1] + len(work[-1][0]) + rows + columns + 3
    stimulus = np.zeros((edges, 4 + columns + rows), np.int64)
    stimulus[:, 0] = shadows
    for (x, w), (load, start) in zip(work, starts, strict=True):
        stimulus[load : load + rows, 1] = 1
        stimulus[load : load + rows, 4 : 4 + columns] = w[::-1]
        stimulus[start, 2] = 1
        stimulus[start : start + len(x), 3] = 1
        stimulus[start : start + len(x), 4 + columns :] = x
    outputs = verilated.simulate(simulator, simulator.parent, stimulus)
    (valid,) = np.nonzero(outputs[:, 0])
    return np.column_stack((valid + 1, outputs[valid, 1:]))


def engine_starts(array: Array, count: int, m: int) -> list[tuple[int, int]]:
    """Starts of preloads and matmuls, as the engine's rules give them for tiles that wait for nothing else."""
    free, end = array.matmul_cycles(m, m)
    starts: list[tuple[int, int]] = []
    for _ in range(count):
        load = 0
        if starts:
            load = starts[-1][1] + (array.swap_cycles if array.double_buffered else end)
        ready = load + array.preload_cycles(array.rows)
        starts.append((load, max(ready, starts[-1][1] + free) if starts else ready))
    return starts


@pytest.mark.parametrize("shadows", [True, False])
@pytest.mark.parametrize(("count", "m"), [(1, 1), (1, 7), (4, 1), (3, 5), (3, 40)])
def test_every_sum_leaves_when_the_closed_form_says(
    design: tuple[int, int, Path], shadows: bool, count: int, m: int
) -> None:
    rows, columns, _ = design
    rng = np.random.default_rng(count * 100 + m)
    work = tiles(rng, count, m, rows, columns)
    array = Array(rows, columns, shadows)
    starts = engine_starts(array, count, m)
    found = drive(design, shadows, work, starts)
    expected_edges = [start + rows + columns - 1 + i for _, start in starts for i in range(m)]
    assert found[:, 0].tolist() == expected_edges
    np.testing.assert_array_equal(found[:, 1:], np.vstack([x @ w for x, w in work]))
    _, end = array.matmul_cycles(m, m)
    assert found[-1, 0] == starts[-1][1] + end
    interval = max(m, 2 * rows + columns - 2) if shadows else 2 * rows + columns + m - 2
    assert found[-1, 0] == rows + (count - 1) * interval + m + rows + columns - 2


def test_a_load_one_cycle_earlier_corrupts_the_fold_before(design: tuple[int, int, Path]) -> None:
    rows, columns, _ = design
    work = tiles(np.random.default_rng(0), 2, 1, rows, columns)
    starts = engine_starts(Array(rows, columns, double_buffered=True), 2, 1)
    early = [starts[0], (starts[1][0] - 1, starts[1][1])]
    expected = np.vstack([x @ w for x, w in work])
    assert np.array_equal(drive(design, True, work, starts)[:, 1:], expected)
    assert not np.array_equal(drive(design, True, work, early)[:, 1:], expected)
