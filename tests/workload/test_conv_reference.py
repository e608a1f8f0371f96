"""The loops of conv_reference against scipy, numpy's windows, and the logits of a network trained without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file
from scipy.signal import correlate
from workload.conv_reference import (
    Array,
    Padding,
    Pair,
    average_pool,
    convolution,
    global_average_pool,
    max_pool,
    places,
)

ROOT = Path(__file__).resolve().parents[2]
ONE_TO_THREE = st.integers(1, 3)
PAIR = st.tuples(ONE_TO_THREE, ONE_TO_THREE)
PADDING = st.tuples(*[st.integers(0, 2)] * 4)
SIZE = st.tuples(st.integers(1, 6), st.integers(1, 6))


def fits(size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> bool:
    top, left, bottom, right = padding
    return (
        places(size[0], kernel[0], stride[0], top, bottom, dilation[0]) > 0
        and places(size[1], kernel[1], stride[1], left, right, dilation[1]) > 0
    )


def padded(x: Array, padding: Padding, value: float) -> Array:
    top, left, bottom, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


@given(
    SIZE, PAIR, PAIR, PADDING, PAIR, ONE_TO_THREE, ONE_TO_THREE, ONE_TO_THREE, st.integers(-9, 9), st.integers(0, 2**32)
)
def test_a_convolution_is_what_scipy_correlates(
    size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int, depth: int, each: int,
    pad_value: int, seed: int,
) -> None:  # fmt: skip
    assume(fits(size, kernel, stride, padding, dilation))
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, *size, groups * depth))
    weight = rng.integers(-128, 128, (*kernel, depth, groups * each))
    got = convolution(x, weight, stride, padding, dilation, groups, pad_value)
    spread = np.zeros(
        ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1, *weight.shape[2:]), np.int64
    )
    spread[:: dilation[0], :: dilation[1]] = weight
    wide = padded(x, padding, pad_value)
    for n in range(2):
        for f in range(groups * each):
            first = f // each * depth
            want = correlate(wide[n, :, :, first : first + depth], spread[..., f], "valid", "direct")
            np.testing.assert_array_equal(got[n, :, :, f], want[:: stride[0], :: stride[1], 0])
    floats = convolution(x.astype(np.float32), weight.astype(np.float32), stride, padding, dilation, groups, pad_value)
    assert got.dtype == np.int64
    assert floats.dtype == np.float64
    np.testing.assert_array_equal(floats, got)


@given(SIZE, PAIR, PAIR, PADDING, st.integers(0, 2**32))
def test_pools_are_reductions_of_numpys_windows(
    size: Pair, kernel: Pair, stride: Pair, padding: Padding, seed: int
) -> None:
    assume(fits(size, kernel, stride, padding))
    x = np.random.default_rng(seed).integers(-128, 128, (2, *size, 3))

    def windows(value: float) -> Array:
        wide = padded(x.astype(np.float64), padding, value)
        return sliding_window_view(wide, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]

    assume(not np.isnan(windows(np.nan)).all(axis=(4, 5)).any())
    np.testing.assert_array_equal(max_pool(x, kernel, stride, padding), np.nanmax(windows(np.nan), axis=(4, 5)))
    np.testing.assert_allclose(
        average_pool(x, kernel, stride, padding), np.nanmean(windows(np.nan), axis=(4, 5)), atol=1e-12
    )
    counted = average_pool(x, kernel, stride, padding, count_padding=True)
    np.testing.assert_allclose(counted, windows(0).mean(axis=(4, 5)), atol=1e-12)
    np.testing.assert_allclose(global_average_pool(x), x.mean(axis=(1, 2)), atol=1e-12)


def test_a_window_in_the_margin_has_no_pixel() -> None:
    with pytest.raises(AssertionError, match="wholly in the margin"):
        max_pool(np.zeros((1, 1, 1, 1)), (1, 1), (1, 1), (1, 0, 0, 0))


def test_the_loops_give_the_logits_of_digits_cnn() -> None:
    """Its training script computes them by im2col."""
    weights = load_file(ROOT / "workloads/digits-cnn/weights.safetensors")
    data = load_file(ROOT / "workloads/digits-cnn/data.safetensors")
    with np.load(ROOT / "tests/data/networks/digits-cnn.npz") as golden:
        want = golden["logits"]
    x = data["test_images"][: len(want)]
    for name in ("conv1", "conv2"):
        y = convolution(x, weights[f"{name}.weight"], padding=(1, 1, 1, 1)) + weights[f"{name}.bias"]
        x = max_pool(np.maximum(y, 0), (2, 2), (2, 2))
    hidden = np.maximum(x.reshape(len(x), -1) @ weights["fc1.weight"].T + weights["fc1.bias"], 0)
    logits = hidden @ weights["fc2.weight"].T + weights["fc2.bias"]
    np.testing.assert_allclose(logits, want, rtol=0, atol=1e-5)
