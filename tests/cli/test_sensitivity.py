"""The command `sensitivity`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from command_line import accelsim, alone, refused


def test_it_prints_json_and_keeps_parquet_and_a_recipe(tmp_path: Path) -> None:
    recipe, folder = tmp_path / "budgets.yaml", tmp_path / "out"
    done = alone("sensitivity", "--values", "0.5,0.9", "--loss", "0.01", "--budgets", recipe, "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["layer"], row["value"]) for row in found["rows"]] == [
        (layer, value) for layer in ("fc1", "fc2", "fc3") for value in (0.5, 0.9)
    ]
    assert found == json.loads((folder / "sensitivity.json").read_text())
    frame = pd.read_parquet(folder / "sensitivity.parquet")
    assert list(frame["quality.task.value"]) == [row["quality"]["task"]["value"] for row in found["rows"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["budgets.yaml", "out"]
    checked = accelsim("check", recipe)
    assert checked.returncode == 0, checked.stderr
    assert f"recipe {found['budgets']['recipe']['name']}" in checked.stdout
    ran = accelsim("run", "--arch", "edge-ws-fp32", "--recipe", recipe, "--json")
    assert json.loads(ran.stdout)["quality"] == found["budgets"]["quality"]


def test_it_prints_a_table_with_the_budgets_marked() -> None:
    done = accelsim("sensitivity", "--scheme", "prune_nm", "--values", "2:4,1:4", "--loss", "0.01")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("digits-mlp as fp32: accuracy 98.9 %, SQNR 140.0 dB; prune_nm of one layer at a time")
    assert lines[2].split()[:3] == ["layer", "pattern", "removed"]
    rows = [line.split() for line in lines[3:9]]
    assert [row[:2] for row in rows] == [[f"fc{i}", pattern] for i in (1, 2, 3) for pattern in ("2:4", "1:4")]
    assert [row[0] for row in rows if row[-1] == "*"] == ["fc1", "fc2", "fc3"]
    assert lines[-1].startswith("all budgets together: accuracy ")
    plain = accelsim("sensitivity", "--values", "0.5")
    assert "budget" not in plain.stdout


def test_faults_are_one_line_each(tmp_path: Path) -> None:
    (line,) = refused("sensitivity", "--scheme", "prune_magnitud")
    assert line == "scheme: must be a known scheme of a scan, not 'prune_magnitud'; did you mean 'prune_magnitude'?"
    assert refused("sensitivity", "--values", "0.5,x") == [
        "values: must be a number, for sparsity of prune_magnitude, not 'x'"
    ]
    file = tmp_path / "b.yaml"
    assert refused("sensitivity", "--budgets", file)[0].startswith("--budgets: must come with --loss or --sqnr")
    assert refused("sensitivity", "--budgets", tmp_path / "no" / "b.yaml", "--loss", "0.1")
    assert refused("sensitivity", "--budgets", file, "--loss", "0.1", "--values", "2")
    assert list(tmp_path.iterdir()) == []
