"""Schemes that rewrite float weights, each against a property that its paper states and a plain implementation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
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
from accelsim.golden import evaluate, float_network
from accelsim.golden.network import IntegerNetwork, quantized
from accelsim.workload.network import Linear, Network

Float64 = NDArray[np.float64]


def chain(rng: np.random.Generator, *sizes: int, x: Float64 | None = None) -> Network:
    layers = tuple(
        Linear(f"fc{i}", rng.normal(size=(k, n)).astype(np.float32), rng.normal(size=n).astype(np.float32), i == 0)
        for i, (k, n) in enumerate(pairwise(sizes))
    )
    inputs = (rng.normal(size=(64, sizes[0])) if x is None else x).astype(np.float32)
    return Network("random", layers, inputs, None, inputs, {})


def recipe(*steps: Rewriter, scheme: str = "int8") -> Recipe:
    quantizer = Integers(scheme=scheme)  # type: ignore[arg-type] # one of the schemes
    return Recipe(kind="recipe", name="r", description="d", steps=[*steps, quantizer])


def correlated(rng: np.random.Generator, samples: int, k: int) -> Float64:
    """Inputs of few causes and little noise."""
    return rng.normal(size=(samples, 6)) @ rng.normal(size=(6, k)) + 0.1 * rng.normal(size=(samples, k))


def noise(net: Network, by: Recipe) -> float:
    """Share of noise in a quantized network's outputs."""
    wrote = rewritten(net, by)
    lowered = compress(net, by)
    assert isinstance(lowered, IntegerNetwork)
    got = evaluate.forward(lowered, quantized(lowered, wrote.inputs), 1)[-1]
    exact = float_network.forward(net, net.inputs)[-1]
    return float(np.square(lowered.layers[-1].output.dequantize(got) - exact).sum() / np.square(exact).sum())


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
    layer = wrote.layers[0]
    assert layer.weight_step is not None
    lowered = compress(net, recipe(gptq.Gptq(scheme="gptq", bits=4)))
    assert isinstance(lowered, IntegerNetwork)
    np.testing.assert_array_equal(lowered.layers[0].weight, np.rint(layer.weight / layer.weight_step))
    assert np.abs(lowered.layers[0].weight).max() <= 7
    assert not lowered.layers[0].weight[5].any()


def test_smoothquant_moves_ranges_as_its_formula_says_and_computes_the_same() -> None:
    rng = np.random.default_rng(1)
    net = chain(rng, 12, 9, 5)
    wrote = rewritten(net, recipe(SmoothQuant(scheme="smoothquant", alpha=0.3)))
    s = np.abs(net.calibration).max(axis=0) ** 0.3 / np.abs(net.layers[0].weight).max(axis=1) ** 0.7
    np.testing.assert_allclose(wrote.inputs * s, net.inputs, rtol=1e-6)
    np.testing.assert_allclose(wrote.calibration * s, net.calibration, rtol=1e-6)
    after, before = (float_network.forward(n, n.inputs)[-1] for n in (wrote, net))
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
        weight, x = n.layers[0].weight.astype(np.float64), n.calibration.astype(np.float64)  # type: ignore[union-attr] # one array
        step = weight_step(weight, 3)
        lost.append(np.square(x @ (np.rint(weight / step) * step) - x @ weight).sum())
    assert lost[0] <= lost[1] * (1 + 1e-4)


@given(seed=st.integers(0, 2**32), rank=st.integers(1, 9))
@settings(max_examples=20)
def test_svd_loses_the_singular_values_that_it_drops(seed: int, rank: int) -> None:
    net = chain(np.random.default_rng(seed), 14, 10, 12)
    wrote = rewritten(net, recipe(Svd(scheme="svd", rank=rank, layers="fc0")))
    assert [layer.name for layer in wrote.layers] == ["fc0.u", "fc0.v", "fc1"]
    first, second = wrote.layers[:2]
    assert (first.weight.shape, second.weight.shape) == ((14, rank), (rank, 10))
    assert (first.relu, second.relu) == (False, True)
    weight = net.layers[0].weight.astype(np.float64)
    dropped = np.linalg.svd(weight, compute_uv=False)[rank:]
    lost = np.linalg.norm(first.weight.astype(np.float64) @ second.weight - weight)
    np.testing.assert_allclose(lost, np.sqrt(np.square(dropped).sum()), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(second.bias, net.layers[0].bias)


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
    sparse = np.where(np.abs(net.layers[0].weight) < 1, np.float32(0), net.layers[0].weight)
    net = Network("n", (Linear("fc0", sparse, net.layers[0].bias, relu=False),), net.inputs, None, net.calibration, {})
    by = recipe(Cluster(scheme="kmeans", bits=3))
    wrote = rewritten(net, by)
    assert 4 < len(np.unique(wrote.layers[0].weight)) <= 8  # one is 0; between the two runs of values some are empty
    np.testing.assert_array_equal(wrote.layers[0].weight == 0, sparse == 0)
    whole = Integers(scheme="int8", weights_per="tensor")
    lowered = compress(net, by.model_copy(update={"steps": [*by.steps[:1], whole]}))
    assert isinstance(lowered, IntegerNetwork)
    assert len(np.unique(lowered.layers[0].weight)) <= 8


@given(seed=st.integers(0, 2**32), bits=st.integers(2, 8))
@settings(max_examples=20)
def test_narrow_weights_and_trained_steps_give_the_integers_that_they_say(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    net = chain(rng, 9, 6)
    step = Integers(scheme="int8", weight_bits=bits)
    lowered = compress(net, Recipe(kind="recipe", name="r", description="d", steps=[step]))
    assert isinstance(lowered, IntegerNetwork)
    assert np.abs(lowered.layers[0].weight.astype(int)).max(axis=0).tolist() == [2 ** (bits - 1) - 1] * 6
    q = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (9, 6))
    steps = rng.uniform(0.1, 1, 6).astype(np.float32)
    trained = Linear("fc0", (q * steps).astype(np.float32), np.zeros(6, np.float32), relu=False, weight_step=steps)
    lowered = compress(Network("n", (trained,), net.inputs, None, net.calibration, {}), recipe())
    assert isinstance(lowered, IntegerNetwork)
    np.testing.assert_array_equal(lowered.layers[0].weight, q)
