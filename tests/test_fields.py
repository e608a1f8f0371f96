"""Fields by the paths of sweeps: `--set` of run, compare and explain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import accelsim, refused

import accelsim as package
from accelsim import api, fields
from accelsim.config.load import load_machine
from accelsim.dse.compare import compare
from accelsim.dse.space import Space
from accelsim.dse.spec import Axis, SweepSpec
from accelsim.errors import AccelSimError


def test_values_are_what_yaml_takes_them_for() -> None:
    settings = ["arch.matrix.rows=8", "arch.clock_hz=5e8", "recipe.steps.0.weight_clip=mse", "workload.input=[8, 8, 1]",
                "arch.l2=null", "recipe.compact=true", "workload.name=a=b"]  # fmt: skip
    assert fields.parse(settings) == {
        "arch.matrix.rows": 8, "arch.clock_hz": 5e8, "recipe.steps.0.weight_clip": "mse", "workload.input": [8, 8, 1],
        "arch.l2": None, "recipe.compact": True, "workload.name": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("arch.matrix.rows", "must be PATH=VALUE"),
        ("arch=tpu-v1", "must be the path of a field"),
        ("arch.matrix.row=1", "did you mean 'rows'?"),
        ("arch.matrix.rows=[", "must be a YAML value"),
        ("arch.matrix.rows=" + "9" * 2000, "must be a value of at most 1000 characters"),
        ("recipe.steps.x.scheme=int8", "must be a known field of recipe.steps"),
        ("recipe.steps.²=int8", "must be a known field of recipe.steps"),
        ("nothing.x=1", "must be a known first part of a field's path"),
    ],
)
def test_what_is_no_field_or_value_is_told_in_a_line(setting: str, told: str) -> None:
    (line,) = refused("run", "--set", setting)
    assert line.startswith(f"--set {setting.partition('=')[0]}: ")
    assert told in line


def test_what_a_file_can_not_say_is_refused_as_in_a_file() -> None:
    assert refused("run", "--set", "arch.matrix.rows=0") == [
        "arch.matrix.rows: must be greater than or equal to 1, not 0"
    ]
    (line,) = refused("run", "--set", "recipe.steps.7.weight_bits=4")
    assert "must be an item of a list of 1, not 7" in line
    assert refused("run", "--set", "arch.matrix.rows=8", "--set", "arch.matrix.rows=9")[0].endswith("is given twice")


def test_a_field_changes_what_a_changed_file_would_and_what_a_sweep_simulates(tmp_path: Path) -> None:
    changed = {"arch.matrix.rows": 8, "arch.dram.part.system.channels": 2, "recipe.steps.0.weight_bits": 4,
               "workload.name": "other"}  # fmt: skip
    summary = package.run(fields=changed, timing_only=True).summary
    configuration = summary.provenance["configuration"]
    assert configuration["machine"]["matrix"]["rows"] == 8
    assert configuration["machine"]["dram"]["part"]["system"]["channels"] == 2
    assert configuration["recipe"]["steps"][0]["weight_bits"] == 4
    assert summary.workload == "other"
    others = {path: value for path, value in changed.items() if path != "arch.matrix.rows"}
    axis = Axis(field="arch.matrix.rows", values=[8])
    space = Space(SweepSpec(kind="sweep", name="s", description="d", axes=[axis], fields=others))
    job = space.case(space.points[0])
    assert job.machine.model_dump(mode="json") == configuration["machine"]  # type: ignore[union-attr] # a job
    assert load_machine("edge-ws").matrix.rows == 16  # type: ignore[union-attr] # a systolic array


def test_commands_take_fields_and_a_table(tmp_path: Path) -> None:
    smaller = ("--set", "arch.matrix.rows=8")
    alone = json.loads(accelsim("run", "--timing-only", *smaller, "--tech", "cacti-45nm", "--json").stdout)
    assert alone["tech"] == "cacti-45nm"
    both = json.loads(accelsim("compare", "--recipes", "int8", "--timing-only", *smaller, "--tech", "cacti-45nm",
                               "--json").stdout)["rows"][0]  # fmt: skip
    assert (both["cycles"], both["energy_pj"]) == (alone["cycles"], alone["energy_pj"])
    plan = json.loads(accelsim("explain", "digits-mlp", "--plan", "--set", "arch.name=small", "--json").stdout)
    assert plan["arch"] == "small"
    few = json.loads(accelsim("compare", "--recipes", "int8", "--timing-only", "--batch", "5", "--json").stdout)
    assert few["rows"][0]["samples"] == 5


def test_fields_of_a_workload_are_those_of_a_workload_file(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(AccelSimError, match=r"must be|workload"):
        api.run(str(tmp_path / "a.onnx"), fields={"workload.name": "x"})
    assert compare("fc-4096", ("int8",), fields={"workload.synthetic.batch": 3}, timing_only=True).rows[0].samples == 3


def test_a_result_of_a_changed_workload_is_explained_with_the_same_change(tmp_path: Path) -> None:
    change = ("--set", "workload.synthetic.batch=2")
    done = accelsim("run", "fc-4096", "--timing-only", *change, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "out" / "result.json").read_text())
    explained = json.loads(accelsim("explain", "out", *change, "--json", cwd=tmp_path).stdout)
    assert explained["cycles"] == kept["cycles"]
    assert "--workload names another" in refused("explain", "out", cwd=tmp_path)[0]
    (line,) = refused("explain", "out", "--set", "arch.matrix.rows=8", cwd=tmp_path)
    assert line == "--set arch.matrix.rows: must go with --plan, unless it is of the workload"
