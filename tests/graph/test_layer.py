"""Layers as recipes name them: a product with a constant factor and what follows until others read it."""

from __future__ import annotations

import float_networks
import numpy as np
import pytest
from float_networks import recipe, typed

from accelsim.graph.build import Builder
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layer_of, layers
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu


def names(graph: Graph) -> dict[str, list[str]]:
    return {layer.name: [node.name for node in layer.nodes] for layer in layers(graph)}


def two_layers() -> Builder:
    """A builder with an input x and constants of 3 x 3."""
    build = Builder("g")
    build.input("x", (2, 3))
    for name in ("v", "w"):
        build.constant(name, np.eye(3, dtype=np.float32))
    build.constant("b", np.ones(3, np.float32))
    return build


def test_a_layer_is_a_product_with_its_bias_and_activation() -> None:
    net = float_networks.network(np.random.default_rng(0), [5, 4, 3], 6)
    assert names(net.graph) == {"fc0": ["fc0", "fc0.add", "fc0.relu"], "fc1": ["fc1", "fc1.add"]}
    first, second = layers(net.graph)
    assert (first.name, first.input.name, first.weight.name, first.sums) == (
        "fc0",
        "input",
        "fc0.weight",
        "fc0.products",
    )
    assert first.bias is net.graph["fc0.bias"]
    assert (first.relu, second.relu) == (Relu(), None)
    assert first.output is second.input is net.graph["fc0.output"]
    assert first.of(net.graph.rebuilt()).name == "fc0"
    assert layer_of(net.graph, "fc1").nodes == second.nodes
    with pytest.raises(KeyError, match="fc2"):
        layer_of(net.graph, "fc2")


def test_a_layer_without_a_bias_has_none() -> None:
    build = two_layers()
    (layer,) = layers(build.graph((build.linear("fc", "x", "w", None, relu=False),)))
    assert layer.bias is None
    assert layer.epilogue == ()
    assert layer.output.name == "fc.output"


def test_what_others_read_ends_a_layer() -> None:
    """Its sums are read by an activation and by the next product, so that neither is part of it."""
    build = two_layers()
    sums = build.node("one", MatMul(), "x", "w")
    last = build.node("act", Relu(), sums)
    other = build.node("two", MatMul(), sums, "v")
    assert names(build.graph((last, other))) == {"one": ["one"], "two": ["two"]}


def test_an_output_of_the_network_ends_a_layer() -> None:
    build = two_layers()
    sums = build.node("one", MatMul(), "x", "w")
    last = build.node("act", Relu(), sums)
    assert names(build.graph((sums, last))) == {"one": ["one"]}
    assert names(build.graph((last,))) == {"one": ["one", "act"]}


def test_sums_of_two_tensors_are_no_bias() -> None:
    build = two_layers()
    one = build.node("one", MatMul(), "x", "w")
    last = build.node("residual", Add(), one, "x")
    graph = build.graph((build.node("act", Relu(), last),))
    assert names(graph) == {"one": ["one"]}
    assert layers(graph)[0].bias is None


def test_a_bias_stands_before_all_else_and_each_kind_once() -> None:
    build = two_layers()
    first = build.node("bias", Add(), build.node("one", MatMul(), "x", "w"), "b")
    second = build.node("more", Add(), first, "b")
    assert names(build.graph((second,))) == {"one": ["one", "bias"]}
    build = two_layers()
    relu = build.node("relu", Relu(), build.node("one", MatMul(), "x", "w"))
    graph = build.graph((build.node("late", Add(), relu, "b"),))
    assert names(graph) == {"one": ["one", "relu"]}
    assert layers(graph)[0].bias is None
    build = two_layers()
    relu = build.node("relu", Relu(), build.node("one", MatMul(), "x", "w"))
    assert names(build.graph((build.node("again", Relu(6.0), relu),))) == {"one": ["one", "relu"]}


def test_products_of_two_activations_are_no_layer() -> None:
    build = two_layers()
    square = build.input("y", (3, 2))
    scores = build.node("scores", MatMul(), "x", square)
    assert layers(build.graph((scores,))) == []


def test_products_onto_sums_belong_to_the_first() -> None:
    net = float_networks.network(np.random.default_rng(0), [12, 9], 30)
    outliers = typed(net, recipe({"scheme": "outliers", "threshold": 2.0}, {"scheme": "dynamic_int8"}))[0]
    assert names(outliers) == {"fc0": ["fc0", "fc0.wide", "fc0.add", "fc0.cast"]}
    (layer,) = layers(outliers)
    assert [node.name for node in layer.products] == ["fc0", "fc0.wide"]
    assert (layer.head.name, [node.name for node in layer.more]) == ("fc0", ["fc0.wide"])
    assert (layer.weight.name, layer.sums) == ("fc0.narrow.weight", layer.more[0].output)

    branch = typed(net, recipe({"scheme": "low_rank_branch", "rank": 2}, {"scheme": "dynamic_int8"}))[0]
    assert names(branch) == {
        "fc0.branch": ["fc0.branch", "fc0.branch.cast"],
        "fc0": ["fc0", "fc0.up", "fc0.add", "fc0.cast"],
    }


def test_a_typed_layer_ends_with_its_conversion() -> None:
    net = float_networks.network(np.random.default_rng(0), [12, 9, 5], 30)
    graph = typed(net, recipe({"scheme": "int8"}))[0]
    assert names(graph) == {"fc0": ["fc0", "fc0.add", "fc0.cast", "fc0.relu"], "fc1": ["fc1", "fc1.add", "fc1.cast"]}
    assert [layer.relu for layer in layers(graph)] == [Relu(), None]
