"""A network of fp8 whose normalizations and softmax the host computes, from its file to what the command prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import accelsim
from ruamel.yaml import YAML

from accelsim.config.load import load_machine

BLOCK = """\
kind: workload
name: block
description: two layers with normalizations and GELU between them, and softmax behind them
source: drawn
input: [24]
synthetic: {seed: 1, batch: 16}
layers:
  - {name: fc1, kind: linear, inputs: 24, outputs: 32}
  - {name: norm, kind: layer_norm}
  - {name: rms, kind: rms_norm, activation: gelu}
  - {name: fc2, kind: linear, inputs: 32, outputs: 10}
  - {name: shares, kind: softmax}
"""


@pytest.fixture
def block(tmp_path: Path) -> Path:
    file = tmp_path / "workload.yaml"
    file.write_text(BLOCK)
    return file


def test_the_result_names_what_the_host_computed(block: Path) -> None:
    done = accelsim("run", block, "--arch", "edge-ws-fp8-e4m3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bit_exact"] is True
    layers = {layer["name"]: layer for layer in found["layers"]}
    hosted = {name: layer["host_operations"] for name, layer in layers.items() if layer["unit"] == "host"}
    assert hosted == {"norm": 6 * 512, "rms": 4 * 512, "rms.function": 2 * 512, "shares": 4 * 160}
    assert found["host_operations"] == sum(hosted.values())
    for name, operations in hosted.items():
        (row,) = [row for row in layers[name]["counters"] if row["operation"] == "host_operation"]
        assert (row["component"], row["count"], row["each_pj"]) == ("host", operations, 25.0)
        assert layers[name]["energy_pj"]["host"] == 25 * operations
        assert layers[name]["roofline"]["bound"] == "host"
        assert layers[name]["cycles"] >= operations  # one a cycle
    assert found["provenance"]["configuration"]["machine"]["host"]["operation_source"]


def test_the_headline_names_the_hosts_layers(block: Path) -> None:
    done = accelsim("run", block, "--arch", "edge-ws-fp8-e4m3")
    assert (
        "; on the host: norm, rms, rms.function and 1 more, 6,784 operations" in done.stdout.split("\n", maxsplit=1)[0]
    )


def test_a_machine_whose_host_computes_nothing_refuses_by_name(block: Path, tmp_path: Path) -> None:
    fields = load_machine("edge-ws").model_dump(mode="json")
    fields["host"] |= {"operations_per_s": None, "operation_pj": 0.0}
    fields["name"] = "idle"
    with (tmp_path / "idle.yaml").open("w") as file:
        YAML().dump(fields, file)
    done = accelsim("run", block, "--arch", tmp_path / "idle.yaml", "--recipe", "fp16")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.strip().split("\n")
    assert "node norm: LayerNorm must be what idle has a unit for" in done.stderr
    assert len(lines) == 5  # a line a node, and which machines can


def test_a_program_with_host_work_goes_through_its_file_and_its_text(block: Path, tmp_path: Path) -> None:
    program, text, again = tmp_path / "p.acs", tmp_path / "p.asm", tmp_path / "q.acs"
    assert accelsim("compile", block, "--arch", "edge-ws-fp8-e4m3", "-o", program).returncode == 0
    listed = accelsim("disasm", program, "--image")
    assert "compute    layer=1 computation=0 operations=3072" in listed.stdout
    text.write_text(listed.stdout)
    assert accelsim("asm", text, "-o", again).returncode == 0
    assert again.read_bytes() == program.read_bytes()
    assert accelsim("exec", again).stdout == accelsim("exec", program).stdout
