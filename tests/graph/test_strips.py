"""Graphs that are cut into strips of images, lines or features, against the graphs before, number by number."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from compiler.test_graphs import Growing, typed
from float_networks import recipe
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.formats.storage import Storage
from accelsim.golden import exact
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.window import Window
from accelsim.graph.strips import Part, Strip, Strips, cut_all, lines_of
from accelsim.graph.value import Shape, Value

Inputs = tuple[NDArray[np.generic], ...]

INT8 = recipe({"scheme": "int8"})
SAME = Window((3, 3), padding=(1, 1, 1, 1))
POINT = Window((1, 1))


class Cutting(NamedTuple):
    """A typed graph, its inputs, and which nodes of it are cut into which parts of what the last of them forms."""

    graph: Graph
    inputs: Inputs
    nodes: tuple[Node, ...]
    target: str
    parts: tuple[Part, ...]

    @property
    def strips(self) -> Strips | None:
        return Strips.of(self.graph, self.nodes, self.target, self.parts)


def _cuts(draw: st.DrawFn, size: int) -> list[range]:
    """A range in up to four parts."""
    ends = draw(st.sets(st.integers(1, size - 1), min_size=1, max_size=3)) if size > 1 else set[int]()
    return [range(*pair) for pair in itertools.pairwise([0, *sorted(ends), size])]


#: What parts of a value may be.
KINDS = ("lines", "images", "features")


@st.composite
def parts_of(draw: st.DrawFn, value: Value, kinds: tuple[str, ...] = KINDS) -> list[Part]:
    """Parts of a value: of whole images, of lines of one each, or of features; one if it can't have more."""
    whole = Part.whole(value)
    sizes = {"lines": lines_of(value), "images": value.shape[0], "features": value.features}
    kind = draw(st.sampled_from([kind for kind in kinds if sizes[kind] > 1] or ["lines"]))
    if kind == "features":
        return [whole._replace(features=features) for features in _cuts(draw, value.features)]
    if kind == "images":
        return [whole._replace(images=images) for images in _cuts(draw, value.shape[0])]
    images = [range(image, image + 1) for image in whole.images]
    return [whole._replace(images=image, lines=lines) for image in images for lines in _cuts(draw, lines_of(value))]


@st.composite
def windows(draw: st.DrawFn, height: int, width: int, *, pool: bool = False) -> Window:
    """Windows that fit images, padded by less than they reach; each one of a pool, without gaps, has a pixel."""
    kernel = (draw(st.sampled_from([3, 2, 1])), draw(st.sampled_from([3, 2, 1])))
    dilations = st.sampled_from([1, 1, 1 if pool else 2])
    dilation = (draw(dilations), draw(dilations))
    reach = Window(kernel, dilation=dilation).reach
    padding = tuple(draw(st.integers(0, reach[side % 2] - 1)) for side in range(4))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    window = Window(kernel, stride, (padding[0], padding[1], padding[2], padding[3]), dilation)
    assume(min(window.output(height, width)) >= 1)
    return window


@st.composite
def networks(draw: st.DrawFn) -> tuple[Graph, Inputs]:
    """Convolutions, pools and residuals, then perhaps means and layers of features; typed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.sampled_from([12, 9, 6, 5])), draw(st.sampled_from([5, 4, 3]))
    on = Growing(rng, (draw(st.integers(1, 3)), height, width, 2))
    ends = st.sampled_from([None, Relu()])
    x, shape = on.images.pop()
    on.conv(x, shape, draw(windows(*shape[1:3])), draw(st.integers(1, 5)), 1, draw(ends))
    for _ in range(draw(st.sampled_from([2, 3, 1, 4]))):
        x, shape = draw(st.sampled_from(on.images[-2:]))
        match draw(st.sampled_from(["conv", "conv", "point", "max", "mean", "sum", "product", "depthwise", "table"])):
            case "conv":
                on.conv(x, shape, draw(windows(*shape[1:3])), draw(st.integers(1, 5)), 1, draw(ends))
            case "depthwise":
                on.conv(x, shape, draw(windows(*shape[1:3])), shape[3], shape[3], draw(ends))
            case "point":
                on.conv(x, shape, POINT, draw(st.integers(1, 5)), 1, draw(ends))
            case "max" | "mean" as kind:
                window = draw(windows(*shape[1:3], pool=True))
                op = MaxPool(window) if kind == "max" else AveragePool(window, padded=True)
                on.put(kind, op, (shape[0], *window.output(*shape[1:3]), shape[3]), x)
            case "table":
                on.put("table", Function("silu"), shape, x)
            case kind:
                others = [name for name, other in on.images if other == shape]
                on.put(kind, Add() if kind == "sum" else Mul(), shape, x, draw(st.sampled_from(others)), end=draw(ends))
    last, shape = on.images[-1]
    if draw(st.booleans()):
        on.conv(last, shape, POINT, 3, 1, None)
        last, shape = on.images[-1]
    if draw(st.booleans()):
        last = on.put("mean", GlobalAveragePool(), (shape[0], shape[3]), last)
        last = on.linear(on.linear(last, shape[3], 5, relu=True), 5, 3, relu=False)
    return typed(on.network(last), INT8)


@st.composite
def cuttings(draw: st.DrawFn) -> Cutting:
    """Nodes of a graph that follow each other, and any parts of what the last one forms."""
    graph, inputs = draw(networks())
    numbers = range(len(graph.nodes))
    images = [number for number in numbers if lines_of(graph[graph.nodes[number].output]) > 1]
    if images and draw(st.booleans()):  # all that has lines, line by line
        first, last, kinds = 0, images[-1], ("lines",)
    else:
        first = draw(st.sampled_from(numbers[: len(numbers) // 2 + 1]))
        last, kinds = draw(st.sampled_from(numbers[first:])), KINDS
    nodes = graph.nodes[first : last + 1]
    target = nodes[-1].output
    parts = draw(parts_of(graph[target], kinds))
    assume(len(parts) > 1)
    return Cutting(graph, inputs, nodes, target, tuple(parts))


def _rows(tensor: NDArray[np.generic], strip: Strip, rows: int) -> NDArray[np.generic]:
    """What a strip is of a tensor; shape (rows, features)."""
    part = tensor.reshape(-1, tensor.shape[-1])[strip.first : strip.first + rows]
    return part if strip.features is None else part[:, strip.features.start : strip.features.stop]


def assert_same(cutting: Cutting, graph: Graph, strips: dict[str, Strip]) -> None:
    """Each value of a cut graph has the numbers of what it is of the graph before, which are formed once."""
    before, after = (exact.evaluate(of, cutting.inputs, 1) for of in (cutting.graph, graph))
    formed = {value.name: np.zeros((value.samples, value.features), np.int64) for value in cutting.graph.values.values()
              if value.shape}  # fmt: skip
    for node in graph.nodes:
        name = node.output
        found = after[name].reshape(-1, after[name].shape[-1])
        if name in strips:
            strip = strips[name]
            np.testing.assert_array_equal(found, _rows(before[strip.of], strip, len(found)), name)
            if not isinstance(node.op, (Copy, Concat)):
                _rows(formed[strip.of], strip, len(found))[...] += 1
        elif name in before:
            np.testing.assert_array_equal(after[name], before[name], name)
    assert all((formed[node.output] == 1).all() for node in cutting.nodes)


@given(cuttings())
@settings(max_examples=250)
def test_a_graph_in_strips_means_the_same_and_forms_each_number_once(cutting: Cutting) -> None:
    strips = cutting.strips
    event(f"can be cut: {strips is not None}")
    if strips is None:
        return
    reaching = any(piece.held != piece.formed for pieces in strips.pieces for piece in pieces.values())
    event(f"windows reach lines of the strip before: {reaching}")
    assert_same(cutting, *cut_all(cutting.graph, [strips]))


def chain(*, last: Op | None = None, given: Shape = (2, 8, 4, 3), groups: int = 1) -> tuple[Graph, Inputs]:
    """Two convolutions with padding, of three channels each, and perhaps another node."""
    on = Growing(np.random.default_rng(0), given)
    for end in (Relu(), None):
        on.conv(*on.images[-1], SAME, 3, groups, end)
    x, shape = on.images[-1]
    return typed(on.network(on.put("last", last, shape, x) if last else x), INT8)


def cut_into(graph: Graph, inputs: Inputs, axis: str, size: int, nodes: tuple[Node, ...] | None = None) -> Cutting:
    """All nodes, or some, in parts of so many images, lines of one image, or features."""
    nodes = nodes or graph.nodes
    value = graph[nodes[-1].output]
    whole = Part.whole(value)
    along = getattr(whole, axis)
    cuts = [range(low, min(low + size, along.stop)) for low in along[::size]]
    images = [range(image, image + 1) for image in whole.images] if axis == "lines" else [whole.images]
    parts = [whole._replace(images=image)._replace(**{axis: cut}) for image in images for cut in cuts]
    return Cutting(graph, inputs, nodes, value.name, tuple(parts))


def test_lines_that_the_next_windows_reach_are_saved_and_stand_in_front_of_the_next_ones() -> None:
    cutting = cut_into(*chain(given=(1, 8, 4, 3)), "lines", 4)
    strips = cutting.strips
    assert strips
    first, second = (pieces["conv1.output"] for pieces in strips.pieces)
    assert (first.held.lines, first.formed.lines) == (range(5), range(5))
    assert (second.held.lines, second.formed.lines) == (range(3, 8), range(5, 8))
    graph, names = cut_all(cutting.graph, [strips])
    assert_same(cutting, graph, names)
    (saved,) = (node for node in graph.nodes if node.output == "strip0.saved.conv1.output")
    assert names[saved.output] == Strip("conv1.output", 3 * 4, None, "strip0.")
    joined = graph.producer("strip1.conv1.output")
    assert joined
    assert (joined.op, joined.inputs) == (Concat(1), ("strip1.kept.conv1.output", "strip1.new.conv1.output"))
    assert names["strip1.new.conv1.output"].first == 5 * 4
    order = [node.output for node in graph.nodes]
    assert order.index(saved.output) < order.index("strip1.conv1.output")


def test_what_lines_are_kept_of_is_not_saved_for_another_image() -> None:
    cutting = cut_into(*chain(), "lines", 4)
    assert cutting.strips
    graph, names = cut_all(cutting.graph, [cutting.strips])
    assert_same(cutting, graph, names)
    saved = [node.output for node in graph.nodes if ".saved." in node.output]
    assert saved == ["strip0.saved.conv1.output", "strip2.saved.conv1.output"]


def test_several_runs_of_a_graph_are_cut_at_once() -> None:
    graph, inputs = chain(given=(1, 8, 4, 3))
    half = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    cuttings = [cut_into(graph, inputs, "lines", 3, nodes) for nodes in (graph.nodes[:half], graph.nodes[half:])]
    strips = [cutting.strips for cutting in cuttings]
    in_strips, names = cut_all(graph, [found for found in strips if found])
    for cutting in cuttings:
        assert_same(cutting, in_strips, names)
    assert {strip.prefix for strip in names.values()} == {f"strip{number}." for number in range(6)}


@pytest.mark.parametrize("axis", ["images", "lines", "features"])
def test_what_others_read_has_no_borders(axis: str) -> None:
    """Lines of an output that windows reach would be formed in two places."""
    graph, inputs = chain()
    seen = graph.rebuilt(outputs=(*graph.outputs, "conv1.output"))
    size = {"images": 1, "lines": 2, "features": 1}[axis]
    assert bool(cut_into(graph, inputs, axis, size).strips) == (axis != "features")
    assert bool(cut_into(seen, inputs, axis, size).strips) == (axis == "images")


def test_a_strip_that_would_form_no_line_of_some_value_is_none() -> None:
    """Its windows reach the last lines, which the strip before has formed."""
    cutting = cut_into(*chain(), "lines", 1)
    assert cutting.strips is None


def test_products_of_all_features_are_not_formed_for_each_few() -> None:
    graph, inputs = chain()
    half = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    assert cut_into(graph, inputs, "features", 2, graph.nodes[half:]).strips
    assert cut_into(graph, inputs, "features", 2).strips is None


def test_rows_of_other_lines_are_cut_into_images_alone() -> None:
    graph, inputs = chain(last=Reshape((0, 16, 6)))
    assert graph[graph.outputs[0]].shape == (2, 16, 6)
    assert cut_into(graph, inputs, "images", 1).strips
    for nodes in (graph.nodes, graph.nodes[-1:]):
        assert cut_into(graph, inputs, "lines", 4, nodes).strips is None
        assert cut_into(graph, inputs, "features", 2, nodes).strips is None


def test_a_table_is_of_all_features() -> None:
    graph, inputs = chain(last=Function("gelu"))
    half = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    cutting = cut_into(graph, inputs, "features", 2, graph.nodes[half:])
    assert cutting.strips
    in_strips, names = cut_all(graph, [cutting.strips])
    assert_same(cutting, in_strips, names)
    (table,) = graph.nodes[-1].inputs[1:]
    assert [len(node.inputs) for node in in_strips.readers(table)] == [2, 2]


def test_means_of_all_lines_are_cut_into_images_alone() -> None:
    graph, inputs = chain(last=GlobalAveragePool())
    assert cut_into(graph, inputs, "images", 1).strips
    assert cut_into(graph, inputs, "features", 1).strips is None
    ahead = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    assert cut_into(graph, inputs, "features", 1, graph.nodes[ahead:]).strips is None


def test_groups_of_channels_are_not_cut_into_features() -> None:
    graph, inputs = chain(groups=3)
    half = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    assert cut_into(graph, inputs, "lines", 3).strips
    assert cut_into(graph, inputs, "features", 1, graph.nodes[half:]).strips is None


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("conv2.output", {"survivors": np.array([True, False, True, True])}),
        ("conv1.output", {"survivors": np.array([True, False, True, True])}),
        ("conv2.weight", {"pattern": (2, 4)}),
        ("conv2.weight", {"storage": Storage("bitmask", 0)}),
    ],
)
def test_what_is_compacted_or_encoded_is_not_cut_into_features(name: str, fields: dict[str, Any]) -> None:
    graph, inputs = chain()
    half = next(number for number, node in enumerate(graph.nodes) if node.name == "conv2")
    changed = graph.changed(name, **fields)
    assert cut_into(graph, inputs, "features", 1, graph.nodes[half:]).strips
    assert cut_into(changed, inputs, "features", 1, changed.nodes[half:]).strips is None
    assert cut_into(changed, inputs, "lines", 3, changed.nodes[half:]).strips


def test_parts_are_all_of_a_value_in_order() -> None:
    cutting = cut_into(*chain(), "lines", 4)
    for parts in (cutting.parts[:-1], cutting.parts[1:], cutting.parts[::-1], (*cutting.parts, cutting.parts[0])):
        assert cutting._replace(parts=parts).strips is None
    assert cutting._replace(target="conv1.output").strips is None
