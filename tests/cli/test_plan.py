"""`explain --plan`, and runs without residency: what is told is what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import accelsim, alone, refused
from ruamel.yaml import YAML

import accelsim as package
from accelsim import api
from accelsim.config import shipped
from accelsim.dse.compare import compare
from accelsim.plan import Plan

YAML_ = YAML(typ="safe")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edge-ws with one scratchpad for activations and results, where values stay, before a DRAM of constant rate."""
    fields = YAML_.load(shipped.path_of("arch", "edge-ws"))
    activation = {**fields["activation"], "capacity_bytes": 2**20}
    dram = YAML_.load(shipped.path_of("arch", "tpu-v1"))["dram"]
    path = tmp_path_factory.mktemp("arch") / "one.yaml"
    with path.open("w") as file:
        YAML_.dump({**fields, "name": "one", "activation": activation, "output": "activation", "dram": dram}, file)
    return path


@pytest.mark.parametrize("workload", ["digits-mlp", "digits-cnn", "attention"])
@pytest.mark.parametrize("residency", [True, False])
def test_the_bytes_of_a_plan_are_those_of_a_run(workload: str, residency: bool, one: Path) -> None:
    plan = api.plan(workload, str(one), residency=residency)
    run = package.run(workload, str(one), timing_only=True, residency=residency).summary
    assert [(x.name, x.dram_read, x.dram_write) for x in plan.fusions] == [
        (x.name, x.bytes.dram_read, x.bytes.dram_write) for x in run.layers
    ]
    assert (plan.dram_read, plan.dram_write) == (run.bytes.dram_read, run.bytes.dram_write)
    assert (plan.compulsory, plan.ratio) == (run.bytes.compulsory, run.bytes.ratio)
    assert [x.nodes for x in plan.fusions] == [x.nodes for x in run.layers]
    assert [[x.tile.m, x.tile.k, x.tile.n, x.tile.loops] for x in plan.fusions if x.tile] == [
        [x.tiling.m, x.tiling.k, x.tiling.n, x.tiling.loops] for x in run.layers
    ]
    stays = [use for x in plan.fusions for use in x.values if use.room]
    assert bool(stays) == residency


@pytest.mark.parametrize("workload", ["digits-mlp", "digits-cnn"])
def test_of_a_banked_dram_the_bytes_are_those_that_are_requested(workload: str) -> None:
    plan, run = api.plan(workload), package.run(workload, timing_only=True).summary
    moved = {layer.name: [0, 0] for layer in run.layers}
    for fusion in plan.fusions:
        moved[fusion.layer][0] += fusion.dram_read
        moved[fusion.layer][1] += fusion.dram_write
    assert moved == {x.name: [x.bytes.requested_read, x.bytes.requested_write] for x in run.layers}
    assert run.dram
    assert plan.dram_read + plan.dram_write == plan.burst * run.dram.accepted
    assert run.bytes.dram_read <= run.bytes.requested_read


def test_a_value_that_stays_is_told_from_where_to_where(one: Path) -> None:
    plan = api.plan("digits-mlp", str(one))
    first, second, third = plan.fusions
    (formed,) = (use for use in first.values if use.does == "form")
    (read,) = (use for use in second.values if use.does == "read" and not use.constant)
    assert formed.room
    assert formed.room == read.room
    assert (formed.name, formed.formed_by, formed.last_read_by) == (read.name, "fc1", "fc2")
    assert formed.room.memory == "activation"
    assert formed.room.end - formed.room.low >= 360 * 300
    for fusion in (first, second):
        for room in fusion.rooms:
            apart = room.end <= formed.room.low or formed.room.end <= room.low
            assert apart or room.memory != "activation"
    assert [use.room for use in third.values if use.does == "form"] == [None]
    assert first.unit == "weight_stationary"


def test_the_command_prints_a_line_a_fusion(one: Path) -> None:
    done = accelsim("explain", "digits-mlp", "--plan", "--arch", one, "--json")
    plan = Plan.model_validate_json(done.stdout)
    assert plan == api.plan("digits-mlp", str(one))
    lines = accelsim("explain", "digits-mlp", "--plan", "--arch", one).stdout.splitlines()
    moved = plan.dram_read + plan.dram_write
    assert lines[0] == (
        f"digits-mlp as int8 on one: 2 values stay on chip; {moved:,} bytes over DRAM, "
        f"{moved / plan.compulsory:.2f} x the compulsory {plan.compulsory:,}"
    )
    assert [line.split()[0] for line in lines[4:]] == ["fc1", "fc2", "fc3", "total"]
    assert "activation" in lines[4]
    assert "until fc2" in lines[4]
    assert "from fc1" in lines[5]
    assert lines[-1].split()[1:] == [f"{plan.dram_read:,}", f"{plan.dram_write:,}"]
    off = accelsim("explain", "digits-mlp", "--plan", "--arch", one, "--no-residency").stdout
    assert off.startswith("digits-mlp as int8 on one: nothing stays on chip, as asked; ")
    banked = accelsim("explain", "digits-mlp", "--plan").stdout
    assert banked.startswith("digits-mlp as int8 on edge-ws: 2 values stay on chip; ")


def test_the_readme_has_what_is_printed() -> None:
    first = accelsim("explain", "digits-mlp", "--plan").stdout.splitlines()[0]
    assert first in (Path(__file__).parents[2] / "README.md").read_text().splitlines()


def test_a_plan_and_a_result_are_not_asked_together() -> None:
    assert refused("explain", "digits-mlp", "--plan", "--workload", "w") == [
        "--workload: must go without --plan, whose argument is the workload"
    ]
    for option in (["--arch", "edge-ws"], ["--recipe", "int8"], ["--no-residency"]):
        (line,) = refused("explain", "r.json", *option)
        assert line == f"{option[0]}: must go with --plan: a result says itself what it was made with"
    assert refused("explain", "nothing", "--plan")[0].startswith("must be a known workload")


def test_explanations_are_of_the_run_as_it_was(one: Path, tmp_path: Path) -> None:
    assert accelsim("run", "--arch", one, "--no-residency", "-o", "off", cwd=tmp_path).returncode == 0
    done = alone("explain", "off", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cycles"] == json.loads((tmp_path / "off" / "result.json").read_text())["cycles"]


def test_comparisons_say_whether_values_might_stay(one: Path) -> None:
    done = accelsim("compare", "--recipes", "int8", "--arch", one, "--no-residency", "--json")
    (off,) = json.loads(done.stdout)["rows"]
    (on,) = compare(recipes=["int8"], arch=str(one)).rows
    assert (off["residency"], on.residency) == (False, True)
    assert off["bytes"]["dram_read"] > on.bytes.dram_read
    text = accelsim("compare", "--recipes", "int8", "--arch", one, "--no-residency").stdout
    assert "nothing stays on chip between layers, as asked" in text


def test_sweeps_say_whether_values_might_stay(one: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        f"kind: sweep\nname: small\ndescription: a test\narch: {one}\ntiming_only: true\n"
        "axes: [{field: arch.matrix.rows, values: [16]}]\n"
    )
    on, off = (
        json.loads(accelsim("sweep", file, "--workers", "1", "--json", *options).stdout)
        for options in ([], ["--no-residency"])
    )
    assert [found["sweep"]["residency"] for found in (on, off)] == [True, False]
    assert [found["rows"][0]["figures"]["residency"] for found in (on, off)] == [True, False]
    moved = [found["rows"][0]["figures"]["bytes"]["dram_read"] for found in (on, off)]
    assert moved[0] < moved[1]
