"""Engines and what surrounds them: `pytest benchmarks` (pytest-benchmark); `M instructions/s` is what to look at."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from speed import compressed

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.load import load_machine
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.sim import fast, reference

#: Workload, machine, and whether no bytes are asked for.
CASES = [
    ("digits-mlp", "edge-ws", False),
    ("resnet-50-layers", "scale-sim-128x128-ws", True),
    ("llama-2-7b-block", "tpu-v1", True),
]


def rate(benchmark: BenchmarkFixture, program: Program) -> None:
    """Say how many instructions a second that was."""
    benchmark.extra_info["M instructions/s"] = round(len(program.instructions) / benchmark.stats.stats.min / 1e6, 3)


@pytest.mark.parametrize("step", ["compile", "verify", "fast", "reference"])
@pytest.mark.parametrize(("workload", "arch", "timing_only"), CASES)
def test_step(benchmark: BenchmarkFixture, workload: str, arch: str, timing_only: bool, step: str) -> None:
    """A step of a simulation by itself."""
    benchmark.group = f"{workload} on {arch}{', timing only' * timing_only}"
    machine = load_machine(arch)
    graph, inputs = compressed(workload, machine.default_recipe, values=not timing_only)
    program = compile_graph(graph, inputs, machine)
    match step:
        case "compile":
            benchmark(compile_graph, graph, inputs, machine)
        case "verify":
            benchmark(verify, program, machine)
        case "fast":
            benchmark(fast.execute, program, machine, timing_only=timing_only)
        case "reference":
            benchmark.pedantic(reference.execute, (program, machine), rounds=1)
    rate(benchmark, program)
