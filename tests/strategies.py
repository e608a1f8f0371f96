"""Random machines and networks for property tests."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from harness import layer, machine
from hypothesis import strategies as st

from accelsim.config.arch import Machine
from accelsim.golden.integer import ROUNDING
from accelsim.golden.network import IntegerNetwork, Quantization


@st.composite
def quantizations(draw: st.DrawFn) -> Quantization:
    signed = draw(st.booleans())
    low, high = (-128, 127) if signed else (0, 255)
    return Quantization(draw(st.floats(1e-3, 10)), draw(st.integers(low, high)), signed)


@st.composite
def networks(draw: st.DrawFn, max_layers: int = 3, max_size: int = 40) -> IntegerNetwork:
    """Networks of any shapes, types, zero points and rounding schemes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    types = draw(st.lists(quantizations(), min_size=len(sizes), max_size=len(sizes)))
    layers = [
        layer(
            rng,
            k,
            n,
            types[i],
            types[i + 1],
            name=f"fc{i}",
            relu=draw(st.booleans()),
            rounding=draw(st.sampled_from(sorted(ROUNDING))),
            density=draw(st.sampled_from([0.0, 0.3, 1.0])),
        )
        for i, (k, n) in enumerate(itertools.pairwise(sizes))
    ]
    return IntegerNetwork("random", "none", tuple(layers))


@st.composite
def srams(draw: st.DrawFn, need: int) -> dict[str, Any]:
    """A memory of at least `need` bytes, seldom of much more, with any banks, width and ports."""
    banks = draw(st.sampled_from([1, 2, 4]))
    width = draw(st.sampled_from([1, 4, 16]))
    row = banks * width
    rows = -(-need // row) + draw(st.sampled_from([0, 1, 7, 100, 1000]))
    return {
        "capacity_bytes": rows * row,
        "banks": banks,
        "width_bits": 8 * width,
        "ports": draw(st.integers(1, 2)),
        "ideal": draw(st.sampled_from([False, False, False, True])),
    }


@st.composite
def drams(draw: st.DrawFn) -> dict[str, Any]:
    burst = draw(st.sampled_from([1, 8, 32, 64, 96]))
    if draw(st.sampled_from([False, False, True])):
        return {"kind": "ideal", "capacity_bytes": 2**24, "burst_bytes": burst}
    return {
        "kind": "simple",
        "capacity_bytes": 2**24,
        "burst_bytes": burst,
        "bandwidth_bytes_per_s": draw(st.sampled_from([1e9, 3.3e9, 16e9, 500e9])),
        "latency_s": draw(st.sampled_from([0.0, 1e-9, 2.5e-9, 100e-9])),
    }


@st.composite
def machines(draw: st.DrawFn, min_side: int = 1) -> Machine:
    """Machines of any shape whose memories hold at least the smallest tile."""
    rows, columns = draw(st.integers(min_side, 9)), draw(st.integers(min_side, 9))
    return machine(
        clock_hz=draw(st.sampled_from([1e9, 7e8])),
        matrix={"rows": rows, "columns": columns, "double_buffered_weights": draw(st.booleans())},
        host={"issue_interval_cycles": draw(st.integers(0, 3)), "queue_depth": draw(st.sampled_from([1, 2, 8, 100]))},
        vector={"lanes": draw(st.integers(1, 20)), "latency_cycles": draw(st.integers(1, 5))},
        activation=draw(srams(need=rows + 16)),
        weight=draw(srams(need=rows * columns + 9 * columns + 32)),
        output=draw(srams(need=columns + 16)),
        accumulator=draw(srams(need=4 * columns + 16)),
        dram=draw(drams()),
    )
