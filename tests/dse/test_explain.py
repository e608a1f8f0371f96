"""Explanations: the path's cycles are the run's, and what would be gained is what changed machines really take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import accelsim, alone, refused
from ruamel.yaml import YAML

import accelsim as package
from accelsim import api
from accelsim.config.load import load_machine, load_part
from accelsim.dse.explain import explain, twice
from accelsim.explanation import Explanation
from accelsim.report import explanation as report
from accelsim.sim import fast
from accelsim.workload.source import Source


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    package.run().save(folder)
    return folder


@pytest.fixture(scope="module")
def found(kept: Path) -> Explanation:
    return explain(kept)


def test_the_parts_sum_to_the_run(found: Explanation) -> None:
    assert found.cycles == package.run(timing_only=True).cycles
    assert sum(part.cycles for part in found.path) == found.cycles
    assert found.layers == ["fc1", "fc2", "fc3"]
    assert (found.of_layer("fc2")[0].unit, found.of_layer("fc2")[0].what) == ("matrix", "busy")


def test_gains_are_those_of_machines_that_are_really_changed(found: Explanation, tmp_path: Path) -> None:
    program = api.compile_workload("digits-mlp", "edge-ws")
    for gain in found.gains:
        fields: dict[str, Any] = json.loads(load_machine("edge-ws").model_dump_json())
        for path, value in gain.changed.items():
            *above, name = path.split(".")
            section = fields
            for key in above:
                section = section[key]
            assert value == 2 * section[name] or name in {"issue_interval_cycles", "address_mapping"}
            section[name] = value
        with (tmp_path / "m.yaml").open("w") as file:
            YAML().dump(fields, file)
        cycles = fast.execute(program, load_machine(str(tmp_path / "m.yaml")), timing_only=True).cycles
        if gain.compiled:
            cycles = min(cycles, package.run("digits-mlp", str(tmp_path / "m.yaml"), timing_only=True).cycles)
        assert gain.cycles == cycles, gain.twice
        assert gain.saved == pytest.approx(1 - cycles / found.cycles)
    assert {gain.twice for gain in found.gains if gain.compiled} == {"array", "array and scratchpad"}
    assert [gain.saved for gain in found.gains] == sorted((g.saved or 0 for g in found.gains), reverse=True)


#: Of the cycles: a program whose instructions are sooner may begin others in an order that is worse for a DRAM or a
#: port, as any list of jobs (Graham, SIAM J. Appl. Math. 1969).
ANOMALY = 0.005


@pytest.mark.parametrize(
    ("workload", "arch"),
    [("digits-mlp", "edge-outer"), ("digits-mlp", "edge-tensorcore"), ("digits-mlp", "tpu-v1"), ("fc-4096", "tpu-v1")],
)
def test_no_gain_contradicts_the_critical_path(workload: str, arch: str, tmp_path: Path) -> None:
    package.run(workload, arch, timing_only=True).save(tmp_path)
    for gain in explain(tmp_path).gains:
        assert gain.saved is not None
        assert gain.saved <= gain.at_most + ANOMALY, gain.twice
        assert gain.compiled or gain.saved >= -ANOMALY, gain.twice


def test_a_result_of_fewer_samples_is_explained_as_it_was_run(tmp_path: Path) -> None:
    few = package.run(Source("digits-mlp", batch=30), timing_only=True)
    few.save(tmp_path)
    assert explain(tmp_path).cycles == few.summary.cycles < package.run(timing_only=True).summary.cycles


def test_twice_the_bandwidth_reaches_what_waits_for_it(tmp_path: Path) -> None:
    # two channels of which a stream uses one at a time, before an array that waits for it
    part = load_part("LPDDR4_8Gb_x16_2400").model_dump()
    assert part["system"]["address_mapping"] == "rochrababgco"
    part["system"]["channels"] = 2
    fields = {**json.loads(load_machine("tpu-v1").model_dump_json()), "dram": {"kind": "banked", "part": part}}
    (tmp_path / "narrow.yaml").write_text(json.dumps(fields))
    package.run("fc-4096", str(tmp_path / "narrow.yaml"), timing_only=True).save(tmp_path / "kept")
    found = explain(tmp_path / "kept")
    waits = sum(part.cycles for part in found.path if part.what == "memory") / found.cycles
    (gain,) = (gain for gain in found.gains if gain.twice == "bandwidth")
    assert gain.changed["dram.part.system.address_mapping"] == "rorababgcoch"
    assert waits > 0.5
    assert gain.saved is not None
    assert waits / 2 - ANOMALY < gain.saved < gain.at_most + ANOMALY


def test_what_a_machine_lacks_is_not_doubled() -> None:
    names = {arch: {trial.name for trial in twice(load_machine(arch)) if trial.changes} for arch in (
        "edge-ws", "tpu-v1", "edge-tensorcore", "edge-eie", "scale-sim-128x128-ws",
    )}  # fmt: skip
    assert names["edge-ws"] == {"array", "array and scratchpad", "bandwidth", "scratchpad", "vector", "decode", "host"}
    assert "link" in names["tpu-v1"]
    assert "decode" not in names["tpu-v1"]
    assert "scratchpad" not in names["scale-sim-128x128-ws"]
    assert twice(load_machine("edge-tensorcore"))[0].changes == {"matrix.cores": 8}
    assert twice(load_machine("edge-eie"))[0].changes == {"matrix.lanes": 512}


def test_the_words_name_what_binds(found: Explanation) -> None:
    said = report.words(found)
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert "fc2: of 48,582 cycles matrix is busy for 99 %." in said
    for sentence in said[:3]:
        assert sentence in readme
    gain = next(gain for gain in found.gains if gain.twice == "array and scratchpad")
    assert said[3].startswith(f"Most is gained by twice the array and scratchpad: {100 * (gain.saved or 0):.1f} %")
    assert f"as well it saves {100 * (gain.saved or 0):.0f} %" in " ".join(readme.split())
    array = next(gain for gain in found.gains if gain.twice == "array")
    assert (array.saved or 0) < 0.005
    assert "An array of twice the columns saves nothing there" in readme


def test_the_command(kept: Path, found: Explanation, tmp_path: Path) -> None:
    done = alone("explain", str(kept), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(found.to_json())
    text = accelsim("explain", str(kept / "result.json"))
    assert text.stdout.startswith("digits-mlp as int8 on edge-ws: 80,402 cycles\n")
    changed = json.loads((kept / "result.json").read_text())
    changed["provenance"]["inputs_sha256"] = {"weights.safetensors": "0" * 64}
    (tmp_path / "r.json").write_text(json.dumps(changed))
    assert refused("explain", "r.json", cwd=tmp_path) == [
        "r.json: must be a result of digits-mlp as it is now; --workload names another"
    ]
    del changed["provenance"]["configuration"]
    (tmp_path / "r.json").write_text(json.dumps(changed))
    assert refused("explain", "r.json", cwd=tmp_path) == [
        "r.json: must hold the configuration of its run, but does not"
    ]
    assert accelsim("compare", "--recipes", "int8,int8-huffman", "-o", "c", cwd=tmp_path).returncode == 0
    assert refused("explain", "c", cwd=tmp_path) == ["c: must be the result of one run, not of 2"]
