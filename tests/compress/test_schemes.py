"""Schemes that rewrite float weights, each against a property that its paper states and a plain implementation."""

from __future__ import annotations

from itertools import pairwise

import float_networks
import integer_networks
import numpy as np
import pytest
from float_networks import Linear, forward, linears, quantized
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.compress.apply import compress, rewritten
from accelsim.compress.cluster.kmeans import Cluster, kmeans
from accelsim.compress.factorize.svd import Svd
from accelsim.compress.quantize import gptq
from accelsim.compress.quantize.integers import Integers, weight_step
from accelsim.compress.recipe import Recipe, Rewriter
from accelsim.compress.reparameterize.awq import Awq
from accelsim.compress.reparameterize.smoothquant import SmoothQuant
from accelsim.errors import ConfigError
from accelsim.golden import exact
from accelsim.graph.ops.relu import Relu
from accelsim.workload.network import Network

Float64 = NDArray[np.float64]


def chain(rng: np.random.Generator, *sizes: int, x: Float64 | None = None) -> Network:
    layers = [
        Linear(f"fc{i}", rng.normal(size=(k, n)).astype(np.float32), rng.normal(size=n).astype(np.float32), i == 0)
        for i, (k, n) in enumerate(pairwise(sizes))
    ]
    return float_networks.chain(layers, rng.normal(size=(64, sizes[0])) if x is None else x)


def integers(net: Network, by: Recipe) -> list[integer_networks.IntegerLayer]:
    """The layers that a recipe makes of a network, as arrays."""
    return list(integer_networks.read(compress(net, by)).layers)


def recipe(*steps: Rewriter, scheme: str = "int8") -> Recipe:
    quantizer = Integers(scheme=scheme)  # type: ignore[arg-type] # one of the schemes
    return Recipe(kind="recipe", name="r", description="d", steps=[*steps, quantizer])


def correlated(rng: np.random.Generator, samples: int, k: int) -> Float64:
    """Inputs of few causes and little noise."""
    return rng.normal(size=(samples, 6)) @ rng.normal(size=(6, k)) + 0.1 * rng.normal(size=(samples, k))


def noise(net: Network, by: Recipe) -> float:
    """Share of noise in a quantized network's outputs."""
    wrote = rewritten(net, by)
    graph = compress(net, by)
    (last,) = graph.outputs
    got = exact.evaluate(graph, quantized(graph, wrote.inputs), 1)[last]
    real = forward(net, net.inputs[0])[-1]
    return float(np.square(graph[last].element.dequantize(got) - real).sum() / np.square(real).sum())


def compensated(weight: Float64, h: Float64, step: Float64, bits: int) -> Float64:
    """GPTQ without blocks or factors: the inverse of what is left of H, anew for each input (optimal brain surgeon)."""
    left, largest = weight.copy(), 2 ** (bits - 1) - 1
    q = np.empty_like(left)
    for k in range(len(left)):
        inverse = np.linalg.inv(h[k:, k:])
        q[k] = np.clip(np.rint(left[k] / step), -largest, largest)
        error = (left[k] - q[k] * step) / inverse[0, 0]
        left[k:] -= np.outer(inverse[:, 0], error)
    return q


@pytest.mark.parametrize("k", [5, 40, 150])  # the last is more than a block
@pytest.mark.parametrize("bits", [2, 4])
def test_gptq_is_optimal_brain_surgeon_on_integers(k: int, bits: int) -> None:
    rng = np.random.default_rng(k)
    weight, x = rng.normal(size=(k, 7)), rng.normal(size=(2 * k, k)) @ rng.normal(size=(k, k))
    step = weight_step(weight, bits)
    h = 2 * x.T @ x
    h += 0.01 * np.diag(h).mean() * np.eye(k)
    got = gptq.rounded(weight, x, step, bits, 0.01, descending=False)
    np.testing.assert_array_equal(got, compensated(weight, h, step, bits))


@given(seed=st.integers(0, 2**32), bits=st.sampled_from([3, 4]), descending=st.booleans())
@settings(max_examples=25)
def test_gptq_loses_less_than_rounding_to_nearest_on_correlated_inputs(seed: int, bits: int, descending: bool) -> None:
    rng = np.random.default_rng(seed)
    weight, x = rng.normal(size=(48, 20)), correlated(rng, 200, 48)
    step = weight_step(weight, bits)
    nearest = np.rint(weight / step)
    got = gptq.rounded(weight, x, step, bits, 0.01, descending=descending)
    assert np.abs(got).max() <= 2 ** (bits - 1) - 1
    lost = [np.square(x @ (q * step) - x @ weight).sum() for q in (got, nearest)]
    assert lost[0] < lost[1]


def test_gptq_hands_its_steps_to_the_quantizer_and_ignores_inputs_that_are_always_zero() -> None:
    rng = np.random.default_rng(3)
    x = correlated(rng, 100, 24)
    x[:, 5] = 0
    net = chain(rng, 24, 10, x=x)
    wrote = rewritten(net, recipe(gptq.Gptq(scheme="gptq", bits=4)))
    layer = linears(wrote)[0]
    assert layer.weight_step is not None
    lowered = integers(net, recipe(gptq.Gptq(scheme="gptq", bits=4)))
    np.testing.assert_array_equal(lowered[0].weight, np.rint(layer.weight / layer.weight_step))
    assert np.abs(lowered[0].weight).max() <= 7
    assert not lowered[0].weight[5].any()


def test_smoothquant_moves_ranges_as_its_formula_says_and_computes_the_same() -> None:
    rng = np.random.default_rng(1)
    net = chain(rng, 12, 9, 5)
    wrote = rewritten(net, recipe(SmoothQuant(scheme="smoothquant", alpha=0.3)))
    s = np.abs(net.calibration[0]).max(axis=0) ** 0.3 / np.abs(linears(net)[0].weight).max(axis=1) ** 0.7
    np.testing.assert_allclose(wrote.inputs[0] * s, net.inputs[0], rtol=1e-6)
    np.testing.assert_allclose(wrote.calibration[0] * s, net.calibration[0], rtol=1e-6)
    after, before = (forward(n, n.inputs[0])[-1] for n in (wrote, net))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheme", ["smoothquant", "awq"])
@pytest.mark.parametrize("seed", range(5))
def test_moved_scales_beat_none_where_a_few_inputs_are_outliers(scheme: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(128, 64))
    x[:, rng.choice(64, 3, replace=False)] *= 60
    net = chain(rng, 64, 32, x=x)
    if scheme == "smoothquant":  # its paper: weights and activations of 8 bits
        assert noise(net, recipe(SmoothQuant(scheme="smoothquant"))) < 0.5 * noise(net, recipe())
    else:  # its paper: weights of 4 bits alone, so that activations are nearly exact here
        weights = Integers(scheme="int16", weight_bits=4)
        plain = Recipe(kind="recipe", name="r", description="d", steps=[weights])
        aware = plain.model_copy(update={"steps": [Awq(scheme="awq", bits=4), weights]})
        assert noise(net, aware) < 0.9 * noise(net, plain)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_awq_never_loses_more_than_no_scales_on_its_calibration_data(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = chain(rng, 16, 8, x=rng.normal(size=(40, 16)) * np.exp(rng.normal(size=16)))
    wrote = rewritten(net, recipe(Awq(scheme="awq", bits=3)))
    lost = []
    for n in (wrote, net):
        weight, x = linears(n)[0].weight.astype(np.float64), n.calibration[0].astype(np.float64)
        step = weight_step(weight, 3)
        lost.append(np.square(x @ (np.rint(weight / step) * step) - x @ weight).sum())
    assert lost[0] <= lost[1] * (1 + 1e-4)


@given(seed=st.integers(0, 2**32), rank=st.integers(1, 9))
@settings(max_examples=20)
def test_svd_loses_the_singular_values_that_it_drops(seed: int, rank: int) -> None:
    net = chain(np.random.default_rng(seed), 14, 10, 12)
    wrote = rewritten(net, recipe(Svd(scheme="svd", rank=rank, layers="fc0")))
    assert [layer.name for layer in linears(wrote)] == ["fc0.u", "fc0.v", "fc1"]
    first, second = linears(wrote)[:2]
    assert (first.weight.shape, second.weight.shape) == ((14, rank), (rank, 10))
    assert (first.relu, second.relu) == (None, Relu())
    weight = linears(net)[0].weight.astype(np.float64)
    dropped = np.linalg.svd(weight, compute_uv=False)[rank:]
    lost = np.linalg.norm(first.weight.astype(np.float64) @ second.weight - weight)
    np.testing.assert_allclose(lost, np.sqrt(np.square(dropped).sum()), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(first.bias, 0)
    np.testing.assert_array_equal(second.bias, linears(net)[0].bias)


def test_svd_refuses_what_it_cannot_do() -> None:
    net = chain(np.random.default_rng(0), 14, 10)
    with pytest.raises(ConfigError, match=r"^layer fc0: rank must be below 10, its smaller side, not 10$"):
        rewritten(net, recipe(Svd(scheme="svd", rank=10)))


def lloyd(values: Float64, centroids: Float64) -> tuple[Float64, list[float]]:
    """K-means as it is written in textbooks, a value at a time."""
    objectives: list[float] = []
    while True:
        nearest = [int(np.argmin(np.abs(value - centroids))) for value in values]
        kept = sorted(set(nearest))
        moved = np.array([np.mean([v for v, c in zip(values, nearest, strict=True) if c == k]) for k in kept])
        objectives.append(sum((v - moved[kept.index(c)]) ** 2 for v, c in zip(values, nearest, strict=True)))
        if len(moved) == len(centroids) and np.allclose(moved, centroids, rtol=0, atol=1e-12):
            return moved, objectives
        centroids = moved


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), clusters=st.integers(1, 16))
@settings(max_examples=40)
def test_kmeans_is_lloyds_algorithm_and_never_increases_its_objective(seed: int, count: int, clusters: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    found = kmeans(values, clusters)
    centroids, objectives = lloyd(values, np.linspace(values.min(), values.max(), clusters))
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-9)
    np.testing.assert_allclose(found.objectives[-1], objectives[-1], atol=1e-9)
    assert all(after <= before + 1e-9 for before, after in pairwise(found.objectives))
    assert (found.nearest == np.abs(values[:, None] - found.centroids).argmin(axis=1)).all()


def test_clustered_weights_take_few_values_and_zeros_stay() -> None:
    net = chain(np.random.default_rng(2), 30, 20)
    (dense,) = linears(net)
    sparse = np.where(np.abs(dense.weight) < 1, np.float32(0), dense.weight)
    net = float_networks.chain([Linear("fc0", sparse, dense.bias, relu=False)], net.inputs[0])
    by = recipe(Cluster(scheme="kmeans", bits=3))
    (wrote,) = linears(rewritten(net, by))
    assert 4 < len(np.unique(wrote.weight)) <= 8  # one is 0; between the two runs of values some are empty
    np.testing.assert_array_equal(wrote.weight == 0, sparse == 0)
    whole = Integers(scheme="int8", weights_per="tensor")
    (lowered,) = integers(net, by.model_copy(update={"steps": [*by.steps[:1], whole]}))
    assert len(np.unique(lowered.weight)) <= 8


@given(seed=st.integers(0, 2**32), bits=st.integers(2, 8))
@settings(max_examples=20)
def test_narrow_weights_and_trained_steps_give_the_integers_that_they_say(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    net = chain(rng, 9, 6)
    step = Integers(scheme="int8", weight_bits=bits)
    (lowered,) = integers(net, Recipe(kind="recipe", name="r", description="d", steps=[step]))
    assert np.abs(lowered.weight.astype(int)).max(axis=0).tolist() == [2 ** (bits - 1) - 1] * 6
    q = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (9, 6))
    steps = rng.uniform(0.1, 1, 6).astype(np.float32)
    trained = Linear("fc0", (q * steps).astype(np.float32), np.zeros(6, np.float32), relu=False, weight_step=steps)
    (lowered,) = integers(float_networks.chain([trained], net.inputs[0]), recipe())
    np.testing.assert_array_equal(lowered.weight, q)
