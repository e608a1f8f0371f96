"""Trained convolutional networks, whole, on shipped machines."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from accelsim import api
from accelsim.config import shipped
from accelsim.dse.compare import Scheme
from accelsim.errors import CompileError, ConfigError
from accelsim.golden import real
from accelsim.workload.source import load_network

DATA = shipped.path_of("workload", "digits-mlp").parents[2] / "tests/data/networks"
TRAINED = ("digits-cnn", "fashion-resnet", "fashion-mobile")
INT8 = ("edge-ws", "edge-outer", "edge-sparse24", "edge-tensorcore", "edge-eie", "tpu-v1", "scale-sim-128x128-ws")
#: What can't be done to a network of images yet, and the reason that is given.
REFUSED = {
    "awq-w4a8": "flat does not commute with it",
    "binary": "must be for matrix products",
    "int8-2to4": "permute must be false",
    "llm-int8": "must be for matrix products",
    "smoothquant": "flat does not commute with it",
    "svd": "rank must be below 10",
    "svdquant": "flat does not commute with it",
    "w4a4": "must be for matrix products",
    "w8a8": "must be for matrix products",
}
RECIPES = [
    name for name in shipped.names("recipe") if not (found := api.load_recipe(name)).weights and not found.is_stored
]


@pytest.mark.parametrize("name", TRAINED)
def test_the_graph_computes_what_the_trained_network_does(name: str) -> None:
    network, golden = load_network(name), np.load(DATA / f"{name}.npz")
    (x,) = network.inputs
    data = load_file(shipped.path_of("workload", name).with_name("data.safetensors"))
    (output,) = network.graph.outputs
    logits = real.evaluate(network.graph, (x,), (output,))[output]
    np.testing.assert_allclose(logits[:8], golden["logits"], atol=1e-5)
    np.testing.assert_array_equal(logits.argmax(axis=-1), golden["classes"])
    assert (logits.argmax(axis=-1) == data["test_labels"]).mean() == golden["accuracy"]


@pytest.mark.parametrize("arch", INT8)
def test_every_datapath_computes_it_bit_for_bit(arch: str) -> None:
    summary = api.run("digits-cnn", arch, "int8").summary
    assert summary.bit_exact
    assert [layer.name for layer in summary.layers] == ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2"]


@pytest.mark.parametrize(("recipe", "arch"), [("int4", "edge-ws-int4"), ("int2", "edge-ws-int2")])
def test_packed_activations_run_alike_on_both_engines_and_for_time_alone(recipe: str, arch: str) -> None:
    one, other = (api.run("digits-cnn", arch, recipe, engine=engine).summary for engine in ("fast", "reference"))
    assert one.bit_exact
    assert other.bit_exact
    assert (one.cycles, one.energy_pj, one.bytes) == (other.cycles, other.energy_pj, other.bytes)
    assert {layer.unit for layer in one.layers} == {"matrix", "vector"}  # and none is the host's
    timed = api.run("digits-cnn", arch, recipe, timing_only=True).summary
    assert (timed.cycles, timed.energy_pj, timed.bytes) == (one.cycles, one.energy_pj, one.bytes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_scheme_runs_or_says_why_not(recipe: str) -> None:
    scheme = Scheme.parse(recipe)
    if recipe in REFUSED:
        with pytest.raises((CompileError, ConfigError), match=REFUSED[recipe]):
            api.run("digits-cnn", scheme.arch, scheme.recipe)
        return
    summary = api.run("digits-cnn", scheme.arch, scheme.recipe).summary
    assert summary.bit_exact
    assert summary.compression.dense_bits == 32 * (3 * 3 * 16 + 3 * 3 * 16 * 32 + 128 * 64 + 64 * 10)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arch"), [("fashion-mobile", "edge-tensorcore"), ("fashion-resnet", "tpu-v1")])
def test_larger_ones_are_computed_bit_for_bit(name: str, arch: str) -> None:
    summary = api.run(name, arch, "int8").summary
    assert summary.bit_exact
    assert summary.quality
    assert summary.quality.task
    assert summary.quality.task.value > summary.quality.task.reference - 0.01
