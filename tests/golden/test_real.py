"""What operators mean in real numbers, against float64 in plain numpy."""

from __future__ import annotations

import float_networks
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.golden import real
from accelsim.graph.build import Builder
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
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
