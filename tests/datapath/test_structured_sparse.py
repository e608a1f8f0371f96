"""The structured-sparse unit's closed form, product and events against registers stepped edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from structured_sparse_registers import StructuredSparseRegisters

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.structured_sparse import StructuredSparse, tree_events
from accelsim.formats import nm

Int64 = NDArray[np.int64]
PATTERNS = [(2, 4), (1, 4), (4, 8)]


def weights(rng: np.random.Generator, k: int, n: int, kept: int, group: int) -> NDArray[np.int8]:
    """Weights (k, n) of which each group holds at most `kept` nonzeros."""
    w = rng.integers(-128, 128, (k, n)).astype(np.int8)
    for first in range(0, k, group):
        part = w[first : first + group]
        for column in part.T:
            column[rng.permutation(len(column))[int(rng.integers(0, kept + 1)) :]] = 0
    return w


@given(
    pattern=st.sampled_from(PATTERNS),
    groups=st.integers(1, 3),
    columns=st.integers(1, 5),
    m=st.integers(1, 15),
    modes=st.lists(st.booleans(), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_registers_agree_with_the_fold_formula_and_numpy(
    pattern: tuple[int, int], groups: int, columns: int, m: int, modes: list[bool], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = groups * pattern[0]
    unit = StructuredSparse(rows, columns, *pattern)
    dense = [weights(rng, unit.fold_inputs(sparse=True), columns, *pattern) for _ in modes]
    inputs = [rng.integers(-128, 256, (m, unit.fold_inputs(sparse=sparse))) for sparse in modes]
    addends = [rng.integers(-(2**20), 2**20, (m, columns)) for _ in modes]
    loads: dict[int, tuple[int, Int64, Int64]] = {}
    entering: dict[int, tuple[int, int]] = {}
    start, load = -1, 0
    free, end = unit.matmul_cycles(m, 0)
    for i, sparse in enumerate(modes):
        packed = nm.compress(dense[i], *pattern)
        for row in range(rows):
            held = packed.values[row] if sparse else dense[i][row]
            loads[load + row] = (row, held.astype(np.int64), packed.indices[row].astype(np.int64))
        loaded = load + unit.preload_cycles(0)
        start = max(loaded, start + free) if i else loaded
        load = start  # the next load may start with the swap
        entering |= {start + row: (i, row) for row in range(m)}
        assert start == rows + i * max(m, rows)
    registers = StructuredSparseRegisters(rows, columns, *pattern)
    found = []
    for cycle in range(start + m + 3):
        i, row = entering.get(cycle, (0, -1))
        j, late = entering.get(cycle - 2, (0, -1))
        y = registers.step(
            loads.get(cycle),
            inputs[i][row] if row >= 0 else None,
            swap=row == 0,
            sparse=modes[i],
            addend=addends[j][late] if late >= 0 else None,
        )
        if y is not None:
            found.append((cycle + 1, y))
    assert [edge for edge, _ in found] == [cycle + unit.latency for cycle in entering]
    assert found[-1][0] == start + end
    for i, sparse in enumerate(modes):
        w = dense[i].astype(np.int64)[: inputs[i].shape[1]]
        got = np.array([y for _, y in found[i * m : (i + 1) * m]])
        np.testing.assert_array_equal(got, inputs[i] @ w + addends[i])
        packed = nm.compress(dense[i], *pattern)
        values = packed.values.astype(np.int8)
        y = unit.multiply(inputs[i], values, packed.indices) if sparse else unit.multiply_dense(inputs[i], w)
        np.testing.assert_array_equal(y + addends[i], got)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_wrong_index_gives_the_product_of_the_wrong_activation(pattern: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    kept, group = pattern
    unit = StructuredSparse(4 * kept, 3, kept, group)
    x = rng.permutation(np.arange(1, 4 * group + 1))[None]
    values = rng.integers(1, 100, (4 * kept, 3)).astype(np.int8)
    indices = rng.integers(0, group, (4 * kept, 3)).astype(np.uint8)  # any, even the same twice in a group
    expected = np.zeros((1, 3), np.int64)
    for r, c in np.ndindex(values.shape):
        expected[0, c] += x[0, r // kept * group + indices[r, c]] * values[r, c]
    np.testing.assert_array_equal(unit.multiply(x, values, indices), expected)
    indices[0, 0] = (indices[0, 0] + 1) % group
    assert unit.multiply(x, values, indices)[0, 0] != expected[0, 0]


def test_a_last_fold_may_hold_fewer_inputs_than_it_spans() -> None:
    rng = np.random.default_rng(1)
    unit = StructuredSparse(8, 4, 2, 4)
    w = weights(rng, 7, 4, 2, 4)
    x = rng.integers(-128, 128, (5, 7))
    packed = nm.compress(w, 2, 4)
    assert packed.values.shape == (4, 4)
    np.testing.assert_array_equal(unit.multiply(x, packed.values.astype(np.int8), packed.indices), x @ w)


def test_a_fold_spans_m_over_n_times_the_rows_and_ports_bound_its_cycles() -> None:
    unit = StructuredSparse(16, 4, 2, 4)
    assert (unit.fold_inputs(sparse=True), unit.fold_inputs(sparse=False)) == (32, 16)
    assert (unit.preload_cycles(3), unit.preload_cycles(20)) == (16, 20)
    assert (unit.matmul_cycles(5, 5), unit.matmul_cycles(5, 10)) == ((5, 7), (10, 12))


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(("m", "rows", "n"), [(3, 8, 5), (2, 5, 3), (1, 1, 1)])
def test_events_are_those_of_the_multipliers_one_by_one(sparse: bool, m: int, rows: int, n: int) -> None:
    unit = StructuredSparse(8, 5, 4, 8)
    expected: dict[tuple[Operation, int], int] = {}

    def happened(operation: Operation, bits: int, times: int = 1) -> None:
        expected[operation, bits] = expected.get((operation, bits), 0) + times

    for _ in range(m):
        for r, c in np.ndindex(8, 5):
            if r >= rows or c >= n:
                happened(Operation.PE_GATED, 32)
                continue
            happened(Operation.LOGIC, 8, 8 if sparse else 1)
            happened(Operation.LATCH, 8)  # select
            happened(Operation.INT_MULTIPLY, 8)
            happened(Operation.LATCH, 16)
        for _ in range(n):
            level, bits = list(range(rows)), 16
            while len(level) > 1:
                happened(Operation.INT_ADD, bits, len(level[1::2]))
                level, bits = level[::2], bits + 1
            happened(Operation.INT_ADD, 32)
            happened(Operation.LATCH, 32)
    counters: Counters = {}
    unit.matmul_events(counters, m, rows, n, sparse=sparse, accumulate=True)
    found = {(event.operation, event.bits): times for event, times in counters.items()}
    assert found == {event: times for event, times in expected.items() if times}
    plain: Counters = {}
    unit.matmul_events(plain, m, rows, n, sparse=sparse, accumulate=False)
    assert sum(counters.values()) - sum(plain.values()) == m * n


@pytest.mark.parametrize("sparse", [True, False])
def test_a_load_writes_a_weight_and_its_index_and_the_swap_moves_them(sparse: bool) -> None:
    counters: Counters = {}
    StructuredSparse(8, 5, 2, 4).preload_events(counters, 6, 5, sparse=sparse)
    found = {(e.operation, e.bits): times for e, times in counters.items()}
    expected = {(Operation.LATCH, 8): 60}
    if sparse:
        expected |= {(Operation.LATCH, 2): 60}
    assert found == expected


@given(st.integers(1, 300))
def test_a_tree_of_any_number_of_inputs_adds_all_but_one_of_them(inputs: int) -> None:
    counters: Counters = {}
    tree_events(counters, inputs, 16, 2)
    assert sum(counters.values()) == 2 * (inputs - 1)
    assert {e.component for e in counters} <= {Component.MAC}
    assert sorted(e.bits for e in counters) == list(range(16, 16 + (inputs - 1).bit_length()))


def test_the_unit_is_that_of_the_configuration() -> None:
    config = datapaths.StructuredSparse(kind="structured_sparse", rows=8, columns=5, kept=4, group=8)
    unit = StructuredSparse.of(config)
    assert unit == StructuredSparse(8, 5, 4, 8)
    assert unit.index_bits == config.index_bits == 3
