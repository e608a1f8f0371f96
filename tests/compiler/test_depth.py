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
from accelsim.graph.ops.window import Window
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
    """The program of a graph that is cut already, and is not cut again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "candidates", lambda *_: [])
        for step in PASSES:
            cut = step.run(cut, on)
            if step.check:
                step.check(cut, on)
    assert cut.program
    return cut.program


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


@st.composite
def overlapping(draw: st.DrawFn) -> tuple[int, list[Run]]:
    """Runs of a few fusions, and how many of these there are."""
    fusions = draw(st.integers(1, 6))
    found = []
    for _ in range(draw(st.integers(0, 7))):
        first = draw(st.integers(0, fusions - 1))
        found.append(Run(first, draw(st.integers(first, fusions - 1)), "x", (), draw(st.integers(1, 9))))
    return fusions, found


@given(overlapping())
def test_the_best_runs_save_as_much_as_the_best_of_all_sets(given: tuple[int, list[Run]]) -> None:
    fusions, found = given
    chosen = depth.best(found, fusions)
    numbers = [number for run in chosen for number in run.numbers]
    assert numbers == sorted({*numbers})  # in order, and no two overlap
    sets = itertools.chain.from_iterable(itertools.combinations(found, size) for size in range(len(found) + 1))
    apart = (runs for runs in sets if len({n for run in runs for n in run.numbers}) == sum(len(r.numbers) for r in runs))
    assert sum(run.saved for run in chosen) == max(sum(run.saved for run in runs) for runs in apart)
    assert all(run in found for run in chosen)


def deep(*, kernel: Window = SAME, images: int = 1, lines: int = 16, convolutions: int = 3) -> Typed:
    """Convolutions of eight channels, the first of four."""
    drawn = Drawn("deep", (images, lines, 8, 4))
    last, channels = drawn.input, 4
    for number in range(convolutions):
        last, channels = drawn.conv(f"conv{number}", last, kernel, channels, 8), 8
    return drawn.typed(last)


def stretch(lowering: Lowering) -> depth._Stretch:
    """All fusions."""
    return depth._Stretch(lowering, [depth._Step.of(lowering, fusion) for fusion in lowering.fusions])


def counted(lowering: Lowering, strips: Strips) -> list[int]:
    """The most bytes of each strip at once, of values that only it forms and reads, and of lines that are saved."""
    graph = lowering.graph
    targets = [fusion.target for fusion in lowering.fusions]
    inside = [name for name in targets if name not in strips.outputs]
    last_read = {
        name: max(number for number, fusion in enumerate(lowering.fusions) if name in fusion.sources) for name in inside
    }
    most = []
    for number, pieces in enumerate(strips.pieces):
        held = {name: pieces[name].held.lines for name in inside}
        later = strips.pieces[number + 1] if number + 1 < len(strips.pieces) else pieces
        saved = {name: len(set(later[name].held.lines) - set(later[name].formed.lines)) for name in inside}
        line = {name: graph[name].shape[2] * graph[name].features for name in inside}
        there = [
            sum(len(held[name]) * line[name] for name in inside if targets.index(name) <= now <= last_read[name])
            for now in range(len(targets))
        ]
        most.append(max(there) + sum(saved[name] * line[name] for name in inside))
    return most


@pytest.mark.parametrize(
    ("kernel", "size"),
    [
        (SAME, 3), (SAME, 4), (SAME, 8), (Window((5, 5), padding=(2, 2, 2, 2)), 6), (Window((1, 1)), 1),
        (Window((1, 1)), 4), (Window((2, 2), (2, 1), (0, 0, 0, 1)), 1), (Window((3, 3), (2, 1), (1, 1, 0, 1)), 2),
        (Window((1, 1), (2, 1)), 2), (Window((2, 1), dilation=(2, 1)), 5),
    ],
)  # fmt: skip
def test_strips_are_expected_to_hold_what_their_pieces_do(kernel: Window, size: int) -> None:
    """The first strip and the last one, which begin or end at the border of an image, hold no more."""
    lowering = through(deep(kernel=kernel, lines=48), sharing(), "layout")
    (output,) = lowering.graph.outputs
    parts = depth._rows(lowering.graph[output], size)
    assert max(len(part.lines) for part in parts) == size
    nodes = depth._nodes(lowering.graph, lowering.fusions)
    strips = Strips.of(lowering.graph, nodes, output, parts)
    assert strips
    found = counted(lowering, strips)
    assert max(found[1:-1]) == stretch(lowering)._peak(size)
    assert max(found) == max(found[1:-1])
