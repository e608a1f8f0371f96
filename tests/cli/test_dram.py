"""`accelsim dram` as a user meets it: data on stdout, one sentence a fault, exit code 2."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from command_line import accelsim, alone, refused
from dram_golden import compare, golden_rows, part_file, sample_commands
from dram_streams import golden_trace, trace_text

from accelsim.config import shipped
from accelsim.config.load import load_part
from accelsim.memory.trace import TraceResult


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "few.txt"
    file.write_text("0x0 READ 0\n0x40 WRITE 0\n0x80 READ 5\n")
    return file


@pytest.mark.parametrize(("config", "case"), [("DDR4_8Gb_x8_3200", "random_mix"), ("HBM2_8Gb_x128_1ch", "copy")])
def test_a_golden_run_by_hand_gives_all_columns_and_commands(config: str, case: str, tmp_path: Path) -> None:
    golden = next(row for row in golden_rows() if (row["config"], row["case"]) == (config, case))
    part = part_file(config, tmp_path)
    file = tmp_path / f"{case}.txt"
    file.write_text(trace_text(golden_trace(load_part(str(part)), case, int(golden["n"]), int(golden["seed"]))))
    commands = tmp_path / "commands.txt"
    done = alone("dram", "--part", part, "--trace", file, "--json", "--commands", commands)
    assert done.returncode == 0, done.stderr
    compare(golden, json.loads(done.stdout))
    text = commands.read_text()
    assert hashlib.sha256(text.removesuffix("\n").encode()).hexdigest()[:16] == golden["cmdtrace_sha256_16"]
    if config == "DDR4_8Gb_x8_3200":
        assert text.splitlines()[:3000] == sample_commands()


def test_the_tables_show_what_a_trace_did(trace: Path) -> None:
    done = accelsim("dram", "--part", "LPDDR4_8Gb_x16_2400", "--trace", trace)
    assert done.returncode == 0, done.stderr
    words = ("DRAM", "Read latency", "Commands", "LPDDR4_8Gb_x16_2400", "bandwidth", "row hits", "activate", "energy")
    assert all(word in done.stdout for word in words)


def test_keys_of_a_users_part_change_the_run(trace: Path, tmp_path: Path) -> None:
    text = shipped.path_of("dram", "HBM2_4Gb_x128").read_text()
    part = tmp_path / "mine.yaml"
    part.write_text(text.replace("channels: 8", "channels: 2") + "  inj_per_clk: 5\n")
    data = json.loads(accelsim("dram", "--part", part, "--trace", trace, "--json").stdout)
    assert data["inj_per_clk"] == 5
    assert data["peak_GBps"] == 64.0
    assert data["cmdtrace_sha256_16"] is None
    assert set(data) == set(TraceResult.model_fields)


def test_an_unknown_part_is_refused_with_the_nearest_names(trace: Path) -> None:
    (line,) = refused("dram", "--part", "DDR4_8Gb_x8_3201", "--trace", trace)
    assert "must be a known dram" in line
    assert "did you mean 'DDR4_8Gb_x8_3200'" in line


def test_a_part_file_is_refused_with_each_fault_in_its_place(trace: Path, tmp_path: Path) -> None:
    text = shipped.path_of("dram", "DDR4_8Gb_x8_3200").read_text()
    lines = text.splitlines()
    part = tmp_path / "bad.yaml"
    part.write_text(text.replace("  trp: 22", "  trp: 0").replace("  cwl: 16", "  cw: 16"))
    trp = next(i for i, line in enumerate(lines, 1) if line.startswith("  trp:"))
    cwl = next(i for i, line in enumerate(lines, 1) if line.startswith("  cwl:"))
    faults = refused("dram", "--part", part, "--trace", trace)
    assert any(f.startswith(f"{part}:{trp}:3: timing.trp: must be greater than or equal to 1, not 0") for f in faults)
    assert any(f.startswith(f"{part}:{cwl}:3: timing.cw: must be a known key, not 'cw'") for f in faults)
    assert any("timing.cwl: must be given, but is missing" in f for f in faults)


def test_a_trace_is_refused_at_its_line(trace: Path) -> None:
    trace.write_text("0x0 READ 0\n\n  0x40 READS 0\n")
    (line,) = refused("dram", "--part", "DDR4_8Gb_x8_3200", "--trace", trace)
    assert line == f"{trace}:3:8: must be READ or WRITE, not 'READS'; did you mean READ?"


def test_a_missing_trace_is_refused(tmp_path: Path) -> None:
    (line,) = refused("dram", "--part", "DDR4_8Gb_x8_3200", "--trace", tmp_path / "none.txt")
    assert line == f"{tmp_path / 'none.txt'}: must be a readable file: No such file or directory"


def test_commands_are_not_written_where_they_cannot_be(trace: Path, tmp_path: Path) -> None:
    (line,) = refused("dram", "--part", "DDR4_8Gb_x8_3200", "--trace", trace, "--commands", tmp_path / "no" / "c.txt")
    assert "must be in a folder that exists" in line
    (line,) = refused("dram", "--part", "DDR4_8Gb_x8_3200", "--trace", trace, "--commands", tmp_path)
    assert "must be a file, but is a folder" in line


def test_a_refused_trace_leaves_no_commands_behind(trace: Path, tmp_path: Path) -> None:
    trace.write_text("nonsense\n")
    commands = tmp_path / "commands.txt"
    refused("dram", "--part", "DDR4_8Gb_x8_3200", "--trace", trace, "--commands", commands)
    assert not commands.exists()


def test_check_accepts_all_shipped_parts() -> None:
    files = sorted(shipped.path_of("dram", name) for name in shipped.names("dram"))
    done = accelsim("check", *files)
    assert done.returncode == 0, done.stderr
    assert len(files) >= 9


def test_check_refuses_a_part_whose_numbers_do_not_fit(tmp_path: Path) -> None:
    part = tmp_path / "part.yaml"
    part.write_text(shipped.path_of("dram", "DDR4_8Gb_x8_3200").read_text().replace("rows: 65536", "rows: 65535"))
    (line,) = refused("check", part)
    assert "rows must be a power of two, as address fields are whole bits, not 65535" in line


def test_help_says_what_each_option_is() -> None:
    done = accelsim("dram", "--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("--part", "--trace", "--commands", "--json"))
