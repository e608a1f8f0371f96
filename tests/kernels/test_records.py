"""What kernels say of records against numpy and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.isa.opcodes import INSTRUCTION, NONE, OPERANDS
from accelsim.kernels import records


@given(st.data())
def test_valid_records_have_numbers_in_range_and_their_waits_first(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 3))
    good = st.integers(0, 1)
    bad = data.draw(st.sampled_from(["opcode", "layer", "signal", "wait", "nothing"]))
    opcode = data.draw(st.lists(st.integers(0, 4) if bad == "opcode" else good, min_size=n, max_size=n))
    layer = data.draw(st.lists(st.integers(-1, 2) if bad == "layer" else good, min_size=n, max_size=n))
    signal = data.draw(st.lists(st.integers(-2 if bad == "signal" else -1, 1), min_size=3 * n, max_size=3 * n))
    waits = st.sampled_from([(-1, 0), (0, 1), (5, 2), *([(-1, 1), (-2, 0), (1, 0)] if bad == "wait" else [])])
    pairs = np.array(data.draw(st.lists(waits, min_size=2 * n, max_size=2 * n))).reshape(n, 2, 2)
    signals = np.array(signal, np.int8).reshape(n, 3)
    expected = True
    for i in range(n):
        waiting = [tuple(pair) for pair in pairs[i].tolist()]
        used = [pair for pair in waiting if pair != (-1, 0)]
        expected &= opcode[i] < 3 and 0 <= layer[i] < 2 and signals[i].min() >= -1
        expected &= waiting == used + [(-1, 0)] * (2 - len(used)) and all(s >= 0 and v >= 1 for s, v in used)
    arrays = (np.array(opcode, np.uint8), np.array(layer, np.int32), signals)
    wait, value = pairs[:, :, 0].astype(np.int8), pairs[:, :, 1].astype(np.int32)
    assert records.valid(*arrays, wait, value, 3, 2) == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2))))
def test_amounts_are_summed_by_layer(given_: list[tuple[int, int]]) -> None:
    kind, layer = (np.array([pair[k] for pair in given_], np.int32) for k in range(2))
    amounts, totals = np.array([[1, 4], [10, 0], [100, 7], [0, 0]]), np.zeros((3, 2), np.int64)
    records.by_layer(kind, layer, amounts, totals)
    assert totals.tolist() == [amounts[kind[layer == k]].sum(axis=0).tolist() for k in range(3)]


def test_steps_put_their_instructions_from_their_starts_on_and_nothing_else() -> None:
    code = np.zeros(7, INSTRUCTION)
    operands = np.arange(1, 1 + 2 * 3 * OPERANDS).reshape(2, 3, OPERANDS)
    fields = (code[name] for name in ("opcode", "layer", "signal", "wait", "operands"))
    records.put(*fields, np.array([4, 0]), np.array([5, 6, 7], np.uint8), 9, operands)
    assert code["opcode"].tolist() == [5, 6, 7, 0, 5, 6, 7]
    assert code["layer"].tolist() == [9, 9, 9, 0, 9, 9, 9]
    assert (code["signal"][[0, 1, 2, 4, 5, 6]] == NONE).all()
    assert (code["wait"][[0, 1, 2, 4, 5, 6]] == NONE).all()
    assert code[3] == np.zeros(1, INSTRUCTION)[0]
    np.testing.assert_array_equal(code["operands"][4:], operands[0])
    np.testing.assert_array_equal(code["operands"][:3], operands[1])
    assert not code["value"].any()


@pytest.mark.parametrize(
    ("kind", "fit"),
    [([], True), ([0, 2, 4, 2], True), ([2], False), ([4, 2], False), ([0, 1, 2], False), ([1, 3, 0, 2], True)],
)
def test_a_fold_is_used_as_it_was_brought(kind: list[int], fit: bool) -> None:
    # kinds 0 and 1 bring, 2 and 3 use, 4 does neither
    brings, uses = np.arange(5) < 2, np.isin(np.arange(5), (2, 3))
    shape = np.array([[8, 4], [8, 5], [8, 4], [8, 5], [0, 0]])
    assert records.folds_fit(np.array(kind, np.int32), brings, uses, shape) == fit


def test_what_the_last_one_brought_is_held() -> None:
    found = np.empty(7, np.int32)
    kind = np.array([2, 0, 2, 3, 1, 2, 2], np.int32)
    records.held(kind, np.array([7, 0, -1, -1]), np.array([False, False, True, False]), found)
    assert found.tolist() == [-1, -1, 7, -1, -1, 0, 0]
