"""Values that stay on chip: their places byte by byte, and whole graphs against their meaning and against DRAM."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from compiler.test_graphs import Growing, assert_executed, grown, recipes, roomier, typed
from compiler.test_passes import SAME, Drawn, Typed
from float_networks import recipe
from graph_runs import executed
from harness import examples, machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import machines

from accelsim.compiler import place
from accelsim.compiler.held import Border, Held
from accelsim.compiler.lowering import Lowering, Stay
from accelsim.compiler.pipeline import PASSES, compile_graph
from accelsim.compiler.tiling import Cutter
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.errors import DoesNotFitError, ProgramError
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.pool import GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.window import Window
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.sim import fast
from accelsim.workload.network import Network

#: Datapaths that read samples row by row, which is how values stay.
KINDS = ["weight_stationary", "structured_sparse", "tensor_core", "sparse_lanes"]
SMALL = st.integers(0, 3)


def sharing(*names: str, **changes: Any) -> Machine:
    """A machine whose results go to a scratchpad of a mebibyte that activations are read from."""
    activation = {"capacity_bytes": 2**20, **changes.pop("activation", {})}
    return machine(activation=activation, **dict.fromkeys(names or ("output",), "activation"), **changes)


@st.composite
def helds(draw: st.DrawFn) -> Held:
    border = Border(*(draw(SMALL) for _ in range(4)))
    sizes = [draw(st.integers(1, 4)) for _ in range(3)]
    return Held(
        draw(st.integers(0, 99)), *sizes, draw(st.sampled_from([1, 3, 8])), 8, border, draw(st.integers(0, 255))
    )


@given(helds())
def test_rows_and_padding_are_all_bytes_of_a_value_once(held: Held) -> None:
    times = np.zeros(held.low + held.bytes, np.int64)
    place, rows = held.place, np.arange(held.images * held.height * held.width)
    for address in place.at(rows, np.zeros_like(rows)).tolist():
        times[address : address + held.pitch] += 1
    for fill in held.fills():
        assert fill.rows >= 1
        assert fill.row_bytes >= 1
        for row in range(fill.rows):
            times[fill.address + row * fill.stride :][: fill.row_bytes] += 1
    assert (times[: held.low] == 0).all()
    assert (times[held.low :] == 1).all()


@given(helds(), st.data())
def test_a_window_begins_at_the_padding_that_it_wants(held: Held, data: st.DataObject) -> None:
    top, left = (data.draw(st.integers(0, most)) for most in held.border[:2])
    first = int(held.place.at(np.array([0]), np.array([0]))[0])
    assert held.window(top, left) == first - top * held.line - left * held.pitch


@pytest.mark.parametrize("kind", KINDS)
@given(network=grown(most=4), by=recipes(), data=st.data())
@settings(max_examples=6)
def test_graphs_whose_values_stay_execute_to_what_they_mean(
    kind: str, network: Network, by: Recipe, data: st.DataObject
) -> None:
    on = roomier(data.draw(machines(kinds=[kind], sharing=[("output",), ("weight", "output")])), 32)
    assert_executed(network, by, on)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(network=grown(most=7), by=recipes(), data=st.data())
@examples(5, campaign=60)
def test_many_graphs_whose_values_stay_execute_to_what_they_mean(
    kind: str, network: Network, by: Recipe, data: st.DataObject
) -> None:
    on = roomier(data.draw(machines(kinds=[kind], sharing=[("output",), ("weight", "output")])), 64)
    assert_executed(network, by, on)


@given(network=grown(most=5), by=recipes())
@settings(max_examples=12)
def test_values_that_stay_do_not_cross_the_pins(network: Network, by: Recipe) -> None:
    graph, inputs = typed(network, by)
    on = sharing()
    stays, leaves = (compile_graph(graph, inputs, on, residency=residency) for residency in (True, False))
    assert not leaves.header.kept
    moved = [len(fast.execute(program, on, timing_only=True).grants) for program in (stays, leaves)]
    assert moved[0] <= moved[1]
    assert bool(stays.header.kept) == (moved[0] < moved[1])


def chain(**changes: Any) -> tuple[Program, Machine]:
    """Three convolutions with padding, on a machine where all between them fits."""
    on = sharing(**changes)
    graph, inputs = convolutions()
    return executed(graph, inputs, on)[0], on


def convolutions() -> Typed:
    drawn = Drawn("chain", (2, 8, 8, 4))
    first = drawn.conv("first", drawn.input, SAME, 4, 8, relu=True)
    second = drawn.conv("second", first, SAME, 8, 8)
    return drawn.typed(drawn.conv("third", second, SAME, 8, 4))


def test_padding_lies_around_what_stays_for_the_windows_of_its_readers() -> None:
    program, _ = chain()
    first, second = program.header.kept
    assert (first.name, second.name) == ("first.output", "second.output")
    assert (first.width, first.height) == (8, 8)
    assert first.line_bytes == 10 * 8  # a pixel of padding at each end
    assert first.image_bytes == 10 * first.line_bytes
    apart = abs(first.address - second.address)
    assert apart >= first.image_bytes * 2  # both are there while the second is formed


def test_a_value_of_which_no_strip_fits_beside_tiles_goes_through_dram() -> None:
    program, _ = chain(
        activation={"capacity_bytes": 1024, "banks": 1}, accumulator={"capacity_bytes": 4096, "banks": 1}
    )
    assert all(region.value for region in program.header.kept)  # strips of it stay, and not all of it


def test_what_stays_must_lie_in_the_scratchpad() -> None:
    program, on = chain()
    (first, *others) = program.header.kept
    beyond = first.model_copy(update={"address": on.activation.capacity_bytes - 8})
    header = program.header.model_copy(update={"kept": [beyond, *others]})
    with pytest.raises(ProgramError, match=r"region first\.output must end inside the 1048576 bytes of activation"):
        verify(dataclasses.replace(program, header=header), on)
    late = first.model_copy(update={"whole_after": len(program.instructions)})
    header = program.header.model_copy(update={"kept": [late, *others]})
    with pytest.raises(ProgramError, match=r"region first\.output must be whole after an instruction of"):
        verify(dataclasses.replace(program, header=header), on)


def test_both_engines_read_what_stays_when_it_is_whole() -> None:
    """The bytes are others' in the end: `executed` compares both engines, and each value with its meaning."""
    program, on = chain(activation={"capacity_bytes": 16384, "banks": 2})
    names = {region.name for region in program.header.kept}
    assert names
    execution = fast.execute(program, on)
    assert set(execution.kept) == names


def placed(graph: Graph, inputs: tuple[NDArray[Any], ...], on: Machine) -> tuple[place._Plan, dict[str, Stay]]:
    """Nothing on chip yet, and what could stay."""
    lowering = Lowering(graph, inputs, "r")
    for step in itertools.takewhile(lambda step: step.name != "place", PASSES):
        lowering = step.run(lowering, on)
    return place._Plan(Cutter(lowering, on), lowering), place._candidates(lowering, on)


def least(plan: place._Plan, stays: dict[str, Stay]) -> float:
    """Estimated cycles of the best of all choices of what stays, each at its best place beside those before it."""
    best, numbers = place._cost(plan.cuts).cycles, range(len(plan.fusions))
    for chosen in itertools.chain(*(itertools.combinations(stays, size) for size in range(1, len(stays) + 1))):
        plan.stays = {}
        for name in chosen:
            costs = []
            for low in dict.fromkeys(plan._lows(stays[name])):
                plan.stays[name] = stays[name]._replace(held=stays[name].held.at(low))
                with contextlib.suppress(DoesNotFitError):
                    cuts = [plan.cutter.cut(number, plan._on_chip(number)) for number in numbers]
                    costs.append((place._cost(cuts).cycles, low))
            if not costs:
                break
            cycles, low = min(costs)
            plan.stays[name] = stays[name]._replace(held=stays[name].held.at(low))
        else:
            best = min(best, cycles)
    return best


@pytest.mark.slow
@given(
    network=grown(most=6), by=recipes(), times=st.sampled_from([8, 16, 32, 128]),
    on=machines(kinds=["weight_stationary", "tensor_core"], sharing=[("output",), ("weight", "output")]),
)  # fmt: skip
@examples(8, campaign=150)
def test_the_plan_is_within_a_tenth_of_the_best_of_all(network: Network, by: Recipe, times: int, on: Machine) -> None:
    graph, inputs = typed(network, by)
    on = roomier(on, times)
    try:
        plan, stays = placed(graph, inputs, on)
    except DoesNotFitError:
        assume(False)
        raise
    assume(1 <= len(stays) <= 6)
    for name in sorted(stays, key=lambda name: place._worth(stays[name]), reverse=True):
        plan.keep(name, stays[name])
    cycles = place._cost(plan.cuts).cycles
    assert cycles <= 1.1 * least(plan, stays)


@pytest.mark.parametrize(
    ("lines", "padding", "stays"),
    [
        (range(8), (1, 1, 1, 1), True),
        (range(2, 8), (0, 1, 1, 1), True),  # the last lines, and padding below them
        (range(6), (1, 1, 0, 1), True),
        (range(2, 6), (0, 1, 0, 1), True),
        (range(2, 8), (1, 1, 1, 1), False),  # where padding is wanted stand other lines
        (range(6), (1, 1, 1, 1), False),
    ],
)
def test_windows_slide_over_lines_of_what_stays(
    lines: range, padding: tuple[int, int, int, int], *, stays: bool
) -> None:
    drawn = Drawn("lines", (1, 8, 8, 4))
    first = drawn.conv("first", drawn.input, SAME, 4, 8, relu=True)
    some = drawn.build.node("some", Slice(1, lines.start, lines.stop), first)
    graph, inputs = drawn.typed(drawn.conv("second", some, Window((3, 3), padding=padding), 8, 4))
    program, _ = executed(graph, inputs, sharing())
    assert [region.name for region in program.header.kept] == (["first.output"] if stays else [])


def test_what_several_form_side_by_side_stays_as_one() -> None:
    """Halves of an image, each of a convolution of its own, and of one scale when they are joined."""
    drawn = Drawn("halves", (1, 8, 8, 4))
    parts = [drawn.build.node(f"part{n}", Slice(1, 4 * n, 4 * n + 4), drawn.input) for n in range(2)]
    halves = [drawn.conv(f"half{n}", part, SAME, 4, 8) for n, part in enumerate(parts)]
    joined = drawn.build.node("joined", Concat(1), *halves)
    program, _ = executed(*drawn.typed(drawn.conv("last", joined, SAME, 8, 4)), sharing())
    (both,) = (region for region in program.header.kept if region.name == "joined.output")
    assert (both.rows, both.height, both.width) == (64, 8, 8)
    formers = [info.name for info in program.header.layers if info.output == "joined.output"]
    (last,) = (info for info in program.header.layers if info.name == "last")
    assert len(formers) == 2
    assert sorted(last.reads) == sorted(formers)


def test_a_tile_of_which_but_one_fits_has_one_slot() -> None:
    grow = Growing(np.random.default_rng(3), (2, 13, 11, 3))
    grow.conv(*grow.images[0], SAME, 8, 1, Relu())
    total = grow.put("sum", Add(), (2, 13, 11, 8), grow.images[-1][0], grow.images[-1][0])
    largest = grow.put("max", MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1))), (2, 7, 6, 8), total)
    mean = grow.put("mean", GlobalAveragePool(), (2, 8), largest)
    network = grow.network(grow.linear(mean, 8, 3, relu=False))
    small = {"capacity_bytes": 1024, "banks": 2}
    program, _ = assert_executed(network, recipe({"scheme": "int8"}), sharing(activation=small))
    (pool,) = (info for info in program.header.layers if info.name == "max3")
    assert pool.slots == {"activation": 1, "output": 1}
    assert pool.m_tile < pool.m
