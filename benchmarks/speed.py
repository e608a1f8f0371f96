"""What a simulation costs: `python benchmarks/speed.py [--largest N]`; rates and ratios on one core, kernels cached.

Times are the least of several runs, in CPU seconds of the process. Ratios are taken within the run, because machines
differ and are noisy.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from one_core import ONE_CORE

from accelsim import api
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import load_recipe
from accelsim.config.arch import BankedDram, IdealDram, Machine, SimpleDram
from accelsim.config.load import load_machine, load_part
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.isa.accesses import Accesses
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.kernels import lanes
from accelsim.sim import fast, reference
from accelsim.sim.data import move_all
from accelsim.sim.machine import Core
from accelsim.sim.timings import Ports, Timings
from accelsim.workload.source import load_network

Inputs = tuple[NDArray[Any], ...]

SIMPLE = SimpleDram(kind="simple", capacity_bytes=2**34, burst_bytes=64, bandwidth_bytes_per_s=25.6e9, latency_s=60e-9)
IDEAL = IdealDram(kind="ideal", capacity_bytes=2**40, burst_bytes=64)


class Row(NamedTuple):
    """A line of the table."""

    what: str
    measured: str
    target: str


def say(text: str) -> None:
    """Print a line of the table as soon as it is known."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """Least CPU time of several runs, after one that loads kernels."""
    run()
    found = []
    for _ in range(times):
        begun = time.process_time()
        run()
        found.append(time.process_time() - begun)
    return min(found)


def compressed(workload: str, recipe: str = "int8", *, values: bool = False) -> tuple[Graph, Inputs]:
    """A typed graph, and its inputs."""
    network = load_network(workload, values=values)
    executed = api.prepare(network, network, load_recipe(recipe)).executed
    return executed.graph, executed.inputs


def square(side: int) -> tuple[Graph, Inputs]:
    """One fully connected int8 layer of zeros, for one sample."""
    unsigned = Integer(1.0, 0, signed=False)
    signed = {bits: Integer(1.0, 0, signed=True, bits=bits) for bits in (8, 32)}
    build = Builder("square")
    x = build.input("input", (1, side), unsigned)
    weight = build.constant("fc.weight", np.zeros((side, side), np.int8), signed[8])
    multiplier = build.constant("fc.multiplier", np.zeros(side, np.int32), signed[32])
    shift = build.constant("fc.shift", np.zeros(side, np.int8), signed[8])
    sums = build.node("fc", MatMul(), x, weight, output="fc.products")
    last = build.node("fc.cast", Cast(unsigned, "tflite_single_round"), sums, multiplier, shift)
    output = build.node("fc.relu", Relu(), last, output="fc.output")
    return build.graph((output,)), (np.zeros((1, side), np.uint8),)


def with_dram(arch: str, dram: SimpleDram | IdealDram | BankedDram) -> Machine:
    """A shipped machine with another DRAM."""
    return load_machine(arch).model_copy(update={"dram": dram})


def whole(graph: Graph, inputs: Inputs, machine: Machine) -> Program:
    """Compile, verify, execute."""
    program = compile_graph(graph, inputs, machine)
    fast.execute(program, machine)
    return program


def engines() -> Iterator[Row]:
    """The loop alone, the check before it, and the reference engine."""
    machine = with_dram("edge-ws", SIMPLE)
    program = compile_graph(*compressed("fc-4096"), machine)
    count = len(program.instructions)
    core, found = Core(program, machine), verify(program, machine)
    ports = Ports.of(core, found)
    timings = Timings.of(core, program, found.kinds, ports, {})
    loops = [fast.Loop(program, machine, timings, ports) for _ in range(12)]
    rate = count / seconds(lambda: loops.pop().run(None), 11) / 1e6
    bursts = len(fast.Loop(program, machine, timings, ports).grants)
    yield Row(
        f"engine alone, ports, bursts ({bursts / count:.1f} an instruction) and attribution, `simple` DRAM",
        f"{rate:.1f} M instructions/s",
        "8",
    )
    each = seconds(lambda: verify(program, machine)) / count * 1e6
    yield Row("`verify`, accesses included", f"{each:.2f} s a million instructions", "1")
    ideal = with_dram("edge-ws", IDEAL)
    program = compile_graph(*compressed("fc-4096"), ideal)
    rate = count / seconds(lambda: reference.execute(program, ideal), 1) / 1e3
    yield Row("reference engine, without DMA", f"{rate:.1f} k instructions/s", "30")


def exact() -> Iterator[Row]:
    """ResNet-50 bit for bit, compiling included, against numpy's float32 products."""
    graph, inputs = compressed("resnet-50-layers", values=True)
    factors = [
        (np.asarray(x, np.float32), np.asarray(layer.weight.numbers, np.float32))
        for x, layer in zip(inputs, layers(graph), strict=True)
    ]
    blas = seconds(lambda: [x @ w for x, w in factors])
    square_array = load_machine("scale-sim-128x128-ws")
    for side, targets in ((128, ("1.5", "0.8")), (16, ("2.5", ""))):
        sides = square_array.matrix.model_copy(update={"rows": side, "columns": side})
        machine = square_array.model_copy(update={"matrix": sides})
        program = compile_graph(graph, inputs, machine)
        found = verify(program, machine)
        data = [
            seconds(partial(_move, program, machine, found, vnni=vnni))
            for vnni in ((False, True) if lanes.VNNI else (False,))
        ]
        # what the engine chooses is the last one
        rest = seconds(partial(whole, graph, inputs, machine)) - data[-1]
        for path, moved, target in zip(("portable", "VNNI"), data, targets, strict=False):
            yield Row(
                f"ResNet-50 bit for bit on {side} x {side}, {path} ({len(program.instructions):,} instructions)",
                f"{(moved + rest) / blas:.2f} times numpy's float32 products ({blas * 1e3:.0f} ms): "
                f"data {moved / blas:.2f}, all else {rest / blas:.2f}",
                target,
            )


def _move(program: Program, machine: Machine, found: Accesses, *, vnni: bool) -> None:
    move_all(Core(program, machine, found), program, vnni=vnni)


def transformer() -> Iterator[Row]:
    """A block of Llama-2-7B, one sample, with a banked HBM."""
    hbm = BankedDram(kind="banked", part=load_part("HBM2_8Gb_x128"))
    graph, inputs = compressed("llama-2-7b-block")
    machine = with_dram("tpu-v1", hbm)
    took = seconds(lambda: whole(graph, inputs, machine), 2)
    yield Row("Llama-2-7B block, batch 1, int8, on tpu-v1 with banked HBM2", f"{took:.2f} s", "2")


def growth(largest: int) -> Iterator[Row]:
    """Time an instruction, compile, verify and loop, at growing programs."""
    machine = with_dram("edge-ws", SIMPLE.model_copy(update={"capacity_bytes": 2**40}))
    first = 0.0
    for power in range(4, 8):
        if 10**power > largest:
            return
        graph, inputs = square(16 * round((10**power / 2) ** 0.5))
        count = len(whole(graph, inputs, machine).instructions)
        before = resource.getrusage(resource.RUSAGE_SELF)
        repeats = max(1, 10**5 // count)
        for _ in range(repeats):
            whole(graph, inputs, machine)
        after = resource.getrusage(resource.RUSAGE_SELF)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        user, system = (part / repeats / count * 1e6 for part in (user, system))
        each = user + system
        first = first or each
        peak = after.ru_maxrss / 2**20
        yield Row(
            f"compile, verify and run {count:,} instructions",
            f"{each:.2f} us each, {user:.2f} without what the system takes to give memory, "
            f"{each / first:.2f} times the first; peak {peak:.1f} GiB",
            "1.5 times",
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=10**7, help="instructions of the largest program")
    largest = parser.parse_args().largest
    if any(os.environ.get(name) != "1" for name in ONE_CORE):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_CORE)  # noqa: S606 - this script again
    say("| what | measured | target |\n| --- | --- | --- |")
    for part in (engines, exact, transformer, lambda: growth(largest)):
        for row in part():
            say(f"| {row.what} | {row.measured} | {row.target} |")


if __name__ == "__main__":
    main()
