"""Runs of a grid's cells as boxes, and descriptors that hold no more runs than they may."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from compiler.test_convolution import READS, assert_as_defined, random, reading
from graph_runs import small
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler import image
from accelsim.compiler.boxes import Box, boxes, within
from accelsim.compiler.tiles import Span
from accelsim.graph.ops.window import Window
from accelsim.isa.descriptors import Descriptor

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


def cells(box: Box) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(span.low, span.high) for span in box)))


@given(sizes=SIZES, data=st.data())
def test_boxes_hold_a_run_of_cells_in_order(sizes: tuple[int, ...], data: st.DataObject) -> None:
    low = data.draw(st.integers(0, math.prod(sizes) - 1))
    high = data.draw(st.integers(low + 1, math.prod(sizes)))
    held = [cell for box in boxes(low, high, sizes) for cell in cells(box)]
    assert held == list(np.ndindex(*sizes))[low:high]


@given(sizes=SIZES, most=st.integers(0, 40))
def test_parts_of_a_box_hold_its_cells_in_order_and_no_more_than_they_may(sizes: tuple[int, ...], most: int) -> None:
    box = tuple(Span(3, 3 + size) for size in sizes)
    parts = list(within(box, most))
    assert [cell for part in parts for cell in cells(part)] == cells(box)
    assert all(math.prod(span.size for span in part) <= max(1, most) for part in parts)
    fewest = math.ceil(math.prod(sizes) / max(1, most))
    assert len(parts) == 1 or len(parts) <= 4 * fewest * len(sizes)


@pytest.mark.parametrize("kind", ["weight_stationary", "outer_product", "sparse_lanes"])
@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("most", [6, 7, 40])
def test_windows_of_more_runs_than_a_descriptor_holds_are_gathered_in_parts(
    kind: str, how: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = random(np.random.default_rng(7), (2, 5, 6, 8), (8, 5), Window((3, 2), padding=(1, 1, 1, 0)))
    monkeypatch.setattr(image, "MOST_RUNS", most)
    with reading(how):
        program = assert_as_defined(conv, small(kind))
    descriptors = [Descriptor.read(record) for record in program.descriptors]
    assert descriptors
    assert max(descriptor.runs for descriptor in descriptors) <= max(most, 3 * 2)  # one window stays whole
