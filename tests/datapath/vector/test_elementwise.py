"""Sums and clamps against golden arithmetic and against real numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import elementwise
from accelsim.datapath.vector.elementwise import AddInt8, Rescale
from accelsim.golden import vector as golden
from accelsim.golden.exact.rounding import ROUNDING

INT8 = np.arange(-128, 128).astype(np.int8)
SCALES = st.floats(1e-4, 10)
ZERO_POINTS = st.integers(-128, 127)


def test_int32_sums_saturate_and_broadcast_a_bias() -> None:
    sums = np.array([[2**31 - 1, -(2**31), 5], [0, 0, -5]])
    assert elementwise.add_int32(sums, np.array([1, -1, 7])).tolist() == [[2**31 - 1, -(2**31), 12], [1, -1, 2]]


@given(st.integers(0, 2**32))
def test_int32_sums_equal_golden(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums, residual = (rng.integers(-(2**31), 2**31, (4, 9)).astype(np.int32) for _ in range(2))
    np.testing.assert_array_equal(elementwise.add_int32(sums, residual), golden.saturated_sum(sums, residual))


def test_relu_clamps_at_the_zero_point() -> None:
    assert elementwise.relu(np.array([-128, -5, -4, 0, 127], np.int8), -4).tolist() == [-4, -4, -4, 0, 127]


@example(3.0, 3.1415439957675755, 0.015625, (0, 0, 0), "tflite_int64_reduced")
@given(SCALES, SCALES, SCALES, st.tuples(ZERO_POINTS, ZERO_POINTS, ZERO_POINTS), st.sampled_from(sorted(ROUNDING)))
def test_a_sum_at_two_scales_equals_golden_for_all_pairs(
    first: float, second: float, output: float, zero_points: tuple[int, int, int], mode: str
) -> None:
    add = AddInt8.of((first, second), zero_points[:2], output, zero_points[2], mode)
    a, b = np.repeat(INT8, 256), np.tile(INT8, 256)
    factors = tuple((factor.multiplier, factor.shift) for factor in (*add.factors, add.output))
    expected = golden.add_int8(a, b, zero_points, (factors[0], factors[1], factors[2]), mode)
    got = elementwise.add_int8(a, b, add)
    np.testing.assert_array_equal(got, expected)
    # every factor is below 1, so a double rounding errs by 1/2 and, before a shift right by one or more, by 1/4 again:
    # 3/4 of a unit of common / 2^20 for each operand and 3/4 of a step for the output; a Q31 factor errs by 2^-31, one
    # rounded to 15 bits by 2^-15 of itself, and an operand meets two; large ones of other signs leave a small sum
    reduced = mode == "tflite_int64_reduced"
    unit = 2 * max(first, second) / 2**20 / output
    x, y = (
        s / output * (v.astype(np.float64) - z) for s, v, z in zip((first, second), (a, b), zero_points, strict=False)
    )
    exact = np.clip(x + y + zero_points[2], -128, 127)
    once = reduced or "single" in mode or "litert" in mode
    bound = (0.5 if once else 0.75) * (1 + 2 * unit) + (np.abs(x) + np.abs(y)) * 2.0 ** (-14 if reduced else -29)
    assert (np.abs(got - exact) <= bound).all()


def test_the_common_scale_is_twice_the_larger_one_over_two_to_the_twenty() -> None:
    add = AddInt8.of((0.5, 0.125), (0, 0), 1.0, 0)
    assert add.factors == (Rescale(2**30, 0), Rescale(2**30, -2))
    assert add.output == Rescale(2**30, -19)


@given(SCALES, SCALES, SCALES)
def test_the_intermediates_of_a_sum_at_two_scales_fit_int32(first: float, second: float, output: float) -> None:
    add = AddInt8.of((first, second), (-128, 127), output, 0)
    for x, zero_point, factor in zip((127, -128), add.zero_points, add.factors, strict=True):
        operand = (x - zero_point) * 2**20
        assert abs(operand) < 2**28
        assert abs(operand * factor.multiplier) < 2**59
        assert abs(operand * factor.multiplier * 2.0 ** (factor.shift - 31)) < 2**27


@given(SCALES, SCALES, ZERO_POINTS)
def test_a_rescaled_residual_is_the_nearest_integer(norm_scale: float, sum_scale: float, zero_point: int) -> None:
    factor = Rescale.of(norm_scale / sum_scale)
    got = elementwise.rescale_residual(INT8, zero_point, factor, "tflite_single_round")
    exact = (INT8.astype(np.float64) - zero_point) * norm_scale / sum_scale
    assert (np.abs(got - exact) <= 0.5 + np.abs(exact) * 2**-31).all()


def test_a_residual_at_the_accumulators_scale_is_quantized_once() -> None:
    residual = np.array([0.1, -0.254, 1e30, -1e30])
    assert elementwise.quantize_residual(residual, 1e-4).tolist() == [1000, -2540, 2**31 - 1, -(2**31)]
    # RL-SAT's point: through int8 at scale 0.01 the same value loses 0.4 of a step of 0.01
    factor = Rescale.of(0.01 / 1e-4)
    coarse = elementwise.rescale_residual(
        np.rint(residual[:2] / 0.01).astype(np.int8), 0, factor, "tflite_single_round"
    )
    assert (coarse - [1000, -2540]).tolist() == [0, 40]


@pytest.mark.parametrize(
    ("kernel", "latency"),
    [(elementwise.ADD_INT32, 1), (elementwise.RELU, 1), (elementwise.RESCALE, 3), (elementwise.ADD_INT8, 7)],
)
def test_an_elementwise_pass_takes_its_groups_and_its_stages(kernel: elementwise.Pass, latency: int) -> None:
    assert elementwise.cycles(kernel, 10, 17, 16, 10) == (20, 20 + latency - 1)
    assert elementwise.cycles(kernel, 10, 17, 16, 33) == (33, 33 + latency - 1)


def test_events_count_every_operator() -> None:
    counters: Counters = {}
    elementwise.add_int8_events(counters, 5)
    assert {(e.operation, e.bits): times for e, times in counters.items()} == {
        (Operation.INT_ADD, 9): 10,
        (Operation.INT_MULTIPLY, 32): 15,
        (Operation.INT_ADD, 64): 15,
        (Operation.INT_SHIFT, 64): 15,
        (Operation.INT_ADD, 32): 10,
    }
    elementwise.add_int32_events(counters, 2)
    elementwise.relu_events(counters, 3)
    elementwise.rescale_events(counters, 4)
    assert {(e.operation, e.bits): times for e, times in counters.items()} == {
        (Operation.INT_ADD, 9): 14,
        (Operation.INT_MULTIPLY, 32): 19,
        (Operation.INT_ADD, 64): 19,
        (Operation.INT_SHIFT, 64): 19,
        (Operation.INT_ADD, 32): 12,
        (Operation.INT_COMPARE, 8): 3,
    }
    assert {e.component for e in counters} == {Component.VECTOR}
