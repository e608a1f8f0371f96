"""Numbers of equal rows against numpy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.kernels import classes


@given(
    n=st.integers(0, 3000),
    kinds=st.integers(1, 2000),
    columns=st.integers(0, 5),
    seed=st.integers(0, 2**32),
    repeats=st.booleans(),
)
def test_equal_rows_have_one_number_in_the_order_of_their_first(
    n: int, kinds: int, columns: int, seed: int, repeats: bool
) -> None:
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, kinds, n)
    if repeats:  # mostly one after the other
        chosen = np.where(rng.random(n) < 0.9, np.arange(n) // (1 + seed % 2) % kinds, chosen)
    rows = rng.integers(-(2**62), 2**62, (kinds, columns))[chosen]
    key = rng.integers(0, 3, kinds).astype(np.uint8)[chosen]
    number = np.empty(n, np.int32)
    first = classes.of_rows(key, rows, number)
    both = np.column_stack([key.astype(np.int64), rows])
    _, expected, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    assert first.tolist() == sorted(expected.tolist())
    np.testing.assert_array_equal(expected[inverse.reshape(-1)], first[number] if n else first)


@given(st.lists(st.integers(0, 4)))
def test_sorting_by_a_small_number_keeps_the_order_of_the_rest(given_: list[int]) -> None:
    number = np.array(given_, np.int8)
    first, order = np.zeros(6, np.int64), np.empty(len(number), np.int32)
    classes.in_order(number, first, order)
    assert order.tolist() == np.argsort(number, kind="stable").tolist()
    assert first.tolist() == [0, *np.cumsum(np.bincount(number, minlength=5))]


def test_rests_leave_whole_operands_where_there_is_no_divisor() -> None:
    opcode, operands = np.array([0, 1], np.uint8), np.array([[17, 17], [33, 33]])
    rows = np.empty((2, 2), np.int64)
    classes.rests(opcode, operands, np.array([[16, 0], [0, 8]]), rows)
    assert rows.tolist() == [[1, 17], [33, 1]]
