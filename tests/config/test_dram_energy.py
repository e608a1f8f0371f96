"""Energies of DRAM commands, from the currents of the parts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accelsim.config.load import load_part

with (Path(__file__).parent.parent / "data" / "dram" / "energy_per_32b.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))


def test_all_nine_parts_are_listed() -> None:
    assert len({row["config"] for row in ROWS}) == len(ROWS) == 9


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["config"])
def test_commands_cost_what_the_reference_team_computed(row: dict[str, str]) -> None:
    part = load_part(row["config"])
    energy, period_ns = part.energy, part.timing.tck
    assert energy is not None
    assert (part.burst_bytes, part.devices, part.row_bytes) == (
        int(row["req_B"]),
        int(row["devices"]),
        int(row["row_bytes"]),
    )
    found = {
        "E_act_pJ": energy.activate,
        "E_rd_pJ": energy.read,
        "E_wr_pJ": energy.write,
        "E_ref_pJ": energy.refresh,
        "bg_active_mW": energy.active_clock / period_ns,
        "bg_precharged_mW": energy.precharged_clock / period_ns,
        "rd_pJ_per_32b_rowhit": energy.read * 4 / part.burst_bytes,
        "wr_pJ_per_32b_rowhit": energy.write * 4 / part.burst_bytes,
        "rd_pJ_per_32b_random": (energy.read + energy.activate) * 4 / part.burst_bytes,
        "rd_pJ_per_32b_stream_incl_act": (energy.read + energy.activate * part.burst_bytes / part.row_bytes)
        * 4
        / part.burst_bytes,
    }
    for name, value in found.items():
        digits = len(row[name].partition(".")[2])
        assert value == pytest.approx(float(row[name]), abs=0.5000001 * 10.0**-digits), name
