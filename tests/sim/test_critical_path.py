"""The critical path covers every cycle once, and begins and ends where the program does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from float_networks import typed
from harness import inputs, run
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import load_recipe
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.isa.program import Program
from accelsim.results import Execution
from accelsim.sim import critical_path, fast
from accelsim.sim.critical_path import Link
from accelsim.workload.source import load_network


def check(links: list[Link], execution: Execution) -> None:
    """Links follow each other without gaps over the whole time, and none is longer than what its unit did.

    A unit that waits is on no path, but for the cycle after which it sees a start.
    """
    assert links[0].start == 0
    assert links[-1].end == execution.cycles
    assert all(a.end == b.start for a, b in pairwise(links))
    assert all(link.end > link.start for link in links)
    assert all(link.end - link.start == 1 for link in links if link.what == critical_path.PORT)
    busy = execution.attribution.sum(axis=0)[:, execution.states.index("busy")]
    for name, cycles in zip(execution.unit_names, busy.tolist(), strict=True):
        assert sum(x.end - x.start for x in links if (x.unit, x.what) == (name, "busy")) <= cycles


@given(net=networks(max_size=20), on=machines(), batch=st.integers(1, 8), seed=st.integers(0, 2**32))
@settings(max_examples=36)
def test_links_cover_the_time_of_random_programs(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    program, execution = run(net, inputs(np.random.default_rng(seed), net, batch), on)
    check(critical_path.of(program, on, execution), execution)


def executed(arch: str, recipe: str) -> tuple[Program, Machine, Execution]:
    machine = load_machine(arch)
    network = load_network("digits-mlp", load_recipe(recipe).weights)
    program = compile_graph(*typed(network, load_recipe(recipe)), machine)
    return program, machine, fast.execute(program, machine)


@pytest.mark.parametrize(
    ("arch", "recipe", "unit"),
    [
        ("edge-ws", "int8", "matrix"),
        ("edge-ws-mixed", "w4a4", "vector"),
        ("edge-eie", "pruned-skip", "matrix"),
        ("tpu-v1", "int8", "matrix"),
        ("edge-tensorcore", "int8", "matrix"),
    ],
)
def test_the_unit_that_binds_has_the_longest_part(arch: str, recipe: str, unit: str) -> None:
    program, machine, execution = executed(arch, recipe)
    links = critical_path.of(program, machine, execution)
    check(links, execution)
    parts: dict[str, int] = {}
    for link in links:
        parts[link.unit] = parts.get(link.unit, 0) + link.end - link.start
    assert max(parts, key=lambda name: parts[name]) == unit, parts


def test_the_path_begins_with_a_load_and_ends_with_a_store() -> None:
    program, machine, execution = executed("edge-ws", "int8")
    links = critical_path.of(program, machine, execution)
    assert links[0].unit in {"host", "load"}
    assert links[-1].unit in {"store", "dram"}
    layers = [link.layer for link in links if link.unit == "matrix"]
    assert layers == sorted(layers)
