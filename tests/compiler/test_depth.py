"""Runs of fusions that are cut into strips: what they execute to, which are chosen, and what is expected of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import engines
import numpy as np
import pytest
from compiler.test_graphs import roomier
from compiler.test_passes import SAME, Drawn, Typed, through
from compiler.test_place import sharing
from graph.test_strips import KINDS, networks, parts_of
from graph_runs import assert_formed, executed
from harness import assert_accounted
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from accelsim.compiler import depth
from accelsim.compiler.depth import Run
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.pipeline import PASSES, compile_graph
from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Operation
from accelsim.golden import exact
from accelsim.graph.graph import Graph
from accelsim.graph.strips import Part, Strips, cut_all, lines_of
from accelsim.isa.program import LayerInfo, Program
from accelsim.isa.verify import verify
from accelsim.results import Execution
from accelsim.sim import fast


def multiplications(execution: Execution) -> list[int]:
    """Products of integers that each layer's array forms."""
    return [
        sum(
            count
            for event, count in counters.items()
            if (event.component, event.operation) == (Component.MAC, Operation.INT_MULTIPLY)
        )
        for counters in execution.counters
    ]


def told(layer: LayerInfo) -> LayerInfo:
    """What a layer is, however it is cut into tiles."""
    return layer.model_copy(update={"m_tile": 0, "k_tile": 0, "n_tile": 0, "slots": {}, "loops": "", "stored_bits": 0})


def compiled(cut: Lowering, on: Machine) -> Program:
    """The program of a graph that is cut already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "candidates", lambda *_: [])
        program = through_all(cut, on).program
    assert program
    return program


def through_all(lowering: Lowering, on: Machine) -> Lowering:
    for step in PASSES:
        lowering = step.run(lowering, on)
        if step.check:
            step.check(lowering, on)
    return lowering


class Runs(NamedTuple):
    """A typed graph on a machine, and a run of its fusions that is cut."""

    lowering: Lowering
    on: Machine
    strips: Strips

    def __repr__(self) -> str:
        nodes = " ".join(f"{node.name}{node.op}" for node in self.lowering.graph.nodes)
        parts = {name: piece.formed for name, piece in self.strips.pieces[0].items()}
        return f"{nodes} on {self.on.activation}, the first of {len(self.strips.pieces)} strips: {parts}"


@st.composite
def runs(draw: st.DrawFn) -> Runs:
    graph, inputs = draw(networks())
    size = draw(st.sampled_from([2**12, 2**13, 2**14]))
    on = sharing(activation={"capacity_bytes": size, "banks": draw(st.sampled_from([1, 4]))})
    lowering = through((graph, inputs), on, "layout")
    numbers = range(len(lowering.fusions))
    images = [number for number in numbers if lines_of(graph[lowering.fusions[number].target]) > 1]
    if images and draw(st.booleans()):
        first, last, kinds = 0, images[-1], ("lines",)
    else:
        first = draw(st.sampled_from(numbers[: len(numbers) // 2 + 1]))
        last, kinds = draw(st.sampled_from(numbers[first:])), KINDS
    target = lowering.fusions[last].target
    nodes = depth._nodes(graph, lowering.fusions[first : last + 1])
    parts = draw(parts_of(graph[target], kinds))
    assume(len(parts) > 1)
    strips = Strips.of(graph, nodes, target, parts)
    assume(strips)
    assert strips
    return Runs(lowering, on, strips)


@given(runs())
@settings(max_examples=25)
def test_strips_execute_to_what_the_graph_means(run: Runs) -> None:
    graph, inputs, on = run.lowering.graph, run.lowering.inputs, run.on
    in_strips, strips = cut_all(graph, [run.strips])
    program = compiled(Lowering(in_strips, inputs, "r", whole=graph, strips=strips), on)
    uncut = compiled(Lowering(graph, inputs, "r"), on)
    event(f"parts: {[*run.strips.pieces[0].values()][0].formed != Part.whole(graph[run.strips.nodes[-1].output])}")
    event(f"strips stay: {any(region.value for region in program.header.kept)}")
    event(f"copies: {any('saved' in name for name in strips)}")
    verify(program, on)
    execution = engines.execute(program, on)
    assert_accounted(execution)
    wanted = exact.evaluate(graph, inputs, on.fold_inputs)
    for info in program.header.layers:
        assert_formed(execution, program.header.regions_of(info.output), wanted[info.output])
    layers = {info.name: info for info in program.header.layers}
    assert {name: told(info) for name, info in layers.items()} == {
        info.name: told(info) for info in uncut.header.layers
    }
    formed = dict(zip(layers, multiplications(execution), strict=True))
    before = multiplications(fast.execute(uncut, on))
    assert formed == dict(zip((info.name for info in uncut.header.layers), before, strict=True))
