"""Nodes to fusions: a product with its epilogue, and what a machine makes of its sums."""

from __future__ import annotations

from typing import Any

import float_networks
import numpy as np
import pytest
from float_networks import recipe, typed
from harness import machine, run_graph
from hypothesis import given
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import independent_networks, networks

from accelsim.compiler.fuse import check, fuse
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import Product
from accelsim.errors import CompileError, DefectError
from accelsim.graph.build import Builder
from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.softmax import Softmax

ON = machine()


def products(graph: Graph) -> list[Product]:
    return [fusion.product for fusion in fuse(Lowering(graph, (), ""), ON).fusions]


@given(net=st.one_of(networks(), independent_networks()), rows=st.integers(1, 9))
def test_a_fusion_has_what_its_layer_has_with_the_zero_point_in_the_bias(net: IntegerNetwork, rows: int) -> None:
    graph = net.graph(*[rows] * len(net.layers))
    lowering = fuse(Lowering(graph, (), ""), ON)
    assert [node.name for fusion in lowering.fusions for node in fusion.nodes] == [node.name for node in graph.nodes]
    before = "input"
    for layer, fusion in zip(net.layers, lowering.fusions, strict=True):
        product, results = fusion.product, fusion.product.results
        assert (fusion.name, product.m, product.k, product.n) == (layer.name, rows, layer.inputs, layer.outputs)
        assert fusion.sources == (f"{layer.name}.input" if net.independent else before,)
        assert fusion.target == f"{layer.name}.output"
        before = fusion.target
        np.testing.assert_array_equal(product.weights, layer.weight)
        np.testing.assert_array_equal(results.bias, layer.bias)
        assert results.bias.dtype == np.int32
        assert results.multiplier is not None
        assert results.shift is not None
        np.testing.assert_array_equal(results.multiplier, layer.multiplier)
        np.testing.assert_array_equal(results.shift, layer.shift)
        assert (results.rounding, results.relu) == (layer.rounding, layer.relu)
        assert (product.input, product.output) == (layer.input, layer.output)
        low = max(layer.output.qmin, layer.output.zero_point) if layer.relu else layer.output.qmin
        assert product.clamp == (low, layer.output.qmax)
        assert results.scale_bits == 40 * layer.outputs
        assert not product.is_float
        assert product.macs_needed == rows * layer.inputs * layer.outputs


@pytest.mark.parametrize(("scheme", "bits"), [("int16", 64), ("int8", 32), ("int4", 32)])
def test_biases_are_as_wide_as_sums(scheme: str, bits: int) -> None:
    net = float_networks.network(np.random.default_rng(0), [12, 9, 5], 6)
    graph, _ = typed(net, recipe({"scheme": scheme}))
    for number, product in enumerate(products(graph)):
        assert product.results.bias.dtype == np.dtype(f"i{bits // 8}")
        weight, bias = (graph[f"fc{number}.{part}"].numbers.astype(np.int64) for part in ("weight", "bias"))
        np.testing.assert_array_equal(product.results.bias, bias - product.input.zero_point * weight.sum(axis=0))


def test_the_sign_of_a_sum_is_a_clamped_sum_that_is_one_larger() -> None:
    net = float_networks.network(np.random.default_rng(0), [12, 9, 5], 6)
    graph, _ = typed(net, recipe({"scheme": "binary"}))
    first, last = products(graph)
    np.testing.assert_array_equal(first.results.bias, graph["fc0.bias"].numbers + 1)
    assert (first.clamp, first.results.relu, first.results.rounding) == ((0, 1), False, "tflite_single_round")
    assert first.results.multiplier is not None
    assert first.results.shift is not None
    scales = first.results.multiplier * 2.0 ** (first.results.shift.astype(float) - 31)
    assert (scales == 1).all()
    assert last.clamp[1] == last.output.qmax > 1  # type: ignore[union-attr] # integers


def test_floats_have_no_scales() -> None:
    net = float_networks.network(np.random.default_rng(0), [12, 9, 5], 6)
    graph, _ = typed(net, recipe({"scheme": "bf16"}))
    for number, product in enumerate(products(graph)):
        results = product.results
        assert (results.multiplier, results.shift, results.rounding, results.scale_bits) == (None, None, "", 0)
        assert (product.is_float, results.relu) == (True, number == 0)
        np.testing.assert_array_equal(results.bias, graph[f"fc{number}.bias"].numbers)


@pytest.mark.parametrize(
    ("step", "k", "wide"), [({"scheme": "outliers", "threshold": 0.01}, 0, 8), ({"scheme": "fp16"}, 0, 8),
                            ({"scheme": "dynamic_int8"}, 8, 0)]
)  # fmt: skip
def test_inputs_are_integers_or_floats(step: dict[str, Any], k: int, wide: int) -> None:
    net = float_networks.network(np.random.default_rng(0), [8, 5], 40)
    steps = [step] if step["scheme"] != "outliers" else [step, {"scheme": "dynamic_int8"}]
    (product,) = products(typed(net, recipe(*steps))[0])
    assert product.k == 8
    assert product.weights.shape == (wide, 5)
    assert (product.integers.inputs if product.integers else 0) == k


#: Orders of what follows a product; those that no unit takes may be refused, but none may compute something else.
EPILOGUES = [
    ("cast",), ("bias", "cast"), ("bias", "cast", "relu"), ("bias", "relu", "cast"), ("relu", "bias", "cast"),
    ("bias", "bias", "cast"), ("bias", "cast", "bias"), ("bias", "cast", "cast"), ("bias", "cast", "relu6"),
    ("bias", "relu6", "cast"), ("bias", "relu", "cast", "relu6"),
]  # fmt: skip
#: Of these a product's own unit computes the first four at least.
PLAIN = EPILOGUES[:4]


@pytest.mark.parametrize("operand", ["int8", "fp16"])
@pytest.mark.parametrize("steps", EPILOGUES, ids="-".join)
def test_what_follows_a_product_is_computed_in_its_order_or_refused(steps: tuple[str, ...], operand: Any) -> None:
    rng = np.random.default_rng(0)
    build, floats = Builder("g"), operand == "fp16"
    given_: Element = Float("fp16") if floats else Integer(1.0, 0, signed=True)
    sums: Element = Float("fp32") if floats else Integer(1.0, 0, signed=True, bits=32)
    x, w, *biases = (
        given_.quantize(rng.normal(size=shape)) if floats else rng.integers(-128, 128, shape).astype(np.int8)
        for shape in ((5, 6), (6, 4), (4,), (4,))
    )
    scales = (np.full(4, 2**30 + 12_345, np.int32), np.full(4, -8, np.int8))
    last = build.node("fc", MatMul(), build.input("x", x.shape, given_), build.constant("w", w, given_))
    for i, step in enumerate(steps):
        op: Op = {"bias": Add(), "relu": Relu(), "relu6": Relu(6.0)}.get(step, Cast(given_))
        others: list[str] = []
        if step == "bias":
            numbers = biases.pop().astype(np.float32) if floats else 70 * biases.pop().astype(np.int32)
            others = [build.constant(f"b{i}", numbers, sums)]
        if step == "cast" and not floats:
            op = Cast(Integer(0.05, 7, signed=True), "tflite_single_round")
            types = (Integer(1.0, 0, signed=True, bits=bits) for bits in (32, 8))
            others = [
                build.constant(f"{n}{i}", data, element) for n, data, element in zip("ms", scales, types, strict=True)
            ]
        last = build.node(f"step{i}", op, last, *others)
    graph, on = build.graph((last,)), machine(matrix={"operands": operand})
    try:
        run_graph(graph, x, on)
    except CompileError:
        assert steps not in PLAIN


def test_nodes_that_no_unit_executes_are_refused_by_name() -> None:
    build = Builder("g")
    shares = build.node("shares", Softmax(), build.input("a", (2, 3), Integer(1.0, 0, signed=True)))
    with pytest.raises(CompileError, match="node shares: Softmax must be what edge-ws has a unit for"):
        fuse(Lowering(build.graph((shares,)), (), ""), ON)


def test_sums_that_nothing_converts_are_refused() -> None:
    build = Builder("g")
    weight = build.constant("w", np.ones((3, 2), np.int8), Integer(1.0, 0, signed=True))
    sums = build.node("fc", MatMul(), build.input("a", (2, 3), Integer(1.0, 0, signed=True)), weight)
    with pytest.raises(CompileError, match="layer fc: sums must become a type that can be stored"):
        fuse(Lowering(build.graph((sums,)), (), ""), ON)


def test_inputs_of_another_shape_are_a_defect() -> None:
    net = float_networks.network(np.random.default_rng(0), [8, 5], 4)
    graph, (x,) = typed(net, recipe({"scheme": "fp16"}))
    lowering = fuse(Lowering(graph, (x,), ""), ON)
    check(lowering, ON)
    with pytest.raises(DefectError, match=r"input input: must have shape \(4, 8\), not \(3, 8\)"):
        check(fuse(Lowering(graph, (x[:3],), ""), ON), ON)
    assert isinstance(graph["input"].element, Float)
