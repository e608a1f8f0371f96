"""DRAMsim3's results, column by column: integers, clocks and hashes exactly, the others to the digits it printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from dram_checker import violations
from dram_golden import compare, golden_rows, part_file, sample_commands
from dram_streams import golden_trace, trace_text

from accelsim.config.load import load_part
from accelsim.memory.trace import TraceRun, command_lines, read_trace, run_trace


@pytest.mark.parametrize("golden", golden_rows(), ids=lambda row: f"{row['config']}-{row['case']}")
def test_every_column_of_a_golden_run_is_met(golden: dict[str, str], tmp_path: Path) -> None:
    part = load_part(str(part_file(golden["config"], tmp_path)))
    trace = golden_trace(part, golden["case"], int(golden["n"]), int(golden["seed"]))
    run = run_trace(part, trace, case=golden["case"], keep_commands=True)
    compare(golden, run.result.model_dump())


def test_each_configuration_and_stream_is_among_the_golden_runs() -> None:
    rows = golden_rows()
    assert len(rows) == 28
    assert len({row["config"] for row in rows}) == 4
    assert len({row["case"] for row in rows}) == 7


@pytest.fixture(scope="module")
def random_mix() -> TraceRun:
    part = load_part("DDR4_8Gb_x8_3200")
    return run_trace(part, golden_trace(part, "random_mix", 20000, 1), keep_commands=True)


def test_the_first_commands_of_a_random_mix_are_dramsim3s(random_mix: TraceRun) -> None:
    expected = sample_commands()
    assert len(expected) == 3000
    assert list(command_lines(random_mix.commands[:3000])) == expected


def test_no_command_of_golden_runs_breaks_a_rule(random_mix: TraceRun) -> None:
    assert violations(load_part("DDR4_8Gb_x8_3200"), random_mix.commands, random_mix.result.clk_end) == []


def test_a_trace_is_the_same_from_its_text(tmp_path: Path) -> None:
    part = load_part("LPDDR4_8Gb_x16_2400")
    trace = golden_trace(part, "copy", 500, 1)
    file = tmp_path / "copy.txt"
    file.write_text(trace_text(trace))
    assert read_trace(file, part).sha256 == trace.sha256
    assert run_trace(part, read_trace(file, part)).result == run_trace(part, trace).result
