"""Compaction against the network that it makes smaller: the outputs that remain keep every bit."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import engines
import integer_networks
import numpy as np
import pruned
import pytest
from harness import assert_bit_exact, inputs, machine, network
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from pydantic import ValidationError
from strategies import machines, networks

import accelsim
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.compact import compact, surviving
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.config.load import load_technology
from accelsim.golden import exact
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.isa.program import Program
from accelsim.results import Execution, Macs
from accelsim.summary import Origin, summarize


def with_weights(net: IntegerNetwork, weights: list[NDArray[np.int8]]) -> IntegerNetwork:
    layers = (dataclasses.replace(layer, weight=w) for layer, w in zip(net.layers, weights, strict=True))
    return dataclasses.replace(net, layers=tuple(layers))


@st.composite
def pruned_networks(draw: st.DrawFn) -> IntegerNetwork:
    """Networks of any types, whose layers lack any inputs, all of them included."""
    net = draw(networks())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = []
    for layer in net.layers:
        weight = layer.weight.astype(np.int8)
        weight[rng.random(layer.inputs) < draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))] = 0
        weights.append(weight)
    return with_weights(net, weights)


class Survivors(NamedTuple):
    """Which inputs and outputs of a full layer a compacted one still has."""

    inputs: NDArray[np.bool_]
    outputs: NDArray[np.bool_]


def survivors_of(small: Graph) -> list[Survivors]:
    found = []
    for layer in layers(small):
        assert layer.input.survivors is not None
        assert layer.output.survivors is not None
        found.append(Survivors(layer.input.survivors, layer.output.survivors))
    return found


def run(small: Graph, x: tuple[NDArray[np.generic], ...], on: Machine) -> tuple[Program, Execution]:
    program = compile_graph(small, x, on)
    return program, engines.execute(program, on)


@given(net=pruned_networks(), seed=st.integers(0, 2**32))
def test_outputs_that_remain_keep_every_bit(net: IntegerNetwork, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, 7)
    small = compact(net.graph(7))
    found = integer_networks.read(small).forward(surviving(small, (x,)))
    for survivors, y, whole in zip(survivors_of(small), found, net.forward(x), strict=True):
        np.testing.assert_array_equal(y, whole[:, survivors.outputs])
    np.testing.assert_array_equal(found[-1], net.forward(x)[-1])


@given(net=pruned_networks(), seed=st.integers(0, 2**32))
def test_every_value_of_the_graph_holds_what_remains_of_the_full_one(net: IntegerNetwork, seed: int) -> None:
    x, full = inputs(np.random.default_rng(seed), net, 7), net.graph(7)
    small = compact(full)
    before, after = exact.evaluate(full, (x,), 1), exact.evaluate(small, surviving(small, (x,)), 1)
    assert list(after) == list(before)
    for name in full.outputs:
        np.testing.assert_array_equal(after[name], before[name])
    for name, numbers in after.items():
        value = small[name]
        assert value.survivors is not None
        assert (value.features, value.full_features) == (value.survivors.sum(), full[name].features)
        np.testing.assert_array_equal(numbers, before[name][:, value.survivors], name)


@given(net=pruned_networks())
def test_what_remains_is_read_and_what_is_gone_is_not(net: IntegerNetwork) -> None:
    small = compact(net.graph(3))
    survivors = survivors_of(small)
    for layer, full, s in zip(integer_networks.read(small).layers, net.layers, survivors, strict=True):
        assert (layer.inputs, layer.outputs) == (s.inputs.sum(), s.outputs.sum())
        # an input that is gone adds nothing to the outputs that remain, in whose order rows and columns stay
        for k in range(full.inputs):
            read = any(full.weight[k, n] for n in range(full.outputs) if s.outputs[n])
            assert s.inputs[k] == read or (s.inputs.sum() == 1 and not read)
        assert layer.weight.tolist() == [
            [full.weight[k, n] for n in range(full.outputs) if s.outputs[n]] for k in range(full.inputs) if s.inputs[k]
        ]
    assert survivors[-1].outputs.all()
    for before, after in pairwise(survivors):
        assert (before.outputs == after.inputs).all()


@given(net=pruned_networks())
def test_nothing_more_can_be_removed(net: IntegerNetwork) -> None:
    once = compact(net.graph(3))
    assert [layer.weight.shape for layer in layers(compact(once))] == [layer.weight.shape for layer in layers(once)]


def test_inputs_vanish_through_all_layers() -> None:
    # by hand: the last layer reads hidden feature 2 alone, which reads hidden feature 0 alone, which reads input 1
    net = network(np.random.default_rng(0), [3, 2, 3, 2])
    first = np.array([[0, 5], [7, 5], [0, 5]], np.int8)
    second = np.array([[1, 1, 4], [1, 1, 0]], np.int8)
    third = np.array([[0, 0], [0, 0], [3, -3]], np.int8)
    net = with_weights(net, [first, second, third])
    small = compact(net.graph(1))
    assert [layer.weight.numbers.tolist() for layer in layers(small)] == [[[7]], [[4]], [[3, -3]]]
    for layer, full, n in zip(integer_networks.read(small).layers, net.layers, ([0], [2], [0, 1]), strict=True):
        for name in ("bias", "multiplier", "shift"):
            assert getattr(layer, name).tolist() == getattr(full, name)[n].tolist()
    (left,) = surviving(small, (np.array([[10, 11, 12]], np.uint8),))
    assert left.tolist() == [[11]]


def test_a_layer_without_weights_keeps_one_input() -> None:
    net = network(np.random.default_rng(0), [5, 4, 3])
    net = with_weights(net, [net.layers[0].weight, np.zeros((4, 3), np.int8)])
    small = compact(net.graph(4))
    assert [layer.weight.shape for layer in layers(small)] == [(5, 1), (1, 3)]
    x = inputs(np.random.default_rng(1), net, 4)
    np.testing.assert_array_equal(integer_networks.read(small).forward(x)[-1], net.forward(x)[-1])


def test_a_dense_network_stays_as_it_is() -> None:
    net = network(np.random.default_rng(0), [6, 5, 4])
    net = with_weights(net, [np.where(layer.weight == 0, 1, layer.weight) for layer in net.layers])
    small = compact(net.graph(4))
    for layer, full in zip(integer_networks.read(small).layers, net.layers, strict=True):
        for name in ("weight", "bias", "multiplier", "shift"):
            np.testing.assert_array_equal(getattr(layer, name), getattr(full, name))
    x = inputs(np.random.default_rng(1), net, 4)
    for graph in (small, net.graph(4)):
        (left,) = surviving(graph, (x,))
        np.testing.assert_array_equal(left, x)


@given(net=pruned_networks(), on=machines(), batch=st.integers(1, 20), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_a_compacted_network_executes_on_any_machine_and_names_its_features(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    small = compact(net.graph(batch))
    program, execution = run(small, surviving(small, (x,)), on)
    assert_bit_exact(integer_networks.read(small), surviving(small, (x,)), program, execution)
    header = program.header
    given_ = header.region("input")
    np.testing.assert_array_equal(given_.read(program.image), given_.of_full(x))
    for info, full, y in zip(header.layers, net.layers, net.forward(x), strict=True):
        assert info.dense_shape == (batch, full.inputs, full.outputs)
        region = header.region(info.output)
        np.testing.assert_array_equal(execution.numbers(region), region.of_full(y))


def useful_products(net: IntegerNetwork, small: Graph, x: NDArray[np.generic]) -> int:
    """Products of two nonzero factors that are still formed, counted on the tensors of the full network."""
    count = 0
    for layer, s, y in zip(net.layers, survivors_of(small), net.forward(x), strict=True):
        nonzero = layer.weight[:, s.outputs] != 0
        count += int(((x != 0).astype(np.int64) @ nonzero.astype(np.int64)).sum())
        x = y
    return count


@given(net=pruned_networks(), seed=st.integers(0, 2**32))
@settings(max_examples=24)
def test_what_compaction_removes_counts_as_skippable_and_skipped(net: IntegerNetwork, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, 5)
    small, on = compact(net.graph(5)), machine()
    program, execution = run(small, surviving(small, (x,)), on)
    macs = summarize(program, execution, on, load_technology(on.tech), None, None, Origin({})).summary.macs
    dense = sum(5 * layer.weight.size for layer in net.layers)
    executed = sum(5 * layer.weight.numbers.size for layer in layers(small))
    useful = useful_products(net, small, x)
    assert macs == Macs(dense=dense, executed=executed, skipped=dense - executed, skippable=dense - useful)


def test_encoded_weights_are_compacted_before_they_are_stored(tmp_path: Path) -> None:
    path = str(pruned.write(tmp_path, pruned.columns, 10))
    recipe = tmp_path / "r.yaml"
    text = "kind: recipe\nname: r\ndescription: ''\nsteps: [{scheme: int8}, {scheme: store, format: bitmask}]\n"
    summaries = []
    for flag in ("false", "true"):
        recipe.write_text(text + f"compact: {flag}\n")
        summaries.append(accelsim.run(path, "edge-ws", str(recipe)).summary)
    full, small = summaries
    assert full.bit_exact
    assert small.bit_exact
    assert full.quality == small.quality
    # what is removed are zeros, so all that is saved are their bits of the mask, and the constants of outputs
    removed = 64 * 300 - 32 * 150 + 300 * 100 - 150 * 50 + 50 * 10
    saved = full.compression.stored_bits - small.compression.stored_bits
    assert saved >= removed
    assert small.energy_pj.decode < full.energy_pj.decode


@pytest.mark.parametrize("scheme", ["fp32", "bf16", "fp8_e4m3"])
def test_float_networks_are_not_compacted(scheme: str) -> None:
    fields = {"kind": "recipe", "name": "r", "description": "", "steps": [{"scheme": scheme}]}
    assert not Recipe.model_validate(fields).compact
    with pytest.raises(ValidationError, match=f"compact must be false for {scheme}, whose sums depend on how"):
        Recipe.model_validate({**fields, "compact": True})
