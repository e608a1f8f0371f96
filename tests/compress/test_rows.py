"""Constants of softmax and normalizations of rows: those of the datapath, and near the real functions."""

from __future__ import annotations

import numpy as np
import pytest
from float_networks import recipe, typed
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compress.compact import compact
from accelsim.compress.quantize.rows import SHARES, norm_constants, softmax_grid
from accelsim.datapath.vector import norm, softmax
from accelsim.errors import ConfigError
from accelsim.golden import exact, real
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.rewrite import with_constant
from accelsim.workload.network import Network

INT8 = recipe({"scheme": "int8"})


def network(op: Op, features: int, seed: int, *, scale: float = 1.0, relu: bool = False) -> Network:
    """A layer, a function of its rows, and a layer."""
    rng, build = np.random.default_rng(seed), Builder("rows")
    x = (rng.normal(size=(30, 5)) * scale).astype(np.float32)
    build.input("input", x.shape)
    first = build.constant("first.weight", rng.normal(size=(5, features)).astype(np.float32))
    last = build.linear("first", "input", first, None, relu=False)
    parts = []
    if isinstance(op, LayerNorm | RmsNorm):
        parts.append(build.constant("of.gamma", rng.normal(1, 0.5, features).astype(np.float32)))
    if isinstance(op, LayerNorm):
        parts.append(build.constant("of.beta", rng.normal(0, 0.5, features).astype(np.float32)))
    last = build.node("rows", op, last, *parts, output="rows.formed")
    last = build.chain("rows", last, [(Relu(), ())] if relu else [])
    second = build.constant("second.weight", rng.normal(size=(features, 3)).astype(np.float32))
    return Network(build.graph((build.linear("second", last, second, None, relu=False),)), (x,), None, (x,), {})


def integer(graph: Graph, name: str) -> Integer:
    element = graph[name].element
    assert isinstance(element, Integer)
    return element


@given(st.floats(2.0**-40, 2.0))
def test_the_scale_of_softmax_is_the_datapaths(scale: float) -> None:
    assert softmax_grid(scale) == softmax.grid_scale(scale)


@pytest.mark.parametrize("scale", [2.0**-41, 2.01, float("nan")])
def test_a_scale_that_softmax_does_not_take_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"must have a scale of 2\^-40 to 2, not"):
        softmax_grid(scale)


@given(st.integers(1, 100), st.booleans(), st.sampled_from([0.0, 1e-5, 1e-2]), st.sampled_from([1.0, 1e-9, 30.0]),
       st.integers(0, 2**32))  # fmt: skip
def test_constants_of_a_normalization_are_the_datapaths(
    features: int, centred: bool, epsilon: float, size: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    gamma, beta = rng.normal(size=features) * size, rng.normal(size=features) * rng.integers(0, 2)
    found = norm_constants(gamma, beta, epsilon, 0.02, 0.03, centred=centred)
    expected = norm.prepare(
        gamma, centred=centred, input_scale=0.02, zero_point=0, output_scale=0.03, output_zero_point=0, beta=beta,
        epsilon=epsilon,
    )  # fmt: skip
    live = expected.multiplier > 0
    np.testing.assert_array_equal(found.gamma, expected.gamma * live)
    np.testing.assert_array_equal(found.beta, expected.beta * live)
    np.testing.assert_array_equal(found.shift, expected.shift)
    assert found.multiplier.tolist() == [expected.multiplier.max()]
    assert found.epsilon == expected.epsilon


def test_an_epsilon_above_all_squares_is_refused() -> None:
    with pytest.raises(ValueError, match="epsilon must be below 2147483648 squared steps"):
        norm_constants(np.ones(4), np.zeros(4), 1.0, 1e-5, 0.1, centred=False)


@given(st.integers(2, 40), st.integers(0, 2**32))
@settings(max_examples=20)
def test_shares_are_near_those_of_real_numbers(features: int, seed: int) -> None:
    """Of the row that the unit reads: half a step of rounding, and 0.4 of one of the polynomial (3.14e-3 of half)."""
    graph, inputs = typed(network(Softmax(), features, seed), INT8)
    values = exact.evaluate(graph, inputs, 16)
    assert integer(graph, "rows.output") == SHARES
    given_ = integer(graph, "first.output").dequantize(values["first.output"])
    exponentials = np.exp(given_ - given_.max(axis=-1, keepdims=True))
    shares = np.minimum(exponentials / exponentials.sum(axis=-1, keepdims=True), 255 / 256)
    # M of 16 bits and q on a grid of 2^-14 move an exponential by 2^-16 of its distance, below 2^3, and by 2^-15
    error = np.abs(values["rows.output"] / 256 - shares)
    assert error.max() <= (0.5 + 0.41 + 0.05) / 256


@given(st.sampled_from([LayerNorm(1e-5), RmsNorm(1e-5), LayerNorm(0.1)]), st.integers(2, 40), st.integers(0, 2**32),
       st.booleans())  # fmt: skip
@settings(max_examples=20)
def test_normalized_rows_are_near_those_of_real_numbers(
    op: LayerNorm | RmsNorm, features: int, seed: int, relu: bool
) -> None:
    """Of the row that the unit reads: half a step of rounding, and gamma's rounding to 7 bits."""
    net = network(op, features, seed, relu=relu)
    graph, inputs = typed(net, INT8)
    values, element = exact.evaluate(graph, inputs, 16), integer(graph, "rows.output")
    assert element.signed
    given_ = integer(graph, "first.output").dequantize(values["first.output"])
    names = [name for name in ("of.gamma", "of.beta") if name in net.graph.values]
    node = net.graph.node("rows")
    (expected,) = real.MEANINGS[type(op)](net.graph, node, [given_, *(net.graph[n].numbers for n in names)])
    gamma = np.abs(net.graph["of.gamma"].numbers)
    largest = np.sqrt(features)  # of what is normalized
    low, high = element.dequantize(np.array([element.zero_point if relu else -128, 127]))
    # a step of gamma is at most twice its 127th, and what beta's size may make it
    step = np.maximum(gamma / 127, 1e-6) * 2 + np.abs(net.graph["of.beta"].numbers if len(names) == 2 else 0) / 2**20
    bound = element.scale * 0.51 + step / 2 * largest
    # epsilon is rounded to squared steps
    bound = bound + np.abs(expected).max() * 0.01
    got = element.dequantize(values["rows.output"])
    assert (np.abs(got - np.clip(expected, low, high)) <= bound).all()


@pytest.mark.parametrize("op", [Softmax(), LayerNorm(1e-5), RmsNorm(1e-5)])
def test_rows_stay_whole_where_inputs_without_weights_are_removed(op: Op) -> None:
    net = network(op, 8, 0)
    weight = net.graph["second.weight"].numbers.copy()
    weight[2:5] = 0
    graph, inputs = typed(net.with_graph(with_constant(net.graph, "second.weight", weight)), INT8)
    smaller = compact(graph)
    assert smaller["rows.output"].shape == graph["rows.output"].shape
    (last,) = graph.outputs
    expected = exact.evaluate(graph, inputs, 16)[last]
    np.testing.assert_array_equal(exact.evaluate(smaller, inputs, 16)[last], expected)


def test_other_integers_than_of_eight_bits_are_refused() -> None:
    with pytest.raises(ConfigError, match="node rows: Softmax must be of 8-bit integers and form such"):
        typed(network(Softmax(), 6, 0), recipe({"scheme": "int4"}))
    with pytest.raises(ConfigError, match=r"node rows: what softmax takes must have a scale of 2\^-40 to 2"):
        typed(network(Softmax(), 6, 0, scale=1000.0), INT8)
