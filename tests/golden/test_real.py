"""What operators mean in real numbers, against float64 in plain numpy."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import float_networks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import WorkloadError
from accelsim.golden import exact, real
from accelsim.golden.interpreter import Array
from accelsim.golden.real import products
from accelsim.graph.build import Builder
from accelsim.graph.element import REAL, Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice


@given(sizes=st.lists(st.integers(1, 20), min_size=2, max_size=5), seed=st.integers(0, 2**32))
def test_a_chain_is_float64_numpy(sizes: list[int], seed: int) -> None:
    net = float_networks.network(np.random.default_rng(seed), sizes, 6)
    found = real.evaluate(net.graph, net.inputs)
    for i, right in enumerate(float_networks.forward(net, net.inputs[0])):
        assert found[f"fc{i}.output"].dtype == np.float64
        np.testing.assert_array_equal(found[f"fc{i}.output"], right)


def test_only_what_is_asked_for_is_there_and_any_number_of_samples_goes() -> None:
    net = float_networks.network(np.random.default_rng(0), [5, 4, 3], 6)
    found = real.evaluate(net.graph, (net.inputs[0][:2],), ("fc0.output",))
    assert list(found) == ["fc0.output"]
    np.testing.assert_array_equal(found["fc0.output"], float_networks.forward(net, net.inputs[0][:2])[0])


def test_branches_join() -> None:
    rng = np.random.default_rng(1)
    x, y, w = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 6), (4, 6), (3, 2)))
    build = Builder("branches")
    a, b = build.input("a", x.shape), build.input("b", y.shape)
    added = build.node("add", Add(), a, b)
    first, last = build.node("first", Slice(-1, 0, 3), added), build.node("last", Slice(-1, 3, 6), added)
    weight = build.constant("weight", w)
    product = build.node("product", MatMul(), first, weight)
    onto = build.node("onto", MatMul(), last, weight, product)
    both = build.node("both", Concat(-1), onto, build.node("relu", Relu(), product))
    found = real.evaluate(build.graph((both, onto)), (x, y))
    total, w64 = x.astype(np.float64) + y, w.astype(np.float64)
    one = total[:, :3] @ w64
    two = total[:, 3:] @ w64 + one
    np.testing.assert_array_equal(found["onto.output"], two)
    np.testing.assert_array_equal(found["both.output"], np.hstack([two, np.maximum(one, 0)]))


def test_what_overflows_is_infinite_without_a_warning() -> None:
    weight = np.full((1, 1), 3e38, np.float32)
    layers = [float_networks.Linear(f"fc{i}", weight, np.zeros(1, np.float32), relu=True) for i in range(12)]
    net = float_networks.chain(layers, np.ones((1, 1)))
    (last,) = net.graph.outputs
    assert real.evaluate(net.graph, net.inputs)[last].tolist() == [[np.inf]]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_what_stands_at_indices_is_gathered(axis: int) -> None:
    table = np.random.default_rng(2).normal(size=(5, 5, 5)).astype(np.float32)
    ids = np.array([[0, -1, 3], [4, 4, -5]])
    build = Builder("gather")
    x = build.input("ids", ids.shape, Plain("int64"))
    rows = build.node("rows", Gather(axis), build.constant("table", table), x)
    graph = build.graph((rows,))
    right = table[ids] if axis == 0 else table[:, ids] if axis == 1 else table[:, :, ids]
    assert graph[rows].type == (right.shape, REAL)
    for found in (real.evaluate(graph, (ids,)), exact.evaluate(graph, (ids,), 1)):
        np.testing.assert_array_equal(found[rows], right)
    with pytest.raises(WorkloadError, match="node rows: indices must be from -5 to 4, not 9"):
        real.evaluate(graph, (ids + 9,))


def test_numbers_that_stand_for_themselves_stay_so() -> None:
    ids = np.array([[2**62 + 1]])
    build = Builder("ids")
    both = build.node("both", Concat(0), build.input("ids", ids.shape, Plain("int64")))
    found = real.evaluate(build.graph((both,)), (ids,))[both]
    assert (found.dtype, found.tolist()) == (np.int64, ids.tolist())


def test_float32_is_near_and_of_its_type() -> None:
    net = float_networks.network(np.random.default_rng(0), [50, 40, 30], 6)
    name = net.graph.outputs[0]
    found = real.evaluate(net.graph, net.inputs, precision="float32")[name]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, real.evaluate(net.graph, net.inputs)[name], rtol=1e-4, atol=1e-5)


def test_values_go_when_they_have_been_read_for_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    net = float_networks.network(np.random.default_rng(0), [5] * 9, 6)
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def watched(graph: Graph, node: Node, given_: Sequence[Array]) -> tuple[Array, ...]:
        nonlocal most
        formed = products.matmul(graph, node, given_)
        alive.append(weakref.ref(formed[0]))
        most = max(most, sum(array() is not None for array in alive))
        return formed

    monkeypatch.setitem(real.MEANINGS, MatMul, watched)
    real.evaluate(net.graph, net.inputs, net.graph.outputs)
    assert (len(alive), most) == (8, 1)
