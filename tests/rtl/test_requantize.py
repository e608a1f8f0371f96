"""The requantize unit's bits and cycles against SystemVerilog of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accelsim.datapath import requantize
from rtl import verilated

#: Number of each mode in the hardware. What it shifts by follows from the columns of the mode's vectors.
HARDWARE = {
    "tflite_single_round": 0,
    "xnnpack_qs8_rndnu": 0,
    "tflite_double_round": 1,
    "cmsis_nn_double_round": 1,
    "tflite214_builtin_fully_connected": 2,
    "litert_ref_fully_connected": 3,
    "gemmini_rounding_rshift_rne": 4,
    "nvdla_half_away": 5,
    "onnxruntime_qlinearmatmul_s8": 6,
    "xnnpack_qs8_fp32_rne": 6,
    "onnxruntime_qlinearmul": 7,
}
FLOATS = {mode for mode, number in HARDWARE.items() if number >= 6}
#: Schemes whose columns mean the same.
FAMILIES = (
    {m for m in HARDWARE if m.startswith(("tflite", "cmsis", "litert"))},
    {"xnnpack_qs8_rndnu", "nvdla_half_away", *FLOATS},
)
VALUES = 4000


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verilated.build(tmp_path_factory.mktemp("requantize"), "requantize")


@pytest.mark.parametrize("mode", HARDWARE)
def test_the_unit_agrees_in_every_bit_and_cycle(simulator: Path, mode: str) -> None:
    rng = np.random.default_rng(sum(mode.encode()))
    magnitude = 2.0 ** rng.uniform(0, 31, VALUES)
    acc = np.clip(rng.choice([-1, 1], VALUES) * magnitude, -(2**31), 2**31 - 1).astype(np.int64)
    zero_point = rng.integers(-128, 128, VALUES)
    near = rng.random(VALUES) < 0.5  # half of the values are small and their scales round, so that they often tie
    acc = np.where(near, rng.integers(-64, 65, VALUES), acc)
    left = np.zeros(VALUES, np.int64)
    if mode.startswith(("tflite", "cmsis", "litert")):
        multiplier = np.where(near, rng.choice([2**30, 3 << 29, 5 << 28], VALUES), rng.integers(2**30, 2**31, VALUES))
        shift = np.where(near, rng.integers(-6, 1, VALUES), rng.integers(-31, 4, VALUES))
        once = mode in {"tflite_single_round", "litert_ref_fully_connected"}
        right = 31 - shift if once else np.maximum(-shift, 0)
        left = left if once else np.maximum(shift, 0)
    else:
        bits = {"xnnpack_qs8_rndnu": 24, "nvdla_half_away": 15, **dict.fromkeys(FLOATS, 24)}.get(mode, 1)
        multiplier = np.where(near, 1 << (bits - 1), rng.integers(2 ** (bits - 1), 2**bits, VALUES))
        shift = np.where(near, bits - 1 + rng.integers(1, 7, VALUES), rng.integers(1, 40, VALUES))
        right = shift
    valid = rng.random(VALUES) < 0.8
    stimulus = np.column_stack(
        (valid, np.full(VALUES, HARDWARE[mode]), acc, multiplier, left, right, zero_point)
    ).astype(np.int64)
    drained = np.vstack((stimulus, np.zeros((4, 7), np.int64)))
    drained[VALUES:, 1] = HARDWARE[mode]
    found = verilated.simulate(simulator, simulator.parent, drained)
    edges = np.flatnonzero(found[:, 0]) + 1
    # a value that enters before edge n is there after edge n + 2, as cycles() has it for one lane
    _, latency = requantize.cycles(1, 1, 1, 1, 3)
    np.testing.assert_array_equal(edges, np.flatnonzero(valid) + latency)
    # XNNPACK clamps before it adds the zero point, which gives the same results
    expected = requantize.requantize(acc, multiplier, shift, zero_point, mode)
    np.testing.assert_array_equal(found[edges - 1, 1], expected[valid])
    # the values tell the schemes of a family apart: no other one would have passed
    for family in FAMILIES:
        for other in family if mode in family else ():
            same = np.array_equal(requantize.requantize(acc, multiplier, shift, zero_point, other), expected)
            assert same == (HARDWARE[other] == HARDWARE[mode]), other


def test_the_mode_that_is_not_in_the_hardware_is_that_of_64_bit_sums() -> None:
    assert set(requantize.MODES) - set(HARDWARE) == {"tflite_int64_reduced"}
