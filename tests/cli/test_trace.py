"""`--trace` writes a whole timeline, or nothing and says why."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from command_line import accelsim, alone, refused


def test_run_and_exec_write_the_same_trace(tmp_path: Path) -> None:
    ran = accelsim("run", "--json", "--trace", "a.json.gz", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "wrote a.json.gz" in ran.stderr.splitlines()
    trace = json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes()))
    instructions = [e for e in trace["traceEvents"] if e.get("cat") == "instruction"]
    assert len(instructions) == json.loads(ran.stdout)["instructions"]
    assert accelsim("compile", "digits-mlp", "-o", "p.acs", cwd=tmp_path).returncode == 0
    done = alone("exec", "p.acs", "--engine", "reference", "--trace", "b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = json.loads(gzip.decompress((tmp_path / "b").read_bytes()))
    assert again["traceEvents"] == trace["traceEvents"]
    assert again["otherData"] == {**trace["otherData"], "engine": "reference"}


def test_a_trace_may_lie_in_the_folder_of_the_result(tmp_path: Path) -> None:
    done = accelsim("run", "-o", "new/out", "--trace", "new/out/trace.json.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = sorted(p.name for p in (tmp_path / "new/out").iterdir())
    assert found == [
        "dashboard.html",
        "layers.parquet",
        "occupancy.parquet",
        "outputs.npz",
        "result.json",
        "timeline.parquet",
        "trace.json.gz",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trace", "."), ".: must be a file, but is a folder"),
        (("--trace", "pipe"), "pipe: must be a file, but is a device or pipe"),
        (("--trace", "none/t.gz"), "none/t.gz: must be in a folder that exists, but none does not"),
        (("--trace", "x" * 300), f"{'x' * 300}: must be a possible path: File name too long"),
        (("--trace", "out", "-o", "out"), "out: must be another file than those of the result"),
        (("--trace", "out/result.json", "-o", "out"), "out/result.json: must be another file than those of the result"),
        (
            ("--trace", "t.gz", "--timing-only", "--reuse-blocks"),
            "--trace must go without --reuse-blocks: copied layers have no instructions",
        ),
    ],
)
def test_a_trace_that_cannot_be_is_refused_before_the_run(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused("run", *arguments, cwd=tmp_path) == [said]
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_run_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "t.gz").write_text("kept")
    refused("run", "--arch", "edge-eie", "--recipe", "w4a4", "--trace", "t.gz", cwd=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.gz"]
    assert (tmp_path / "t.gz").read_text() == "kept"
