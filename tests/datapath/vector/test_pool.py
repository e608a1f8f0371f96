"""Pooling: registers stepped cycle by cycle, sums by hand, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.datapath.vector import fixed_point, pool


def stepped(windows: np.ndarray, lanes: int) -> tuple[np.ndarray, int]:
    """Maxima of windows (windows, pixels, channels), and cycles: a group of lanes a cycle against row registers."""
    count, pixels, channels = windows.shape
    so_far, results, cycles = np.zeros(channels, np.int64), [], 0
    for window in range(count):
        for pixel in range(pixels):
            for first in range(0, channels, lanes):
                group = slice(first, first + lanes)
                x = windows[window, pixel, group]
                so_far[group] = x if pixel == 0 else np.maximum(so_far[group], x)
                cycles += 1
        results.append(so_far.copy())
    return np.array(results), cycles


@pytest.mark.parametrize("lanes", [1, 3, 16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 7), (3, 4, 16), (2, 1, 33)])
def test_a_group_of_a_pixel_takes_a_cycle(lanes: int, shape: tuple[int, int, int]) -> None:
    windows = np.random.default_rng(0).integers(-128, 128, shape)
    results, cycles = stepped(windows, lanes)
    np.testing.assert_array_equal(pool.maximum(windows), results)
    free, end = fixed_point.cycles((pool.MAXIMUM,), shape[0] * shape[1], shape[2], lanes, 0)
    assert free == end == cycles


def test_sums_are_exact_and_of_floats_in_order() -> None:
    windows = np.array([[[100, -100], [127, -128]]])
    assert pool.total(windows, -128).tolist() == [[483, 28]]
    large = np.array([[[2.0**24], [1.0], [1.0], [-(2.0**24)]]], np.float32)
    assert pool.total_float(large, np.float32(0.5)).tolist() == [[0.0]]  # each 1 is lost in its turn


def test_what_leaves_and_what_is_read_are_counted() -> None:
    counters: Counters = {}
    pool.maximum_events(counters, 10, 90)
    registers = [Event(Component.VECTOR, o, 32) for o in (Operation.REGISTER_READ, Operation.REGISTER_WRITE)]
    assert counters == {Event(Component.VECTOR, Operation.INT_COMPARE, 32): 90, **dict.fromkeys(registers, 80)}
    counters = {}
    pool.sum_events(counters, 10, 10, "tflite_single_round")
    assert counters == {
        Event(Component.VECTOR, Operation.INT_ADD, 32): 30,
        Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32): 10,
        Event(Component.VECTOR, Operation.INT_ADD, 64): 10,
        Event(Component.VECTOR, Operation.INT_SHIFT, 64): 10,
    }
