"""Layers that live on from step to step, as a workload file says them: an Elman cell."""

from __future__ import annotations

import re
from pathlib import Path

import command_line
import numpy as np
import pytest

import accelsim
from accelsim.errors import AccelSimError
from accelsim.golden import real, steps
from accelsim.workload.source import load_network

TEXT = """\
kind: workload
name: elman
description: an Elman cell
source: drawn
synthetic: {seed: 1, batch: 8}
input: [16]
layers:
  - {name: w, kind: linear, inputs: 16, outputs: 24}
  - {name: u, kind: linear, inputs: 24, outputs: 24, reads: [previous h]}
  - {name: h, kind: add, reads: [w, u], activation: relu, state: [24]}
  - {name: y, kind: linear, inputs: 24, outputs: 5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "workload.yaml"
    path.write_text(TEXT)
    return path


def test_the_readme_has_the_same_layers() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert TEXT[TEXT.index("input:") :] in readme


def test_steps_are_those_of_numpy(file: Path) -> None:
    network = load_network(str(file))
    graph = network.graph
    assert [(state.read, state.written) for state in graph.states] == [("previous h", "h.output")]
    w, u, y = (graph[f"{name}.weight"].numbers.astype(np.float64) for name in "wuy")
    x, h = network.inputs[0].astype(np.float64), np.zeros((8, 24))
    for numbers in steps.evaluate(graph, [network.inputs] * 4, lambda x, held: real.evaluate(graph, x, states=held)):
        h = np.maximum(x @ w + h @ u, 0)
        np.testing.assert_allclose(numbers["h.output"], h, rtol=1e-12)
        np.testing.assert_allclose(numbers["y.output"], h @ y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("arch", "recipe"),
    [("edge-ws", "int8"), ("edge-outer", "int8-compact"), ("edge-tensorcore", "int8"), ("edge-ws-bf16", "bf16"),
     ("tpu-v1", "int8")],
)  # fmt: skip
def test_a_step_is_executed_bit_for_bit(file: Path, arch: str, recipe: str) -> None:
    summary = accelsim.run(str(file), arch, recipe).summary
    assert summary.bit_exact
    assert {layer.name for layer in summary.layers} >= {"w", "u", "h", "y"}


def test_shapes_alone_take_the_same_time(file: Path) -> None:
    timed, whole = (accelsim.run(str(file), "edge-ws", "int8", timing_only=only).summary for only in (True, False))
    assert timed.cycles == whole.cycles
    assert timed.bytes == whole.bytes


def test_inputs_that_would_take_other_places_in_a_state_are_refused(file: Path) -> None:
    with pytest.raises(AccelSimError, match="layer u: inputs can't be changed where they are formed: previous h is"):
        accelsim.run(str(file), "edge-sparse24", "int8-2to4")


def test_the_command_runs_it(file: Path) -> None:
    printed = command_line.accelsim("graph", file)
    assert "8x24 fp32   previous h, then h.output\n" in printed.stdout
    done = command_line.accelsim("run", file, "--arch", "edge-ws", "--recipe", "int8")
    assert done.returncode == 0
    assert "elman as int8 on edge-ws" in done.stdout
    assert "bit-exact" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("previous h", "previous g", r"layers\.1\.reads: must be a known layer before it, not 'previous g'"),
        ("previous h", "previous w", r"layers\.1\.reads: must be a known layer before it, not 'previous w'"),
        ("state: [24]", "state: [23]", r"layers\.1\.inputs: must be 23, the outputs of layer previous h, not 24"),
        ("state: [24]", "state: [1, 24]", r"layers\.2\.state: must be \[8, 24\], what the layer forms, not \[1, 24\]"),
        ("name: y", "name: previous y", "layer 'previous y' must not be called"),
        ("input: [16]", "independent: true", r"layers\.2\.kind: must be a matrix product"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(AccelSimError, match=message):
        load_network(str(file))


def test_a_state_has_the_shape_of_what_its_layer_forms(file: Path) -> None:
    text = re.sub(r"reads: \[w, u\]", "reads: [w, w]", TEXT).replace("state: [24]", "state: [5]")
    text = text.replace("name: u, kind: linear, inputs: 24", "name: u, kind: linear, inputs: 5")
    file.write_text(text)
    with pytest.raises(AccelSimError, match=r"layers\.2\.state: must be \[24\], what the layer forms, not \[5\]"):
        load_network(str(file))


def test_independent_layers_have_no_state(file: Path) -> None:
    layer = "  - {name: w, kind: linear, inputs: 16, outputs: 24, state: [24]}\n"
    file.write_text(TEXT[: TEXT.index("input:")] + "independent: true\nlayers:\n" + layer)
    with pytest.raises(AccelSimError, match=r"layers\.0\.state: must be absent in a workload that is independent"):
        load_network(str(file))
