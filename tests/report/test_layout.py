"""Where layers stand in the picture of a graph: below what they read, and no line crosses one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.report.layout import LANES, Layout, Place
from accelsim.results import LayerResult

ONE = accelsim.run(timing_only=True).summary.layers[0]


def named(*reads: str) -> list[LayerResult]:
    """Layers a, b, c and so on, by what each reads, a letter a layer; `-` is the input."""
    found = [["input" if name == "-" else name for name in read] for read in reads]
    return [ONE.model_copy(update={"name": chr(97 + i), "reads": read}) for i, read in enumerate(found)]


@st.composite
def graphs(draw: st.DrawFn) -> list[LayerResult]:
    layers: list[LayerResult] = []
    for i in range(draw(st.integers(1, 24))):
        known = [layer.name for layer in layers]
        reads = draw(st.lists(st.sampled_from(["input", *known]), min_size=1, max_size=4, unique=True))
        layers.append(ONE.model_copy(update={"name": f"l{i}", "reads": reads}))
    return layers


@given(layers=graphs())
def test_a_layer_stands_below_all_that_it_reads_and_lines_pass_beside_layers(layers: list[LayerResult]) -> None:
    laid = Layout.of(layers)
    places = dict(zip((layer.name for layer in layers), laid.places, strict=True))
    assert len({*laid.places}) == len(layers)
    assert sorted(number for row in laid.rows for number in row) == list(range(len(layers)))
    expected = {(read, layer.name) for layer in layers for read in layer.reads}
    if laid.source is None:
        assert laid.lines == []
        assert {read for read, _ in expected} == {"input"}
        return
    places["input"] = laid.source
    for read, name in expected:
        assert places[read].row < places[name].row
    ends = {(line[0], line[-1]) for line in laid.lines}
    assert ends == {(places[read], places[name]) for read, name in expected}
    for line in laid.lines:
        for a, b in pairwise(line):
            assert b.row - a.row == 1 or a.x == b.x
            assert {*laid.places}.isdisjoint(Place(a.x, row) for row in range(a.row + 1, b.row))
        assert {*laid.places}.isdisjoint(line[1:-1])


def test_branches_stand_side_by_side_and_the_longer_one_on_the_left() -> None:
    laid = Layout.of(named("-", "a", "a", "c", "bd", "ae"))
    assert laid.source == Place(0, 0)
    assert laid.places[:5] == [Place(0, 1), Place(1, 2), Place(0, 2), Place(0, 3), Place(0, 4)]
    (skip,) = [line for line in laid.lines if line[0] == laid.places[0] and line[-1] == laid.places[5]]
    assert [place.row for place in skip] == [1, 2, 4, 5]
    assert skip[1].x == skip[2].x > 1


@pytest.mark.parametrize(("count", "rows"), [(3, 1), (20, 2), (225, 15)])
def test_layers_that_read_no_other_one_stand_in_rows(count: int, rows: int) -> None:
    laid = Layout.of([ONE.model_copy(update={"name": f"l{i}", "reads": ["input"]}) for i in range(count)])
    assert (laid.source, laid.lines) == (None, [])
    assert len(laid.rows) == rows
    assert max(map(len, laid.rows)) <= LANES
    assert [number for row in laid.rows for number in row] == list(range(count))


@pytest.mark.parametrize("reads", [("b", "a"), ("a",), ("z", "a"), ("", "ab")])
def test_what_no_layer_before_has_formed_is_taken_for_the_input(reads: tuple[str, ...]) -> None:
    laid = Layout.of(named(*reads))
    assert len(laid.places) == len(reads)
    assert laid.places[0] == Place(0, 1 if len(reads) > 1 else 0)
