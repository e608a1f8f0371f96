"""--reuse-blocks: what is said of copied blocks, and when they are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import accelsim, refused

from accelsim.config import shipped

WORKLOAD = """\
kind: workload
name: blocks
description: d
source: s
synthetic: {seed: 3, batch: 4}
independent: true
repeats: 12
layers:
  - {name: a, kind: linear, inputs: 64, outputs: 96}
  - {name: b, kind: gemm, m: 30, k: 96, n: 64}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "blocks.yaml").write_text(WORKLOAD)
    machine, dram = shipped.path_of("arch", "edge-ws").read_text().split("dram:")
    assert "kind: banked" in dram
    (tmp_path / "ideal.yaml").write_text(f"{machine}dram: {{kind: ideal, capacity_bytes: 1000000000, burst_bytes: 64}}")
    return tmp_path


def test_the_result_says_which_blocks_are_copies(folder: Path) -> None:
    run = ("run", "blocks.yaml", "--arch", "ideal.yaml", "--timing-only")
    whole = json.loads(accelsim(*run, "--no-residency", "--json", cwd=folder).stdout)
    done = accelsim(*run, "--reuse-blocks", "--json", "-o", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    copied = json.loads(done.stdout)
    assert whole["reuse"] is None
    assert copied["reuse"] == {
        "first_layer": "a.1", "layers": 2, "repeats": 12, "simulated": 8, "exact": True, "bound_cycles": 0
    }  # fmt: skip
    assert [layer["name"] for layer in copied["layers"]][::12] == ["a.1", "a.7"]
    for name in whole.keys() - {"reuse", "provenance"}:
        assert copied[name] == whole[name], name
    assert len(pd.read_parquet(folder / "out" / "timeline.parquet")) == copied["instructions"]
    headline = accelsim(*run, "--reuse-blocks", cwd=folder).stdout.splitlines()[0]
    assert headline.endswith(", timing only; of 12 blocks 8 to 11 copied from block 7, exactly")


def test_a_bound_is_printed_where_copies_are_not_exact(folder: Path) -> None:
    run = ("run", "blocks.yaml", "--timing-only")
    whole = json.loads(accelsim(*run, "--no-residency", "--json", cwd=folder).stdout)
    copied = json.loads(accelsim(*run, "--reuse-blocks", "--json", cwd=folder).stdout)
    bound = copied["reuse"]["bound_cycles"]
    assert copied["reuse"]["exact"] is False
    assert 0 < abs(copied["cycles"] - whole["cycles"]) <= bound
    assert sum(layer["cycles"] for layer in copied["layers"]) == copied["cycles"]
    assert sum(layer["energy_pj"]["dram"] for layer in copied["layers"]) == pytest.approx(copied["energy_pj"]["dram"])
    assert {unit["total"] for unit in copied["units"].values()} == {copied["cycles"]}
    headline = accelsim(*run, "--reuse-blocks", cwd=folder).stdout.splitlines()[0]
    share = 100 * bound / copied["cycles"]
    assert headline.endswith(f"of 12 blocks 8 to 11 copied from block 7, within {bound:,} cycles ({share:.2g} %)")


def test_the_result_says_that_nothing_was_copied(folder: Path) -> None:
    file = folder / "blocks.yaml"
    file.write_text(WORKLOAD.replace("repeats: 12", "repeats: 8"))
    done = accelsim("run", file, "--timing-only", "--reuse-blocks")
    assert done.stdout.splitlines()[0].endswith("timing only; no block copied")
    assert not done.stderr


def test_copies_without_timing_only_are_refused(folder: Path) -> None:
    expected = "--reuse-blocks must go with --timing-only: layers that are not executed have no outputs"
    assert refused("run", "blocks.yaml", "--reuse-blocks", "-o", "out", cwd=folder) == [expected]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("repeats: 0", "6:1: repeats: must be greater than or equal to 1, not 0"),
        ("repeats: 10001", "6:1: repeats: must be less than or equal to 10000, not 10001"),
        ("repeats: 2", "6:1: repeats: must be 1 in a workload that is not independent, not 2"),
    ],
)
def test_repeats_are_counts_of_independent_layers(line: str, expected: str, folder: Path) -> None:
    file = folder / "blocks.yaml"
    lines = [line if "independent" in x else x for x in WORKLOAD.splitlines() if "repeats" not in x and "gemm" not in x]
    file.write_text("\n".join(lines))
    assert refused("check", file) == [f"{file}:{expected}"]
