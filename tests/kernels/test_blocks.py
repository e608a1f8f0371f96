"""Blocks of a matrix as runs of bytes, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.kernels import blocks


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), gap=st.integers(0, 3), data=st.data())
def test_each_block_is_one_run_and_nothing_else_is_written(
    rows: int, columns: int, gap: int, data: st.DataObject
) -> None:
    matrix = np.random.default_rng(rows).integers(0, 256, (rows, columns), dtype=np.uint8)
    cuts = [
        [sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in (rows, columns)]
        for _ in range(data.draw(st.integers(0, 4)))
    ]
    expected, at = [], []
    for (top, bottom), (left, right) in cuts:
        at.append(sum(map(len, expected)))
        expected += [matrix[top:bottom, left:right].tobytes(), b"\x07" * gap]
    out = np.full(sum(map(len, expected)), 7, np.uint8)
    sides = np.array(cuts, np.int64).reshape(-1, 4).T
    low, high = sides[::2], sides[1::2]
    places = (low[0].copy(), high[0] - low[0], low[1].copy(), high[1] - low[1])
    blocks.put(matrix.reshape(-1), columns, *places, out, np.array(at, np.int64))
    assert out.tobytes() == b"".join(expected)
