"""accelsim evaluate, and outputs as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_line import accelsim
from networks import labels_of

from accelsim.workload.source import Source, load_network


def test_a_shipped_network_in_real_numbers_and_by_a_recipe(tmp_path: Path) -> None:
    network = load_network("digits-mlp")
    done = accelsim("evaluate", "digits-mlp", "--json")
    found = json.loads(done.stdout)
    assert (found["recipe"], found["samples"], found["quality"]["sqnr_db"]) == (None, 360, None)
    done = accelsim("evaluate", "digits-mlp", "--recipe", "int8", "-o", tmp_path)
    assert done.returncode == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert (
        found["provenance"]["calibration"] == "train_images of data.safetensors" or found["provenance"]["calibration"]
    )
    with np.load(tmp_path / "outputs.npz") as outputs:
        integers, real = outputs["fc3.output.integers"], outputs["fc3.output"]
    assert integers.dtype == np.int8
    assert real.dtype == np.float32
    share = (integers.argmax(axis=1) == labels_of(network)).mean()
    assert found["quality"]["task"]["value"] == share


def test_a_run_keeps_the_outputs_that_evaluation_has(tmp_path: Path) -> None:
    assert accelsim("run", "digits-mlp", "--batch", "7", "-o", tmp_path / "run").returncode == 0
    done = accelsim("evaluate", "digits-mlp", "--recipe", "int8", "--batch", "7", "-o", tmp_path / "evaluated")
    assert done.returncode == 0
    with np.load(tmp_path / "run" / "outputs.npz") as run, np.load(tmp_path / "evaluated" / "outputs.npz") as other:
        assert [*run] == [*other]
        for name in run:
            np.testing.assert_array_equal(run[name], other[name])


def test_own_data_take_the_place_of_the_shipped(tmp_path: Path) -> None:
    network = load_network("digits-mlp")
    (name,) = network.graph.inputs
    x, labels = network.inputs[0][:20], labels_of(network)[:20]
    np.savez(tmp_path / "data.npz", **{name: x}, labels=labels)
    found = load_network(Source("digits-mlp", data=tmp_path / "data.npz"))
    np.testing.assert_array_equal(found.inputs[0], x)
    assert found.graph[name].shape == (20, 64)
    assert found.calibrated_on == network.calibrated_on
    done = accelsim("evaluate", "digits-mlp", "--data", tmp_path / "data.npz", "--json")
    assert json.loads(done.stdout)["samples"] == 20


def test_wrong_shapes_are_one_line() -> None:
    done = accelsim("evaluate", "digits-mlp", "--shape", "input=1,64")
    assert (done.returncode, done.stderr) == (2, "--shape must be absent for a workload file, which says all shapes\n")
    done = accelsim("evaluate", "digits-mlp", "--shape", "input")
    assert (done.returncode, done.stderr) == (2, "--shape must be NAME=1,3,224,224, not 'input'\n")
