"""Steps of a network with a state on machines: each begins with what the step before wrote, and equals golden.exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import engines
import numpy as np
import pytest
from float_networks import recipe, typed
from graph_runs import bytes_of, small
from harness import assert_accounted, machine
from recurrent import Elman

from accelsim.compiler.pipeline import compile_graph, planned
from accelsim.config.arch import Machine
from accelsim.errors import DefectError
from accelsim.golden import exact
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.window import Window
from accelsim.isa.opcodes import RECEIVE
from accelsim.isa.verify import verify
from accelsim.workload.network import Network

HOST = {"operations_per_s": 1e9, "operation_pj": 1.0, "operation_source": "test"}
PRUNED = {"scheme": "prune_nm", "pattern": [2, 4]}


def steps_are_exact(graph: Graph, on: Machine, xs: list[np.ndarray], *, residency: bool = True) -> None:
    """Every value of every step, whose state is taken from where the program of the step before left it in DRAM."""
    states: list[np.ndarray] | None = None
    for x in xs:
        program = compile_graph(graph, (x,), on, "r", residency=residency, states=states)
        verify(program, on)
        execution = engines.execute(program, on)
        expected = exact.evaluate(graph, (x,), on.fold_inputs, states)
        for name in ["h", *(info.output for info in program.header.layers)]:
            regions = program.header.regions_of(name)
            assert regions, name
            for region in regions:
                np.testing.assert_array_equal(execution.numbers(region), region.of_full(expected[name]), name)
        assert_accounted(execution)
        (state,) = program.header.states
        before, after = program.header.region(state.read), program.header.region(state.written)
        assert (before.role, after.role) == ("input", "output")
        assert before.scale == after.scale
        assert before.zero_point == after.zero_point
        assert np.intersect1d(bytes_of(before), bytes_of(after)).size == 0
        states = [execution.numbers(after).reshape(graph["h"].shape)]
        np.testing.assert_array_equal(states[0], expected[state.written])
    assert states
    assert states[0].any()


def cell(samples: int, scheme: list[dict[str, Any]], seed: int = 11) -> tuple[Graph, list[np.ndarray]]:
    """A typed cell, and its inputs of three steps."""
    rng = np.random.default_rng(seed)
    net = Elman.drawn(rng, 6, 8, 3).network(rng, samples)
    graph, _ = typed(net, recipe(*scheme))
    xs = [np.roll(net.calibration[0], step, axis=0)[:samples] for step in range(3)]
    return graph, [graph["x"].element.quantize(x) for x in xs]


@pytest.mark.parametrize("residency", [True, False])
@pytest.mark.parametrize("kind", ["weight_stationary", "outer_product", "structured_sparse", "tensor_core"])
def test_steps_of_integers_are_exact(kind: str, residency: bool) -> None:
    sparse = [PRUNED] if kind == "structured_sparse" else []
    graph, xs = cell(5, [*sparse, {"scheme": "int8"}])
    steps_are_exact(graph, small(kind), xs, residency=residency)


def test_steps_of_floats_are_exact() -> None:
    on = machine(matrix={"operands": "bf16", "rows": 4, "columns": 4})
    graph, xs = cell(5, [{"scheme": "bf16"}])
    steps_are_exact(graph, on, xs)


def test_a_state_is_in_dram_before_and_behind_a_step_whatever_stays_on_chip() -> None:
    graph, (x, *_) = cell(5, [{"scheme": "int8"}])
    on = machine()
    (h,) = graph.initial(5)
    assert h.any()
    lowering = planned(graph, (x,), on)
    assert "next.output" not in lowering.stays
    program = compile_graph(graph, (x,), on)
    before = program.header.region("h")
    np.testing.assert_array_equal(before.read(program.image), h)
    assert program.header.region("next.output").address >= program.image.size


def test_compulsory_bytes_count_a_state_once() -> None:
    graph, (x, *_) = cell(5, [{"scheme": "int8"}])
    (h,) = graph.initial(5)
    apart = Graph.formed("apart", graph.values, graph.nodes, graph.entering, graph.leaving)
    program, other = compile_graph(graph, (x,), machine()), compile_graph(apart, (x, h), machine())
    np.testing.assert_array_equal(program.instructions, other.instructions)
    assert program.header.compulsory_bytes is not None
    assert other.header.compulsory_bytes == program.header.compulsory_bytes + 5 * 8


def test_a_state_of_another_shape_is_refused() -> None:
    graph, (x, *_) = cell(5, [{"scheme": "int8"}])
    with pytest.raises(DefectError, match=r"h: must have shape \(5, 8\), not \(4, 8\)"):
        compile_graph(graph, (x,), machine(), states=[np.zeros((4, 8), np.uint8)])


def test_what_others_read_after_a_state_is_written_is_what_it_held() -> None:
    """The old state is read again behind the new one: a place of its own keeps it."""
    rng = np.random.default_rng(2)
    build = Builder("late")
    x, h = build.input("x", (5, 6)), build.state("h", (5, 6), "next.output", rng.random(6).astype(np.float32))
    first = build.constant("w", rng.normal(size=(6, 6)).astype(np.float32))
    later = build.linear("w", x, first, None, relu=False)
    sums = build.node("next", Add(), later, h, output="next.sums")
    later = build.node("next.relu", Relu(), sums, output="next.output")
    y = build.node("y", MatMul(), later, build.constant("v", rng.normal(size=(6, 6)).astype(np.float32)))
    out = build.node("out", Add(), y, h)
    given, ranges = (rng.normal(size=(count, 6)).astype(np.float32) for count in (5, 32))
    net = Network(build.graph((out,)), (given,), None, (ranges,), {})
    graph, (q,) = typed(net, recipe({"scheme": "int8"}))
    assert isinstance(graph["h"].element, Integer)
    for kind in ("weight_stationary", "outer_product"):
        steps_are_exact(graph, small(kind), [q, q])


def test_a_link_to_the_host_brings_no_state() -> None:
    graph, xs = cell(5, [{"scheme": "int8"}])
    linked = machine(host={"io_bandwidth_bytes_per_s": 1e9})
    steps_are_exact(graph, linked, xs)
    apart = compile_graph(graph, (xs[0],), linked)
    received = apart.instructions[apart.instructions["opcode"] == RECEIVE]["operands"]
    assert int((received[:, 2] * received[:, 3]).sum()) == 5 * 6


def test_steps_without_numbers_take_as_long() -> None:
    graph, (x, *_) = cell(5, [{"scheme": "int8"}])
    outlined = graph.rebuilt(*(replace(value, outlined=True) for value in graph.constants))
    on = small("weight_stationary")
    whole, timed = (compile_graph(g, (x,), on) for g in (graph, outlined))
    np.testing.assert_array_equal(whole.instructions, timed.instructions)


def images() -> tuple[Graph, list[np.ndarray]]:
    """h' = relu(conv(x) + h), and another convolution of h', of images too large for a small memory."""
    rng = np.random.default_rng(4)
    build = Builder("images")
    x, h = build.input("x", (2, 12, 12, 4)), build.state("h", (2, 12, 12, 4), "next.output")
    filters = [build.constant(f"w{i}", rng.normal(size=(3, 3, 4, 4)).astype(np.float32) / 6) for i in range(3)]
    same = Conv(Window((3, 3), padding=(1, 1, 1, 1)))
    first = build.node("c0.relu", Relu(), build.node("c0", same, x, filters[0]))
    sums = build.node("next", Add(), build.node("c1", same, first, filters[1]), h, output="next.sums")
    later = build.node("next.relu", Relu(), sums, output="next.output")
    out = build.node("c2", same, later, filters[2])
    given, ranges = (rng.normal(size=(count, 12, 12, 4)).astype(np.float32) for count in (2, 4))
    graph, (q,) = typed(Network(build.graph((out,)), (given,), None, (ranges,), {}), recipe({"scheme": "int8"}))
    return graph, [q, q]


def test_a_state_that_strips_form_is_stored_whole() -> None:
    graph, xs = images()
    on = machine(activation={"capacity_bytes": 1024, "banks": 2}, output="activation")
    lowering = planned(graph, (xs[0],), on)
    assert "next.output" in {strip.of for strip in lowering.strips.values()}
    steps_are_exact(graph, on, xs)


def moved(kind: str, scheme: str) -> Graph:
    """What is written is a part of what is joined, what is joined, or a part of what a layer forms."""
    rng = np.random.default_rng(8)
    build = Builder(kind)
    x, h = build.input("x", (5, 4)), build.state("h", (5, 4), "next")
    sides = {"part": (8, 3), "joined": (4, 3), "sliced": (4, 4)}[kind]
    weights = [build.constant(f"w{i}", rng.normal(size=(4, 4)).astype(np.float32)) for i in range(2)]
    if kind == "part":
        build.node("n", Relu(), build.node("a", Add(), build.node("m", MatMul(), x, weights[0]), h), output="next")
        last = build.node("both", Concat(-1), "next", build.node("o", MatMul(), x, weights[1]))
    elif kind == "joined":
        older = build.node("older", Slice(-1, 2, 4), h)
        newer = build.node("newer", MatMul(), x, build.constant("few", rng.normal(size=(4, 2)).astype(np.float32)))
        last = build.node("join", Concat(-1), older, newer, output="next")
    else:
        both = build.node("m", MatMul(), x, build.constant("many", rng.normal(size=(4, 8)).astype(np.float32)))
        build.node("slice", Slice(-1, 2, 6), both, output="next")
        last = build.node("a", Add(), build.node("o", MatMul(), h, weights[0]), "next")
    out = build.node("out", MatMul(), last, build.constant("v", rng.normal(size=sides).astype(np.float32)))
    outputs = (last, out) if kind == "part" else (out,)
    given = rng.normal(size=(32, 4)).astype(np.float32)
    net = Network(build.graph(outputs), (given[:5],), None, (given,), {})
    return typed(net, recipe({"scheme": scheme}))[0]


@pytest.mark.parametrize("scheme", ["int8", "bf16"])
@pytest.mark.parametrize("kind", ["part", "joined", "sliced"])
def test_a_state_may_be_a_part_of_others_or_hold_them(kind: str, scheme: str) -> None:
    graph = moved(kind, scheme)
    rng = np.random.default_rng(9)
    xs = [graph["x"].element.quantize(rng.normal(size=(5, 4))) for _ in range(3)]
    steps_are_exact(graph, machine(host=HOST, matrix={"operands": scheme}), xs)
