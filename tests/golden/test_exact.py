"""What operators mean in a machine's numbers, against Python's own integers and arrays that know no graph."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import float_oracle
import numpy as np
import pytest
from float_networks import network as float_network
from float_networks import recipe, typed
from float_oracle import FloatPart, IntegerPart
from harness import inputs, network
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import independent_networks, networks

from accelsim.errors import DefectError
from accelsim.golden import exact
from accelsim.golden.exact import products
from accelsim.graph.build import Builder
from accelsim.graph.element import Element, Float, Integer, Signs
from accelsim.graph.graph import Graph
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax

Float32 = NDArray[np.float32]


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_a_layer_is_what_exact_fractions_say(k: int, n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = network(rng, [k, n])
    (layer,) = net.layers
    x = inputs(rng, network(rng, [k, n]), m)
    got = exact.evaluate(net.graph(m), (x,), 1)["fc0.output"]
    low, high = layer.output.qmin, layer.output.qmax
    if layer.relu:
        low = max(low, layer.output.zero_point)
    for i in range(m):
        for j in range(n):
            total = sum(int(x[i, a]) * int(layer.weight[a, j]) for a in range(k)) + int(layer.bias[j])
            scaled = Fraction(total * int(layer.multiplier[j])) * Fraction(2) ** (int(layer.shift[j]) - 31)
            q = math.floor(scaled + Fraction(1, 2)) + layer.output.zero_point
            assert got[i, j] == min(max(q, low), high)


@given(net=st.one_of(networks(), independent_networks()), seed=st.integers(0, 2**32))
def test_integers_of_any_types_are_what_their_arrays_say(net: IntegerNetwork, seed: int) -> None:
    """The arrays have the inputs' zero points in their biases, the graph takes them off before it multiplies."""
    rng = np.random.default_rng(seed)
    given_ = [layer for i, layer in enumerate(net.layers) if net.independent or not i]
    x = tuple(
        rng.integers(layer.input.qmin, layer.input.qmax + 1, (3, layer.inputs)).astype(layer.input.dtype)
        for layer in given_
    )
    found = exact.evaluate(net.graph(*[3] * len(x)), x, 1)
    for layer, expected in zip(net.layers, net.forward(x), strict=True):
        got = found[f"{layer.name}.output"]
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected, layer.name)


@given(m=st.integers(1, 3), k=st.integers(1, 25), fold=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_float_sums_are_added_fold_by_fold(m: int, k: int, fold: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, 2)).astype(np.float32)
    for got in (products.float_sums(x, w, fold), float_oracle.sums([(x, FloatPart(w))], fold)):
        for i, j in np.ndindex(m, 2):
            total: np.float32 | None = None
            for first in range(0, k, fold):
                part = np.float32(0)
                for a, b in zip(x[i, first : first + fold], w[first : first + fold, j], strict=True):
                    part = np.float32(part + np.float32(a * b))
                total = part if total is None else np.float32(total + part)
            assert total is not None
            assert got[i, j].tobytes() == total.tobytes()


def expected(graph: Graph, x: Float32, group: int | None, fold_inputs: int) -> dict[str, Float32]:
    """Outputs of a typed chain of floats, by the names of its constants: narrow, wide and low-rank parts included."""
    found: dict[str, Float32] = {}

    def part(name: str, layer: str) -> FloatPart | IntegerPart:
        value = graph[name]
        if isinstance(value.element, Float):
            return FloatPart(value.numbers)
        k = len(value.numbers)
        return IntegerPart(value.numbers, graph[f"{layer}.scales"].numbers, value.element.bits, min(group or k, k))

    for name in (f"fc{i}" for i in range(9) if f"fc{i}.output" in graph.values):
        element = graph[f"{name}.output"].element
        assert isinstance(element, Float)
        if f"{name}.wide.weight" in graph.values:
            narrow = part(f"{name}.narrow.weight", name)
            few = len(narrow.weight)
            parts = [(x[:, :few], narrow), (x[:, few:], part(f"{name}.wide.weight", name))]
        else:
            parts = [(x, part(f"{name}.weight", name))]
        if f"{name}.branch.weight" in graph.values:
            down = float_oracle.sums([(x, part(f"{name}.branch.weight", name))], fold_inputs)
            found[f"{name}.branch.output"] = float_oracle.output(down, None, element.operand, relu=False)
            parts.append((found[f"{name}.branch.output"], part(f"{name}.up.weight", name)))
        relu = any(node.name == f"{name}.relu" for node in graph.nodes)
        total = float_oracle.sums(parts, fold_inputs)
        x = float_oracle.output(total, graph[f"{name}.bias"].numbers, element.operand, relu=relu)
        found[f"{name}.output"] = x
    return found


def assert_equals_oracle(graph: Graph, x: Float32, group: int | None, fold_inputs: int) -> None:
    found = exact.evaluate(graph, (x,), fold_inputs)
    right = expected(graph, x, group, fold_inputs)
    assert len(right) == len([name for name in graph.values if name.endswith(".output")])
    for name, values in right.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values, name)


SIZES = st.lists(st.integers(3, 24), min_size=2, max_size=4)


@pytest.mark.parametrize("scheme", ["fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2"])
@given(sizes=SIZES, fold=st.integers(1, 30), seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_floats_of_every_type_are_what_their_arrays_say(scheme: str, sizes: list[int], fold: int, seed: int) -> None:
    graph, (x,) = typed(float_network(np.random.default_rng(seed), sizes, 5), recipe({"scheme": scheme}))
    assert_equals_oracle(graph, x, None, fold)


@given(
    sizes=SIZES,
    bits=st.sampled_from([4, 8]),
    group=st.sampled_from([None, 2, 5, 16]),
    first=st.one_of(
        st.sampled_from([None, *({"scheme": "outliers", "threshold": t} for t in (0.01, 0.5, 1.5, 2.5, 99.0))]),
        st.sampled_from([{"scheme": "low_rank_branch", "rank": rank} for rank in (1, 2)]),
    ),
    floats=st.sampled_from(["fp16", "bf16"]),
    fold=st.integers(1, 30),
    seed=st.integers(0, 2**32),
)
def test_integers_scaled_as_they_come_are_what_their_arrays_say(
    sizes: list[int], bits: int, group: int | None, first: dict[str, Any] | None, floats: str, fold: int, seed: int
) -> None:
    steps = [*([first] if first else []), {"scheme": f"dynamic_int{bits}", "group": group, "floats": floats}]
    graph, (x,) = typed(float_network(np.random.default_rng(seed), sizes, 5), recipe(*steps))
    assert_equals_oracle(graph, x, group, fold)


@given(sizes=SIZES, seed=st.integers(0, 2**32))
def test_signs_are_what_their_arrays_say(sizes: list[int], seed: int) -> None:
    graph, (x,) = typed(float_network(np.random.default_rng(seed), sizes, 5), recipe({"scheme": "binary"}))
    found = exact.evaluate(graph, (x,), 1)
    for i in range(len(sizes) - 2):
        weight, bias = (graph[f"fc{i}.{part}"].numbers.astype(np.int64) for part in ("weight", "bias"))
        assert set(np.unique(weight)) <= {-1, 1}
        x = np.where(x.astype(np.int64) @ weight + bias >= 0, 1, -1)
        np.testing.assert_array_equal(found[f"fc{i}.output"], x)


def one(op: Op, *given_: tuple[NDArray[Any], Any], inputs: int = 1) -> NDArray[Any]:
    """What a single node makes of arrays of elements; the first ones are inputs, the others constants."""
    build = Builder("one")
    names = [
        build.input(f"x{i}", data.shape, element) if i < inputs else build.constant(f"x{i}", data, element)
        for i, (data, element) in enumerate(given_)
    ]
    graph = build.graph((build.node("node", op, *names),))
    return exact.evaluate(graph, [data for data, _ in given_[:inputs]], 4)["node.output"]


def test_products_take_both_zero_points_off() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (3, 5)).astype(np.uint8), rng.integers(-128, 128, (5, 2)).astype(np.int8)
    u, s = Integer(0.5, 7, signed=False), Integer(0.25, -3, signed=True)
    got = one(MatMul(), (x, u), (w, s), inputs=2)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, (x.astype(int) - 7) @ (w.astype(int) + 3))


def test_batches_are_multiplied_one_by_one() -> None:
    rng = np.random.default_rng(1)
    q = Integer(1.0, 0, signed=True)
    x, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((2, 3, 4, 5), (2, 3, 5, 6)))
    got = one(MatMul(), (x, q), (w, q), inputs=2)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(got[i, j], x[i, j].astype(int) @ w[i, j].astype(int))
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4, 9), (2, 3, 9, 6)))
    found = one(MatMul(), (a, Float("fp32")), (b, Float("fp32")), inputs=2)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[i, j], float_oracle.sums([(a[i, j], FloatPart(b[i, j]))], 4))


def test_conversions_and_activations_by_hand() -> None:
    sums = Integer(0.1, 0, signed=True, bits=32)
    x = np.array([[-5, 0, 3, 900]], np.int32)
    assert one(Cast(Signs(0.5)), (x, sums)).tolist() == [[-1, 1, 1, 1]]
    # 2^30 * 2^(1 - 31) is one
    same = (np.full(4, 2**30, np.int32), Integer(1.0, 0, signed=True, bits=32))
    left = (np.full(4, 1, np.int8), Integer(1.0, 0, signed=True, bits=8))
    result = Integer(0.1, 10, signed=False)
    got = one(Cast(result, "tflite_single_round"), (x, sums), same, left)
    assert (got.dtype, got.tolist()) == (np.uint8, [[5, 10, 13, 255]])
    assert one(Relu(), (got, result)).tolist() == [[10, 10, 13, 255]]
    narrow = one(Cast(Float("fp8_e4m3")), (np.array([[1e6, 0.1]], np.float32), Float("fp32")))
    assert narrow.tolist() == [[448, 0.1015625]]


def test_parts_and_joints_keep_numbers_of_any_type() -> None:
    x = np.arange(24, dtype=np.uint8).reshape(2, 12)
    q = Integer(0.1, 3, signed=False)
    assert one(Slice(-1, 2, 9, 3), (x, q)).tolist() == [[2, 5, 8], [14, 17, 20]]
    assert one(Slice(0, 1, 2), (x, q)).tolist() == x[1:].tolist()
    np.testing.assert_array_equal(one(Concat(-1), (x, q), (x[:, :3], q), inputs=2), np.hstack([x, x[:, :3]]))


def test_an_operator_without_a_meaning_is_a_defect() -> None:
    class Odd(Relu):
        """An operator that nothing knows."""

    with pytest.raises(DefectError, match="node node of one: Odd has no meaning"):
        one(Odd(), (np.zeros((1, 2), np.int8), Integer(1.0, 0, signed=True)))


def _one(op: Op, element: Element, x: NDArray[Any], *constants: NDArray[np.float32]) -> NDArray[Any]:
    build = Builder("one")
    given = build.input("x", x.shape, element)
    names = [build.constant(f"c{i}", data) for i, data in enumerate(constants)]
    return exact.evaluate(build.graph((build.node("op", op, given, *names),)), (x,), 1)["op.output"]


@pytest.mark.parametrize("element", [Float("fp8_e4m3"), Float("fp8_e5m2"), Integer(0.03, 5, signed=True)])
def test_what_has_a_real_meaning_alone_is_computed_in_float64_and_rounded_once(element: Element) -> None:
    rng = np.random.default_rng(7)
    x = element.quantize(rng.normal(size=(3, 5)))
    gamma, beta = rng.normal(size=(2, 5)).astype(np.float32)
    r = element.dequantize(x)
    power = np.exp(r - r.max(axis=1)[:, None])
    mean = r.mean(axis=1)[:, None]
    wanted = {
        Softmax(): power / power.sum(axis=1)[:, None],
        Function("silu"): r / (1 + np.exp(-r)),
        RmsNorm(0.25): r / np.sqrt((r * r).mean(axis=1)[:, None] + 0.25) * gamma,
        LayerNorm(0.25): (r - mean) / np.sqrt(((r - mean) ** 2).mean(axis=1)[:, None] + 0.25) * gamma + beta,
    }
    constants = {RmsNorm(0.25): (gamma,), LayerNorm(0.25): (gamma, beta)}
    for op, numbers in wanted.items():
        found = _one(op, element, x, *constants.get(op, ()))
        assert found.dtype == element.dtype
        np.testing.assert_array_equal(found, element.quantize(numbers), str(op))
