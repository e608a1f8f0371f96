"""GELU by table and by polynomial against golden arithmetic and the real function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Operation
from accelsim.datapath.vector import gelu
from accelsim.golden import vector as golden
from accelsim.golden.exact.rounding import ROUNDING

INT8 = np.arange(-128, 128).astype(np.int8)
SCALES = st.floats(1e-3, 0.5)
ZERO_POINTS = st.integers(-128, 127)
#: Largest error of GELU by I-BERT's erf, over the real line; checked below on a grid.
POLYNOMIAL_ERROR = 0.0182


def real(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([value / 2 * (1 + math.erf(value / math.sqrt(2))) for value in x.tolist()])


@given(SCALES, ZERO_POINTS, SCALES, ZERO_POINTS)
def test_the_table_holds_the_nearest_result(scale: float, zero_point: int, output_scale: float, output: int) -> None:
    results = gelu.table(scale, zero_point, output_scale, output)
    x = scale * (INT8.astype(np.float64) - zero_point)
    exact = np.clip(real(x) / output_scale + output, -128, 127)
    assert (np.abs(gelu.look_up(INT8, results) - exact) <= 0.5 + 1e-9).all()


def test_an_unsigned_input_is_looked_up_by_the_same_byte() -> None:
    results = gelu.table(0.02, 128, 0.02, -100, signed=False)
    codes = np.arange(256).astype(np.uint8)
    x = 0.02 * (codes.astype(np.float64) - 128)
    assert np.abs(gelu.look_up(codes, results) - np.clip(real(x) / 0.02 - 100, -128, 127)).max() <= 0.5 + 1e-9


def test_any_function_can_be_looked_up() -> None:
    square = np.clip(INT8.view(np.uint8).view(np.int8).astype(np.int64) ** 2 // 200, 0, 127).astype(np.int8)
    results = square[np.argsort(INT8.view(np.uint8))]
    assert gelu.look_up(np.array([[-100, 3], [50, 0]], np.int8), results).tolist() == [[50, 0], [12, 0]]


@given(SCALES, ZERO_POINTS, SCALES, ZERO_POINTS, st.sampled_from(sorted(ROUNDING)))
def test_the_polynomial_equals_golden(
    scale: float, zero_point: int, output_scale: float, output: int, mode: str
) -> None:
    parameters = gelu.prepare(scale, zero_point, output_scale, output, mode)
    grid = (parameters.grid_multiplier, parameters.grid_right)
    expected = golden.gelu(INT8, zero_point, grid, parameters.multiplier, parameters.shift, output, mode)
    np.testing.assert_array_equal(gelu.polynomial(INT8, parameters), expected)


def test_i_berts_erf_keeps_gelu_within_its_error() -> None:
    x = np.linspace(-6, 6, 120_001)
    erf = np.sign(x) * (1 - 0.2888 * (np.minimum(np.abs(x) / math.sqrt(2), 1.769) - 1.769) ** 2)
    error = np.abs(x * (1 + erf) / 2 - real(x)).max()
    assert 0.018 < error < POLYNOMIAL_ERROR


@given(SCALES, ZERO_POINTS, SCALES, ZERO_POINTS)
def test_the_polynomial_is_gelu_within_its_errors(
    scale: float, zero_point: int, output_scale: float, output: int
) -> None:
    got = gelu.polynomial(INT8, gelu.prepare(scale, zero_point, output_scale, output))
    x = scale * (INT8.astype(np.float64) - zero_point)
    exact = np.clip(real(x) / output_scale + output, -128, 127)
    # u errs by half a unit and M's 2^-16 of at most 1811 units, the edge by less than one unit; erf's slope is at
    # most 2 * 0.2888 * 1.769 and ends where |x| = 1.769 sqrt 2
    unit = 2.0**-10
    fixed = (0.5 + 1811 * 2**-16 + 1) * unit * 2 * 0.2888 * 1.769 * (1.769 * math.sqrt(2) + 2 * unit) / 2
    # 1 / 0.2888 is rounded down by less than a unit of 2^-20, Q31 errs by 2^-31
    fixed += np.abs(x) * (2**-20 + 2**-30)
    assert (np.abs(got - exact) <= 0.5 + (POLYNOMIAL_ERROR + fixed) / output_scale).all()


@given(st.floats(2**-30, 63.9), st.sampled_from([-128, 127]))
def test_no_intermediate_leaves_its_width(scale: float, zero_point: int) -> None:
    parameters = gelu.prepare(scale, zero_point, scale, 0)
    assert 2**15 <= parameters.grid_multiplier < 2**16
    assert 0 <= parameters.grid_right <= 62
    assert 255 * parameters.grid_multiplier < 2**24
    assert gelu.EDGE < 2**11
    assert gelu.ONE >= gelu.EDGE**2  # c - v^2 at u = 0
    assert 2 * gelu.ONE < 2**23
    assert 255 * 2 * gelu.ONE < 2**31
    outputs = gelu.polynomial(INT8, parameters)  # the output's scale is the input's: positive inputs pass
    assert outputs.min() >= -128
    assert outputs.max() <= 127


@pytest.mark.parametrize("scale", [2**-31, 64.0, math.nan])
def test_a_scale_off_the_grid_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="must be in \\[2\\^-30, 64\\)"):
        gelu.prepare(scale, 0, 1.0, 0)


def test_both_take_one_pass() -> None:
    assert gelu.cycles(gelu.LOOK_UP, 3, 17, 16, 3) == (6, 6)
    assert gelu.cycles(gelu.POLYNOMIAL, 3, 17, 16, 3) == (6, 6 + 9 - 1)


def test_events_count_every_operator() -> None:
    counters: Counters = {}
    gelu.look_up_events(counters, 4)
    assert [(e.component, e.operation, e.bits, n) for e, n in counters.items()] == [
        (Component.VECTOR, Operation.REGISTER_READ, 8, 4)
    ]
    counters = {}
    gelu.polynomial_events(counters, 4)
    found = {(e.operation, e.bits, e.by): n for e, n in counters.items()}
    multiplies = {key[1:]: n for key, n in found.items() if key[0] is Operation.INT_MULTIPLY}
    assert multiplies == {(9, 16): 4, (11, 11): 4, (9, 23): 4, (32, 32): 4}
    assert sum(n for (operation, *_), n in found.items() if operation is Operation.INT_ADD) == 4 * 7
    assert sum(n for (operation, *_), n in found.items() if operation is Operation.INT_SHIFT) == 4 * 2
    assert found[Operation.INT_COMPARE, 24, 0] == 4
