"""Views of tensors against numpy's strided arrays, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from accelsim.compiler.tiles import Place
from accelsim.compiler.view import View, periods

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple)


def places(view: View) -> NDArray[np.int64]:
    """Bit at which each number of a view begins."""
    return view.offset + sum(
        np.arange(size).reshape(-1, *(1,) * (len(view.shape) - 1 - axis)) * stride
        for axis, (size, stride) in enumerate(zip(view.shape, view.strides, strict=True))
    )


@st.composite
def moved(draw: st.DrawFn) -> tuple[View, NDArray[np.int64], bool]:
    """A view behind some moves, and where numpy says that its numbers lie."""
    major, bits = draw(st.booleans()), draw(st.sampled_from([8, 32]))
    view = View.dense("x", draw(SHAPES), bits, feature_major=major)
    there = places(view)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["transpose", "slice", "reshape"]))
        if kind == "transpose":
            order = tuple(draw(st.permutations(range(len(view.shape)))))
            view, there = view.transposed(order), there.transpose(order)
        elif kind == "slice":
            axis = draw(st.integers(0, len(view.shape) - 1))
            start = draw(st.integers(0, view.shape[axis] - 1))
            stop, step = draw(st.integers(start + 1, view.shape[axis])), draw(st.integers(1, 2))
            view = view.sliced(axis, start, stop, step)
            there = there[(slice(None),) * axis + (slice(start, stop, step),)]
        else:
            size = there.size
            first = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
            second = draw(st.sampled_from([n for n in range(1, size // first + 1) if size // first % n == 0]))
            shape = (first, second, size // first // second)
            other = view.reshaped(shape)
            if other is None:
                continue
            view, there = other, there.reshape(shape)
    return view, there, major


@given(moved())
def test_numbers_lie_where_numpy_says(case: tuple[View, NDArray[np.int64], bool]) -> None:
    view, there, _ = case
    np.testing.assert_array_equal(places(view), there)


@given(moved())
def test_a_matrix_is_the_same_numbers_row_by_row(case: tuple[View, NDArray[np.int64], bool]) -> None:
    view, there, major = case
    place = view.matrix(feature_major=major)
    if place is None:
        return
    rows = there.reshape(-1, there.shape[-1]) // 8
    samples, features = np.divmod(np.arange(rows.size), rows.shape[1])
    np.testing.assert_array_equal(place.at(samples, features), rows.ravel())


@given(moved())
def test_rows_are_either_of_the_last_two_axes(case: tuple[View, NDArray[np.int64], bool]) -> None:
    view, there, _ = case
    for last in (False, True):
        place = view.rows(last=last)
        if place:
            of = np.swapaxes(there, -1, -2) if last else there
            rows = of.reshape(-1, of.shape[-1]) // 8
            samples, features = np.divmod(np.arange(rows.size), rows.shape[1])
            np.testing.assert_array_equal(place.at(samples, features), rows.ravel())


@given(shape=SHAPES, data=st.data())
def test_what_numpy_reshapes_without_a_copy_has_a_view(shape: tuple[int, ...], data: st.DataObject) -> None:
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    view = View.dense("x", shape, 8, feature_major=False).transposed(order)
    array = as_strided(np.zeros(1, np.int8), view.shape, tuple(stride // 8 for stride in view.strides))
    size = array.size
    first = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    try:
        expected = array.view()
        expected.shape = (first, size // first)
    except AttributeError:  # numpy's word for "not without a copy"
        assert view.reshaped((first, size // first)) is None
        return
    found = view.reshaped((first, size // first))
    assert found is not None
    for axis, n in enumerate(found.shape):
        assert n == 1 or found.strides[axis] == 8 * expected.strides[axis]


def test_rows_of_packed_numbers_are_whole_bytes() -> None:
    view = View.dense("x", (3, 5), 4, feature_major=False)
    assert view.strides == (24, 4)
    assert view.reshaped((15,)) is None
    assert view.sliced(1, 1, 5).matrix(feature_major=False) is None  # begins inside a byte
    assert view.sliced(1, 2, 5).matrix(feature_major=False) == Place(1, 3, feature_major=False, bits=4)


@pytest.mark.parametrize(("order", "expected"), [((0, 2, 1, 3), 5), ((0, 1, 2, 3), 0)])
def test_rows_lie_elsewhere_after_a_period(order: tuple[int, ...], expected: int) -> None:
    """Heads of several samples: tokens of a head follow each other, then comes the next head."""
    view = View.dense("x", (2, 5, 3, 4), 8, feature_major=False).transposed(order)
    assert periods(view.matrix(feature_major=False), None) == expected
