"""The exponential of a float32 against SystemVerilog of a lane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from accelsim.datapath.vector import float_functions
from rtl import verilated

VALUES = 4000


def test_the_unit_agrees_in_every_bit_and_cycle(tmp_path: Path) -> None:
    simulator = verilated.build(tmp_path, "exponential")
    rng = np.random.default_rng(11)
    x = rng.uniform(-95, 95, VALUES).astype(np.float32)
    near = rng.random(VALUES) < 0.3
    x[near] = rng.normal(size=int(near.sum())) * 10.0 ** rng.uniform(-30, 1, int(near.sum()))
    halves = np.arange(-125, 129) * np.log(2) / 2  # where the rest of ln 2 is largest, or none
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, -87.0, np.nextafter(np.float32(-87), -99), 88.72283, 88.72284, 1e-40]
    x[: halves.size + len(ends)] = np.concatenate([halves, ends])
    valid = rng.random(VALUES) < 0.8
    valid[: halves.size + len(ends)] = True
    stages = len(float_functions.EXP_STAGES)
    rows = np.column_stack((valid, x.view(np.int32))).astype(np.int64)
    found = verilated.simulate(simulator, simulator.parent, np.vstack((rows, np.zeros((stages, 2), np.int64))))
    edges = np.flatnonzero(found[:, 0]) + 1
    np.testing.assert_array_equal(edges, np.flatnonzero(valid) + stages)
    expected = float_functions.compute(float_functions.Name.EXPONENTIAL, x).view(np.uint32)
    np.testing.assert_array_equal(found[edges - 1, 1], expected[valid])
