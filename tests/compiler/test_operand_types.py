"""Networks of every operand type compile and execute to what numpy says, bit for bit."""

from __future__ import annotations

from typing import get_args

import float_networks
import float_oracle
import numpy as np
import pytest
from float_networks import Linear, chain, forward, network, typed
from float_oracle import FloatPart
from harness import assert_accounted, machine, run_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import compress
from accelsim.compress.recipe import Recipe
from accelsim.config.operands import OPERANDS, OperandType
from accelsim.errors import CompileError, ConfigError
from accelsim.golden import exact
from accelsim.graph.element import Float
from accelsim.workload.network import Network


def recipe(scheme: OperandType) -> Recipe:
    return float_networks.recipe({"scheme": scheme})


@pytest.mark.parametrize("operand", get_args(OperandType))
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    rows=st.sampled_from([8, 16]),
    columns=st.sampled_from([8, 16]),
    batch=st.integers(1, 12),
    load=st.sampled_from(["shift_chain", "row_addressed"]),
    kilobytes=st.sampled_from([1, 64]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=12)
def test_execution_equals_numpy(
    operand: OperandType,
    sizes: list[int],
    rows: int,
    columns: int,
    batch: int,
    load: str,
    kilobytes: int,
    seed: int,
) -> None:
    net = network(np.random.default_rng(seed), sizes, batch)
    graph, x = typed(net, recipe(operand))
    memory = {"capacity_bytes": 1024 * kilobytes}
    on = machine(
        matrix={"operands": operand, "rows": rows, "columns": columns, "weight_load": load},
        activation=memory,
        weight={"capacity_bytes": 2048 * kilobytes},
        output=memory,
        accumulator=memory,
    )
    assert on.fold_inputs == rows
    program, execution = run_graph(graph, x, on)
    last: OperandType = "int8" if operand in {"int4", "int2", "binary"} else operand
    assert len(program.header.layers) == len(sizes) - 1
    for info in program.header.layers:
        region = program.header.region(info.output)
        assert region.operand == (last if info is program.header.layers[-1] else operand)
    assert_accounted(execution)
    assert region.bytes == batch * -(-sizes[-1] * OPERANDS[last].bits // 8)


def noise(operand: OperandType, net: Network, fold: int) -> float:
    """Share of noise in the last layer's outputs."""
    real = forward(net, net.inputs[0])[-1]
    graph, x = typed(net, recipe(operand))
    (last,) = graph.outputs
    error = graph[last].element.dequantize(exact.evaluate(graph, x, fold)[last]) - real
    return float(np.square(error).sum() / np.square(real).sum())


def test_more_bits_are_nearer_to_the_float_network() -> None:
    net = network(np.random.default_rng(1), [60, 50, 40], 64)
    by_type = {t: noise(t, net, 16) for t in get_args(OperandType)}
    assert by_type["fp32"] < 1e-12
    assert by_type["int16"] < 1e-7
    assert by_type["int16"] < by_type["int8"] < by_type["int4"] < by_type["int2"]
    assert by_type["fp16"] < by_type["bf16"] < by_type["fp8_e4m3"] < by_type["fp8_e5m2"]


def test_fp8_saturates_and_fp16_overflows() -> None:
    values = np.array([1e6, -1e6, 500.0], np.float32)
    assert Float("fp8_e4m3").quantize(values).tolist() == [448.0, -448.0, 448.0]
    assert Float("fp8_e5m2").quantize(values).tolist() == [57344.0, -57344.0, 512.0]
    assert Float("fp16").quantize(values).tolist() == [np.inf, -np.inf, 500.0]


@pytest.mark.parametrize("operand", ["fp16", "fp8_e4m3", "fp32"])
def test_sums_beyond_the_type_execute_as_numpy_has_them(operand: OperandType) -> None:
    huge = np.full((20, 5), 1e38 if operand == "fp32" else 400, np.float32)
    x = np.array([[400.0] * 20, [-400.0] * 20, [400.0, -400.0] * 10], np.float32)
    graph, given_ = typed(chain([Linear("fc", huge, np.zeros(5, np.float32), relu=True)], x), recipe(operand))
    on = machine(matrix={"operands": operand, "rows": 8, "columns": 8})
    program, execution = run_graph(graph, given_, on)
    weight, (activations,) = graph["fc.weight"].numbers, given_
    total = float_oracle.sums([(activations, FloatPart(weight))], on.fold_inputs)
    right = float_oracle.output(total, np.zeros(5, np.float32), operand, relu=True)
    np.testing.assert_array_equal(execution.numbers(program.header.region("fc.output")), right)
    assert right[0].max() == {"fp16": np.inf, "fp8_e4m3": 448, "fp32": np.inf}[operand]


def test_a_recipe_of_another_type_than_the_machine_is_refused() -> None:
    net = network(np.random.default_rng(0), [8, 8], 2)
    graph, x = typed(net, recipe("fp16"))
    with pytest.raises(CompileError, match="operands must be int8, the type of edge-ws, but recipe r makes them fp16"):
        compile_graph(graph, x, machine(), "r")


def test_sides_that_leave_a_byte_partly_filled_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of int4 must fill whole bytes, but 5 columns do not"):
        machine(matrix={"operands": "int4", "rows": 8, "columns": 5})


def test_types_are_not_mixed() -> None:
    net = network(np.random.default_rng(0), [8, 8, 8], 2)
    steps = [{"scheme": "int8", "layers": "fc0"}, {"scheme": "int4", "layers": "fc1"}]
    mixed = Recipe.model_validate({"kind": "recipe", "name": "r", "description": "", "steps": steps})
    with pytest.raises(ConfigError, match="layer fc0 has int8 and the next one int4"):
        compress(net, mixed)


def test_sums_of_int16_that_leave_48_bits_are_refused() -> None:
    net = network(np.random.default_rng(0), [150_000, 1], 1)
    graph, x = typed(net, recipe("int16"))
    graph["fc0.weight"].numbers[:] = 2**15 - 1
    on = machine(matrix={"operands": "int16"})
    with pytest.raises(CompileError, match="layer fc0: sums must fit an int48 accumulator"):
        compile_graph(graph, x, on)
