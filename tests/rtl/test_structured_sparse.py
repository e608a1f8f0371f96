"""The structured-sparse unit's cycles and sums against SystemVerilog of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.structured_sparse import StructuredSparse
from rtl import verilated

Int64 = NDArray[np.int64]
# rows, columns, kept, group
SIZES = [
    (8, 5, 2, 4),
    (8, 3, 4, 8),
    pytest.param((3, 5, 1, 4), marks=pytest.mark.slow),
    pytest.param((16, 16, 2, 4), marks=pytest.mark.slow),
]


@dataclass(frozen=True)
class Fold:
    """Activations (m, inputs), held weights and positions (R, C), addends (m, C)."""

    sparse: bool
    x: Int64
    values: Int64
    indices: Int64
    addends: Int64

    def product(self, kept: int, group: int) -> Int64:
        """Row by row, weight by weight, as the multiplexers are drawn."""
        y = self.addends.copy()
        for r in range(len(self.values)):
            for c in range(y.shape[1]):
                input_ = r // kept * group + self.indices[r, c] if self.sparse else r
                y[:, c] += self.x[:, input_] * self.values[r, c]
        return y


@pytest.fixture(scope="module", params=SIZES, ids=lambda s: f"{s[0]}x{s[1]}-{s[2]}:{s[3]}")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[StructuredSparse, Path]:
    unit = StructuredSparse(*request.param)
    parameters = {"R": unit.rows, "C": unit.columns, "KEPT": unit.kept, "GROUP": unit.group, "B": unit.index_bits}
    return unit, verilated.build(tmp_path_factory.mktemp("nm"), "structured_sparse", **parameters)


def folds(rng: np.random.Generator, unit: StructuredSparse, count: int, m: int) -> list[Fold]:
    work = []
    for _ in range(count):
        sparse = bool(rng.integers(0, 2))
        shape = (unit.rows // unit.kept, unit.columns, unit.group)
        order = np.argsort(rng.random(shape), axis=2)[:, :, : unit.kept]
        indices = np.sort(order, axis=2).transpose(0, 2, 1).reshape(unit.rows, unit.columns)
        work.append(
            Fold(
                sparse,
                rng.integers(-128, 256, (m, unit.fold_inputs(sparse=sparse))),
                rng.integers(-128, 128, (unit.rows, unit.columns)),
                indices,
                rng.integers(-(2**20), 2**20, (m, unit.columns)) * int(rng.integers(0, 2)),
            )
        )
    return work


def drive(design: tuple[StructuredSparse, Path], work: list[Fold], starts: list[tuple[int, int]]) -> Int64:
    """Edge, counted from 1, and sums of each valid output; loads and first rows enter in the given cycles."""
    unit, simulator = design
    r, c, wide = unit.rows, unit.columns, unit.fold_inputs(sparse=True)
    stimulus = np.zeros((starts[-1][1] + len(work[-1].x) + 6, 5 + 3 * c + wide), np.int64)
    for f, (load, start) in zip(work, starts, strict=True):
        m = len(f.x)
        stimulus[load : load + r, 0] = 1
        stimulus[load : load + r, 1] = np.arange(r)
        stimulus[load : load + r, 5 : 5 + c] = f.values
        stimulus[load : load + r, 5 + c : 5 + 2 * c] = f.indices
        stimulus[start, 2] = 1
        stimulus[start : start + m, 3] = 1
        stimulus[start : start + m, 4] = f.sparse
        stimulus[start : start + m, 5 + 2 * c : 5 + 2 * c + f.x.shape[1]] = f.x
        stimulus[start + 2 : start + 2 + m, 5 + 2 * c + wide :] = f.addends
    outputs = verilated.simulate(simulator, simulator.parent, stimulus)
    (valid,) = np.nonzero(outputs[:, 0])
    return np.column_stack((valid + 1, outputs[valid, 1:]))


def engine_starts(unit: StructuredSparse, count: int, m: int) -> list[tuple[int, int]]:
    """Starts of preloads and matmuls, as the engine's rules give them for folds that wait for nothing else."""
    starts: list[tuple[int, int]] = []
    load_free = matmul_free = 0
    for _ in range(count):
        load = max(load_free, starts[-1][1]) if starts else 0
        load_free = load + unit.preload_cycles(unit.rows)
        start = max(load_free, matmul_free)
        matmul_free = start + unit.matmul_cycles(m, m)[0]
        starts.append((load, start))
    return starts


@pytest.mark.parametrize(("count", "m"), [(1, 1), (6, 1), (6, 7), (5, 8), (5, 9), (6, 40)])
def test_every_sum_leaves_when_the_closed_form_says(design: tuple[StructuredSparse, Path], count: int, m: int) -> None:
    unit, _ = design
    work = folds(np.random.default_rng(100 * count + m), unit, count, m)
    starts = engine_starts(unit, count, m)
    assert [start for _, start in starts] == [unit.rows + i * max(m, unit.rows) for i in range(count)]
    found = drive(design, work, starts)
    # a row that enters before edge e + 1 is there after edge e + 3: CONVENTIONS item 6
    assert found[:, 0].tolist() == [start + i + 3 for _, start in starts for i in range(m)]
    np.testing.assert_array_equal(found[:, 1:], np.vstack([f.product(unit.kept, unit.group) for f in work]))
    assert found[-1, 0] == starts[-1][1] + unit.matmul_cycles(m, m)[1]
    for f in work:
        values = f.values.astype(np.int8)
        sparse = unit.multiply(f.x, values, f.indices.astype(np.uint8))
        product = sparse if f.sparse else unit.multiply_dense(f.x, values)
        np.testing.assert_array_equal(product + f.addends, f.product(unit.kept, unit.group))


@pytest.mark.parametrize("which", ["load", "first row"])
def test_one_cycle_earlier_gives_wrong_sums(design: tuple[StructuredSparse, Path], which: str) -> None:
    unit, _ = design
    # long folds leave the shadow registers idle before a swap, short ones make the first row wait for its load
    m = 2 * unit.rows if which == "load" else 1
    work = folds(np.random.default_rng(1), unit, 3, m)
    starts = engine_starts(unit, 3, m)
    expected = np.vstack([f.product(unit.kept, unit.group) for f in work])
    assert np.array_equal(drive(design, work, starts)[:, 1:], expected)
    load, start = starts[2]
    starts[2] = (load - 1, start) if which == "load" else (load, start - 1)
    assert not np.array_equal(drive(design, work, starts)[:, 1:], expected)
