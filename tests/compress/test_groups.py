"""Two-level scales and clipping: by plain loops, and by what the papers state."""

from __future__ import annotations

from typing import Any

import integer_networks
import numpy as np
import pytest
from float_networks import Linear, chain, recipe
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accelsim.compress.apply import compress
from accelsim.compress.quantize import clipping, groups, integers
from accelsim.errors import ConfigError, WorkloadError
from accelsim.graph.element import Integer
from accelsim.graph.layer import Layer, layers
from accelsim.workload.network import Network


def network(rng: np.random.Generator, k: int = 40, n: int = 12) -> Network:
    weight = rng.standard_t(3, size=(k, n)).astype(np.float32)
    x = np.abs(rng.standard_t(3, size=(50, k))).astype(np.float32)
    return chain([Linear("fc", weight, np.zeros(n, np.float32), relu=False)], x)


def compressed(net: Network, *steps: dict[str, Any]) -> Layer:
    """The only layer of a network, typed by steps."""
    (layer,) = layers(compress(net, recipe(*steps)))
    return layer


def weights(net: Network) -> Any:
    """Weights of the only layer of a network."""
    (layer,) = layers(net.graph)
    return layer.weight.numbers


@given(bits=st.integers(2, 7), group=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_progressive_scales_are_those_of_a_plain_loop(bits: int, group: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(17, 3)) * rng.choice([0, 0.1, 10], size=(1, 3))
    tensor, step = groups.progressive(weight, bits, group)
    assert tensor.zeros is not None
    largest = 2**bits - 1
    for n in range(3):
        peak = np.abs(weight[:, n]).max()
        if not peak:
            assert not tensor.decode()[:, n].any()
            continue
        assert step[n] == peak / 119
        wide = [round(w / step[n]) for w in weight[:, n]]
        for g, first in enumerate(range(0, 17, group)):
            part = wide[first : first + group]
            low, high = min(*part, 0), max(*part, 0)
            scale = max(1, round((high - low) / largest))
            zero = min(max(round(-low / scale), 0), largest)
            assert (tensor.scales[g, n], tensor.zeros[g, n]) == (scale, zero)
            for w, q in zip(part, tensor.integers[first : first + group, n].tolist(), strict=True):
                assert q == min(max(round(w / scale) + zero, 0), largest)


@given(seed=st.integers(0, 2**32), group=st.integers(1, 64))
def test_four_bits_stay_inside_int8(seed: int, group: int) -> None:
    """QServe, section 4.1: with the first level within 119, the second level's rounding never overflows."""
    weight = np.random.default_rng(seed).standard_t(2, size=(64, 4))
    tensor, _ = groups.progressive(weight, 4, group)
    assert tensor.zeros is not None
    rows = [np.repeat(part.astype(int), group, axis=0)[:64] for part in (tensor.scales, tensor.zeros)]
    exact = (tensor.integers.astype(int) - rows[1]) * rows[0]
    np.testing.assert_array_equal(tensor.decode(), exact)


@pytest.mark.parametrize("scales", ["progressive", "vector"])
def test_smaller_groups_lose_less(scales: groups.Scales) -> None:
    weight = np.random.default_rng(1).standard_t(3, size=(256, 16))

    def error(group: int) -> float:
        tensor, step = groups.grouped(weight, 4, group, scales)
        return float(np.square(tensor.decode() * step - weight).sum())

    errors = [error(group) for group in (256, 64, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 2
    plain = integers.weight_step(weight, 4)
    assert errors[-1] < np.square(np.rint(weight / plain) * plain - weight).sum() / 2


def test_vectors_whose_products_int8_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="int8 must hold integers of 5 bits times scales of 4, up to 225"):
        groups.vector_scaled(np.ones((4, 1)), 5, 2)


def test_layers_of_groups_are_stored_so() -> None:
    net = network(np.random.default_rng(0))
    step = {"scheme": "int8", "weight_bits": 4, "weight_group": 16}
    for scales, name in (("progressive", "progressive"), ("vector", "vector_scaled")):
        weight = compressed(net, {**step, "weight_scales": scales}).weight
        assert weight.storage
        assert weight.groups
        assert weight.storage == (name, 4, 16, 0)
        np.testing.assert_array_equal(weight.numbers, weight.groups.decode())
        assert np.corrcoef(weight.numbers.ravel(), weights(net).ravel())[0, 1] > 0.95
    with pytest.raises(ConfigError, match="no step may store layer fc, whose groups are stored as progressive"):
        compress(net, recipe({**step, "weight_scales": "progressive"}, {"scheme": "store", "format": "bitmask"}))
    with pytest.raises(WorkloadError, match="weight_scales must be absent, because the weights' steps are fixed"):
        compress(net, recipe({"scheme": "gptq"}, {**step, "weight_scales": "progressive"}))
    for wrong, message in (
        ([{**step}], "weight_group and weight_scales must be given together"),
        ([{"scheme": "int8", "weight_group": 4, "weight_scales": "vector"}], "weight_bits below 8"),
        ([{**step, "weight_scales": "vector", "weight_clip": "mse"}], "weight_clip must be max"),
    ):
        with pytest.raises(ValidationError, match=message):
            recipe(*wrong)
    with pytest.raises(ValidationError, match="compact must be false for weight_scales"):
        recipe({**step, "weight_scales": "vector"}, compact=True)


@given(bits=st.integers(2, 8), seed=st.integers(0, 2**32))
def test_a_clipped_range_never_errs_more_than_the_whole_one(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_t(2, size=(60, 3))
    whole = integers.weight_step(weight, bits)
    step = clipping.least_squared_step(weight, whole, bits)
    top = 2 ** (bits - 1) - 1

    def error(by: Any) -> Any:
        return np.square(np.clip(np.rint(weight / by), -top, top) * by - weight).sum(axis=0)

    assert (step <= whole).all()
    assert (error(step) <= error(whole)).all()
    values = np.abs(weight[:, 0])
    narrow = integers.activation_range(values, bits, "mse")
    wide = integers.activation_range(values, bits)
    errors = [np.square(q.dequantize(q.quantize(values)) - values).sum() for q in (narrow, wide)]
    assert errors[0] <= errors[1] * (1 + 1e-12)


def test_heavy_tails_gain_more_by_clipping_the_fewer_the_bits() -> None:
    weight = np.random.default_rng(0).laplace(size=(4000, 1))
    gains = []
    for bits in (2, 3, 4, 8):
        whole, top = integers.weight_step(weight, bits), 2 ** (bits - 1) - 1
        step = clipping.least_squared_step(weight, whole, bits)
        errors = [np.square(np.clip(np.rint(weight / s), -top, top) * s - weight).sum() for s in (step, whole)]
        gains.append(float(step[0] / whole[0]))
        assert errors[0] < errors[1] * (1 if bits == 8 else 0.6)
    assert gains == sorted(gains)


def test_percentiles_are_numpys_on_each_side() -> None:
    values = np.array([-4.0, -3, -2, -1, 0, 0, 1, 2, 3, 4, 100])
    assert clipping.percentile_range(values, 100) == (-4, 100)
    low, high = clipping.percentile_range(values, 75)
    assert (low, high) == (np.percentile([-4, -3, -2, -1], 25), np.percentile([1, 2, 3, 4, 100], 75))
    q = integers.activation_range(np.abs(values), 8, "percentile", 80)
    assert (q.signed, q.zero_point) == (False, 0)
    assert q.scale == np.percentile(np.abs(values[values != 0]), 80) / 255


def test_recipes_clip() -> None:
    net = network(np.random.default_rng(3))
    base = {"scheme": "int4", "weight_bits": 3}
    plain, mse, percentile = (
        compressed(net, {**base, **more})
        for more in (
            {},
            {"weight_clip": "mse", "activation_clip": "mse"},
            {"activation_clip": "percentile", "percentile": 90.0},
        )
    )
    for layer in (plain, mse, percentile):
        assert isinstance(layer.weight.element, Integer)
        assert np.abs(layer.weight.numbers).max() <= 4
    assert mse.input.element.scale < plain.input.element.scale
    assert percentile.input.element.scale < plain.input.element.scale
    clipped, whole = (np.count_nonzero(np.abs(layer.weight.numbers) >= 3) for layer in (mse, plain))
    assert clipped > whole
    assert mse.output.element == plain.output.element  # what no layer reads keeps its range


def test_signs_of_weights_have_the_scale_that_errs_least() -> None:
    """J(alpha) = |W - alpha B|^2 of the lecture notes is least at the mean magnitude, for B the signs of W."""
    net = network(np.random.default_rng(5))
    (layer,) = integer_networks.read(compress(net, recipe({"scheme": "int8", "weight_bits": 1}))).layers
    weight = weights(net).astype(np.float64)
    np.testing.assert_array_equal(layer.weight, np.where(weight >= 0, 1, -1))
    alpha = np.abs(weight).mean(axis=0)
    scale = layer.multiplier * 2.0 ** (layer.shift.astype(np.float64) - 31)
    np.testing.assert_allclose(scale * layer.output.scale / layer.input.scale, alpha, rtol=1e-6)
    errors = [np.square(weight - a * layer.weight).sum() for a in (alpha, 0.99 * alpha, 1.01 * alpha)]
    assert errors[0] == min(errors)
    whole = compressed(net, {"scheme": "int8", "weight_bits": 1, "weights_per": "tensor"})
    assert len(np.unique(whole.graph["fc.multiplier"].numbers)) == 1
