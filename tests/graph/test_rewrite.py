"""Moves of graphs leave their outputs where they were, or are refused; what outputs need is found as by brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import float_networks
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import networks

from accelsim.golden import exact, real
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice
from accelsim.graph.rewrite import (
    FeatureMap,
    divided_by,
    in_order,
    needed_features,
    push,
    replaced,
    with_constant,
    with_samples,
)
from accelsim.graph.value import Value

MOVES = ("diagonal", "permutation")


def move_of(kind: str, rng: np.random.Generator, size: int) -> tuple[FeatureMap, Any]:
    """A map of features, and what undoes it on the rows of the weights that read them."""
    if kind == "diagonal":
        scale = np.exp(rng.normal(size=size))
        return divided_by(scale), lambda weight: (weight * scale[:, None]).astype(weight.dtype)
    order = rng.permutation(size)
    return in_order(order), lambda weight: weight[order]


def assert_same(before: Graph, after: Graph, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Outputs are where they were, but for rounding to float32."""
    for name in before.outputs:
        right, found = (real.evaluate(graph, (data,))[name] for graph, data in ((before, x), (after, y)))
        assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()


@pytest.mark.parametrize("kind", MOVES)
@given(sizes=st.lists(st.integers(1, 12), min_size=3, max_size=4), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_a_push_through_bias_and_activation_leaves_outputs_unchanged(kind: str, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = float_networks.network(rng, sizes, 5)
    for layer in range(1, len(sizes) - 1):
        move, undo = move_of(kind, rng, sizes[layer])
        weight = net.graph[f"fc{layer}.weight"].numbers
        graph = with_constant(net.graph, f"fc{layer}.weight", undo(weight))
        graph, outside = push(graph, f"fc{layer - 1}.output", move)
        assert outside == ()
        assert_same(net.graph, graph, net.inputs[0], net.inputs[0])
        hidden = f"fc{layer - 1}.output"
        before, after = (real.evaluate(g, net.inputs)[hidden] for g in (net.graph, graph))
        np.testing.assert_allclose(after, move.apply(before), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MOVES)
def test_a_push_to_an_input_says_so(kind: str) -> None:
    rng = np.random.default_rng(3)
    net = float_networks.network(rng, [7, 5], 4)
    move, undo = move_of(kind, rng, 7)
    graph = with_constant(net.graph, "fc0.weight", undo(net.graph["fc0.weight"].numbers))
    graph, outside = push(graph, "input", move)
    assert outside == ("input",)
    assert_same(net.graph, graph, net.inputs[0], move.apply(net.inputs[0]))


@pytest.mark.parametrize("kind", MOVES)
def test_a_push_reaches_all_products_that_are_added_up(kind: str) -> None:
    """The branch of a low-rank layer: both products form the features that are mapped."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 5)).astype(np.float32)
    build = Builder("g")
    given_ = build.input("x", x.shape)
    v, w, u = (
        build.constant(name, rng.normal(size=shape).astype(np.float32))
        for name, shape in (("v", (5, 4)), ("w", (5, 4)), ("u", (4, 3)))
    )
    one = build.node("one", MatMul(), given_, v)
    both = build.node("two", MatMul(), given_, w, one)
    sums = build.node("add", Add(), both, build.constant("b", rng.normal(size=4).astype(np.float32)))
    hidden = build.node("relu", Relu(), sums)
    before = build.graph((build.node("last", MatMul(), hidden, u),))
    move, undo = move_of(kind, rng, 4)
    after, outside = push(with_constant(before, "u", undo(before["u"].numbers)), hidden, move)
    assert outside == ()
    assert all((after[name].numbers != before[name].numbers).any() for name in ("v", "w", "b"))
    assert_same(before, after, x, x)


def test_steps_follow_their_features_or_are_forgotten() -> None:
    step = np.array([0.1, 0.2, 0.3], np.float32)
    layer = float_networks.Linear("fc0", np.eye(3, dtype=np.float32), np.zeros(3, np.float32), True, step)
    graph = float_networks.chain([layer], np.ones((1, 3))).graph
    order = np.array([2, 0, 1])
    moved, _ = push(graph, "fc0.output", in_order(order))
    assert moved["fc0.weight"].step is not None
    assert moved["fc0.weight"].step.tolist() == step[order].tolist()
    whole = graph.rebuilt(replace(graph["fc0.weight"], step=step[:1]))
    assert push(whole, "fc0.output", in_order(order))[0]["fc0.weight"].step is whole["fc0.weight"].step
    assert push(graph, "fc0.output", divided_by(np.array([1.0, 2.0, 3.0])))[0]["fc0.weight"].step is None


def builder() -> Builder:
    build = Builder("g")
    build.input("x", (2, 4))
    for name in ("v", "w"):
        build.constant(name, np.eye(4, dtype=np.float32))
    return build


DIAGONAL, ORDER = divided_by(np.array([1.0, 2.0, 3.0, 4.0])), in_order(np.array([3, 1, 2, 0]))


def test_activations_that_clamp_from_above_let_no_factor_through() -> None:
    build = builder()
    last = build.node("clamp", Relu(6.0), build.node("fc", MatMul(), "x", "w"))
    graph = build.graph((last,))
    with pytest.raises(ValueError, match="clamp does not commute with it"):
        push(graph, last, DIAGONAL)
    moved, _ = push(graph, last, ORDER)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(real.evaluate(moved, (x,))[last], ORDER.apply(real.evaluate(graph, (x,))[last]))


@pytest.mark.parametrize("move", [DIAGONAL, ORDER], ids=MOVES)
def test_what_does_not_commute_is_refused(move: FeatureMap) -> None:
    build = builder()
    part = build.node("part", Slice(-1, 0, 4), build.node("fc", MatMul(), "x", "w"))
    sums = build.node("both", Add(), part, build.node("other", MatMul(), "x", "v"))
    joined = build.node("joined", Concat(-1), build.node("half", Slice(-1, 0, 2), part))
    graph = build.graph((sums, joined))
    for name in (part, sums, joined):
        with pytest.raises(ValueError, match="does not commute with it"):
            push(graph, name, move)


@pytest.mark.parametrize("move", [DIAGONAL, ORDER], ids=MOVES)
def test_what_others_read_is_not_changed(move: FeatureMap) -> None:
    build = builder()
    sums = build.node("fc", MatMul(), "x", "w")
    relu, other = build.node("relu", Relu(), sums), build.node("other", Relu(), sums)
    with pytest.raises(ValueError, match=r"others read fc\.output"):
        push(build.graph((relu, other)), relu, move)
    with pytest.raises(ValueError, match=r"others read fc\.output"):
        push(build.graph((relu, sums)), relu, move)
    push(build.graph((relu,)), relu, move)


@pytest.mark.parametrize("move", [DIAGONAL, ORDER], ids=MOVES)
def test_constants_that_others_read_are_not_changed(move: FeatureMap) -> None:
    """Two layers of the same weights, or the same bias: what is mapped for one would be mapped for the other."""
    build = builder()
    one, two = build.node("one", MatMul(), "x", "w"), build.node("two", MatMul(), "x", "w")
    with pytest.raises(ValueError, match="others read w"):
        push(build.graph((one, two)), one, move)
    build = builder()
    build.constant("b", np.ones(4, np.float32))
    one, two = (build.node(f"{n}.add", Add(), build.node(n, MatMul(), "x", n), "b") for n in ("v", "w"))
    with pytest.raises(ValueError, match="others read b"):
        push(build.graph((one, two)), one, move)


def test_nodes_take_the_place_of_others() -> None:
    build = builder()
    one = build.node("one", MatMul(), "x", "w")
    last = build.node("relu", Relu(), one)
    graph = build.graph((last,))
    half = Value("half", (4, 2), graph["w"].element, np.ones((4, 2), np.float32))
    back = Value("back", (2, 4), graph["w"].element, np.ones((2, 4), np.float32))
    new = (
        Node("one.u", MatMul(), ("x", "half"), ("middle",)),
        Node("one.v", MatMul(), ("middle", "back"), (one,)),
    )
    after = replaced(graph, (graph.node("one"),), new, half, back)
    assert [node.name for node in after.nodes] == ["one.u", "one.v", "relu"]
    assert set(after.values) == {"x", "half", "middle", "back", one, last}
    assert [node.name for node in graph.nodes] == ["one", "relu"]


def test_a_constant_keeps_what_is_not_said_anew() -> None:
    build = builder()
    build.constant("w", np.eye(4, dtype=np.float32), pattern=(2, 4), step=np.ones(1, np.float32))
    graph = build.graph((build.node("one", MatMul(), "x", "w"),))
    after = with_constant(graph, "w", np.ones((4, 3), np.float32), step=None)
    assert (after["w"].pattern, after["w"].step, after["w"].shape) == ((2, 4), None, (4, 3))
    assert after["one.output"].shape == (2, 3)


def test_batches_have_any_size() -> None:
    net = float_networks.network(np.random.default_rng(0), [5, 4, 3], 6)
    graph = with_samples(net.graph, 2)
    assert [graph[name].shape for name in ("input", "fc0.output", "fc1.output")] == [(2, 5), (2, 4), (2, 3)]
    assert [graph[value.name].data is value.data for value in net.graph.constants] == [True] * 4


def depends(graph: Graph, x: NDArray[Any], name: str, feature: int, rng: np.random.Generator) -> bool:
    """Whether an output changes if a feature of a value takes another number, tried a few times."""
    start = next((i + 1 for i, node in enumerate(graph.nodes) if name in node.outputs), 0)
    there = [*graph.inputs, *(output for node in graph.nodes[:start] for output in node.outputs)]
    rest = Graph.formed(graph.name, graph.values, graph.nodes[start:], there, graph.outputs)
    numbers = exact.evaluate(graph, (x,), 1)
    element = graph[name].element
    assert isinstance(element, Integer)
    for _ in range(12):
        changed = dict(numbers)
        changed[name] = numbers[name].copy()
        changed[name][..., feature] = rng.integers(element.qmin, element.qmax + 1, changed[name][..., feature].shape)
        found = exact.evaluate(rest, [changed[n] for n in rest.inputs], 1)
        if any((found[n] != numbers[n]).any() for n in graph.outputs):
            return True
    return False


def by_paths(net: IntegerNetwork) -> list[NDArray[np.bool_]]:
    """Which inputs of each layer a chain of nonzero weights joins to an output, by all paths one by one."""
    found = []
    for first in range(len(net.layers)):
        shapes = [range(layer.inputs) for layer in net.layers[first:]] + [range(net.layers[-1].outputs)]
        reached = np.zeros(net.layers[first].inputs, np.bool_)
        for path in itertools.product(*shapes):
            steps = zip(net.layers[first:], itertools.pairwise(path), strict=True)
            reached[path[0]] |= all(layer.weight[k, n] for layer, (k, n) in steps)
        found.append(reached)
    return found


@given(net=networks(max_layers=3, max_size=5), seed=st.integers(0, 2**32), share=st.sampled_from([0.3, 0.6, 0.9, 1.0]))
@settings(max_examples=60)
def test_needed_features_are_those_that_a_path_of_weights_joins_to_an_output(
    net: IntegerNetwork, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    pruned = [np.where(rng.random(layer.weight.shape) < share, 0, layer.weight).astype(np.int8) for layer in net.layers]
    layers = tuple(replace(layer, weight=weight) for layer, weight in zip(net.layers, pruned, strict=True))
    net = IntegerNetwork("pruned", layers)
    needed, paths = needed_features(net.graph(3)), by_paths(net)
    whole = all(reached.any() for reached in paths)
    event(f"paths through all layers: {whole}")
    assert needed[f"{net.layers[-1].name}.output"].all()
    for number, (layer, reached) in enumerate(zip(net.layers, paths, strict=True)):
        name = f"{net.layers[number - 1].name}.output" if number else "input"
        if whole:
            np.testing.assert_array_equal(needed[name], reached)
        else:  # of a layer without weights for what is needed of it, the first input stays
            assert needed[name][reached].all()
            assert needed[name].any()
        # what a layer forms is needed along its whole way
        for part in ("products", "sums", "bias", "multiplier", "shift"):
            np.testing.assert_array_equal(needed[f"{layer.name}.{part}"], needed[f"{layer.name}.output"])


@given(net=networks(max_layers=3, max_size=5), seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_features_that_are_not_needed_change_no_output(net: IntegerNetwork, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pruned = [np.where(rng.random(layer.weight.shape) < 0.7, 0, layer.weight).astype(np.int8) for layer in net.layers]
    layers = tuple(replace(layer, weight=weight) for layer, weight in zip(net.layers, pruned, strict=True))
    net = IntegerNetwork("pruned", layers)
    graph = net.graph(3)
    given_ = net.input
    x = rng.integers(given_.qmin, given_.qmax + 1, (3, net.layers[0].inputs)).astype(given_.dtype)
    needed = needed_features(graph)
    for name in ("input", *(f"{layer.name}.output" for layer in net.layers)):
        for feature in np.flatnonzero(~needed[name]).tolist():
            assert not depends(graph, x, name, feature, rng)


def test_branches_need_what_either_of_them_does() -> None:
    build = Builder("g")
    x = build.input("x", (2, 5), Integer(1.0, 0, signed=True))
    weights = np.zeros((2, 5, 2), np.int8)
    weights[0, 1], weights[1, 3] = 1, 2
    for number, weight in enumerate(weights):
        build.constant(f"w{number}", weight, Integer(1.0, 0, signed=True))
    outputs = tuple(build.node(f"fc{number}", MatMul(), x, f"w{number}") for number in range(2))
    assert needed_features(build.graph(outputs))[x].tolist() == [False, True, False, True, False]
    assert needed_features(build.graph(outputs[:1]))[x].tolist() == [False, True, False, False, False]
    joined = build.node("joined", Concat(-1), *outputs[:1], build.node("part", Slice(-1, 1, 2), outputs[1]))
    assert needed_features(build.graph((joined,)))[x].tolist() == [False, True, False, True, False]
