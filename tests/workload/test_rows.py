"""Workloads with softmax and normalizations of rows, from a file to a machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import accelsim
from accelsim.config import shipped
from accelsim.errors import AccelSimError
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.softmax import Softmax
from accelsim.workload.source import load_network

LAYERS = """\
layers:
  - {name: fc1, kind: linear, inputs: 64, outputs: 300, weight: fc1.weight, bias: fc1.bias, activation: relu}
  - {name: ln, kind: layer_norm, prefix: ln, activation: relu}
  - {name: fc2, kind: linear, inputs: 300, outputs: 100, weight: fc2.weight, bias: fc2.bias, activation: relu}
  - {name: rms, kind: rms_norm, epsilon: 1e-3}
  - {name: both, kind: concat, reads: [rms, fc2]}
  - {name: fc3, kind: linear, inputs: 200, outputs: 10, weight: wide.weight}
  - {name: shares, kind: softmax}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """digits-mlp with rows normalized behind its hidden layers, two of them joined, and shares put out."""
    folder = tmp_path / "digits"
    shutil.copytree(shipped.path_of("workload", "digits-mlp").parent, folder)
    path = folder / "workload.yaml"
    path.write_text(path.read_text().split("layers:")[0] + LAYERS)
    rng, tensors = np.random.default_rng(0), load_file(folder / "weights.safetensors")
    tensors["ln.gamma"] = rng.normal(1, 0.2, 300).astype(np.float32)
    tensors["ln.beta"] = rng.normal(0, 0.2, 300).astype(np.float32)
    tensors["wide.weight"] = rng.normal(0, 0.1, (10, 200)).astype(np.float32)
    save_file(tensors, folder / "weights.safetensors")
    return str(path)


def test_layers_become_operators_with_their_tensors(file: str) -> None:
    graph = load_network(file).graph
    assert graph.node("ln").op == LayerNorm(1e-5)
    assert graph.node("ln").inputs == ("fc1.output", "ln.gamma", "ln.beta")
    assert graph.node("rms").op == RmsNorm(1e-3)
    assert (graph["rms.gamma"].numbers == 1).all()
    assert graph.node("shares").op == Softmax()


def test_tensors_of_a_normalization_are_asked_for_by_name(file: str) -> None:
    path = Path(file)
    path.write_text(path.read_text().replace("prefix: ln", "prefix: nl"))
    with pytest.raises(AccelSimError, match=r"layers\.1\.prefix: must be a known tensor of .*, not 'nl\.gamma'"):
        load_network(file)


@pytest.mark.parametrize("arch", ["edge-ws", "edge-outer", "edge-tensorcore"])
def test_rows_are_executed_bit_for_bit(file: str, arch: str) -> None:
    summary = accelsim.run(file, arch, "int8").summary
    assert summary.bit_exact
    by = {layer.name: layer for layer in summary.layers}
    names = ["fc1", "ln", "fc2", "rms", "fc3", "shares"]  # the unit's clamp is the ReLU behind ln
    assert [name for name in by if ".both" not in name] == names
    for name in names:
        quality = by[name].quality
        assert quality
        assert quality.sqnr_db > 20, name
    assert summary.vector_work >= 360 * (300 + 100 + 10)


def test_shapes_alone_take_the_same_time(file: str) -> None:
    for arch in ("edge-ws", "edge-tensorcore"):
        timed, whole = (accelsim.run(file, arch, "int8", timing_only=only).summary for only in (True, False))
        assert timed.cycles == whole.cycles
        assert timed.energy_pj == whole.energy_pj
        assert [layer.name for layer in timed.layers] == [layer.name for layer in whole.layers]
