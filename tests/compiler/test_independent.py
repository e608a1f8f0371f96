"""Components of a graph that no edge joins: each layer reads inputs of its own, in one program of several outputs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from harness import assert_accounted, layer, machine, network, run
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import independent_networks, machines, networks

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.compact import compact, surviving
from accelsim.config.arch import Machine
from accelsim.errors import DefectError
from accelsim.graph.element import Integer
from accelsim.graph.layer import layers
from accelsim.isa.opcodes import LOAD, RECEIVE, SEND, STORE, Memory
from accelsim.isa.program import Program
from accelsim.results import Execution
from accelsim.sim import reference

LINK = {"io_bandwidth_bytes_per_s": 1e9, "io_latency_s": 20e-9}


def inputs(net: IntegerNetwork, rows: list[int], seed: int = 0) -> tuple[NDArray[np.generic], ...]:
    """Random inputs of each layer's type."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.integers(x.input.qmin, x.input.qmax + 1, (m, x.inputs)).astype(x.input.dtype)
        for x, m in zip(net.layers, rows, strict=True)
    )


def assert_exact(
    net: IntegerNetwork, x: tuple[NDArray[np.generic], ...], program: Program, execution: Execution
) -> None:
    """Each layer's output is that of a network of this layer alone."""
    for info, one, given_ in zip(program.header.layers, net.layers, x, strict=True):
        found = execution.numbers(program.header.region(info.output))
        np.testing.assert_array_equal(found, one.forward(given_), info.name)


@given(net=independent_networks(), on=machines(), data=st.data())
@settings(max_examples=24)
def test_each_layer_computes_what_it_would_alone(net: IntegerNetwork, on: Machine, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(1, 30), min_size=len(net.layers), max_size=len(net.layers)))
    x = inputs(net, rows, data.draw(st.integers(0, 2**32)))
    program = net.compile(x, on)
    execution = reference.execute(program, on)
    assert_exact(net, x, program, execution)
    assert_accounted(execution)


@given(net=independent_networks(), data=st.data())
@settings(max_examples=25)
def test_a_compacted_layer_gives_the_same_outputs(net: IntegerNetwork, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(1, 9), min_size=len(net.layers), max_size=len(net.layers)))
    x = inputs(net, rows)
    smaller = compact(net.graph(*rows))
    on = machine()
    program = compile_graph(smaller, surviving(smaller, x), on)
    assert_exact(net, x, program, reference.execute(program, on))
    for full, less in zip(net.layers, layers(smaller), strict=True):
        assert less.weight.shape == (max(1, np.count_nonzero(full.weight.any(axis=1))), full.outputs)


def test_no_edge_joins_the_layers() -> None:
    net, _ = three_layers()
    graph = net.graph(12, 1, 40)
    assert graph.inputs == ("a.input", "b.input", "c.input")
    assert graph.outputs == ("a.output", "b.output", "c.output")
    for found, name in zip(layers(graph), "abc", strict=True):
        assert {node.name.split(".")[0] for node in found.nodes} == {name}
        assert {value.split(".")[0] for node in found.nodes for value in node.inputs} == {name}
    assert len(graph.nodes) == sum(len(found.nodes) for found in layers(graph))


def three_layers() -> tuple[IntegerNetwork, tuple[NDArray[np.generic], ...]]:
    rng = np.random.default_rng(5)
    q = Integer(0.1, 3, signed=True)
    three = tuple(layer(rng, k, n, q, q, name=name) for name, k, n in (("a", 20, 30), ("b", 7, 5), ("c", 33, 9)))
    net = IntegerNetwork("three", three, independent=True)
    return net, inputs(net, [12, 1, 40])


def test_regions_are_named_by_layer_and_the_image_holds_all_inputs() -> None:
    net, x = three_layers()
    program = net.compile(x, machine())
    header = program.header
    assert [r.name for r in header.regions] == ["a.input", "a.output", "b.input", "b.output", "c.input", "c.output"]
    assert [(r.rows, r.columns) for r in header.regions] == [(12, 20), (12, 30), (1, 7), (1, 5), (40, 33), (40, 9)]
    for name, matrix in zip("abc", x, strict=True):
        region = header.region(f"{name}.input")
        assert region.address + region.bytes <= program.image.size
        np.testing.assert_array_equal(region.read(program.image), matrix)
    for a, b in itertools.pairwise(sorted(header.regions, key=lambda r: r.address)):
        assert a.address + a.bytes <= b.address


def test_a_chains_regions_keep_their_names() -> None:
    net = network(np.random.default_rng(1), [9, 8, 7])
    program, _ = run(net, np.zeros((4, 9), np.uint8), machine())
    assert [r.name for r in program.header.regions] == ["input", "fc0.output", "fc1.output"]


def test_each_layers_input_is_received_and_its_output_sent() -> None:
    net, x = three_layers()
    program = net.compile(x, machine(host=LINK))
    code = program.instructions
    for opcode, role in ((RECEIVE, "input"), (SEND, "output")):
        mine = code[code["opcode"] == opcode]
        moved = np.zeros(3, np.int64)
        np.add.at(moved, mine["layer"], mine["operands"][:, 2] * mine["operands"][:, 3])
        assert moved.tolist() == [program.header.region(f"{name}.{role}").bytes for name in "abc"]


def test_a_layers_input_is_loaded_before_the_one_before_is_stored() -> None:
    rng = np.random.default_rng(6)
    net = network(rng, [64, 64, 32])
    # a small output scratchpad, so that the first layer has several tiles of outputs
    on = machine(activation={"capacity_bytes": 16384}, output={"capacity_bytes": 2048})
    q = net.layers[0].input
    apart = IntegerNetwork("apart", tuple(dataclasses.replace(x, input=q) for x in net.layers), True)
    x = rng.integers(0, 256, (64, 64)).astype(np.uint8)

    def first_load(program: Program) -> tuple[int, int]:
        """Numbers of the second layer's first load of activations, and of the first layer's last store."""
        code = program.instructions
        loads = (code["opcode"] == LOAD) & (code["operands"][:, 4] == Memory.ACTIVATION) & (code["layer"] == 1)
        return int(np.flatnonzero(loads)[0]), int(np.flatnonzero((code["opcode"] == STORE) & (code["layer"] == 0))[-1])

    load, store = first_load(net.compile(x, on))
    assert load > store
    load, store = first_load(apart.compile((x, x), on))
    assert load < store


def test_inputs_that_do_not_fit_their_layers_are_a_defect() -> None:
    net, x = three_layers()
    with pytest.raises(DefectError, match=r"input b\.input: must have shape \(1, 7\), not \(12, 20\)"):
        compile_graph(net.graph(12, 1, 40), (x[0], x[0], x[2]), machine())


@given(net=networks(), on=machines())
@settings(max_examples=20)
def test_a_layer_by_itself_is_a_chain_of_one(net: IntegerNetwork, on: Machine) -> None:
    one = IntegerNetwork("one", net.layers[:1])
    x = inputs(one, [8])
    chain = one.compile(x[0], on)
    alone = dataclasses.replace(one, independent=True).compile(x, on)
    assert (chain.instructions == alone.instructions).all()
    assert (chain.image == alone.image).all()
