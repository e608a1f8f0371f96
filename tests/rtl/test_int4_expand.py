"""The decode unit's int4 with group scales, in every bit and cycle, against SystemVerilog of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.datapath.decode import Decoder
from accelsim.formats.packed import Packed
from rtl import verilated

Int64 = NDArray[np.int64]
LATENCY = 2


@pytest.fixture(scope="module", params=[2, 8], ids=lambda lanes: f"{lanes} lanes")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    return request.param, verilated.build(tmp_path_factory.mktemp("int4"), "int4_expand", L=request.param)


def drive(
    design: tuple[int, Path], integers: bytes, multipliers: Int64, shift: int, valid: NDArray[np.bool_]
) -> tuple[Int64, Int64]:
    """Edge, counted from 1, and value of each valid output; a word of bytes enters in each cycle."""
    lanes, simulator = design
    words = -(-len(valid) // lanes)
    drained = words + LATENCY + 2
    fed = np.zeros((drained, lanes // 2), np.int64)
    fed.reshape(-1)[: len(integers)] = list(integers)
    flags, factors = np.zeros((drained, lanes), np.int64), np.zeros((drained, lanes), np.int64)
    flags.reshape(-1)[: len(valid)] = valid
    factors.reshape(-1)[: len(valid)] = multipliers
    stimulus = np.column_stack((np.full(drained, shift), fed, flags, factors))
    found = verilated.simulate(simulator, simulator.parent, stimulus).reshape(drained, lanes, 2)
    edge, lane = np.nonzero(found[:, :, 0])
    return edge + 1, found[edge, lane, 1]


@pytest.mark.parametrize(("k", "n", "group"), [(1, 1, 1), (7, 5, 3), (32, 16, 32), (9, 24, 4), (16, 3, 1)])
@pytest.mark.parametrize("shift", [0, 1, 4, 7])
def test_the_unit_agrees_in_every_bit_and_cycle(
    design: tuple[int, Path], k: int, n: int, group: int, shift: int
) -> None:
    lanes, _ = design
    rng = np.random.default_rng(k * n + shift)
    q = rng.integers(-8, 8, (k, n)).astype(np.int8)
    multipliers = rng.integers(0, 256, (-(-k // group), n))
    codec = Packed(4, group)
    encoded = codec.encode_scaled(q, multipliers, shift)
    data = encoded.to_bytes()
    unit = Decoder(symbols_per_cycle=lanes, outputs_per_cycle=lanes, huffman_decoders=1, latency_cycles=LATENCY)
    values, free, end = unit.decode(codec, data, (k, n))
    of_each = np.repeat(multipliers, group, axis=0)[:k].ravel()
    edges, found = drive(design, data[1 + multipliers.size :], of_each, shift, np.ones(k * n, bool))
    np.testing.assert_array_equal(found, values.ravel())
    np.testing.assert_array_equal(edges, np.arange(k * n) // lanes + LATENCY)
    assert edges[-1] == end
    assert free == end - LATENCY + 1


def test_every_integer_multiplier_and_shift(design: tuple[int, Path]) -> None:
    q, multiplier = (side.ravel() for side in np.meshgrid(np.arange(-8, 8), np.arange(256)))
    codec = Packed(4, 1)
    for shift in range(8):
        encoded = codec.encode_scaled(q[:, None].astype(np.int8), multiplier[:, None], shift)
        _, found = drive(design, encoded.data.tobytes(), multiplier, shift, np.ones(q.size, bool))
        np.testing.assert_array_equal(found, encoded.decode().ravel())


def test_values_that_are_not_there_leave_gaps(design: tuple[int, Path]) -> None:
    lanes, _ = design
    rng = np.random.default_rng(0)
    valid = rng.random(20 * lanes) < 0.5
    q = rng.integers(-8, 8, valid.size).astype(np.int8)
    edges, found = drive(design, Packed(4).encode(q).to_bytes(), np.ones(valid.size, np.int64), 0, valid)
    np.testing.assert_array_equal(edges, np.flatnonzero(valid) // lanes + LATENCY)
    np.testing.assert_array_equal(found, q[valid])
