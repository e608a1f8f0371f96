"""Machines, networks and runs that many tests need."""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any

import engines
import numpy as np
import pytest
from hypothesis import settings
from integer_networks import Inputs, IntegerLayer, IntegerNetwork, each
from numpy.typing import NDArray

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.golden import exact
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.isa.opcodes import NONE
from accelsim.isa.program import LayerInfo, Program
from accelsim.results import Execution

SIMPLE_DRAM = {
    "kind": "simple",
    "capacity_bytes": 2**30,
    "burst_bytes": 64,
    "bandwidth_bytes_per_s": 16e9,
    "latency_s": 100e-9,
}
#: A host that computes nothing, so that what no unit executes is refused.
IDLE_HOST = {"operations_per_s": None, "operation_pj": 0.0, "operation_source": ""}
IDEAL_DRAM = {"kind": "ideal", "capacity_bytes": 2**30, "burst_bytes": 64}
#: Scratchpads of their own for what edge-ws keeps in one.
APART = {
    name: {"capacity_bytes": capacity_bytes, "banks": 4, "width_bits": 128, "ports": 1}
    for name, capacity_bytes in (("activation", 2**17), ("weight", 2**16), ("output", 2**16))
}


def examples(few: int, *, campaign: int) -> settings:
    """How many examples a slow test of random machines takes: few, or those of HYPOTHESIS_PROFILE=thorough."""
    return settings(max_examples=campaign if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else few)


def machine(**changes: Any) -> Machine:
    """edge-ws with scratchpads apart, a simple DRAM, a host that computes nothing, and some fields changed.

    Nested fields are given as matrix={"rows": 4}, whole sections by their `kind`.
    """
    fields = {**load_machine("edge-ws").model_dump(), **APART, "dram": SIMPLE_DRAM}
    fields["host"] = {**fields["host"], **IDLE_HOST}
    for name, value in changes.items():
        if isinstance(value, dict) and "kind" not in value:
            fields[name] = {**fields[name], **value}
        else:
            fields[name] = value
    return Machine.model_validate(fields)


#: Mark of what takes minutes: it runs with HYPOTHESIS_PROFILE=thorough.
long = pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "thorough", reason="runs with HYPOTHESIS_PROFILE=thorough"
)


def mutations(most: int) -> int:
    """How many mutated files a test tries: a tenth, or all with HYPOTHESIS_PROFILE=thorough."""
    return most if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else most // 10


def ideal_memory(rows: int = 16, columns: int = 16, **changes: Any) -> Machine:
    """A machine with ideal DRAM, ports and host, and scratchpads of the given sizes.

    A matrix unit that is given with its `kind` is taken as it is.
    """
    for memory in ("activation", "weight", "output", "accumulator"):
        changes[memory] = {"ideal": True, **changes.get(memory, {})}
    matrix = changes.pop("matrix", {})
    if "kind" not in matrix:
        matrix = {"rows": rows, "columns": columns, **matrix}
    host = {"issue_interval_cycles": 0, "queue_depth": 64}
    return machine(matrix=matrix, host=host, dram=IDEAL_DRAM, vector={"lanes": 4096}, **changes)


def layer(
    rng: np.random.Generator,
    k: int,
    n: int,
    given: Integer,
    result: Integer,
    *,
    name: str = "fc",
    relu: bool = False,
    rounding: str = "tflite_single_round",
    density: float = 1.0,
) -> IntegerLayer:
    """A layer of random integers whose outputs spread over their range."""
    weight = rng.integers(-128, 128, (k, n)).astype(np.int8)
    weight[rng.random((k, n)) > density] = 0
    spread = 128 * 74 * np.sqrt(k)  # about one standard deviation of a sum of k products
    scale = rng.uniform(20, 200, n) / spread
    mantissa, exponent = np.frexp(scale)
    return IntegerLayer(
        name=name,
        weight=weight,
        bias=rng.integers(-10_000, 10_000, n).astype(np.int32),
        multiplier=np.minimum(mantissa * 2**31, 2**31 - 1).astype(np.int32),
        shift=exponent.astype(np.int8),
        rounding=rounding,
        relu=relu,
        input=given,
        output=result,
    )


def network(rng: np.random.Generator, sizes: list[int], **options: Any) -> IntegerNetwork:
    """A chain of random layers: unsigned inputs and hidden tensors with ReLU, signed outputs."""
    unsigned, signed = Integer(0.1, 0, signed=False), Integer(0.1, int(rng.integers(-128, 128)), signed=True)
    layers = []
    for i, (k, n) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        result = signed if last else unsigned
        layers.append(layer(rng, k, n, unsigned, result, name=f"fc{i}", relu=not last, **options))
    return IntegerNetwork("random", tuple(layers))


def inputs(rng: np.random.Generator, net: IntegerNetwork, batch: int) -> NDArray[np.generic]:
    """Random inputs of a network's input type."""
    q = net.input
    return rng.integers(q.qmin, q.qmax + 1, (batch, net.layers[0].inputs)).astype(q.dtype)


def without_wait(program: Program, instruction: int, slot: int) -> Program:
    """The program with one wait taken out, the others moved up."""
    code = program.instructions.copy()
    for name, empty in (("wait", NONE), ("value", 0)):
        kept = np.delete(code[name][instruction], slot)
        code[name][instruction] = np.append(kept, empty)
    return dataclasses.replace(program, instructions=code)


def run(net: IntegerNetwork, x: Inputs, on: Machine) -> tuple[Program, Execution]:
    """Compile and execute on both engines."""
    program = net.compile(x, on)
    return program, engines.execute(program, on)


def run_graph(graph: Graph, x: Inputs, on: Machine, recipe: str = "r") -> tuple[Program, Execution]:
    """Compile and execute a typed graph on both engines, and find every layer's output in DRAM to be the golden one."""
    given = each(x)
    program = compile_graph(graph, given, on, recipe)
    execution = engines.execute(program, on)
    expected = exact.evaluate(graph, given, on.fold_inputs)
    for info in program.header.layers:
        _assert_formed(info, expected[info.output], program, execution)
    assert set(graph.outputs) <= {info.output for info in program.header.layers}
    return program, execution


def assert_bit_exact(net: IntegerNetwork, x: Inputs, program: Program, execution: Execution) -> None:
    """Every layer's output equals what numpy makes of the layers' arrays."""
    for info, expected in zip(program.header.layers, net.forward(x), strict=True):
        _assert_formed(info, expected, program, execution)


def _assert_formed(info: LayerInfo, expected: NDArray[Any], program: Program, execution: Execution) -> None:
    """All of a layer's output, where each strip of it lies, is as expected; a compacted one names its features."""
    regions = program.header.regions_of(info.output)
    whole = expected.reshape(-1, expected.shape[-1])
    parts = [
        whole[region.first_row : region.first_row + region.rows]
        if region.columns == whole.shape[1]
        else region.of_full(whole)
        for region in regions
    ]
    assert sum(part.size for part in parts) == expected.size
    for region, part in zip(regions, parts, strict=True):
        np.testing.assert_array_equal(execution.numbers(region).reshape(part.shape), part, info.name)


def assert_accounted(execution: Execution) -> None:
    """Each unit's cycles are attributed once, and the timeline is in order."""
    assert (execution.attribution >= 0).all()
    assert (execution.attribution.sum(axis=(0, 2)) == execution.cycles).all()
    t = execution.timeline
    assert (t.issue <= t.start).all()
    assert (t.start < t.free).all()
    assert (t.free <= t.end).all()
    for unit in np.unique(t.unit):
        mine = t.unit == unit
        assert (np.diff(t.end[mine]) >= 0).all()
        assert (t.start[mine][1:] >= t.free[mine][:-1]).all()
    assert execution.layer_times().cycles.sum() == execution.cycles
