"""SRAM accesses: published sizes exactly, the fit recomputed from its sweep, and figures that grow as memories do."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.load import load_technology
from accelsim.config.macro import Curve, access_pj
from accelsim.config.tech import Component, Event, Operation, Technology

DATA = Path(__file__).parent.parent / "data"
HOROWITZ = load_technology("horowitz2014-45nm")
CACTI = load_technology("cacti-45nm")
BY_SIZE = [
    load_technology(name) for name in ("horowitz2014-45nm", "cacti-45nm", "ddr4-45nm", "lpddr4-45nm", "hbm2-45nm")
]
ACCESSES = (Operation.SRAM_READ, Operation.SRAM_WRITE)
capacities = st.floats(2**-4, 2**16)
widths = st.integers(1, 4096)


def sweep(column: str, bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Capacities in KiB, and a column of CACTI's sweep, at one width."""
    with (DATA / "cacti_sram_45nm.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["width_bits"]) == bits]
    assert len(rows) == 13
    return np.array([float(row["size_kB"]) for row in rows]), np.array([float(row[column]) for row in rows])


@pytest.mark.parametrize("operation", ACCESSES)
@pytest.mark.parametrize(
    ("kib", "bits", "expected"),
    [
        # Horowitz, ISSCC 2014, Fig. 1.1.9: a 64-bit access of a cache
        (8, 64, 10.0),
        (32, 64, 20.0),
        (1024, 64, 100.0),
        # between sizes: half way in both logarithms; beyond them: the slopes of 1/2 and log_32 5
        (16, 64, 200**0.5),
        (2, 64, 5.0),
        (32 * 1024, 64, 500.0),
        # no narrower macro; two and eight side by side, each with its share of the capacity
        (32, 8, 20.0),
        (16, 128, 2 * 10.0),
        (256, 512, 8 * 20.0),
    ],
)
def test_horowitz_lists_sizes(operation: Operation, kib: float, bits: int, expected: float) -> None:
    found = HOROWITZ.energy_pj(Event(Component.WEIGHT, operation, bits), kib)
    assert found == pytest.approx(expected, rel=1e-12)
    if (kib, bits) in {(8, 64), (32, 64), (1024, 64)}:
        assert found == expected


@pytest.mark.parametrize(
    ("operation", "column", "bits", "scale", "exponent"),
    [
        (Operation.SRAM_READ, "read_pJ", 32, 1.637, 0.538),
        (Operation.SRAM_READ, "read_pJ", 64, 1.943, 0.566),
        (Operation.SRAM_WRITE, "write_pJ", 32, 1.880, 0.470),
        (Operation.SRAM_WRITE, "write_pJ", 64, 3.154, 0.457),
    ],
)
def test_the_fit_is_least_squares_of_the_sweep(
    operation: Operation, column: str, bits: int, scale: float, exponent: float
) -> None:
    kib, pj = sweep(column, bits)
    (slope, offset), *_ = np.linalg.lstsq(np.stack([np.log(kib), np.ones(13)], 1), np.log(pj), rcond=None)
    assert (round(float(np.exp(offset)), 3), round(float(slope), 3)) == (scale, exponent)
    (entry,) = (e for e in CACTI.entries if (e.operation, e.bits) == (operation, bits))
    assert entry.capacity_kib == 1
    assert entry.energy_pj == round(float(np.exp(offset)), 4)
    assert entry.exponent == round(float(slope), 4)
    found = np.array([CACTI.energy_pj(Event(Component.OUTPUT, operation, bits), size) for size in kib])
    error = np.abs(found / pj - 1)
    assert f"off by {100 * error.max():.1f} % at most, {100 * error.mean():.1f} % in the mean" in entry.assumption


@pytest.mark.parametrize("bits", [32, 64])
def test_the_leakage_of_a_kib_is_that_of_the_sweep(bits: int) -> None:
    (row,) = (row for row in load_technology("lpddr4-45nm").leakage if row.of == "sram")
    assert row.bits == 8 * 1024
    kib, milliwatts = sweep("leak_mW", bits)
    ratio = milliwatts / kib / row.power_mw
    assert np.abs(ratio[kib >= 256] - 1).max() < 0.075
    assert 1.6 < ratio.max() < 1.645
    assert "within 7 % from 256 KiB to 4 MiB; smaller macros leak up to 1.64 times as much" in row.assumption


@given(st.sampled_from(BY_SIZE), st.sampled_from(ACCESSES), capacities, capacities, widths)
def test_a_larger_bank_costs_no_less_and_at_most_in_proportion(
    technology: Technology, operation: Operation, one: float, other: float, bits: int
) -> None:
    low, high = sorted((one, other))
    event = Event(Component.ACTIVATION, operation, bits)
    small, large = technology.energy_pj(event, low), technology.energy_pj(event, high)
    assert small <= large * (1 + 1e-12)
    assert large <= small * high / low * (1 + 1e-12)


@given(st.sampled_from(BY_SIZE), st.sampled_from(ACCESSES), capacities, widths, widths)
def test_a_wider_port_costs_no_less(
    technology: Technology, operation: Operation, kib: float, one: int, other: int
) -> None:
    narrow, wide = (technology.energy_pj(Event(Component.WEIGHT, operation, w), kib) for w in sorted((one, other)))
    assert narrow <= wide * (1 + 1e-12)


@given(st.sampled_from(BY_SIZE), st.sampled_from(ACCESSES), capacities, st.integers(1, 64))
def test_a_wide_port_is_macros_side_by_side(
    technology: Technology, operation: Operation, kib: float, macros: int
) -> None:
    one = technology.energy_pj(Event(Component.WEIGHT, operation, 64), kib)
    side_by_side = technology.energy_pj(Event(Component.WEIGHT, operation, 64 * macros), kib * macros)
    assert side_by_side == pytest.approx(sum(one for _ in range(macros)), rel=1e-9)


@given(st.sampled_from(ACCESSES), capacities, st.integers(32, 64))
def test_between_two_widths_the_figure_is_linear(operation: Operation, kib: float, bits: int) -> None:
    narrow, found, wide = (CACTI.energy_pj(Event(Component.OUTPUT, operation, w), kib) for w in (32, bits, 64))
    assert found == pytest.approx(np.interp(bits, [32, 64], [narrow, wide]), rel=1e-12)
    assert CACTI.energy_pj(Event(Component.OUTPUT, operation, 12), kib) == narrow


@given(
    st.lists(st.tuples(st.floats(1.01, 100), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(0.1, 100),
    st.floats(0.1, 100),
    st.floats(2**-10, 2**20),
)
def test_listed_sizes_are_met_and_joined_by_straight_lines_in_logarithms(
    steps: list[tuple[float, float]], first_kib: float, first_pj: float, kib: float
) -> None:
    sizes, energies = [first_kib], [first_pj]
    for growth, slope in steps:
        sizes.append(sizes[-1] * growth)
        energies.append(energies[-1] * growth**slope)
    curve = Curve(tuple(sizes), tuple(energies), exponent=9.0)
    assert [curve.at(size) for size in sizes] == energies
    x, y = np.log(sizes), np.log(energies)
    if sizes[0] <= kib <= sizes[-1]:
        expected = np.interp(np.log(kib), x, y)
    else:
        i, j = (0, 1) if kib < sizes[0] else (-2, -1)
        expected = y[j] + (np.log(kib) - x[j]) * (y[j] - y[i]) / (x[j] - x[i])
    assert np.log(curve.at(kib)) == pytest.approx(expected, abs=1e-6)
    assert access_pj({64: curve}, 64, kib) == curve.at(kib)
