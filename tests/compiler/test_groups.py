"""Weights in groups and in microscaling blocks: expanded on chip to what numpy says, on any tiling and both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from float_networks import linears, network, recipe, typed
from harness import assert_accounted, machine, run_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import CompileError
from accelsim.formats.microscale import Microscale
from accelsim.formats.storage import Storage
from accelsim.isa.opcodes import DECODE
from accelsim.isa.program import Program
from accelsim.workload.network import Network

DECODER = {"symbols_per_cycle": 4, "outputs_per_cycle": 8, "huffman_decoders": 2, "latency_cycles": 2}


def run(net: Network, step: dict[str, Any], on: Machine) -> Program:
    """Execute on both engines and find numpy's outputs; return the program."""
    graph, x = typed(net, recipe(step))
    program, execution = run_graph(graph, x, on)
    assert [info.name for info in program.header.layers] == [layer.name for layer in linears(net)]
    assert_accounted(execution)
    assert (program.instructions["opcode"] == DECODE).any()
    return program


@given(
    sizes=st.lists(st.integers(2, 60), min_size=2, max_size=3),
    bits=st.integers(2, 7),
    group=st.integers(2, 24),
    scales=st.sampled_from(["progressive", "vector"]),
    rows=st.sampled_from([4, 8]),
    kilobytes=st.sampled_from([4, 64]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=30)
def test_groups_execute_bit_for_bit(
    sizes: list[int], bits: int, group: int, scales: str, rows: int, kilobytes: int, seed: int
) -> None:
    narrow = min(bits, 4) if scales == "vector" else bits
    step = {"scheme": "int8", "weight_bits": narrow, "weight_group": group, "weight_scales": scales}
    on = machine(matrix={"rows": rows, "columns": 8}, weight={"capacity_bytes": 1024 * kilobytes}, decode=DECODER)
    run(network(np.random.default_rng(seed), sizes, 5), step, on)


@pytest.mark.parametrize("weights", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8"])
@pytest.mark.parametrize("kilobytes", [4, 64])
def test_microscaling_blocks_execute_bit_for_bit(weights: str, kilobytes: int) -> None:
    on = machine(
        matrix={"operands": "bf16", "rows": 8, "columns": 8},
        weight={"capacity_bytes": 1024 * kilobytes},
        decode=DECODER,
    )
    net = network(np.random.default_rng(3), [70, 33, 9], 4)
    program = run(net, {"scheme": "bf16", "weights": weights}, on)
    codec = Storage(weights, 0, 32).codec(1)  # type: ignore[arg-type] # one of the names above
    assert isinstance(codec, Microscale)
    for info, layer in zip(program.header.layers, linears(net), strict=True):
        if info.k_tile >= layer.inputs:  # a weight tile is a column block: its bytes are the encoder's
            blocks = [codec.encode(layer.weight[:, n : n + 8]) for n in range(0, layer.outputs, 8)]
            assert info.stored_bits == sum(block.stored_bits for block in blocks)
        else:
            assert info.k_tile % 32 == 0


def test_groups_are_whole_in_every_weight_tile() -> None:
    on = machine(matrix={"rows": 8, "columns": 8}, weight={"capacity_bytes": 2048}, decode=DECODER)
    step = {"scheme": "int8", "weight_bits": 4, "weight_group": 12, "weight_scales": "progressive"}
    program = run(network(np.random.default_rng(0), [200, 16], 4), step, on)
    assert program.header.layers[0].k_tile % 24 == 0
    decodes = program.instructions["operands"][program.instructions["opcode"] == DECODE]
    assert set(decodes[:, 7].tolist()) == {12}


def test_machines_that_lay_weights_out_otherwise_refuse() -> None:
    net = network(np.random.default_rng(0), [32, 16], 4)
    step = {"scheme": "int8", "weight_bits": 4, "weight_group": 16, "weight_scales": "progressive"}
    graph, x = typed(net, recipe(step))
    on = load_machine("edge-tensorcore").model_copy(update={"decode": load_machine("edge-ws").decode})
    with pytest.raises(CompileError, match="must lie in memory input by input, an output each, for the format progr"):
        compile_graph(graph, x, on)
    with pytest.raises(CompileError, match="must be expanded by a decode unit, which edge-ws lacks"):
        compile_graph(graph, x, machine(decode=None))
