"""The array's cycles and sums against SystemVerilog of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.output_stationary import OutputStationary
from rtl import verilated

Int64 = NDArray[np.int64]
Tile = tuple[Int64, Int64]
SIZES = [(4, 4), (3, 5), (5, 2), pytest.param((8, 8), marks=pytest.mark.slow)]


class Start(NamedTuple):
    """Edge, counted from 0, on which a tile's first operands enter, and that of its drain's first shift."""

    operands: int
    drain: int


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[OutputStationary, Path]:
    rows, columns = request.param
    simulator = verilated.build(tmp_path_factory.mktemp("os"), "output_stationary", R=rows, C=columns)
    return OutputStationary(rows, columns), simulator


def tiles(rng: np.random.Generator, sizes: list[tuple[int, int, int]]) -> list[Tile]:
    return [(rng.integers(-128, 256, (m, k)), rng.integers(-128, 128, (k, n))) for m, k, n in sizes]


def engine_starts(array: OutputStationary, work: list[Tile], per_k: int = 1, per_row: int = 1) -> list[Start]:
    """Starts of tiles that wait for nothing else, on ports that take so many accesses a k and a row of sums."""
    starts: list[Start] = []
    start = 0
    for x, _ in work:
        m, k = x.shape
        drain = start + array.cycles(k, per_k * k)[1]
        starts.append(Start(start, drain))
        start = drain + array.drain_cycles(m, per_row * m if per_row > 1 else 0)  # 0: a port without limit
    return starts


def drive(
    design: tuple[OutputStationary, Path], work: list[Tile], starts: list[Start], per_k: int = 1, per_row: int = 1
) -> list[Int64]:
    """Sums of each tile, as the port reads them in its drain's cycles."""
    array, simulator = design
    rows, columns = array.rows, array.columns
    edges = starts[-1].drain + per_row * rows + 2
    stimulus = np.zeros((edges + max(per_k * x.shape[1] for x, _ in work), 1 + rows + columns), np.int64)
    reads: list[range] = []
    for (x, w), (start, drain) in zip(work, starts, strict=True):
        m, k = x.shape
        for i in range(k):
            stimulus[start + per_k * (i + 1) - 1, 1 + rows - m : 1 + rows] = x[:, i]
            stimulus[start + per_k * (i + 1) - 1, 1 + rows : 1 + rows + w.shape[1]] = w[i]
        reads.append(range(drain + per_row - 1, drain + per_row * m, per_row))
        stimulus[reads[-1], 0] = 1
    outputs = verilated.simulate(simulator, simulator.parent, stimulus)
    return [outputs[list(read)[::-1], 1 : 1 + w.shape[1]] for read, (_, w) in zip(reads, work, strict=True)]


def right(found: list[Int64], work: list[Tile]) -> bool:
    return all(np.array_equal(sums, x @ w) for sums, (x, w) in zip(found, work, strict=True))


def sizes_of(array: OutputStationary, k: int) -> list[tuple[int, int, int]]:
    """Full tiles and tiles at the edges of a layer."""
    rows, columns = array.rows, array.columns
    return [(rows, k, columns), (1, k, columns), (rows, k + 3, 1), (rows - 1, 1, columns - 1), (rows, k, columns)]


@pytest.mark.parametrize("k", [1, 2, 30])
@pytest.mark.parametrize(("per_k", "per_row"), [(1, 1), (2, 1), (1, 3)])
def test_every_sum_drains_when_the_closed_form_says(
    design: tuple[OutputStationary, Path], k: int, per_k: int, per_row: int
) -> None:
    array, _ = design
    work = tiles(np.random.default_rng(k), sizes_of(array, k))
    starts = engine_starts(array, work, per_k, per_row)
    assert right(drive(design, work, starts, per_k, per_row), work)


@pytest.mark.parametrize("k", [1, 9])
def test_full_tiles_are_the_law_and_their_drain_apart(design: tuple[OutputStationary, Path], k: int) -> None:
    array, _ = design
    rows, columns = array.rows, array.columns
    work = tiles(np.random.default_rng(k), [(rows, k, columns)] * 4)
    starts = engine_starts(array, work)
    assert right(drive(design, work, starts), work)
    assert {b.operands - a.operands for a, b in pairwise(starts)} == {rows + columns + k - 2 + rows}
    assert starts[-1].drain + rows == array.drained_cycles(2 * rows, k, 2 * columns)
    assert array.law_cycles(2 * rows, k, 2 * columns) == 4 * (rows + columns + k - 2)


def test_a_drain_one_cycle_earlier_loses_a_product(design: tuple[OutputStationary, Path]) -> None:
    array, _ = design
    work = tiles(np.random.default_rng(0), [(array.rows, 5, array.columns)])
    ((start, drain),) = engine_starts(array, work)
    assert right(drive(design, work, [Start(start, drain)]), work)
    assert not right(drive(design, work, [Start(start, drain - 1)]), work)


def test_a_tile_one_cycle_earlier_loses_a_product_to_the_drain_before(design: tuple[OutputStationary, Path]) -> None:
    array, _ = design
    work = tiles(np.random.default_rng(0), [(array.rows, 5, array.columns)] * 2)
    first, second = engine_starts(array, work)
    assert right(drive(design, work, [first, second]), work)
    assert not right(drive(design, work, [first, Start(second.operands - 1, second.drain)]), work)
