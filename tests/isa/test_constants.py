"""Blocks of constants: what is read back is what was packed, and has the size that instructions are charged for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.datapath import requantize
from accelsim.datapath.vector import gelu, norm
from accelsim.isa import constants, opcodes

SCALES, INT8, UINT8 = st.floats(1e-3, 10), st.integers(-128, 127), st.integers(0, 255)
MODES = st.sampled_from(requantize.Q31_MODES)


def block(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def size(opcode: int, columns: int = 1, kind: int = 0) -> int:
    return int(constants.block_bytes(opcode, np.array([columns]), np.array([kind]))[0])


@given(st.integers(1, 40), st.integers(0, 2), INT8, st.integers(0, 2**32), MODES)
@example(channels=4, kind=0, zero_point=0, seed=2**32, mode="tflite_single_round")  # has a scale that vanishes
def test_norm(channels: int, kind: int, zero_point: int, seed: int, mode: str) -> None:
    rng = np.random.default_rng(seed)
    p = norm.prepare(
        rng.normal(1, 1, channels) * 2.0 ** rng.integers(-8, 8, channels),
        centred=kind == 1,
        input_scale=0.1,
        zero_point=zero_point,
        output_scale=0.05,
        output_zero_point=7,
        beta=rng.normal(0, 1, channels),
        factors=2.0 ** rng.uniform(0, 5, channels) if kind == 2 else None,
        epsilon=1e-3,
        mode=mode,
    )
    data = constants.pack_norm(p)
    assert len(data) == size(opcodes.NORMALIZE, channels, kind)
    got = constants.read_norm(block(data), channels, kind, 1)
    for name in ("centred", "zero_point", "output_zero_point", "mode", "epsilon"):
        assert getattr(got, name) == getattr(p, name)
    for name in ("gamma", "beta", "multiplier", "shift", "lambda_multiplier", "lambda_shift"):
        mine, theirs = getattr(got, name), getattr(p, name)
        assert (mine is None) == (theirs is None)
        # a channel whose scale vanishes stands as gamma and beta 0 under the common multiplier
        live = np.broadcast_to(p.multiplier, channels) != 0
        assert mine is None or (np.broadcast_to(mine == theirs, channels) | ~live).all()
    x = rng.integers(-128, 128, (3, channels))
    np.testing.assert_array_equal(norm.normalize(x, got), norm.normalize(x, p))


def two_channels(multiplier: list[int]) -> norm.Norm:
    return norm.Norm(
        centred=False,
        zero_point=0,
        gamma=np.array([5, -6]),
        beta=np.array([70, -80]),
        multiplier=np.array(multiplier),
        shift=np.array([-3, 0]),
        output_zero_point=9,
        mode="tflite_single_round",
    )


def test_a_channel_whose_scale_vanishes_gives_the_zero_point_as_before() -> None:
    p = two_channels([2**30, 0])
    got = constants.read_norm(block(constants.pack_norm(p)), 2, 0, 1)
    assert (got.gamma.tolist(), got.beta.tolist()) == ([5, 0], [70, 0])
    x = np.array([[-128, 127], [3, -100]], np.int8)
    assert norm.normalize(x, got).tolist() == norm.normalize(x, p).tolist()


def test_different_multipliers_do_not_fit() -> None:
    with pytest.raises(ValueError, match="channels of a normalization must have one multiplier"):
        constants.pack_norm(two_channels([2**30, 2**30 + 1]))


@pytest.mark.parametrize(("at", "value"), [(12, 0), (14, 9)])
def test_outlier_weights_out_of_range_are_refused(at: int, value: int) -> None:
    p = norm.prepare(np.ones(2), centred=False, input_scale=1.0, zero_point=0, output_scale=1.0, output_zero_point=0,
                     factors=np.ones(2))  # fmt: skip
    data = bytearray(constants.pack_norm(p))
    constants.read_norm(block(bytes(data)), 2, 2, 1)
    data[17 + at] = value
    with pytest.raises(ValueError, match="outlier weights must be 1 or more, and their shifts at most 8"):
        constants.read_norm(block(bytes(data)), 2, 2, 1)


@given(st.floats(1e-3, 1), UINT8, INT8, MODES)
def test_gelu(scale: float, zero_point: int, output: int, mode: str) -> None:
    p = gelu.prepare(scale, zero_point, 0.1, output, mode)
    data = constants.pack_gelu(p)
    assert constants.read_gelu(block(data), 0) == p
    assert len(data) == size(opcodes.GELU) == 13


@given(st.integers(0, 2**16 - 1), st.integers(0, 62))
def test_the_grid_of_softmax(multiplier: int, right: int) -> None:
    data = constants.pack_grid(multiplier, right)
    assert constants.read_grid(block(data)) == (multiplier, right)
    assert len(data) == size(opcodes.SOFTMAX) == 3
    assert size(opcodes.SOFTMAX, kind=1) == 512


@given(st.lists(st.floats(width=32), min_size=1, max_size=9), st.integers(0, 2**32))
def test_scales(scales: list[float], seed: int) -> None:
    values = np.array(scales, np.float32)
    points = np.random.default_rng(seed).integers(-128, 128, len(scales))
    data = constants.pack_scales(values, points)
    got, held = constants.read_scales(block(data), len(scales), 0, 1)
    assert got.tobytes() == values.tobytes()
    assert (held == points).all()
    assert len(data) == size(opcodes.DEQUANTIZE, len(scales), 0)
    data = constants.pack_scales(values)
    got, held = constants.read_scales(block(data), len(scales), 1, 1)
    assert got.tobytes() == values.tobytes()
    assert not held.any()
    assert len(data) == size(opcodes.DEQUANTIZE, len(scales), 1) == size(opcodes.DEQUANTIZE, len(scales), 2)
