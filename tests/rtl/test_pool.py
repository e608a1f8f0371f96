"""The pooling unit's bits and cycles against SystemVerilog of a lane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.datapath.requantize import requantize
from accelsim.datapath.vector import fixed_point, pool
from rtl import verilated

WINDOWS = 40


@pytest.fixture
def factory(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("pixels", [1, 2, 9])
def test_the_unit_agrees_in_every_bit_and_cycle(
    tmp_path_factory: pytest.TempPathFactory, groups: int, pixels: int
) -> None:
    simulator = simulator_of(tmp_path_factory, groups)
    rng = np.random.default_rng(10 * groups + pixels)
    windows = rng.choice([-128, 127, *range(-20, 20)], (WINDOWS, pixels, groups)).astype(np.int64)
    zero_point, result_zero, multiplier, shift = 3, -5, 0x5A5A5A5A, -3
    window, pixel, group = (index.reshape(-1) for index in np.indices(windows.shape))
    for maximum in (1, 0):
        stimulus = np.zeros((windows.size + 8, 10), np.int64)
        stimulus[:, 1] = maximum
        stimulus[: windows.size] = np.column_stack(
            [
                np.ones_like(window), np.full_like(window, maximum), pixel == 0, pixel == pixels - 1, group,
                windows.reshape(-1), np.full_like(window, zero_point), np.full_like(window, multiplier),
                np.full_like(window, 31 - shift), np.full_like(window, result_zero),
            ]
        )  # fmt: skip
        stimulus[windows.size :, 7:] = (multiplier, 31 - shift, result_zero)
        found = verilated.simulate(simulator, simulator.parent, stimulus)
        edges = np.flatnonzero(found[:, 0]) + 1
        if maximum:
            expected, kernel = pool.maximum(windows), pool.MAXIMUM
        else:
            total = pool.total(windows, zero_point)
            expected = requantize(total, multiplier, shift, result_zero, "tflite_single_round")
            kernel = pool.SUM
        np.testing.assert_array_equal(found[edges - 1, 1].reshape(WINDOWS, groups), expected)
        # a lane takes a value a cycle, and the last result is there when the closed form says
        free, end = fixed_point.cycles((kernel,), WINDOWS * pixels, groups, 1, 0)
        assert free == windows.size
        assert edges[-1] == end


def simulator_of(factory: pytest.TempPathFactory, groups: int) -> Path:
    """Simulator of a lane that keeps so many groups, built once."""
    if groups not in _BUILT:
        _BUILT[groups] = verilated.build(factory.mktemp("pool"), "pool", GROUPS=groups)
    return _BUILT[groups]


_BUILT: dict[int, Path] = {}
