"""Arrays that look products up: bit for bit what multiplying the shared values gives, in the time of multipliers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from float_networks import network, recipe, typed
from harness import assert_accounted, machine, run_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import compress
from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Event, Operation
from accelsim.errors import CompileError, ProgramError, WorkloadError
from accelsim.graph.element import Integer
from accelsim.graph.layer import layers
from accelsim.isa.opcodes import OPCODES, PRELOAD
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.results import Execution
from accelsim.workload.network import Network

KMEANS: dict[str, Any] = {"scheme": "kmeans", "bits": 4}
LOOKUP: dict[str, Any] = {"scheme": "int4", "weights_per": "tensor", "lookup": True}


def tables(**changes: Any) -> Machine:
    return machine(matrix={"operands": "int4", "lookup": True}, **changes)


def run(net: Network, on: Machine, *steps: dict[str, Any]) -> tuple[Program, Execution]:
    """Execute on both engines and find numpy's outputs."""
    program, execution = run_graph(*typed(net, recipe(*steps)), on)
    assert_accounted(execution)
    return program, execution


@given(
    sizes=st.lists(st.integers(1, 50), min_size=2, max_size=4),
    rows=st.sampled_from([4, 16]),
    kilobytes=st.sampled_from([1, 64]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=30)
def test_lookups_equal_products(sizes: list[int], rows: int, kilobytes: int, seed: int) -> None:
    on = machine(
        matrix={"operands": "int4", "lookup": True, "rows": rows, "columns": 8},
        weight={"capacity_bytes": 1024 * kilobytes},
    )
    run(network(np.random.default_rng(seed), sizes, 5), on, KMEANS, LOOKUP)


def test_shared_values_keep_their_eight_bits() -> None:
    net = network(np.random.default_rng(0), [40, 30], 8)
    (layer,) = layers(compress(net, recipe(KMEANS, LOOKUP)))
    element = layer.weight.element
    assert isinstance(element, Integer)
    assert 12 < len(np.unique(layer.weight.numbers)) <= 16
    assert np.abs(layer.weight.numbers).max() == 127
    assert (layer.input.element.operand, element.bits, element.distinct) == ("int4", 8, 16)


def test_products_are_looked_up_and_tables_are_filled_for_each_fold() -> None:
    net = network(np.random.default_rng(1), [32, 16], 8)
    program, execution = run(net, tables(), KMEANS, LOOKUP)
    (counters,) = execution.counters
    folds = int((program.instructions["opcode"] == PRELOAD).sum())
    assert counters[Event(Component.MAC, Operation.LOOK_UP, 12)] == 8 * 32 * 16
    assert counters[Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, 12)] == 256 * folds
    assert not any(e.component == Component.MAC and e.operation == Operation.INT_MULTIPLY for e in counters)
    # a number of 4 bits a weight, 16 values of 8 bits a weight tile, a multiplier and a shift an output
    assert program.header.layers[0].stored_bits == 4 * 32 * 16 + 8 * 16 + 40 * 16


def test_an_array_without_tables_takes_as_long() -> None:
    net = network(np.random.default_rng(2), [64, 48], 40)
    _, looked = run(net, tables(), KMEANS, LOOKUP)
    _, multiplied = run(net, machine(matrix={"operands": "int4"}), {"scheme": "int4"})
    assert abs(looked.cycles - multiplied.cycles) <= 12  # the shared values' bursts


def test_what_does_not_match_is_refused() -> None:
    net = network(np.random.default_rng(3), [16, 12], 4)
    with pytest.raises(WorkloadError, match=r"at most 16 different values to be looked up, not \d+; a kmeans step"):
        compress(net, recipe(LOOKUP))
    for step, on, message in (
        ({"scheme": "int4"}, tables(), "weights must be numbers of shared values on edge-ws, not values as recipe r"),
        (LOOKUP, machine(matrix={"operands": "int4"}), "weights must be values on edge-ws, not numbers of shared ones"),
    ):
        graph, x = typed(net, recipe(KMEANS, step))
        with pytest.raises(CompileError, match=message):
            compile_graph(graph, x, on, "r")
    for wrong in ({**LOOKUP, "scheme": "int8"}, {"scheme": "int4", "lookup": True}, {**LOOKUP, "weight_bits": 3}):
        with pytest.raises(ValidationError, match="lookup must be for int4"):
            recipe(wrong)
    with pytest.raises(ValidationError, match="lookup must be false for int8"):
        machine(matrix={"lookup": True})
    with pytest.raises(ValidationError, match="weight_load must be shift_chain where lookup is true"):
        machine(matrix={"operands": "int4", "lookup": True, "weight_load": "row_addressed"})
    program, _ = run(net, machine(matrix={"operands": "int4"}), {"scheme": "int4"})
    code = program.instructions.copy()
    (index,) = np.flatnonzero(code["opcode"] == PRELOAD)[:1]
    code["operands"][index, OPCODES[PRELOAD].operands._fields.index("table")] = 8
    with pytest.raises(ProgramError, match="table must be at most 0, the tables of products of edge-ws, not 8"):
        verify(dataclasses.replace(program, instructions=code), machine(matrix={"operands": "int4"}))
