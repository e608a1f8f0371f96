"""Trained variants of digits-mlp: what they are, and that they are as good as their file says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from networks import labels_of
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import accelsim
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.config.load import read_yaml
from accelsim.errors import WorkloadError
from accelsim.graph.layer import layers
from accelsim.workload.network import Network
from accelsim.workload.source import load_network

FILE = shipped.path_of("workload", "digits-mlp")
VARIANTS = read_yaml(FILE).data["variants"]
#: Bits of weights and activations of those that were trained quantized.
BITS = {"lsq4": 4, "lsq2": 2, "pact4": 4}


def accuracy(name: str | None) -> float:
    """Share of the test images whose class a variant finds, a layer at a time in plain numpy."""
    net = load_network("digits-mlp", name)
    x = net.inputs[0].astype(np.float64)
    for layer in layers(net.graph):
        weight = layer.weight.numbers.astype(np.float64)
        if name == "binary":
            x = np.where(x < 0, -1.0, 1.0) @ (np.where(weight < 0, -1.0, 1.0) * np.abs(weight).mean(axis=0))
        elif name in BITS:
            assert layer.input.step is not None
            step = float(layer.input.step[0])
            x = np.clip(np.round(x / step), 0, 2 ** BITS[name] - 1) * step @ weight
        else:
            x = x @ weight
        assert layer.bias
        x += layer.bias.numbers
        if layer.relu and name != "binary":
            x = x * (x > 0)
    return float(np.mean(np.argmax(x, axis=1) == labels_of(net)))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_as_good_as_its_file_says(name: str) -> None:
    assert round(accuracy(name), 4) == VARIANTS[name]["accuracy"]


@pytest.mark.parametrize("name", VARIANTS)
def test_integers_are_as_good_as_training_promised(name: str) -> None:
    recipes = [r for r in shipped.names("recipe") if load_recipe(r).weights == name]
    assert recipes
    for recipe in recipes:
        summary = accelsim.run("digits-mlp", load_recipe(recipe).arch or "", recipe).summary
        assert summary.bit_exact
        assert summary.quality
        assert summary.quality.task
        assert summary.quality.task.value >= VARIANTS[name]["accuracy"] - 2 / 360  # two images of 360
        assert summary.quality.task.reference == accuracy(None)


def weights(name: str) -> list[NDArray[np.float32]]:
    return [layer.weight.numbers for layer in layers(load_network("digits-mlp", name).graph)]


def test_the_pruned_variant_is_sparse_and_loses_at_most_a_point() -> None:
    zeros = np.concatenate([w.ravel() for w in weights("pruned")]) == 0
    assert zeros.mean() >= 0.9
    assert accuracy("pruned") >= accuracy(None) - 0.01


def test_the_others_have_the_zeros_that_they_say() -> None:
    assert np.mean(np.concatenate([w.ravel() for w in weights("lottery")]) == 0) >= 0.85
    for w in weights("sparse24"):
        assert (np.count_nonzero(w.reshape(-1, 4, w.shape[1]), axis=1) <= 2).all()
    assert [round(float(np.mean(~w.any(axis=1))), 1) for w in weights("columns")] == [0.4, 0.7, 0.6]


@pytest.mark.parametrize("name", BITS)
def test_weights_are_whole_steps(name: str) -> None:
    for layer in layers(load_network("digits-mlp", name).graph):
        assert layer.weight.step is not None
        q = layer.weight.numbers / layer.weight.step
        np.testing.assert_allclose(q, np.rint(q), atol=2**-8)  # float16 has 11 bits
        assert np.abs(np.rint(q)).max() <= 2 ** (BITS[name] - 1)


def copied(folder: Path, weights: str) -> str:
    """A copy of the workload whose lsq4 has another `weights` line, or more."""
    for path in FILE.parent.glob("*.safetensors"):
        shutil.copy(path, folder)
    text = FILE.read_text().replace("weights: lsq4.safetensors", f"weights: {weights}")
    (folder / "w.yaml").write_text(text)
    return str(folder / "w.yaml")


def test_what_a_variant_subtracts_is_gone_from_all_inputs(tmp_path: Path) -> None:
    base, centered = (
        load_network("digits-mlp"),
        load_network(copied(tmp_path, "lsq4.safetensors\n    center: 0.25"), "lsq4"),
    )
    np.testing.assert_array_equal(centered.inputs[0], base.inputs[0] - np.float32(0.25))
    np.testing.assert_array_equal(centered.calibration[0], base.calibration[0] - np.float32(0.25))
    assert isinstance(centered, Network)
    assert set(centered.sha256) == {"w.yaml", "lsq4.safetensors", "data.safetensors"}


def test_wrong_variants_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        WorkloadError, match=r"must be a known variant of digits-mlp, not 'prunde'; did you mean 'pruned'\?"
    ):
        load_network("digits-mlp", "prunde")
    path = copied(tmp_path, "bad.safetensors")
    tensors = load_file(tmp_path / "lsq4.safetensors")
    save_file(tensors | {"fc2.weight_step": -tensors["fc2.weight_step"]}, tmp_path / "bad.safetensors")
    with pytest.raises(WorkloadError, match=r"layers\.1\.weight: steps of 'fc2\.weight_step' must be above 0"):
        load_network(path, "lsq4")
    save_file({n: t for n, t in tensors.items() if n != "fc1.weight"}, tmp_path / "bad.safetensors")
    with pytest.raises(WorkloadError, match=r"must be a known tensor of bad\.safetensors, not 'fc1\.weight'"):
        load_network(path, "lsq4")
    with pytest.raises(WorkloadError, match=r"variants\.lsq4\.weights: "):
        load_network(copied(tmp_path, "../lsq4.safetensors"), "lsq4")
