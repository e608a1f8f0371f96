"""Numbers of equal rows against numpy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.kernels import classes


@given(n=st.integers(0, 3000), kinds=st.integers(1, 2000), columns=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_equal_rows_have_one_number_in_the_order_of_their_first(n: int, kinds: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-(2**62), 2**62, (kinds, columns))[rng.integers(0, kinds, n)]
    number = np.empty(n, np.int32)
    first = classes.of_rows(rows, number)
    _, expected, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    assert first.tolist() == sorted(expected.tolist())
    np.testing.assert_array_equal(expected[inverse.reshape(-1)], first[number] if n else first)


def test_rests_leave_whole_operands_where_there_is_no_divisor() -> None:
    opcode, operands = np.array([0, 1], np.uint8), np.array([[17, 17], [33, 33]])
    rows = np.empty((2, 2), np.int64)
    classes.rests(opcode, operands, np.array([[16, 0], [0, 8]]), rows)
    assert rows.tolist() == [[1, 17], [33, 1]]
