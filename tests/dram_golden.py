"""DRAMsim3's golden results, their parts as files, and how a result is held against them."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

from accelsim.config import shipped

DATA = Path(__file__).parent / "data" / "dram"
VARIANTS = {
    "bgmap": {"address_mapping": "rochrabacobg"},
    "1ch": {"channels": 1},
    "bw32": {"bus_width": 32, "channel_size": 4096},
}
DECIMALS = {
    "row_hit_rate": 6,
    "avg_read_lat_clk": 4,
    "avg_write_lat_clk": 4,
    "bw_GBps": 4,
    "peak_GBps": 3,
    "E_act_pJ": 1,
    "E_rd_pJ": 1,
    "E_wr_pJ": 1,
    "E_ref_pJ": 1,
    "E_bg_pJ": 1,
    "E_tot_pJ": 1,
    "pJ_per_32b_total": 2,
    "pJ_per_32b_dynamic": 2,
}
#: What is given, and no result.
GIVEN = {"seed"}


def golden_rows() -> list[dict[str, str]]:
    with (DATA / "dramsim3_golden.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sample_commands() -> list[str]:
    """Begin of the command trace of random_mix on DDR4_8Gb_x8_3200."""
    with gzip.open(DATA / "cmd_sample.txt.gz", "rt") as file:
        return file.read().splitlines()


def part_file(config: str, folder: Path) -> Path:
    """Write a golden run's part as a user does: the shipped file with the variant's keys changed."""
    name, _, variant = config.rpartition("_")
    changes = VARIANTS.get(variant, {})
    lines = shipped.path_of("dram", name if changes else config).read_text().splitlines()
    for key, value in {"name": config, **changes}.items():
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
        lines[at] = f"{lines[at].split(key)[0]}{key}: {value}"
    file = folder / f"{config}.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def compare(golden: dict[str, str], result: dict[str, Any]) -> None:
    """Hold a result against every column of a golden row."""
    for column, text in golden.items():
        if column in GIVEN:
            continue
        value = result[column]
        if not text:
            assert value is None, column
        elif column in DECIMALS:
            assert round(value, DECIMALS[column]) == float(text), column
        elif isinstance(value, str):
            assert value == text, column
        else:
            assert value == float(text), column
