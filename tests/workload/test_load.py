"""Workloads: what is wrong with a file, its tensors or its shapes is told in one line each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from accelsim import api
from accelsim.config import shipped
from accelsim.dse.compare import compare
from accelsim.errors import AccelSimError, ConfigError, WorkloadError
from accelsim.golden.task import Classification
from accelsim.graph.layer import layers
from accelsim.graph.ops.relu import Relu
from accelsim.report import comparison
from accelsim.workload.source import load_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "digits"
    shutil.copytree(shipped.path_of("workload", "digits-mlp").parent, target)
    return target


def lines(folder: Path) -> list[str]:
    with pytest.raises(AccelSimError) as error:
        load_network(str(folder / "workload.yaml"))
    assert isinstance(error.value, WorkloadError | ConfigError)
    return [line.removeprefix(f"{folder}/") for line in str(error.value).splitlines()]


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "workload.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def change(folder: Path, file: str, **tensors: Any) -> None:
    save_file({**load_file(folder / file), **tensors}, folder / file)


def test_the_shipped_network_is_whole() -> None:
    network = load_network("digits-mlp")
    assert [(x.name, x.weight.shape, x.relu) for x in layers(network.graph)] == [
        ("fc1", (64, 300), Relu()),
        ("fc2", (300, 100), Relu()),
        ("fc3", (100, 10), None),
    ]
    (x,) = network.inputs
    assert network.graph["input"].shape == x.shape == (360, 64)
    assert network.graph.outputs == ("fc3.output",)
    assert set(network.sha256) == {"workload.yaml", "weights.safetensors", "data.safetensors"}
    assert shipped.path_of("workload", "digits-mlp").with_name("weights.safetensors").stat().st_size < 2**20


def test_layers_that_do_not_chain(folder: Path) -> None:
    edit(folder, "inputs: 300", "inputs: 301")
    assert lines(folder) == ["workload.yaml:13:31: layers.1.inputs: must be 300, the outputs of layer fc1, not 301"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: fc2.weight", "weight: fc2.wight", "must be a known tensor of weights.safetensors, not 'fc2.wight'; "
                                                    "did you mean 'fc2.weight'"),
        ("weights: weights.safetensors", "weights: ../weights.safetensors",
         "weights: must be a file inside the workload's folder, not '../weights.safetensors'"),
        ("weights: weights.safetensors", "weights: /etc/passwd", "must be a file inside the workload's folder"),
        ("weights: weights.safetensors", "weights: none.safetensors", "weights: must be a readable file: none.saf"),
        ("outputs: 300", "outputs: 0", "layers.0.outputs: must be greater than or equal to 1, not 0"),
        ("name: fc2", "name: fc1", "layers must have different names, not 'fc1' twice"),
        ("activation: relu", "activation: rely", "not 'rely'; did you mean 'relu'?"),
        ("kind: linear", "kind: dense", "layers.0: kind must be linear or conv or gemm or max_pool or"),
        ("calibration: calibration_images", "calibration: fc", "must be a known tensor of data.safetensors, not 'fc'"),
    ],
)  # fmt: skip
def test_a_wrong_description(folder: Path, old: str, new: str, expected: str) -> None:
    edit(folder, old, new)
    assert any(expected in line for line in lines(folder))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers(folder: Path, bad: float) -> None:
    weight = load_file(folder / "weights.safetensors")["fc2.weight"]
    weight[3, 4] = bad
    change(folder, "weights.safetensors", **{"fc2.weight": weight})
    (line,) = lines(folder)
    assert line == (
        "workload.yaml:13:58: layers.1.weight: must be finite numbers, but 1 of 30000 values of 'fc2.weight' are not"
    )


def test_a_wrong_shape_and_a_wrong_type(folder: Path) -> None:
    change(
        folder,
        "weights.safetensors",
        **{"fc1.weight": np.zeros((300, 65), np.float32), "fc2.bias": np.zeros(100, np.int32)},
    )
    first, second = lines(folder)
    assert first.endswith("layers.0.weight: must have shape (300, 64), not (300, 65)")
    assert second.endswith("layers.1.bias: must be a tensor of type F16 or F32 or F64 or U8, not I32")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_file(folder: Path, keep: int) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    (line,) = lines(folder)
    assert "weights: must be a whole safetensors file: weights.safetensors" in line


def test_a_header_that_promises_too_much_is_refused(folder: Path) -> None:
    header = b'{"fc1.weight":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    (folder / "weights.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (line,) = lines(folder)
    assert "must be a whole safetensors file" in line


def test_a_shape_that_is_only_promised_takes_no_memory(folder: Path) -> None:
    edit(folder, "inputs: 64, outputs: 300", "inputs: 1048576, outputs: 1048576")
    edit(folder, "inputs: 300, outputs", "inputs: 1048576, outputs")
    assert any("must have shape (1048576, 1048576), not (300, 64)" in line for line in lines(folder))


def test_labels_that_do_not_match_the_inputs(folder: Path) -> None:
    change(folder, "data.safetensors", test_labels=np.zeros(3, np.uint8))
    (line,) = lines(folder)
    assert line.endswith("data.labels: must be 360 classes, one an input, not 3")


def test_labels_that_are_no_outputs(folder: Path) -> None:
    change(folder, "data.safetensors", test_labels=np.full(360, 10, np.uint8))
    (line,) = lines(folder)
    assert line.endswith("data.labels: must be classes 0 to 9, the outputs, not 10")


def test_no_inputs_at_all(folder: Path) -> None:
    change(folder, "data.safetensors", test_labels=np.zeros(0, np.uint8), test_images=np.zeros((0, 64), np.float32))
    (line,) = lines(folder)
    assert line.endswith("data.inputs: must hold at least one sample, not none")


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    (folder / "weights.safetensors").rename(outside)
    (folder / "weights.safetensors").symlink_to(outside)
    (line,) = lines(folder)
    assert "must be a file inside the workload's folder" in line


@pytest.mark.slow
def test_training_again_gives_the_committed_weights() -> None:
    import subprocess
    import sys

    pytest.importorskip("sklearn")
    script = shipped.path_of("workload", "digits-mlp").with_name("train.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("activation", "middle"), [("sigmoid", 0.5), ("none", 0.0)])
def test_a_classifier_of_one_output_is_judged_where_its_output_divides(
    activation: str, middle: float, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(4, 1)).astype(np.float32), rng.normal(size=(40, 4)).astype(np.float32)
    labels = (x @ weight > 0).astype(np.int64)[:, 0]
    save_file({"w": np.ascontiguousarray(weight.T)}, tmp_path / "w.safetensors")
    save_file({"x": x, "y": labels, "t": x @ weight}, tmp_path / "d.safetensors")
    layer = f"{{name: fc, kind: linear, inputs: 4, outputs: 1, weight: w, activation: {activation}}}"
    text = "kind: workload\nname: one\ndescription: d\nsource: s\nweights: w.safetensors\n"
    data = "data: {file: d.safetensors, inputs: x, calibration: x, labels: y}\n"
    file = tmp_path / "workload.yaml"
    file.write_text(f"{text}{data}layers: [{layer}]\n")
    network = load_network(str(file))
    assert isinstance(network.task, Classification)
    assert network.task.middle == middle
    for recipe in (None, "int8"):
        found = api.evaluate(str(file), recipe).summary.quality.task
        assert found
        assert found.name == "accuracy"
        assert found.value >= 0.95
    save_file({"x": x, "y": labels + 2, "t": x @ weight}, tmp_path / "d.safetensors")
    with pytest.raises(WorkloadError, match="must be classes 0 to 1, the outputs, not"):
        load_network(str(file))


def test_a_regression_of_a_workload_file_is_judged_by_its_targets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(40, 4)).astype(np.float32)
    save_file({"w": np.ascontiguousarray(weight.T)}, tmp_path / "w.safetensors")
    save_file({"x": x, "t": x @ weight, "few": x[:3, :2]}, tmp_path / "d.safetensors")
    head = "kind: workload\nname: one\ndescription: d\nsource: s\nweights: w.safetensors\n"
    layers_ = "layers: [{name: fc, kind: linear, inputs: 4, outputs: 2, weight: w}]\n"
    file = tmp_path / "workload.yaml"

    def written(task: str) -> str:
        file.write_text(f"{head}data: {{file: d.safetensors, inputs: x, calibration: x, {task}}}\n{layers_}")
        return str(file)

    measured = api.run(written("targets: t"), recipe="int8").summary.quality
    assert measured
    assert measured.task
    assert (measured.task.name, measured.task.lower_is_better) == ("RMSE", True)
    assert measured.task.value < 0.1
    shown = comparison.schemes(compare(str(file), ("int8", "int4")))
    assert "RMSE" in shown.columns
    assert "accuracy %" not in shown.columns
    with pytest.raises(WorkloadError, match="must be 40 outputs, one an input, not 3"):
        load_network(written("targets: few"))
    with pytest.raises(ConfigError, match="either labels or targets must be given"):
        load_network(written("targets: t, labels: t"))
