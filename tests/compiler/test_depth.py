"""Runs of fusions that are cut into strips: what they execute to, which are chosen, and what is expected of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import engines
import numpy as np
import pytest
from compiler.test_passes import SAME, Drawn, Typed, through
from compiler.test_place import sharing
from graph.test_strips import KINDS, networks, parts_of
from graph_runs import assert_formed, executed
from harness import SIMPLE_DRAM, assert_accounted
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from accelsim.compiler import depth, tiling
from accelsim.compiler.depth import Run
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lowering import Lowering, Placement
from accelsim.compiler.pipeline import PASSES, compile_graph, planned
from accelsim.compress.apply import compress
from accelsim.compress.recipe import load_recipe
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.config.tech import Component, Operation
from accelsim.golden import exact
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.window import Window
from accelsim.graph.strips import Part, Strips, cut_all, lines_of
from accelsim.graph.value import Value
from accelsim.isa.program import LayerInfo, Program
from accelsim.isa.verify import verify
from accelsim.results import Execution
from accelsim.sim import fast
from accelsim.workload.source import load_network


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
    first = run.strips.pieces[0]
    event(f"lines of a strip: {any(len(held.images) == 1 for held, _ in first.values())}")
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
    apart = (
        runs for runs in sets if len({n for run in runs for n in run.numbers}) == sum(len(r.numbers) for r in runs)
    )
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
    steps = zip(lowering.fusions, weight_bytes(lowering), strict=True)
    return depth._Stretch(lowering, [depth._Step.of(lowering, *step) for step in steps])


def weight_bytes(lowering: Lowering) -> list[int]:
    """Bytes of each fusion's weights, where none are of groups of channels."""
    products = (fusion.product for fusion in lowering.fusions)
    return [product.weights_count * product.weight.element.memory_bits // 8 if product else 0 for product in products]


def size_of(part: Part, value: Value) -> int:
    """Bytes of a part of a value of bytes."""
    pixels = value.samples // (value.shape[0] * lines_of(value))
    return len(part.images) * len(part.lines) * pixels * len(part.features)


def counted(fusions: Sequence[Fusion], strips: Strips) -> list[int]:
    """The most bytes of each strip at once, of values that only it forms and reads, and of lines that are saved."""
    graph, targets = strips.graph, [fusion.target for fusion in fusions]
    inside = [name for name in targets if name not in strips.outputs]
    last_read = {name: max(n for n, fusion in enumerate(fusions) if name in fusion.sources) for name in inside}
    most = []
    for number, pieces in enumerate(strips.pieces):
        there = [0] * len(fusions)
        for name in inside:
            saved = 0
            if number + 1 < len(strips.pieces):
                held, formed = strips.pieces[number + 1][name]
                saved = size_of(held, graph[name]) - size_of(formed, graph[name])
            for now in range(len(fusions)):
                stays = targets.index(name) <= now <= last_read[name]
                there[now] += saved + (size_of(pieces[name].held, graph[name]) if stays else 0)
        most.append(max(there))
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
    found = counted(lowering.fusions, strips)
    assert max(found[1:-1]) == stretch(lowering)._peak(size)
    assert max(found) == max(found[1:-1])


@pytest.mark.parametrize("graph", [deep(lines=48), deep(images=6, kernel=Window((1, 1))), deep(images=6, lines=8)])
@pytest.mark.parametrize("capacity", [2**12, 2**13, 2**15])
def test_candidates_fit_the_scratchpad(graph: Typed, capacity: int) -> None:
    lowering = through(graph, sharing(), "layout")
    moved = [10_000.0] * len(lowering.fusions)
    found = depth.candidates(lowering, moved, weight_bytes(lowering), frozenset(), capacity)
    assert found
    cut = 0
    for run in found:
        assert 0 < run.saved < sum(moved[run.first : run.last + 1])
        fusions = lowering.fusions[run.first : run.last + 1]
        strips = Strips.of(lowering.graph, depth._nodes(lowering.graph, fusions), run.target, run.parts)
        cut += strips is not None
        if strips:
            assert max(counted(fusions, strips)) <= max(depth.FILLED) * capacity
    assert cut


def moved(program: Program, on: Machine) -> int:
    """Bytes over the DRAM's pins."""
    return len(fast.execute(program, on, timing_only=True).grants) * on.dram.burst_bytes


@pytest.mark.parametrize(("images", "lines"), [(1, 96), (4, 16)])
def test_values_that_do_not_fit_whole_stay_in_strips(images: int, lines: int) -> None:
    """All three layers but their input and output: the first as lines that the next one's windows reach, too."""
    graph, inputs = deep(images=images, lines=lines)
    on = tight(2**13, 1e9)
    program, execution = executed(graph, inputs, on)
    uncut, leaves = compiled(Lowering(graph, inputs, "r"), on), compile_graph(graph, inputs, on, residency=False)
    assert any(region.value for region in program.header.kept)
    assert not leaves.header.kept
    assert moved(program, on) < 0.6 * moved(leaves, on)
    assert moved(program, on) < moved(uncut, on)
    layers = [[told(info) for info in of.header.layers] for of in (program, uncut)]
    assert layers[0] == layers[1]
    stored = [[info.stored_bits for info in of.header.layers] for of in (program, uncut)]
    assert stored[0] == stored[1]
    assert program.header.compulsory_bytes == uncut.header.compulsory_bytes
    assert multiplications(execution) == multiplications(fast.execute(uncut, on))
    code = program.instructions["layer"]
    assert {*code.tolist()} == {0, 1, 2}
    assert (np.diff(code) < 0).any()  # layers come back


def test_weights_of_strips_of_lines_stand_in_dram_once() -> None:
    """Strips of as many images each are cut alike; of others, the weights may stand in a few ways."""
    for images, lines, ways in ((4, 16, 1), (1, 96, 2)):
        graph, inputs = deep(images=images, lines=lines)
        on = tight(2**13, 1e9)
        program, uncut = compile_graph(graph, inputs, on), compiled(Lowering(graph, inputs, "r"), on)
        weights = [len(of.image) - sum(x.size for x in inputs) for of in (program, uncut)]
        assert weights[1] <= weights[0] <= ways * weights[1]
        assert len(program.header.regions_of("conv1.output")) > ways


def test_strips_of_features_are_one_layer_of_all_weights() -> None:
    """All of what the first layer forms does not fit the scratchpad, some features do."""
    drawn = Drawn("wide", (32, 128))
    first = drawn.linear("first", drawn.input, 128, 256)
    graph, inputs = drawn.typed(drawn.build.node("table", Function("gelu"), first))
    on = tight(2**13, 1e9)
    program, execution = executed(graph, inputs, on)
    uncut = compiled(Lowering(graph, inputs, "r"), on)
    assert [region.features for region in program.header.kept] == [[*range(low, low + 64)] for low in range(0, 256, 64)]
    layers = [[told(info) for info in of.header.layers] for of in (program, uncut)]
    assert layers[0] == layers[1]
    stored = [[info.stored_bits for info in of.header.layers] for of in (program, uncut)]
    assert stored[0] == stored[1]
    assert multiplications(execution) == multiplications(fast.execute(uncut, on))
    assert program.header.compulsory_bytes == uncut.header.compulsory_bytes
    assert moved(program, on) < moved(uncut, on)


def tight(capacity: int, bandwidth: float) -> Machine:
    """A scratchpad of so many bytes that results go to and are read from, and a DRAM of so many bytes a second."""
    activation = {"capacity_bytes": capacity, "banks": 4}
    return sharing(activation=activation, dram={**SIMPLE_DRAM, "bandwidth_bytes_per_s": bandwidth})


def test_weights_of_groups_count_with_the_zeros_between_them() -> None:
    """What each strip of a depthwise convolution loads again is what stands in DRAM, not its few numbers."""
    network = load_network("fashion-mobile")
    graph = compress(network, load_recipe("int8"))
    (x,) = network.inputs
    lowering = planned(graph, (graph[graph.inputs[0]].element.quantize(x),), load_machine("tpu-v1"))
    grouped = 0
    parts = zip(lowering.fusions, lowering.flows, lowering.tilings, lowering.placements, strict=True)
    for fusion, flow, cut, placement in parts:
        if fusion.product and fusion.product.channel_groups and isinstance(placement, Placement):
            stored = int(placement.weight_tiles.weights.sum())
            assert tiling.weight_bytes(tiling.Cut(flow, None, cut)) == stored > 2 * fusion.product.weights_count
            grouped += 1
    assert grouped
