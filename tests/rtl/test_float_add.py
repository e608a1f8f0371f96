"""The sum of two tensors by float32 scales against SystemVerilog of a lane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from accelsim.datapath.vector import fixed_point, float_scale
from rtl import verilated

VALUES = 4000


def test_the_unit_agrees_in_every_bit_and_cycle(tmp_path: Path) -> None:
    simulator = verilated.build(tmp_path, "float_add")
    rng = np.random.default_rng(7)
    a, b = rng.integers(-128, 256, (2, VALUES))
    low, high = np.full(VALUES, -100), np.full(VALUES, 200)  # registers, which hold still
    multipliers, rights = rng.integers(2**23, 2**24, (2, VALUES)), rng.integers(20, 32, (2, VALUES))
    near = rng.random(VALUES) < 0.5  # factors of a bit, so that sums often tie
    multipliers[:, near], rights[:, near] = 2**23, rng.integers(23, 26, (2, near.sum()))
    fixed, fixed_right = rng.integers(-(2**24) + 1, 2**24, VALUES), rng.integers(16, 30, VALUES)
    fixed[near], fixed_right[near] = rng.integers(-512, 512, near.sum()), 2
    valid = rng.random(VALUES) < 0.8
    rows = (valid, a, b, multipliers[0], rights[0], multipliers[1], rights[1], fixed, fixed_right, low, high)
    stimulus = np.vstack((np.column_stack(rows).astype(np.int64), np.zeros((6, len(rows)), np.int64)))
    stimulus[:, -2:] = -100, 200
    found = verilated.simulate(simulator, simulator.parent, stimulus)
    edges = np.flatnonzero(found[:, 0]) + 1
    _, latency = fixed_point.cycles((float_scale.ADD,), 1, 1, 1, 0)
    np.testing.assert_array_equal(edges, np.flatnonzero(valid) + latency)
    scales = (multipliers * 2.0 ** -rights.astype(float)).astype(np.float32)
    held = (fixed * 2.0 ** -fixed_right.astype(float)).astype(np.float32)
    expected = [
        int(float_scale.add(np.array([x]), np.array([y]), (s, t, f), qmin=int(lo), qmax=int(hi))[0])
        for x, y, s, t, f, lo, hi in zip(a, b, *scales, held, low, high, strict=True)
    ]
    np.testing.assert_array_equal(found[edges - 1, 1], np.array(expected)[valid])
