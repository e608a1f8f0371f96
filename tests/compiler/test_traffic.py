"""DRAM bytes that a plan expects against those that its program moves, fusion by fusion, on random graphs."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from compiler.test_computed import EIGHT, Typed, attention
from compiler.test_graphs import PACKED_STEPS, SAME, Growing, grown, packed_machines, recipes, roomier, typed
from compiler.test_host import LINK, drawn, floats
from compiler.test_host import typed as typed_floats
from compiler.test_mixed import mixed
from compiler.test_storage import STORAGES, stored, with_decoder
from float_networks import network as float_network
from float_networks import recipe
from float_networks import typed as typed_by
from graph_runs import small
from harness import examples, inputs, machine
from harness import network as integer_network
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import DATAPATHS, machines, networks

from accelsim.compiler import pipeline
from accelsim.compiler.pipeline import PASSES
from accelsim.compiler.tiles import Tiling
from accelsim.compiler.traffic import Traffic, _activation_passes, _weight_passes, traffic
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import BankedDram, Machine
from accelsim.config.tech import Operation
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.formats.storage import Storage
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.pool import GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.window import Window
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.results import Execution
from accelsim.sim import fast
from accelsim.workload.network import Network

Inputs = tuple[NDArray[Any], ...]


def planned(graph: Graph, inputs: Inputs, on: Machine, *, residency: bool = True) -> tuple[list[Traffic], Program]:
    """What the plan expects of each layer, told before an instruction is formed, and the program."""
    lowering = pipeline.planned(graph, inputs, on, "r", residency=residency)
    assert not len(lowering.instructions)
    expected = traffic(lowering, on)
    for step in itertools.dropwhile(lambda step: step.name != "schedule", PASSES):
        lowering = step.run(lowering, on)
    assert lowering.program
    verify(lowering.program, on)
    of_layer = [Traffic(0, 0)] * len(lowering.program.header.layers)
    for layer, part in zip(lowering.layers, expected, strict=True):
        of_layer[layer] = Traffic(*(a + b for a, b in zip(of_layer[layer], part, strict=True)))
    return of_layer, lowering.program


def moved(execution: Execution) -> list[Traffic]:
    """What each layer of a run read and wrote, as its counters have it."""
    operations = (Operation.DRAM_READ, Operation.DRAM_WRITE)
    return [
        Traffic(*(sum(n * e.bits // 8 for e, n in layer.items() if e.operation == of) for of in operations))
        for layer in execution.counters
    ]


def assert_as_planned(graph: Graph, inputs: Inputs, on: Machine, *, residency: bool = True) -> Program:
    """What runs is what the plan expects.

    A banked DRAM may serve several requests by one command, when is a matter of time: then what is requested is.
    """
    expected, program = planned(graph, inputs, on, residency=residency)
    execution, burst = fast.execute(program, on, timing_only=True), on.dram.burst_bytes
    assert [Traffic(*row) for row in (burst * execution.requested).tolist()] == expected
    if not isinstance(on.dram, BankedDram):
        assert moved(execution) == expected
        return program
    done = execution.activity
    assert done
    if not on.l2:
        assert burst * done.accepted_reads == sum(part.read for part in expected)
        assert burst * done.accepted_writes == sum(part.write for part in expected)
    assert len(execution.grants) * burst == sum(map(sum, expected))
    return program


def assert_as_planned_if_it_fits(graph: Graph, inputs: Inputs, on: Machine, *, residency: bool = True) -> None:
    try:
        assert_as_planned(graph, inputs, on, residency=residency)
    except CompileError as error:
        assert str(error)  # with a sentence
        assume(False)


#: Scratchpads that are one memory with that for activations.
SHARING = [(), ("output",), ("weight", "output"), ("weight",)]
TIMES = st.sampled_from([1, 2, 4, 32])


@pytest.mark.parametrize("kind", DATAPATHS)
@given(network=grown(most=5), by=recipes(), residency=st.booleans(), times=TIMES, data=st.data())
@settings(max_examples=8)
def test_what_a_plan_expects_is_what_runs(
    kind: str, network: Network, by: Recipe, residency: bool, times: int, data: st.DataObject
) -> None:
    on = roomier(data.draw(machines(kinds=[kind], sharing=SHARING)), times)
    assert_as_planned_if_it_fits(*typed(network, by), on, residency=residency)


@pytest.mark.parametrize("kind", DATAPATHS)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=4), batch=st.integers(1, 40), seed=st.integers(0, 2**32),
    data=st.data(),
)  # fmt: skip
@settings(max_examples=12)
def test_tiles_that_hardly_fit_are_brought_again(
    kind: str, sizes: list[int], batch: int, seed: int, data: st.DataObject
) -> None:
    rng, on = np.random.default_rng(seed), data.draw(machines(kinds=[kind], sharing=SHARING))
    net = integer_network(rng, sizes)
    assert_as_planned_if_it_fits(net.graph(batch), (inputs(rng, net, batch),), on)


@pytest.mark.parametrize("kind", DATAPATHS)
@pytest.mark.parametrize(("residency", "host"), [(True, {}), (True, LINK), (False, {})])
@pytest.mark.parametrize("kilobytes", [1, 2, 8, 64])
def test_images_are_cut_into_lines(kind: str, residency: bool, kilobytes: int, host: dict[str, float]) -> None:
    """Convolutions, a sum and pools of 2 images of 13 x 11, of which a tile has some lines, some images or all."""
    grow = Growing(np.random.default_rng(3), (2, 13, 11, 3))
    grow.conv(*grow.images[0], SAME, 8, 1, Relu())
    stem, shape = grow.images[-1]
    grow.conv(stem, shape, SAME, 8, 1, None)
    total = grow.put("sum", Add(), shape, stem, grow.images[-1][0])
    largest = grow.put("max", MaxPool(Window((3, 3), (2, 2), (1, 1, 1, 1))), (2, 7, 6, 8), total)
    grow.conv(largest, (2, 7, 6, 8), Window((3, 3), (2, 2), (1, 1, 0, 0)), 5, 1, None)
    mean = grow.put("mean", GlobalAveragePool(), (2, 5), grow.images[-1][0])
    graph, given_ = typed(grow.network(grow.linear(mean, 5, 3, relu=False)), recipe({"scheme": "int8"}))
    memory = {"capacity_bytes": 1024 * kilobytes}
    apart = small(kind)
    on = machine(
        matrix=apart.matrix.model_dump(),
        host=host,
        activation={**memory, "banks": 2},
        output="activation" if residency else memory,
    )
    try:
        program = assert_as_planned(graph, given_, on, residency=residency)
    except DoesNotFitError:
        assert kilobytes < 4
        return
    if kilobytes == 64 and residency and not on.feature_major and kind != "input_stationary":
        assert program.header.kept


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATAPATHS)
@given(network=grown(most=8), by=recipes(), residency=st.booleans(), times=TIMES, data=st.data())
@examples(20, campaign=200)
def test_what_a_plan_expects_is_what_runs_of_larger_graphs(
    kind: str, network: Network, by: Recipe, residency: bool, times: int, data: st.DataObject
) -> None:
    on = roomier(data.draw(machines(kinds=[kind], sharing=SHARING)), times)
    assert_as_planned_if_it_fits(*typed(network, by), on, residency=residency)


@pytest.mark.parametrize("bits", [4, 2])
@given(network=grown(most=4, steps=PACKED_STEPS), data=st.data())
@settings(max_examples=8)
def test_several_integers_lie_in_a_byte(bits: int, network: Network, data: st.DataObject) -> None:
    on = data.draw(packed_machines(bits))
    assert_as_planned_if_it_fits(*typed(network, recipe({"scheme": f"int{bits}"})), on)


@pytest.mark.parametrize("kind", [kind for kind in DATAPATHS if kind != "sparse_lanes"])
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 4, 5, 8])),
    seed=st.integers(0, 2**32), data=st.data(),
)  # fmt: skip
@settings(max_examples=5)
def test_a_factor_is_formed_at_run_time(
    kind: str, shape: tuple[int, int, int, int], seed: int, data: st.DataObject
) -> None:
    grow = Typed(np.random.default_rng(seed), EIGHT)
    last = attention(grow, *shape)
    assert_as_planned_if_it_fits(*grow.graph(last), data.draw(machines(kinds=[kind], sharing=SHARING)))


@given(net=networks(max_size=24), on=machines(min_side=2), storages=st.lists(st.sampled_from(STORAGES), min_size=1,
       max_size=3), batch=st.integers(1, 10), seed=st.integers(0, 2**32))  # fmt: skip
@settings(max_examples=24)
def test_encoded_weights_take_what_they_are_encoded_to(
    net: IntegerNetwork, on: Machine, storages: list[Storage], batch: int, seed: int
) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    assert_as_planned_if_it_fits(stored(net, *storages).graph(batch), (x,), with_decoder(on))


@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=4), bits=st.sampled_from([4, 8]),
    group=st.sampled_from([None, 5, 16]), seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=15)
def test_some_inputs_are_integers_beside_floats(sizes: list[int], bits: int, group: int | None, seed: int) -> None:
    steps = recipe({"scheme": "outliers", "threshold": 1.5}, {"scheme": f"dynamic_int{bits}", "group": group})
    net = float_network(np.random.default_rng(seed), sizes, 7)
    assert_as_planned_if_it_fits(*typed_by(net, steps), mixed(rows=4, columns=8))


@given(network=drawn(most=5), link=st.sampled_from([{}, LINK]))
@settings(max_examples=15)
def test_the_host_computes_some(network: Network, link: dict[str, float]) -> None:
    assert_as_planned_if_it_fits(*typed_floats(network, "fp16"), floats("fp16", link))


def test_a_tile_that_has_no_slot_is_brought_for_every_column_tile() -> None:
    """Two row tiles, four column tiles inside or outside of them, and as many weight tiles."""
    one = Tiling(8, 8, 32, 8, 4, 8, 8, resident=True, rows_outer=False)
    two = dataclasses.replace(one, activations=2, weights=4)
    columns = np.arange(4)
    assert (_activation_passes(one), _activation_passes(two)) == (4, 1)
    assert _weight_passes(one, columns).tolist() == [1] * 4  # of a column tile there is but one
    outer = dataclasses.replace(one, rows_outer=True)
    assert _activation_passes(outer) == 1
    assert _weight_passes(outer, columns).tolist() == [2] * 4
    assert _weight_passes(dataclasses.replace(two, rows_outer=True), columns).tolist() == [1] * 4


def test_whole_rows_move_each_byte_once() -> None:
    """By hand: 64 rows of 64 bytes in and out; 4 column blocks of 1,024 weights and 144 bytes of constants."""
    rng = np.random.default_rng(0)
    net = integer_network(rng, [64, 64])
    lowering = pipeline.planned(net.graph(64), (inputs(rng, net, 64),), machine(), "r")
    assert traffic(lowering, machine()) == [Traffic(4096 + 4 * 64 * -(-(1024 + 144) // 64), 4096)]
