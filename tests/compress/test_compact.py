"""Compaction against the network that it makes smaller: the outputs that remain keep every bit."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pruned
import pytest
from harness import assert_bit_exact, inputs, machine, network, run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from strategies import machines, networks

import accelsim
from accelsim.compress.compact import compact, surviving
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.config.load import load_technology
from accelsim.golden import integer
from accelsim.golden.network import IntegerNetwork, Survivors
from accelsim.results import Macs
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


def survivors_of(net: IntegerNetwork) -> list[Survivors]:
    found = [layer.survivors for layer in net.layers]
    assert all(found)
    return [s for s in found if s]


@given(net=pruned_networks(), seed=st.integers(0, 2**32))
def test_outputs_that_remain_keep_every_bit(net: IntegerNetwork, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, 7)
    small = compact(net)
    found = integer.forward(small, surviving(small, x))
    for survivors, y, whole in zip(survivors_of(small), found, integer.forward(net, x), strict=True):
        np.testing.assert_array_equal(y, whole[:, survivors.outputs])
    np.testing.assert_array_equal(found[-1], integer.forward(net, x)[-1])


@given(net=pruned_networks())
def test_what_remains_is_read_and_what_is_gone_is_not(net: IntegerNetwork) -> None:
    small = compact(net)
    survivors = survivors_of(small)
    for layer, full, s in zip(small.layers, net.layers, survivors, strict=True):
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
    once = compact(net)
    assert [layer.weight.shape for layer in compact(once).layers] == [layer.weight.shape for layer in once.layers]


def test_inputs_vanish_through_all_layers() -> None:
    # by hand: the last layer reads hidden feature 2 alone, which reads hidden feature 0 alone, which reads input 1
    net = network(np.random.default_rng(0), [3, 2, 3, 2])
    first = np.array([[0, 5], [7, 5], [0, 5]], np.int8)
    second = np.array([[1, 1, 4], [1, 1, 0]], np.int8)
    third = np.array([[0, 0], [0, 0], [3, -3]], np.int8)
    net = with_weights(net, [first, second, third])
    small = compact(net)
    assert [layer.weight.tolist() for layer in small.layers] == [[[7]], [[4]], [[3, -3]]]
    for layer, full, n in zip(small.layers, net.layers, ([0], [2], [0, 1]), strict=True):
        for name in ("bias", "multiplier", "shift"):
            assert getattr(layer, name).tolist() == getattr(full, name)[n].tolist()
    assert surviving(small, np.array([[10, 11, 12]], np.uint8)).tolist() == [[11]]


def test_a_layer_without_weights_keeps_one_input() -> None:
    net = network(np.random.default_rng(0), [5, 4, 3])
    net = with_weights(net, [net.layers[0].weight, np.zeros((4, 3), np.int8)])
    small = compact(net)
    assert [layer.weight.shape for layer in small.layers] == [(5, 1), (1, 3)]
    x = inputs(np.random.default_rng(1), net, 4)
    np.testing.assert_array_equal(integer.forward(small, x)[-1], integer.forward(net, x)[-1])


def test_a_dense_network_stays_as_it_is() -> None:
    net = network(np.random.default_rng(0), [6, 5, 4])
    net = with_weights(net, [np.where(layer.weight == 0, 1, layer.weight) for layer in net.layers])
    small = compact(net)
    for layer, full in zip(small.layers, net.layers, strict=True):
        np.testing.assert_array_equal(layer.weight, full.weight)
        assert layer.scale_bits == full.scale_bits
    x = inputs(np.random.default_rng(1), net, 4)
    np.testing.assert_array_equal(surviving(small, x), x)
    np.testing.assert_array_equal(surviving(net, x), x)


@given(net=pruned_networks(), on=machines(), batch=st.integers(1, 20), seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_a_compacted_network_executes_on_any_machine_and_names_its_features(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    small = compact(net)
    program, execution = run(small, surviving(small, x), on)
    assert_bit_exact(small, surviving(small, x), program, execution)
    header = program.header
    given_ = header.region("input")
    np.testing.assert_array_equal(given_.read(program.image), given_.of_full(x))
    for info, full, y in zip(header.layers, net.layers, integer.forward(net, x), strict=True):
        assert info.dense_shape == (batch, full.inputs, full.outputs)
        region = header.region(info.output)
        np.testing.assert_array_equal(region.read(execution.dram), region.of_full(y))


def useful_products(net: IntegerNetwork, small: IntegerNetwork, x: NDArray[np.generic]) -> int:
    """Products of two nonzero factors that are still formed, counted on the tensors of the full network."""
    count = 0
    for layer, s, y in zip(net.layers, survivors_of(small), integer.forward(net, x), strict=True):
        nonzero = layer.weight[:, s.outputs] != 0
        count += int(((x != 0).astype(np.int64) @ nonzero.astype(np.int64)).sum())
        x = y
    return count


@given(net=pruned_networks(), seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_what_compaction_removes_counts_as_skippable_and_skipped(net: IntegerNetwork, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, 5)
    small, on = compact(net), machine()
    program, execution = run(small, surviving(small, x), on)
    macs = summarize(program, execution, on, load_technology(on.tech), None, None, Origin({})).summary.macs
    dense = sum(5 * layer.weight.size for layer in net.layers)
    executed = sum(5 * layer.weight.size for layer in small.layers)
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
