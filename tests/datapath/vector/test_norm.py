"""Normalization against golden arithmetic, against bounds on every width, and against the real definition."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import norm
from accelsim.datapath.vector.fixed_point import tflite_scale
from accelsim.datapath.vector.norm import Norm
from accelsim.golden import vector as golden
from accelsim.golden.exact.rounding import ROUNDING


def weights(parameters: Norm) -> NDArray[np.int64] | None:
    if parameters.lambda_multiplier is None:
        return None
    return parameters.lambda_multiplier * 2**parameters.lambda_shift


def golden_output(x: NDArray[np.generic], parameters: Norm) -> NDArray[np.int64]:
    return golden.normalize(
        x,
        centred=parameters.centred,
        zero_point=parameters.zero_point,
        weights=weights(parameters),
        epsilon=parameters.epsilon,
        gamma=parameters.gamma,
        beta=parameters.beta,
        multiplier=parameters.multiplier,
        shift=parameters.shift,
        output_zero_point=parameters.output_zero_point,
        mode=parameters.mode,
    )


@st.composite
def layers(draw: st.DrawFn, max_channels: int = 70) -> tuple[NDArray[np.int8], dict[str, Any]]:
    """Rows and the real parameters of a layer, of any kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.integers(1, max_channels))
    kind = draw(st.sampled_from(["rms", "layer", "outliers"]))
    low, high = draw(st.sampled_from([(-128, 128), (-3, 4), (100, 128), (0, 1)]))
    x = rng.integers(low, high, (draw(st.integers(1, 5)), channels)).astype(np.int8)
    if draw(st.booleans()):
        x[:, 0] = draw(st.integers(-128, 127))
    return x, {
        "gamma": rng.normal(1, 0.5, channels) * draw(st.sampled_from([1.0, 0.01, 30.0])),
        "beta": rng.normal(0, 1, channels) * draw(st.sampled_from([0.0, 1.0])),
        "centred": kind == "layer",
        "factors": 2.0 ** rng.uniform(0, draw(st.sampled_from([1, 7, 12])), channels) if kind == "outliers" else None,
        "epsilon": draw(st.sampled_from([0.0, 1e-5, 1.0])),
        "input_scale": draw(st.floats(1e-2, 1)),
        "zero_point": draw(st.integers(-128, 127)),
        "output_scale": draw(st.floats(5e-3, 0.2)),
        "output_zero_point": draw(st.integers(-128, 127)),
    }


@given(layers(), st.sampled_from(sorted(ROUNDING)))
def test_the_unit_equals_golden(case: tuple[NDArray[np.int8], dict[str, Any]], mode: str) -> None:
    x, layer = case
    parameters = norm.prepare(**layer, mode=mode)
    np.testing.assert_array_equal(norm.normalize(x, parameters), golden_output(x, parameters))


def extremes(channels: int) -> NDArray[np.int64]:
    """Rows whose sums are largest, smallest, or all in one channel."""
    rng = np.random.default_rng(channels)
    rows = np.full((7, channels), 127)
    rows[0] = -128
    rows[1, 0] = -128
    rows[2, 0] = 126
    rows[3, ::2] = -128
    rows[4] = rng.integers(-128, 128, channels)
    rows[5, : channels // 3] = -128
    return rows


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9, 1000, 2**15])
@pytest.mark.parametrize("kind", ["rms", "layer", "outliers"])
def test_no_intermediate_leaves_its_width(kind: str, channels: int) -> None:
    centred, weighted = kind == "layer", kind == "outliers"
    limit = {"rms": 2**31, "layer": 2**44, "outliers": 2**47}[kind]
    assert 2**15 * 255**2 * 255 * 2**8 < 2**47
    x = extremes(channels)
    parameters = Norm(
        centred=centred,
        zero_point=127,
        gamma=np.resize([-128, 127], channels),
        beta=np.resize([-(2**29), 2**29], channels),
        multiplier=np.asarray(2**30),
        shift=np.asarray(-20),
        output_zero_point=3,
        mode="tflite_single_round",
        epsilon=0,
        lambda_multiplier=np.resize([1, 255], channels) if weighted else None,
        lambda_shift=np.resize([0, 8], channels) if weighted else None,
    )
    np.testing.assert_array_equal(norm.normalize(x, parameters), golden_output(x, parameters))
    # and where most results are not saturated, so that the last bits of the reciprocal tell: G of a typical value is 80
    bits = 39 - math.ceil(math.log2(channels) / 2) if centred else 39
    typical = 128 * 2.0 ** (bits - 16) / (1 if centred else math.sqrt(channels * (32640 if weighted else 1)))
    multiplier, shift = tflite_scale(80 / typical)
    visible = dataclasses.replace(parameters, multiplier=multiplier, shift=shift, beta=parameters.beta * 0)
    got = norm.normalize(x, visible)
    np.testing.assert_array_equal(got, golden_output(x, visible))
    assert channels < 1000 or (np.abs(got[4]) < 127).mean() > 0.5
    for row in x.tolist():
        a = [value - 127 for value in row]
        held = weights(parameters)
        total = sum(a)
        squares = sum(v * v * w for v, w in zip(a, [1] * channels if held is None else held.tolist(), strict=True))
        assert abs(total) < 2**23
        if centred:
            assert channels * squares < 2**46
            a, squares = [channels * value - total for value in a], channels * squares - total * total
            assert max(map(abs, a)) < 2**23
        assert squares < limit
        root = math.isqrt(squares << 32)
        assert root < 2 ** (parameters.sum_bits // 2 + 16)
        if root:
            reciprocal = round(2 ** (16 + bits) / root)
            assert reciprocal < 2**40
            normal = max(map(abs, a)) * reciprocal
            assert normal < 2**40
            assert normal <= 2**39 * (1 + 2**-14)
            assert normal * 128 / 2**16 <= 2**30 * (1 + 2**-14)
            assert normal * 128 / 2**16 + 2**29 < 2**31
    assert limit - 1 + 2 ** (parameters.sum_bits - 1) <= 2**parameters.sum_bits  # with the largest epsilon


def test_the_largest_single_deviation_gives_the_largest_normal() -> None:
    # one channel holds all of S: n is 2^39 and G 2^30, whatever the deviation
    parameters = Norm(
        centred=False,
        zero_point=0,
        gamma=np.array([127, 127]),
        beta=np.array([0, 0]),
        multiplier=np.asarray(2**30),
        shift=np.asarray(-22),  # G 2^-23
        output_zero_point=0,
        mode="tflite_single_round",
    )
    for value in (1, 2, 100, 127, -128):
        out = norm.normalize(np.array([[value, 0]], np.int8), parameters)
        assert out.tolist() == [[127 if value > 0 else -127, 0]]


@given(layers(max_channels=300))
@settings(max_examples=200)
def test_the_result_is_the_real_norm_within_the_sum_of_its_roundings(
    case: tuple[NDArray[np.int8], dict[str, Any]],
) -> None:
    x, layer = case
    channels = x.shape[-1]
    parameters = norm.prepare(**layer)
    # real definition
    factors = 1.0 if layer["factors"] is None else layer["factors"]
    real = (x.astype(np.float64) - layer["zero_point"]) * layer["input_scale"] * factors
    if layer["centred"]:
        real = real - real.mean(axis=-1, keepdims=True)
    power = (real**2).mean(axis=-1, keepdims=True)
    spread = power + layer["epsilon"]
    normal = np.where(spread > 0, real / np.sqrt(np.maximum(spread, 1e-300)), 0.0)
    if layer["centred"] and channels == 1:
        normal = np.zeros_like(normal)
    exact = (normal * layer["gamma"] + layer["beta"]) / layer["output_scale"] + layer["output_zero_point"]
    # the unit's own S, and the relative error of 1 / sqrt(S) by weights and epsilon as held, and by the root
    a = x.astype(np.int64) - layer["zero_point"]
    held = weights(parameters)
    squares = (a * a * (1 if held is None else held)).sum(axis=-1, keepdims=True).astype(np.float64)
    if layer["centred"]:
        total = a.sum(axis=-1, keepdims=True)
        squares = channels * squares - total.astype(np.float64) ** 2
        a = channels * a - total
    squares = squares + parameters.epsilon
    unit_power = layer["input_scale"] ** 2 / channels ** (2 if layer["centred"] else 1)
    exponent = 0
    if held is not None:
        exponent = norm.outlier_weights(layer["factors"])[2]
        unit_power *= 2.0**exponent
    off = 0.0 if held is None else (a * a * np.abs(held - layer["factors"] ** 2 / 2.0**exponent)).sum(-1, keepdims=True)
    power_error = (off + 0.5) * unit_power / np.maximum(spread, 1e-300)
    safe = power_error < 0.6  # under a row of hardly any power, epsilon's own rounding counts
    root_error = 2.0**-16 / np.sqrt(np.maximum(squares, 1))
    relative = (1 + 2.0**-31) / ((1 - root_error) * np.sqrt(1 - np.where(safe, power_error, 0.0))) - 1
    bits = 39 - math.ceil(math.log2(channels) / 2) if layer["centred"] else 39
    unit = parameters.multiplier * 2.0 ** (parameters.shift - 31)  # output steps in a unit of G
    per_gamma = 2.0 ** (16 - bits) * (1 if layer["centred"] else math.sqrt(channels * 2.0**-exponent))
    gamma_step = unit * layer["output_scale"] / per_gamma
    largest = np.abs(normal) * (np.abs(layer["gamma"] * factors) + gamma_step / 2) / factors
    bound = (
        0.5  # the output's rounding
        + unit * (1 + np.abs(a * parameters.gamma) / 2**17)  # G's and beta's rounding, half a unit of the reciprocal
        + (largest * (1 + relative) - np.abs(normal * layer["gamma"])) / layer["output_scale"]
        + 1e-6
    )
    error = np.abs(norm.normalize(x, parameters) - np.clip(exact, -128, 127))
    assert (error <= np.where(safe, bound, np.inf)).all()


def test_a_row_without_spread_becomes_beta() -> None:
    for centred in (False, True):
        parameters = norm.prepare(
            np.ones(4),
            centred=centred,
            input_scale=1.0,
            zero_point=7,
            output_scale=0.1,
            output_zero_point=-2,
            beta=np.array([0.0, 1.0, -1.0, 3.04]),
        )
        assert norm.normalize(np.full((2, 4), 7, np.int8), parameters).tolist() == [[-2, 8, -12, 28]] * 2


def test_outlier_weights_rescue_a_channel_that_was_scaled_down() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(50, 64))
    real[:, 5] *= 80
    factors = np.where(np.arange(64) == 5, 80.0, 1.0)
    expected = real / np.sqrt((real**2).mean(axis=-1, keepdims=True))

    def distance(inputs: NDArray[np.float64], lambdas: NDArray[np.float64] | None) -> float:
        scale = np.abs(inputs).max() / 127
        parameters = norm.prepare(
            np.ones(64),
            centred=False,
            input_scale=scale,
            zero_point=0,
            output_scale=0.05,
            output_zero_point=0,
            factors=lambdas,
        )
        got = norm.normalize(np.rint(inputs / scale).astype(np.int8), parameters) * 0.05
        others = np.arange(64) != 5
        return float(np.abs(got - expected)[:, others].mean())

    assert distance(real / factors, factors) < distance(real, None) / 2


@given(st.lists(st.floats(1, 200), min_size=1, max_size=30))
def test_outlier_weights_keep_eight_bits_near_the_largest(factors: list[float]) -> None:
    values = np.array(factors)
    multiplier, shift, exponent = norm.outlier_weights(values)
    assert ((multiplier >= 1) & (multiplier <= 255) & (shift >= 0) & (shift <= 8)).all()
    held = multiplier * 2.0 ** (shift + exponent)
    # 8 bits above the grid of 2^exponent, and half a step of that grid (a whole one where 1 is the least) below
    assert (np.abs(held - values**2) <= np.maximum(values**2 * 2.0**-8, 2.0**exponent)).all()


def test_what_the_unit_cannot_hold_is_refused() -> None:
    real = {"input_scale": 1e-6, "zero_point": 0, "output_scale": 1.0, "output_zero_point": 0}
    with pytest.raises(ValueError, match="outlier weights must be given to RMSNorm only"):
        norm.prepare(np.ones(2), centred=True, factors=np.ones(2), **real)
    with pytest.raises(ValueError, match="epsilon must be in"):
        norm.prepare(np.ones(2), centred=False, epsilon=1.0, **real)
    parameters = norm.prepare(np.ones(2), centred=False, **real)
    with pytest.raises(ValueError, match="at most 32768 channels, not 32769"):
        norm.normalize(np.zeros((1, 2**15 + 1), np.int8), parameters)


@pytest.mark.parametrize(
    ("centred", "weighted", "expected"),
    [
        # 3 groups; subtract, square, 4 levels of 16 lanes, accumulate: 6 cycles after the last group's entry;
        # 16 + 16 bits of the root, 40 of the reciprocal; 3 groups; the last result leaves 7 - 1 edges later
        (False, False, (3 + 6 + 32 + 40 + 3, 6)),
        (False, True, (3 + 8 + 40 + 40 + 3, 6)),
        (True, False, (3 + 6 + 2 + 39 + 40 + 3, 8)),
    ],
)
def test_a_row_takes_two_passes_a_root_and_a_reciprocal(
    centred: bool, weighted: bool, expected: tuple[int, int]
) -> None:
    interval, last = expected
    assert norm.cycles(1, 40, 16, 0, centred=centred, weighted=weighted) == (interval, interval + last)
    assert norm.cycles(5, 40, 16, 0, centred=centred, weighted=weighted) == (5 * interval, 5 * interval + last)
    slow = norm.cycles(5, 40, 16, 50, centred=centred, weighted=weighted)
    assert slow[0] == 5 * interval + 2 * (50 - 15)


def test_events_count_both_passes_and_each_bit_of_root_and_reciprocal() -> None:
    counters: Counters = {}
    norm.events(counters, 2, 10, centred=False)
    assert {(e.operation, e.bits, e.by): times for e, times in counters.items()} == {
        (Operation.INT_ADD, 9, 0): 40,
        (Operation.INT_MULTIPLY, 9, 9): 20,
        (Operation.INT_ADD, 32, 0): 20 + 40,
        (Operation.INT_ADD, 35, 0): 2 * 32,
        (Operation.INT_ADD, 33, 0): 2 * 40,
        (Operation.INT_MULTIPLY, 9, 40): 20,
        (Operation.INT_MULTIPLY, 41, 8): 20,
        (Operation.INT_ADD, 48, 0): 20,
        (Operation.INT_MULTIPLY, 32, 32): 20,
        (Operation.INT_ADD, 64, 0): 20,
        (Operation.INT_SHIFT, 64, 0): 20,
    }
    assert {e.component for e in counters} == {Component.VECTOR}
    more: Counters = {}
    norm.events(more, 2, 10, centred=True)
    norm.events(more, 2, 10, centred=False, weighted=True)
    found = {(e.operation, e.bits, e.by): times for e, times in more.items()}
    assert found[Operation.INT_ADD, 24, 0] == 40
    assert found[Operation.INT_MULTIPLY, 9, 16] == 20
    assert found[Operation.INT_ADD, 46, 0] == 20 + 2
    assert found[Operation.INT_MULTIPLY, 16, 8] == 20
    assert found[Operation.INT_SHIFT, 32, 0] == 20
    assert found[Operation.INT_MULTIPLY, 24, 40] == 20
