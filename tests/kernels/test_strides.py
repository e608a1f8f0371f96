"""Strided ranges against the sets of their bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.kernels import strides


@st.composite
def ranges(draw: st.DrawFn, most: int = 40) -> tuple[int, int, int, int]:
    """Address, stride, rows and row bytes; rows that touch are one run."""
    row_bytes = draw(st.integers(1, 9))
    if draw(st.booleans()):
        return draw(st.integers(0, most)), 0, 1, draw(st.integers(1, most))
    return draw(st.integers(0, most)), row_bytes + draw(st.integers(1, 9)), draw(st.integers(2, 6)), row_bytes


def fields(*given_ranges: tuple[int, int, int, int]) -> NDArray[np.int64]:
    return np.array([(*r, r[0] + (r[2] - 1) * r[1] + r[3]) for r in given_ranges], np.int64)


def bytes_of(r: tuple[int, int, int, int]) -> set[int]:
    address, stride, rows, row_bytes = r
    return {address + row * stride + i for row in range(rows) for i in range(row_bytes)}


@given(a=ranges(), b=ranges(), same=st.booleans())
def test_ranges_share_and_hold_the_bytes_that_their_sets_do(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int], same: bool
) -> None:
    if same and a[2] > 1 and b[2] > 1:
        b = (b[0], a[1], b[2], min(b[3], a[1] - 1))
    r = fields(a, b)
    for i, j in ((0, 1), (1, 0)):
        mine, theirs = bytes_of((a, b)[i]), bytes_of((a, b)[j])
        assert strides.overlap(r, i, j) == bool(mine & theirs)
        assert strides.holds(r, i, j) == (theirs <= mine)


@given(a=ranges(), at=st.integers(0, 120))
def test_a_run_reaches_to_its_last_byte(a: tuple[int, int, int, int], at: int) -> None:
    found, held = strides.reach(fields(a), 0, at), bytes_of(a)
    if at not in held:
        assert found == -1
        return
    starts = [a[0] + row * a[1] for row in range(a[2])]
    assert found == next(low + a[3] for low in starts if low <= at < low + a[3])


@given(a=ranges(), stride=st.integers(1, 40), data=st.data())
def test_rows_that_are_alike_lie_in_single_runs(a: tuple[int, int, int, int], stride: int, data: st.DataObject) -> None:
    stride = data.draw(st.sampled_from([stride, a[1] or 1]))
    low = a[0] + a[1] * data.draw(st.integers(0, a[2] - 1)) + data.draw(st.integers(0, a[3] - 1))
    start = low if a[2] == 1 else a[0] + (low - a[0]) // a[1] * a[1]
    high = data.draw(st.integers(low + 1, (a[0] if a[2] == 1 else start) + a[3]))
    found, held = strides.alike(fields(a), 0, low, high, stride), bytes_of(a)
    covered = [set(range(low + i * stride, high + i * stride)) <= held for i in range(found + 1)]
    assert all(covered[:found])
    assert found >= 1
    if a[2] == 1 or stride == a[1]:
        assert not covered[found]
