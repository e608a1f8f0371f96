"""The tensor core's cycles and sums, alone and joined, against SystemVerilog of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.tensor_core import TensorCore
from accelsim.formats import nm
from rtl import verilated

Int64 = NDArray[np.int64]
Q = 8


@dataclass(frozen=True)
class Design:
    joined: int
    simulator: Path


@dataclass(frozen=True)
class Issue:
    """4 x 4 J activations (4 x 8 J with indices), 4 J x 4 weights."""

    block: int
    first: bool
    a: Int64
    b: Int64
    index: Int64 | None = None
    gap: int = 0

    def product(self) -> Int64:
        """Output by output, product by product."""
        y = np.zeros((4, 4), np.int64)
        for i, j, s in np.ndindex(4, 4, len(self.b)):
            column = s if self.index is None else s // 2 * 4 + self.index[s, j]
            y[i, j] += self.a[i, column] * self.b[s, j]
        return y


@pytest.fixture(scope="module", params=[1, 2], ids=["core", "pair"])
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Design:
    folder = tmp_path_factory.mktemp("tensor")
    return Design(request.param, verilated.build(folder, "tensor_core", J=request.param, Q=Q))


def drive(design: Design, work: list[Issue], *, local: bool) -> tuple[Int64, Int64, Int64]:
    """Cycles of the issues; edges of the results, counted from 1; blocks and sums of the results, (n, 17)."""
    wide = 8 * design.joined
    lines = []
    for issue in work:
        a = np.zeros((4, wide), np.int64)
        a[:, : issue.a.shape[1]] = issue.a
        index = np.zeros_like(issue.b) if issue.index is None else issue.index
        head = [issue.gap, local, issue.index is not None, issue.first, issue.block]
        lines.append(np.concatenate((head, a.ravel(), issue.b.ravel(), index.ravel())))
    found = verilated.simulate(design.simulator, design.simulator.parent, np.array(lines, np.int64))
    (valid,) = np.nonzero(found[:, 1])
    return np.flatnonzero(found[:, 0]), valid + 1, found[valid, 2:]


def random_issue(rng: np.random.Generator, joined: int, *, sparse: bool, block: int, first: bool, gap: int) -> Issue:
    index = None
    if sparse:
        pairs = np.sort(np.argsort(rng.random((2 * joined, 4, 4)), axis=1)[:, :2], axis=1)
        index = pairs.reshape(4 * joined, 4)
    a = rng.integers(-128, 256, (4, 4 * joined * (2 if sparse else 1)))
    return Issue(block, first, a, rng.integers(-128, 128, (4 * joined, 4)), index, gap)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_random_issues_come_out_three_edges_later(design: Design, local: bool, sparse: bool) -> None:
    rng = np.random.default_rng(2 * local + sparse)
    work, started = [], set()
    for _ in range(1500):
        block = int(rng.integers(0, rng.integers(1, Q + 1)))
        first = block not in started or bool(rng.random() < 0.1)
        started.add(block)
        gap = int(rng.choice([0, 0, 0, rng.integers(5)]))
        work.append(random_issue(rng, design.joined, sparse=sparse, block=block, first=first, gap=gap))
    taken, edges, results = drive(design, work, local=local)
    sums = np.zeros((Q, 4, 4), np.int64)
    cycle, last = -1, np.full(Q, -3)
    for i, issue in enumerate(work):
        sums[issue.block] = issue.product() + (0 if issue.first else sums[issue.block])
        assert results[i].tolist() == [issue.block, *sums[issue.block].ravel()]
        # a chain through a sum waits for it, unless the sum lies in the last stage: CONVENTIONS item 5
        ready = 0 if local or issue.first else last[issue.block] + 3
        cycle = max(cycle + 1 + issue.gap, ready)
        last[issue.block] = cycle
        assert taken[i] == cycle
    np.testing.assert_array_equal(edges, taken + 3)


def test_issues_without_a_chain_take_two_edges_more_than_their_number(design: Design) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 50):
        work = [random_issue(rng, design.joined, sparse=False, block=i % Q, first=i < Q, gap=0) for i in range(n)]
        for local in (True, False):
            _, edges, _ = drive(design, work, local=local)
            assert edges[-1] == n + 2


@pytest.mark.parametrize("local", [True, False])
def test_a_chain_through_one_sum_takes_three_cycles_an_issue_unless_it_is_local(design: Design, local: bool) -> None:
    rng = np.random.default_rng(1)
    work = [random_issue(rng, design.joined, sparse=False, block=0, first=i == 0, gap=0) for i in range(20)]
    taken, _, _ = drive(design, work, local=local)
    assert np.diff(taken).tolist() == [1 if local else 3] * 19


def test_adding_any_matrix_of_operand_width_by_the_identity_takes_a_pair_one_issue(design: Design) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        a, c = rng.integers(-128, 256, (4, 4)), rng.integers(-128, 128, (4, 4))
        b, unit = rng.integers(-128, 128, (4, 4)), np.eye(4, dtype=np.int64)
        pair = [Issue(0, True, np.hstack((a, c)), np.vstack((b, unit)))]
        alone = [Issue(0, True, a, b), Issue(0, False, c, unit)]
        _, edges, results = drive(design, pair if design.joined == 2 else alone, local=True)
        np.testing.assert_array_equal(results[-1, 1:].reshape(4, 4), a @ b + c)
        assert edges.tolist() == ([3] if design.joined == 2 else [3, 4])


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(("tile", "shape"), [((4, 4), (8, 20, 8)), ((8, 4), (10, 33, 7)), ((8, 16), (19, 7, 17))])
def test_a_block_ends_when_the_closed_form_says(
    design: Design, local: bool, sparse: bool, tile: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(3)
    m, k, n = shape
    cores = TensorCore(design.joined, design.joined, *tile, local_accumulator=local, sparse_2_4=True)
    step = cores.step_inputs(sparse=sparse)
    steps = -(-k // step)
    x = np.zeros((m + 4, steps * step), np.int64)
    w = np.zeros((steps * step, n + 4), np.int64)
    x[:m, :k] = rng.integers(-128, 256, (m, k))
    w[:k, :n] = rng.integers(-128, 128, (k, n))
    if sparse:
        order = rng.random((len(w) // 4, 4, n + 4)).argsort(axis=1)
        w *= order.reshape(w.shape) < 2
        packed = nm.compress(w, 2, 4)
    work: list[Issue] = []
    where: list[tuple[int, int]] = []
    for top in range(0, m, tile[0]):
        for left in range(0, n, tile[1]):
            blocks = [
                (i, j) for i in range(top, min(top + tile[0], m), 4) for j in range(left, min(left + tile[1], n), 4)
            ]
            for t in range(steps):
                for number, (i, j) in enumerate(blocks):
                    a = x[i : i + 4, t * step : (t + 1) * step]
                    held = slice(t * 4 * design.joined, (t + 1) * 4 * design.joined)
                    if sparse:
                        b, index = packed.values[held, j : j + 4], packed.indices[held, j : j + 4]
                        work.append(Issue(number, t == 0, a, b.astype(np.int64), index.astype(np.int64)))
                    else:
                        work.append(Issue(number, t == 0, a, w[held, j : j + 4]))
                    where.append((i, j))
    assert len(work) == cores.issues(m, k, n, sparse=sparse)
    taken, edges, results = drive(design, work, local=local)
    y = np.zeros((m + 4, n + 4), np.int64)
    for (i, j), result in zip(where, results, strict=True):
        y[i : i + 4, j : j + 4] = result[1:].reshape(4, 4)
    np.testing.assert_array_equal(y[:m, :n], x[:m] @ w[:, :n])
    free, end = cores.cycles(m, k, n, 0, sparse=sparse)
    assert (taken[-1] + 1, edges[-1]) == (free, end)
