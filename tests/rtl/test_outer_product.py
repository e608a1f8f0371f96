"""The outer-product unit's cycles and sums against SystemVerilog of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.outer_product import OuterProduct
from rtl import verilated

Int64 = NDArray[np.int64]
K = 32
SIZES = [(8, 8, 8), (3, 5, 2), pytest.param((16, 16, 16), marks=pytest.mark.slow)]


@dataclass(frozen=True)
class Design:
    rows: int
    columns: int
    ports: int
    simulator: Path


@dataclass(frozen=True)
class Tile:
    """Activations (k, R), weights (k, C), and the cycle after the tile before from which on it is offered."""

    x: Int64
    w: Int64
    offer: int = 0
    columns: int = 0  # that leave


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Design:
    rows, columns, ports = request.param
    folder = tmp_path_factory.mktemp("outer")
    return Design(*request.param, verilated.build(folder, "outer_product", R=rows, C=columns, K=K, P=ports))


def tile(rng: np.random.Generator, design: Design, k: int, survivors: int, offer: int = 0) -> Tile:
    """A tile in which `survivors` k, in random places, have a nonzero on both sides, and others on one or none."""
    x = rng.integers(-128, 256, (k, design.rows))
    w = rng.integers(-128, 128, (k, design.columns))
    x[np.arange(k), rng.integers(0, design.rows, k)] = 1
    w[np.arange(k), rng.integers(0, design.columns, k)] = -1
    x[rng.random(x.shape) < 0.3] *= rng.integers(0, 2)
    skipped = rng.permutation(k)[survivors:]
    for i in skipped:
        side = rng.integers(0, 3)
        x[i] *= side == 0
        w[i] *= side == 1
    kept = np.setdiff1d(np.arange(k), skipped)
    x[kept, rng.integers(0, design.rows, len(kept))] = 7
    return Tile(x, w, offer, int(rng.integers(1, design.columns + 1)))


def drains(design: Design, work: Tile) -> int:
    return -(-work.columns * design.rows // design.ports)


def drive(design: Design, unit: OuterProduct, work: list[Tile]) -> Int64:
    """What the simulator prints, an edge a row: accepted, complete, valid, sums."""
    lines = []
    for t in work:
        k = len(t.x)
        x, w = np.zeros((K, design.rows), np.int64), np.zeros((K, design.columns), np.int64)
        x[:k], w[:k] = t.x, t.w
        mask = np.zeros(K, np.int64)
        mask[:k] = t.w.any(axis=1) if unit.skip else 1
        head = [unit.double_buffered, unit.skip, t.offer, drains(design, t)]
        lines.append(np.concatenate((head, mask, x.ravel(), w.ravel())))
    return verilated.simulate(design.simulator, design.simulator.parent, np.array(lines, np.int64))


def check(design: Design, unit: OuterProduct, work: list[Tile]) -> list[int]:
    """Compare every edge and sum with the closed form; return the starts."""
    found = drive(design, unit, work)
    start = drained = 0
    starts, completes, valid, sums = [], [], [], []
    free = 0
    for i, t in enumerate(work):
        survivors = int((t.x.any(axis=1) & t.w.any(axis=1)).sum()) if unit.skip else len(t.x)
        assert unit.survivors(t.x, t.w) == survivors
        start = max(free, start + t.offer) if i else t.offer
        compute, drain = unit.compute_cycles(survivors, 0), unit.drain_cycles(drains(design, t))
        free, drained, end = unit.retire(start, compute, drain, drained)
        starts.append(start)
        # CONVENTIONS item 4: max(1, n_k) + 2 edges from start to complete sums
        completes.append(start + max(1, survivors) + 2)
        valid += range(end - drain, end)
        padded = np.zeros(-(-design.rows * design.columns // design.ports) * design.ports, np.int64)
        padded[: design.rows * design.columns] = (t.w.T @ t.x).ravel()
        sums.append(padded.reshape(-1, design.ports)[:drain])
    # row e of what is found is after edge e + 1: the state in cycle e + 1
    assert np.flatnonzero(found[:, 0]).tolist() == starts
    assert (np.flatnonzero(found[:, 1]) + 1).tolist() == completes
    shown = np.flatnonzero(found[:, 2])
    assert (shown + 1).tolist() == valid
    np.testing.assert_array_equal(found[shown, 3:], np.vstack(sums))
    return starts


def unit_of(design: Design, *, double: bool, skip: bool) -> OuterProduct:
    return OuterProduct(design.rows, design.columns, double, skip)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_random_tiles_leave_when_the_closed_form_says(design: Design, double: bool, skip: bool) -> None:
    rng = np.random.default_rng(2 * double + skip)
    work = []
    for _ in range(120):
        k = int(rng.integers(1, K + 1))
        work.append(tile(rng, design, k, int(rng.integers(0, k + 1)), int(rng.choice([0, 0, 0, rng.integers(40)]))))
    check(design, unit_of(design, double=double, skip=skip), work)


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("survivors", [0, 1, 2, 7, 31, 32])
def test_tiles_that_wait_for_nothing_are_an_interval_apart(design: Design, double: bool, survivors: int) -> None:
    rng = np.random.default_rng(survivors)
    work = [tile(rng, design, K, survivors) for _ in range(6)]
    work = [Tile(t.x, t.w, 0, design.columns) for t in work]
    starts = check(design, unit_of(design, double=double, skip=True), work)
    drain = -(-design.rows * design.columns // design.ports)
    interval = max(1, survivors, drain) if double else max(1, survivors) + drain
    # the first tile finds no drain in its way
    assert np.diff(starts)[1:].tolist() == [interval] * 4
    assert starts[1] - starts[0] == max(1, survivors) + (0 if double else drain)


def test_a_run_of_skipped_k_of_any_length_makes_no_bubble(design: Design) -> None:
    rng = np.random.default_rng(0)
    unit = unit_of(design, double=True, skip=True)
    work = []
    for run in range(K - 1):
        x, w = rng.integers(1, 128, (K, design.rows)), rng.integers(1, 128, (K, design.columns))
        (x if run % 2 else w)[1 : 1 + run] = 0
        work.append(Tile(x, w, offer=100, columns=design.columns))
    starts = check(design, unit, work)
    assert np.diff(starts).tolist() == [max(100, design.rows * design.columns // design.ports)] * (K - 2)
