"""Layers of integers and floats on arrays that take both: bit for bit, on both engines, and what they cost."""

from __future__ import annotations

import dataclasses
from typing import Any

import engines
import numpy as np
import pytest
from float_networks import chain, forward, linears, network, recipe, typed
from harness import assert_accounted, machine, run_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compiler.fuse import fuse
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import compress, rewritten
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, ConfigError, ProgramError, WorkloadError
from accelsim.golden import exact
from accelsim.graph.layer import layers
from accelsim.isa import opcodes
from accelsim.isa.opcodes import DEQUANTIZE_SUMS, MATMUL, OPCODES, PRELOAD, QUANTIZE
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.workload.network import Network


def mixed(**matrix: Any) -> Machine:
    wide = {"capacity_bytes": 65536, "width_bits": 256}
    return machine(
        matrix={"operands": "fp16", "integers": ["int8", "int4"], **matrix},
        activation=wide,
        weight=wide,
        output=wide,
        accumulator={"capacity_bytes": 65536, "width_bits": 512, "banks": 4},
    )


def run(net: Network, steps: Recipe, on: Machine) -> tuple[Program, list[np.ndarray[Any, Any]]]:
    """Execute on both engines, and find every layer's output to be numpy's; return the program and the outputs."""
    graph, x = typed(net, steps)
    program, execution = run_graph(graph, x, on)
    assert_accounted(execution)
    expected = exact.evaluate(graph, x, on.fold_inputs)
    return program, [expected[info.output] for info in program.header.layers]


@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=4),
    rows=st.sampled_from([2, 4, 16]),
    columns=st.sampled_from([4, 16]),
    batch=st.integers(1, 12),
    bits=st.sampled_from([4, 8]),
    group=st.sampled_from([None, 2, 5, 16]),
    threshold=st.sampled_from([0.5, 1.5, 2.5, 99.0]),
    rank=st.sampled_from([0, 1, 2]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=36)
def test_execution_equals_numpy(
    sizes: list[int],
    rows: int,
    columns: int,
    batch: int,
    bits: int,
    group: int | None,
    threshold: float,
    rank: int,
    seed: int,
) -> None:
    first = {"scheme": "low_rank_branch", "rank": rank} if rank else {"scheme": "outliers", "threshold": threshold}
    steps = recipe(first, {"scheme": f"dynamic_int{bits}", "group": group})
    run(network(np.random.default_rng(seed), sizes, batch), steps, mixed(rows=rows, columns=columns))


@pytest.mark.parametrize("kilobytes", [1, 2, 4, 8])
@pytest.mark.parametrize("first", [{"scheme": "outliers", "threshold": 2.0}, {"scheme": "low_rank_branch", "rank": 3}])
@pytest.mark.parametrize("group", [8, None])
def test_tiles_that_hardly_fit_compute_the_same(kilobytes: int, first: dict[str, Any], group: int | None) -> None:
    """A layer's loads wait for what the layer before still has in the same bytes, integers and scales too."""
    net = network(np.random.default_rng(1), [48, 40, 24, 50], 60)
    steps = recipe(first, {"scheme": "dynamic_int4", "group": group})
    on = mixed(rows=4, columns=8)
    _, expected = run(net, steps, on)
    sram = on.activation.model_copy(update={"capacity_bytes": 1024 * kilobytes})
    small = on.model_copy(update={"activation": sram, "output": sram, "weight": sram, "accumulator": sram})
    _, again = run(net, steps, small)
    for a, b in zip(expected, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_group_of_many_inputs_is_cut_where_rows_are_resident() -> None:
    net = network(np.random.default_rng(4), [256, 24], 8)
    on = mixed(rows=4, columns=8)
    sram = on.weight.model_copy(update={"capacity_bytes": 2048})
    small = on.model_copy(update={"weight": sram})
    for group, scalings in ((None, 1), (128, 2)):
        steps = recipe({"scheme": "dynamic_int8", "group": group})
        program, expected = run(net, steps, small)
        assert program.header.layers[0].k_tile < (group or 256)
        assert rows(program, DEQUANTIZE_SUMS) == 3 * 8 * scalings
        assert rows(program, QUANTIZE) == 8 * scalings
        _, again = run(net, steps, on)
        np.testing.assert_array_equal(expected[0], again[0])


def test_the_integers_are_what_a_plain_implementation_says() -> None:
    """Vector-wise int8 of LLM.int8(), equation by equation, in float64 beside which float32 differs by little."""
    rng = np.random.default_rng(3)
    net = network(rng, [64, 20], 16)
    net.inputs[0][:, 5] *= 20  # an outlier
    net = dataclasses.replace(net, calibration=net.inputs)
    steps = recipe({"scheme": "outliers", "threshold": 6.0}, {"scheme": "dynamic_int8"})
    (layer,) = linears(net)
    x, w = net.inputs[0].astype(np.float64), layer.weight.astype(np.float64)
    outliers = np.abs(x).max(axis=0) >= 6.0
    assert outliers[5]
    assert outliers.sum() < 5
    x16 = x.astype(np.float16).astype(np.float64)
    a, b = x16[:, ~outliers], w[~outliers]
    c_x, c_w = np.abs(a).max(axis=1, keepdims=True) / 127, np.abs(b).max(axis=0) / 127
    right = c_x * c_w * (np.rint(a / c_x) @ np.rint(b / c_w)) + x16[:, outliers] @ w[outliers] + layer.bias
    _, (got,) = run(net, steps, mixed())
    np.testing.assert_allclose(got, right, rtol=2e-3, atol=4e-3)


def test_outliers_and_branches_lose_less() -> None:
    rng = np.random.default_rng(5)
    net = network(rng, [64, 48], 40)
    net.inputs[0][:, [3, 17]] *= 30
    low = rng.normal(size=(64, 2)) @ rng.normal(size=(2, 48))  # a few strong directions
    (plain,) = linears(net)
    net = chain([dataclasses.replace(plain, weight=(plain.weight + low).astype(np.float32))], net.inputs[0])
    real = forward(net, net.inputs[0])[-1]

    def error(*steps: dict[str, Any]) -> float:
        _, outputs = run(net, recipe(*steps), mixed())
        return float(np.square(outputs[-1] - real).sum() / np.square(real).sum())

    int8, int4 = error({"scheme": "dynamic_int8"}), error({"scheme": "dynamic_int4"})
    assert error({"scheme": "outliers"}, {"scheme": "dynamic_int8"}) < int8 / 10
    grouped = {"scheme": "dynamic_int4", "group": 16}
    assert error(grouped) < int4
    smooth = error({"scheme": "smoothquant"}, grouped)
    assert error({"scheme": "smoothquant"}, {"scheme": "low_rank_branch", "rank": 2}, grouped) < smooth / 2


def busy(program: Program, on: Machine, opcode: int) -> int:
    """Cycles from start to free of all instructions of an opcode."""
    timeline = engines.execute(program, on).timeline
    mine = program.instructions["opcode"] == opcode
    return int((timeline.free - timeline.start)[mine].sum())


def rows(program: Program, opcode: int) -> int:
    """Rows of all instructions of an opcode."""
    mine = program.instructions["operands"][program.instructions["opcode"] == opcode]
    return int(mine[:, OPCODES[opcode].operands._fields.index("rows")].sum())


def test_scaling_in_the_main_loop_occupies_the_vector_unit() -> None:
    """The lecture notes' warning: groups of 16 inputs scale sums eight times as often as one group of 128."""
    net, on = network(np.random.default_rng(7), [128, 32], 16), mixed()
    once, _ = run(net, recipe({"scheme": "dynamic_int4"}), on)
    often, _ = run(net, recipe({"scheme": "dynamic_int4", "group": 16}), on)
    assert [rows(program, DEQUANTIZE_SUMS) for program in (once, often)] == [2 * 16, 16 * 16]  # two blocks of outputs
    assert busy(often, on, DEQUANTIZE_SUMS) >= 8 * busy(once, on, DEQUANTIZE_SUMS) - 16 * 10


def test_narrower_integers_take_fewer_folds() -> None:
    net, on = network(np.random.default_rng(8), [128, 16], 8), mixed(rows=16, columns=16)
    folds = []
    for step in ({"scheme": "fp16"}, {"scheme": "dynamic_int8"}, {"scheme": "dynamic_int4"}):
        program, _ = run(net, recipe(step), on)
        folds.append(rows(program, MATMUL))
    assert folds == [8 * 8, 4 * 8, 2 * 8]


def test_a_branchs_outputs_stand_behind_its_inputs() -> None:
    net = network(np.random.default_rng(9), [24, 20], 6)
    steps = recipe({"scheme": "low_rank_branch", "rank": 3}, {"scheme": "dynamic_int8"})
    graph, x = typed(net, steps)
    branch, both = fuse(Lowering(graph, x, "r"), mixed()).fusions
    assert (branch.name, branch.product.k, branch.product.n, branch.target) == (
        "fc0.branch",
        24,
        3,
        "fc0.branch.output",
    )
    assert (branch.product.integers, branch.sources) == (None, ("input",))
    assert (both.product.k, both.product.weight.shape, both.product.n) == (27, (3, 20), 20)
    assert both.product.integers
    assert (both.product.integers.inputs, both.sources) == (24, ("input", "fc0.branch.output"))
    program, _ = run(net, steps, mixed())
    first, second = (program.header.region(name) for name in ("input", "fc0.branch.output"))
    assert second.address == first.address + 2 * 24
    assert first.pitch == second.pitch == 2 * 27


def test_machines_without_the_integers_refuse() -> None:
    net = network(np.random.default_rng(0), [16, 8], 2)
    graph, x = typed(net, recipe({"scheme": "dynamic_int4"}))
    with pytest.raises(
        CompileError, match=r"integers beside fp16 must be of a type that edge-ws has \(none\), not int4"
    ):
        compile_graph(graph, x, machine(matrix={"operands": "fp16"}))
    with pytest.raises(CompileError, match=r"must be of a type that edge-ws has \(int8\), not int4"):
        compile_graph(graph, x, mixed(integers=["int8"]))
    with pytest.raises(CompileError, match="operands must be int8"):
        compile_graph(graph, x, machine())


def changed(program: Program, opcode: int, name: str, value: int) -> Program:
    code = program.instructions.copy()
    (index,) = np.flatnonzero(code["opcode"] == opcode)[:1]
    code["operands"][index, OPCODES[opcode].operands._fields.index(name)] = value
    return dataclasses.replace(program, instructions=code)


def test_verify_refuses_what_the_machine_lacks() -> None:
    net, on = network(np.random.default_rng(0), [128, 8], 2), mixed(rows=16)
    program, _ = run(net, recipe({"scheme": "dynamic_int8"}), on)
    for opcode, name, value, message in (
        (PRELOAD, "integer_bits", 2, "integer_bits must be 0 or 4 or 8 on edge-ws, not 2"),
        (QUANTIZE, "integer_bits", 5, "integer_bits must be 0 or 4 or 8 on edge-ws, not 5"),
        (MATMUL, "depth", 33, "depth must be at most 32, the inputs of a fold of edge-ws, not 33"),
        (PRELOAD, "integer_bits", 0, "depth must be at most 16"),
    ):
        with pytest.raises(ProgramError, match=message):
            verify(changed(program, opcode, name, value), on)
    without = machine(matrix={"operands": "fp16"})
    with pytest.raises(ProgramError, match="must be an instruction of a machine with integers beside its own type"):
        verify(program, without)


def test_hazards_of_the_new_instructions_are_found() -> None:
    """A scaling that does not wait for its sums is refused."""
    net, on = network(np.random.default_rng(0), [64, 8], 2), mixed()
    program, _ = run(net, recipe({"scheme": "dynamic_int8"}), on)
    for opcode in (QUANTIZE, DEQUANTIZE_SUMS):
        code = program.instructions.copy()
        (index,) = np.flatnonzero(code["opcode"] == opcode)[:1]
        assert (code["wait"][index] != opcodes.NONE).any()
        code["wait"][index], code["value"][index] = opcodes.NONE, 0
        with pytest.raises(ProgramError, match="nothing orders the two"):
            verify(dataclasses.replace(program, instructions=code), on)


def test_recipes_that_cannot_be_are_refused() -> None:
    net = network(np.random.default_rng(0), [16, 12, 8], 2)
    branch, dynamic = {"scheme": "low_rank_branch", "rank": 2}, {"scheme": "dynamic_int8"}
    with pytest.raises(ConfigError, match=r"layer fc0\.branch has inputs that stay floats"):
        compress(net, recipe(branch, {"scheme": "int8"}))
    with pytest.raises(ConfigError, match="steps that change inputs must stand before those that keep some"):
        compress(net, recipe(branch, {"scheme": "smoothquant"}, dynamic))
    with pytest.raises(ConfigError, match="rank must be below 12, its smaller side, not 12"):
        compress(net, recipe({**branch, "rank": 12}, dynamic))
    with pytest.raises(ConfigError, match="all layers must have operands of one type"):
        compress(net, recipe({**dynamic, "layers": "fc0"}, {"scheme": "int8", "layers": "fc1"}))
    with pytest.raises(WorkloadError, match="group must be absent, because each output's weights have one step"):
        compress(net, recipe({"scheme": "gptq"}, {"scheme": "dynamic_int4", "group": 4}))
    # layers of floats and of integers may follow each other
    run(net, recipe({"scheme": "fp16", "layers": "fc0"}, {**dynamic, "layers": "fc1"}), mixed())


def test_steps_that_gptq_fixed_are_kept() -> None:
    net = network(np.random.default_rng(2), [32, 16], 60)
    steps = recipe({"scheme": "gptq", "bits": 4}, {"scheme": "dynamic_int4"})
    graph = compress(net, steps)
    (layer,) = layers(graph)
    (fixed,) = linears(rewritten(net, steps))
    assert layer.weight.numbers.dtype == np.int8
    np.testing.assert_allclose(layer.weight.numbers * graph["fc0.scales"].numbers, fixed.weight, rtol=1e-6)
    run(net, steps, mixed())
