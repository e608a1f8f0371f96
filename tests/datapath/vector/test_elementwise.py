"""Sums and clamps against golden arithmetic and against real numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import elementwise
from accelsim.datapath.vector.elements import Element
from accelsim.datapath.vector.elementwise import AddIntegers, Rescale
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
    add = AddIntegers.of((first, second), zero_points[:2], output, zero_points[2], mode)
    a, b = np.repeat(INT8, 256), np.tile(INT8, 256)
    factors = tuple((factor.multiplier, factor.shift) for factor in (*add.factors, add.output))
    expected = golden.add_integers(a, b, zero_points, (factors[0], factors[1], factors[2]), mode)
    got = elementwise.add_integers(a, b, add)
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


INT16 = st.integers(-(2**15), 2**15 - 1)
#: Two operands, at least one of 16 bits.
WIDE = st.sampled_from([(Element.INT16, Element.INT16), (Element.INT8, Element.INT16), (Element.INT16, Element.UINT8)])


@given(SCALES, SCALES, SCALES, WIDE, INT16, st.sampled_from(sorted(ROUNDING)), st.booleans(), st.integers(0, 2**32))
def test_a_sum_of_16_bits_equals_golden(
    first: float, second: float, output: float, types: tuple[Element, Element], output_zero: int, mode: str,
    symmetric: bool, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    (a, b), zeros = _operands(rng, types), (0, 0, 0)
    if not symmetric:
        zeros = (*(int(rng.choice(element.limits)) for element in types), output_zero)
    left = elementwise.left_shift(*types)
    assert left == 15
    add = AddIntegers.of((first, second), zeros[:2], output, zeros[2], mode, left)
    factors = tuple((factor.multiplier, factor.shift) for factor in (*add.factors, add.output))
    got = elementwise.add_integers(a, b, add, qmin=-(2**15), qmax=2**15 - 1)
    expected = golden.add_integers(a, b, zeros, (factors[0], factors[1], factors[2]), mode, left=15, bits=16)
    np.testing.assert_array_equal(got, expected)
    # as for 8 bits, a unit of common / 2^15; of an output whose steps are finer, schemes that double wrap sums
    reduced = mode == "tflite_int64_reduced"
    unit = 2 * max(first, second) / 2**15 / output
    assume(unit < 1)
    x, y = (s / output * (v.astype(np.float64) - z) for s, v, z in zip((first, second), (a, b), zeros, strict=False))
    exact = np.clip(x + y + zeros[2], -(2**15), 2**15 - 1)
    once = reduced or "single" in mode or "litert" in mode
    bound = (0.5 if once else 0.75) * (1 + 2 * unit) + (np.abs(x) + np.abs(y)) * 2.0 ** (-14 if reduced else -29)
    assert (np.abs(got - exact) <= bound).all()


def _operands(rng: np.random.Generator, types: tuple[Element, Element]) -> list[NDArray[np.generic]]:
    """Random operands, the ends of their ranges among them in all pairs."""
    a, b = (rng.integers(*element.limits, 500, endpoint=True) for element in types)
    a[:4], b[:4] = np.repeat(types[0].limits, 2), np.tile(types[1].limits, 2)
    return [values.astype(element.dtype) for values, element in zip((a, b), types, strict=True)]


@given(SCALES, SCALES, SCALES)
def test_the_intermediates_of_a_sum_of_16_bits_fit_int32(first: float, second: float, output: float) -> None:
    """At the widest differences from a zero point, in plain integers, rounded away from zero."""
    add = AddIntegers.of((first, second), (2**15 - 1, -(2**15)), output, 0, left=15)
    total = 0
    for x, zero_point, factor in zip((-(2**15), 2**15 - 1), add.zero_points, add.factors, strict=True):
        operand = (x - zero_point) * 2**15
        assert abs(operand) == 2**31 - 2**15
        product = abs(operand) * factor.multiplier
        assert product < 2**62
        scaled = -(-product // 2 ** (31 - factor.shift))
        assert scaled <= 2**30 - 2**14
        total += scaled
    assert total <= 2**31 - 2**15
    assert total * add.output.multiplier < 2**62


def test_the_common_scale_is_twice_the_larger_one_over_two_to_the_twenty() -> None:
    add = AddIntegers.of((0.5, 0.125), (0, 0), 1.0, 0)
    assert add.factors == (Rescale(2**30, 0), Rescale(2**30, -2))
    assert add.output == Rescale(2**30, -19)


@given(SCALES, SCALES, SCALES)
def test_the_intermediates_of_a_sum_at_two_scales_fit_int32(first: float, second: float, output: float) -> None:
    add = AddIntegers.of((first, second), (-128, 127), output, 0)
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
    [(elementwise.ADD_INT32, 1), (elementwise.RELU, 1), (elementwise.RESCALE, 3), (elementwise.ADD_INTEGERS, 7)],
)
def test_an_elementwise_pass_takes_its_groups_and_its_stages(kernel: elementwise.VectorPass, latency: int) -> None:
    assert elementwise.cycles(kernel, 10, 17, 16, 10) == (20, 20 + latency - 1)
    assert elementwise.cycles(kernel, 10, 17, 16, 33) == (33, 33 + latency - 1)


def test_events_count_every_operator() -> None:
    counters: Counters = {}
    elementwise.add_integers_events(counters, 5, (Element.INT8, Element.UINT8))
    assert {(e.operation, e.bits): times for e, times in counters.items()} == {
        (Operation.INT_ADD, 9): 10,
        (Operation.INT_MULTIPLY, 32): 15,
        (Operation.INT_ADD, 64): 15,
        (Operation.INT_SHIFT, 64): 15,
        (Operation.INT_ADD, 32): 10,
    }
    elementwise.add_integers_events(counters, 1, (Element.INT16, Element.UINT8))
    assert {e.bits: times for e, times in counters.items() if e.operation == Operation.INT_ADD} == {
        9: 11, 17: 1, 64: 18, 32: 12,
    }  # fmt: skip
    elementwise.add_integers_events(counters, 2, (Element.INT4, Element.UINT2))
    assert {e.bits: times for e, times in counters.items() if e.operation == Operation.INT_ADD} == {
        3: 2, 5: 2, 9: 11, 17: 1, 64: 24, 32: 16,
    }  # fmt: skip
    counters.clear()
    elementwise.add_int32_events(counters, 2)
    elementwise.relu_events(counters, 3)
    elementwise.rescale_events(counters, 4)
    assert {(e.operation, e.bits): times for e, times in counters.items()} == {
        (Operation.INT_ADD, 9): 4,
        (Operation.INT_MULTIPLY, 32): 4,
        (Operation.INT_ADD, 64): 4,
        (Operation.INT_SHIFT, 64): 4,
        (Operation.INT_ADD, 32): 2,
        (Operation.INT_COMPARE, 8): 3,
    }
    assert {e.component for e in counters} == {Component.VECTOR}
