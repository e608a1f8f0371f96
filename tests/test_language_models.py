"""Language models on machines, bit for bit: from files through recipes and the compiler to what was executed."""

from __future__ import annotations

from pathlib import Path

import gguf_files
import language_models
import numpy as np
import pytest
from float_networks import recipe
from graph_runs import executed

from accelsim.compress.apply import compress
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import CompileError, ConfigError
from accelsim.formats.ggml import LAYOUTS, BlockTensor
from accelsim.golden import exact, real
from accelsim.graph.graph import Graph
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.opcodes import DECODE, Decode
from accelsim.workload.importers import gguf, huggingface
from accelsim.workload.network import Network

IDS = np.array([[3, 1, 4, 1, 5, 9]])


def computing(name: str) -> Machine:
    """A machine whose host computes what units do not."""
    described = load_machine(name).model_dump()
    host = {**described["host"], "operations_per_s": 3e8, "operation_pj": 25.0, "operation_source": "a test"}
    return Machine.model_validate({**described, "host": host})


def typed(graph: Graph, scheme: str) -> Graph:
    return compress(Network(graph, (IDS,), None, (IDS,), {}), recipe({"scheme": scheme}))


def decibels(graph: Graph, found: Graph, on: Machine) -> float:
    """Power of the real outputs over that of what a typed graph makes otherwise."""
    (output,) = graph.outputs
    right = real.evaluate(graph, (IDS,), (output,))[output]
    error = exact.evaluate(found, (IDS,), on.fold_inputs)[output] - right
    return float(10 * np.log10(np.square(right).sum() / np.square(error).sum()))


@pytest.mark.parametrize("kind", ["Q4_1", "Q6_K"])
def test_blocks_are_expanded_on_chip_and_nothing_else_is_loaded(kind: str, tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "model.gguf", gguf_files.small(), kind)
    graph, on = gguf.load(tmp_path / "model.gguf", length=IDS.size).graph, computing("edge-ws-bf16")
    found = typed(graph, "bf16")
    program, _ = executed(found, (IDS,), on)
    assert decibels(graph, found, on) > 35
    stored = [value for value in found.constants if value.storage]
    assert len(stored) == 8
    decoded = program.instructions[program.instructions["opcode"] == DECODE]["operands"]
    layout = LAYOUTS[kind.lower()]  # type: ignore[index]
    weights = sum(value.numbers.size for value in stored)
    assert int(decoded[:, Decode._fields.index("bytes")].sum()) == weights // layout.numbers * layout.bytes


def test_other_numbers_in_their_place_give_blocks_up(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "model.gguf", gguf_files.small(), "Q4_1")
    graph = gguf.load(tmp_path / "model.gguf", length=IDS.size).graph
    with pytest.raises(
        CompileError, match="stored as q4_1 must be expanded by a decode unit, which edge-ws-fp16 lacks"
    ):
        executed(typed(graph, "fp16"), (IDS,), computing("edge-ws-fp16"))
    network = Network(graph, (IDS,), None, (IDS,), {})
    plain = typed(graph, "bf16")
    other = plain.changed("head.weight", data=plain["head.weight"].numbers * np.float32(2))
    with pytest.raises(CompileError, match="layer head: weights must be what their q4_1 blocks stand for as bf16"):
        executed(other, (IDS,), computing("edge-ws-bf16"))
    pruned = compress(network, recipe({"scheme": "prune_magnitude", "sparsity": 0.5, "layers": "*ffn*"},
                                      {"scheme": "bf16"}))  # fmt: skip
    kept = {value.name for value in pruned.constants if isinstance(value.groups, BlockTensor)}
    assert kept == {"head.weight", *(f"layer0.attention.{name}.weight" for name in ("query", "key", "value", "output"))}
    micro = compress(network, recipe({"scheme": "bf16", "weights": "mxint8"}))
    assert not any(isinstance(value.groups, BlockTensor) for value in micro.constants)
    assert {value.storage.format for value in micro.constants if value.storage} == {"mxint8"}


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama"])
def test_families_run_where_the_host_computes(name: str, tmp_path: Path) -> None:
    model = {"gpt2": language_models.gpt2, "bert": language_models.bert, "llama": language_models.llama}[name]()
    graph, on = huggingface.load(model.save(tmp_path), length=IDS.size).graph, computing("edge-ws-fp16")
    found = typed(graph, "fp16")
    program, _ = executed(found, (IDS,), on)
    assert print_program(parse(print_program(program))) == print_program(program)
    assert decibels(graph, found, on) > 50


def test_what_has_no_form_in_integers_is_refused_by_name(tmp_path: Path) -> None:
    graph = huggingface.load(language_models.llama().save(tmp_path), length=IDS.size).graph
    with pytest.raises(ConfigError, match=r"node layer0.attention.norm: RmsNorm must be of 8-bit integers and form"):
        typed(graph, "int4")
