"""The outer-product unit's closed form, masks and events against registers stepped edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outer_product_registers import OuterProductRegisters, Tile

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.outer_product import OuterProduct


def tile(rng: np.random.Generator, unit: OuterProduct, k: int, zeros: float, drains: int) -> Tile:
    x = rng.integers(-128, 256, (k, unit.rows))
    w = rng.integers(-128, 128, (k, unit.columns))
    x[rng.random(k) < zeros] = 0
    w[rng.random(k) < zeros] = 0
    pending = np.array([not unit.skip or (any(a) and any(b)) for a, b in zip(x.tolist(), w.tolist(), strict=True)])
    return Tile(x, w, pending, drains)


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    ports=st.integers(1, 8),
    double=st.booleans(),
    skip=st.booleans(),
    zeros=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    shape=st.lists(st.tuples(st.integers(1, 25), st.sampled_from([0, 0, 0, 5, 30])), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_registers_agree_with_the_closed_form_and_numpy(
    rows: int, columns: int, ports: int, double: bool, skip: bool, zeros: float, shape: list[tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    unit = OuterProduct(rows, columns, double, skip)
    words = -(-rows * columns // ports)
    work = [tile(rng, unit, k, zeros, words) for k, _ in shape]
    registers = OuterProductRegisters(rows, columns, ports, double)
    starts: list[int] = []
    completes: list[int] = []
    leaving: list[tuple[int, np.ndarray]] = []
    for cycle in range(sum(gap + k + words for k, gap in shape) + words + 5):
        i = len(starts)
        offered = i < len(work) and (cycle >= starts[-1] + shape[i][1] if i else True)
        taken, complete, sums = registers.step(work[i] if offered else None)
        starts += [cycle] * taken
        completes += [cycle + 1] * complete
        leaving += [(cycle + 1, sums)] if sums is not None else []
    free = start = drained = 0
    for i, (t, (_, gap)) in enumerate(zip(work, shape, strict=True)):
        survivors = unit.survivors(t.x, t.w)
        assert survivors == t.pending.sum()
        start = max(free, start + gap) if i else 0
        assert starts[i] == start
        assert completes[i] == start + unit.compute_cycles(survivors, 0) + unit.latency
        free, drained, end = unit.retire(start, unit.compute_cycles(survivors, 0), unit.drain_cycles(words), drained)
        mine = leaving[i * words : (i + 1) * words]
        assert [cycle for cycle, _ in mine] == list(range(end - words, end))
        y = np.concatenate([sums for _, sums in mine]).reshape(columns, rows)
        np.testing.assert_array_equal(y, np.einsum("kn,km->nm", t.w, t.x))
        np.testing.assert_array_equal(unit.multiply(t.x, t.w), y)
    assert len(leaving) == len(work) * words


@pytest.mark.parametrize(("drains", "alike"), [(8, True), (9, True), (10, False)])
def test_a_drain_hides_behind_the_selections_of_the_next_tile(drains: int, alike: bool) -> None:
    unit = OuterProduct(4, 4, double_buffered=True, skip=True)
    free, drained, _ = unit.retire(0, 9, drains, 0)
    second, _, _ = unit.retire(free, 9, drains, drained)
    assert (second - free == 9) == alike


def test_ports_bound_the_cycles() -> None:
    assert OuterProduct.compute_cycles(3, 7) == 7
    assert OuterProduct.compute_cycles(0, 0) == 1
    assert OuterProduct.drain_cycles(0) == 1
    assert OuterProduct.drain_cycles(16) == 16


@given(k=st.integers(1, 40), columns=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_bit_i_of_byte_i_over_8_says_whether_input_i_holds_a_nonzero(k: int, columns: int, seed: int) -> None:
    operand = np.random.default_rng(seed).integers(-1, 2, (k, columns)).astype(np.int8)
    mask = OuterProduct.mask(operand)
    assert (mask.dtype, mask.shape) == (np.uint8, (-(-k // 8),))
    bits = int.from_bytes(mask.tobytes(), "little")
    assert bits == sum(1 << i for i, row in enumerate(operand.tolist()) if any(row))


def test_sums_of_extreme_operands_are_exact() -> None:
    x, w = np.full((4000, 2), 255, np.uint8), np.full((4000, 3), -128, np.int8)
    assert (OuterProduct.multiply(x, w) == -255 * 128 * 4000).all()


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("k", "m", "n", "zeros"), [(9, 3, 4, 0.4), (5, 2, 2, 0.0), (4, 3, 1, 1.0)])
def test_events_are_those_of_the_registers_one_by_one(skip: bool, k: int, m: int, n: int, zeros: float) -> None:
    unit = OuterProduct(3, 4, double_buffered=True, skip=skip)
    rng = np.random.default_rng(k)
    t = tile(rng, OuterProduct(m, n, double_buffered=True, skip=skip), k, zeros, 1)
    expected: dict[tuple[Operation, int], int] = {}

    def happened(operation: Operation, bits: int, times: int = 1) -> None:
        expected[operation, bits] = expected.get((operation, bits), 0) + times

    cycles = np.flatnonzero(t.pending).tolist() or [None]
    for selected in cycles:
        happened(Operation.PE_GATED, 32, 12 - (0 if selected is None else m * n))
        happened(Operation.LATCH, 8, 0 if selected is None else m + n)
        for _ in range(m * n):
            if selected is not None:
                happened(Operation.INT_MULTIPLY, 8)
                happened(Operation.INT_ADD, 32)
            happened(Operation.LATCH, 32)
    happened(Operation.INT_ADD, 32, m * n)  # to what the accumulator holds
    if skip:
        happened(Operation.LATCH, 2, k)
        happened(Operation.LOGIC, 1, k + k * len(cycles))
    counters: Counters = {}
    unit.events(counters, k, unit.survivors(t.x, t.w), m, n, accumulate=True)
    found = {(event.operation, event.bits): times for event, times in counters.items()}
    assert found == {event: times for event, times in expected.items() if times}
    plain: Counters = {}
    unit.events(plain, k, unit.survivors(t.x, t.w), m, n, accumulate=False)
    assert sum(counters.values()) - sum(plain.values()) == m * n


def test_zero_detectors_are_charged_where_they_exist() -> None:
    for skip, times in ((True, 50), (False, None)):
        counters: Counters = {}
        OuterProduct(2, 2, double_buffered=True, skip=skip).detect_events(counters, 50)
        found = {(e.component, e.operation, e.bits): n for e, n in counters.items()}
        assert found.get((Component.ACTIVATION, Operation.LOGIC, 8)) == times


def test_the_unit_is_that_of_the_configuration() -> None:
    config = datapaths.OuterProduct(
        kind="outer_product", rows=3, columns=5, double_buffered_sums=False, skip_zero_columns=True, mask_bits=64
    )
    assert OuterProduct.of(config) == OuterProduct(3, 5, double_buffered=False, skip=True)
