"""int8 after training: ranges, scales, and how near the integers come to the floats."""

from __future__ import annotations

import float_networks
import integer_networks
import numpy as np
import pytest
from float_networks import Linear, quantized
from hypothesis import given
from hypothesis import strategies as st
from integer_networks import IntegerLayer
from pydantic import ValidationError

from accelsim.compress.apply import compress
from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.compress.quantize.integers import Integers, activation_range
from accelsim.compress.quantize.integers import quantize_layer as typed_layer
from accelsim.compress.recipe import Recipe
from accelsim.compress.store import Store
from accelsim.errors import ConfigError, WorkloadError
from accelsim.golden import exact
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.value import Value
from accelsim.workload.source import load_network

STEP = Integers(scheme="int8")


def typed_graph(linear: Linear, step: Integers, given_range: Integer, result: Integer) -> Graph:
    """The graph of a layer that is quantized between two ranges."""
    before = float_networks.chain([linear], np.zeros((1, linear.inputs))).graph
    (layer,) = layers(before)
    typed = typed_layer(layer, step, given_range, result)
    known = {value.name: value for value in typed.constants()}
    known["input"] = Value("input", (1, linear.inputs), given_range)
    return Graph.formed("typed", known, typed.nodes(), before.inputs, before.outputs)


def quantize_layer(linear: Linear, step: Integers, given_range: Integer, result: Integer) -> IntegerLayer:
    """The same layer as arrays."""
    (found,) = integer_networks.read(typed_graph(linear, step, given_range, result)).layers
    return found


def test_a_tensor_without_negatives_is_unsigned_with_zero_at_zero() -> None:
    q = activation_range(np.array([0.0, 0.5, 2.55]))
    assert (q.signed, q.zero_point, q.scale) == (False, 0, pytest.approx(0.01))
    assert q.quantize(np.array([0.0]))[0] == 0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_a_range_holds_its_values_and_zero_exactly(values: list[float]) -> None:
    array = np.array(values)
    q = activation_range(array)
    assert q.qmin <= q.zero_point <= q.qmax
    assert q.dequantize(q.quantize(np.zeros(1)))[0] == 0
    assert np.abs(q.dequantize(q.quantize(array)) - array).max() <= q.scale * (1 + 1e-9)


def test_asymmetric_data_use_all_steps() -> None:
    q = activation_range(np.array([-1.0, 3.0]))
    assert q.signed
    assert q.quantize(np.array([-1.0, 3.0])).tolist() == [-128, 127]
    assert q.scale == pytest.approx(4 / 255)


def test_a_tensor_of_zeros_has_a_scale() -> None:
    assert activation_range(np.zeros(3)) == Integer(1.0, 0, signed=False)


@given(st.floats(2.0**-31, 2.0**29))
def test_multiplier_and_shift_are_within_half_a_unit(scale: float) -> None:
    multiplier, shift = quantize_multiplier(np.array([scale]))
    assert 2**30 <= multiplier[0] < 2**31
    assert float(multiplier[0]) * 2.0 ** (int(shift[0]) - 31) == pytest.approx(scale, rel=2.0**-31)


def test_the_multiplier_of_a_scale_just_below_a_power_of_two_carries() -> None:
    multiplier, shift = quantize_multiplier(np.array([np.nextafter(1.0, 0.0)]))
    assert (multiplier[0], shift[0]) == (2**30, 1)


def test_a_vanishing_scale_is_zero_and_a_huge_one_refused() -> None:
    multiplier, shift = quantize_multiplier(np.array([2.0**-40]))
    assert (multiplier[0], shift[0]) == (0, 0)
    for bad in (0.0, -1.0, 2.0**30, np.nextafter(2.0**30, 0.0)):
        with pytest.raises(ValueError, match="must be above 0"):
            quantize_multiplier(np.array([bad]))


def test_weights_are_symmetric_per_channel() -> None:
    weight = np.array([[1.0, 0.0, -0.5], [-2.0, 0.0, 0.25]], np.float32)
    given_range, result = Integer(0.1, 0, signed=False), Integer(0.2, 3, signed=True)
    layer = quantize_layer(Linear("x", weight, np.zeros(3, np.float32), relu=False), STEP, given_range, result)
    assert layer.weight.tolist() == [[64, 0, -127], [-127, 0, 64]]


def test_the_zero_point_of_the_input_is_taken_off_its_products() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(1, 2, (500, 20))
    linear = Linear("x", rng.normal(size=(20, 7)).astype(np.float32), rng.normal(size=7).astype(np.float32), relu=False)
    y = x @ linear.weight.astype(np.float64) + linear.bias
    given_range, result = activation_range(x), activation_range(y)
    assert given_range.zero_point != 0
    q = given_range.quantize(x)
    folded = quantize_layer(linear, STEP, given_range, result).forward(q)
    outputs = exact.evaluate(typed_graph(linear, STEP, given_range, result), (q,), 1)["x.output"]
    np.testing.assert_array_equal(outputs, folded)
    noise = np.square(y - result.dequantize(outputs)).mean() / np.square(y).mean()
    assert noise < 1e-3


def test_an_all_zero_layer_is_quantized() -> None:
    linear = Linear("x", np.zeros((4, 2), np.float32), np.ones(2, np.float32), relu=False)
    q = Integer(0.01, 0, signed=False)
    layer = quantize_layer(linear, STEP, q, q)
    assert layer.forward(np.zeros((1, 4), np.uint8)).tolist() == [[100, 100]]


def test_a_bias_that_is_huge_beside_its_weights_is_kept() -> None:
    weight = np.array([[1e-30, 0.5]], np.float32)
    linear = Linear("x", weight, np.array([1.0, 0.25], np.float32), relu=False)
    q = Integer(0.01, 0, signed=False)
    layer = quantize_layer(linear, STEP, q, q)
    assert abs(int(layer.bias[0])) <= 2**30
    assert layer.forward(np.array([[100]], np.uint8)).tolist() == [[100, 75]]


def test_a_scale_out_of_range_is_refused() -> None:
    linear = Linear("x", np.full((1, 1), 1e30, np.float32), np.zeros(1, np.float32), relu=False)
    with pytest.raises(WorkloadError, match="layer x: a requantize scale must be above 0"):
        quantize_layer(linear, STEP, Integer(1.0, 0, signed=False), Integer(1.0, 0, signed=False))


def test_digits_lose_less_than_a_point() -> None:
    network = load_network("digits-mlp")
    recipe = Recipe(kind="recipe", name="r", description="", steps=[STEP])
    graph = compress(network, recipe)
    compressed = layers(graph)
    assert [layer.input.element.signed for layer in compressed] == [False, False, False]
    assert [layer.input.element.zero_point for layer in compressed] == [0, 0, 0]
    assert compressed[-1].output.element.signed
    outputs = exact.evaluate(graph, quantized(graph, network.inputs), 1)
    for layer, real in zip(compressed, float_networks.forward(network, network.inputs[0]), strict=True):
        q = outputs[layer.output.name]
        noise = np.square(layer.output.element.dequantize(q) - real).sum() / np.square(real).sum()
        assert noise < 1e-3, layer.name


def test_outputs_that_overflow_are_refused() -> None:
    weight, bias = np.full((64, 64), 1e38, np.float32), np.zeros(64, np.float32)
    huge = [Linear(f"big{i}", weight, bias, relu=True) for i in range(12)]
    deep = float_networks.chain(huge, load_network("digits-mlp").inputs[0])
    recipe = Recipe(kind="recipe", name="r", description="", steps=[STEP])
    with pytest.raises(WorkloadError, match=r"layer big\d: outputs must be finite"):
        compress(deep, recipe)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("conv*", r"recipe r: layers must match a layer of digits-mlp \(fc1, fc2, fc3\), not 'conv\*'"),
        ("fc[12]", "recipe r: a step must quantize layer fc3, but none matches it"),
    ],
)
def test_patterns_must_match_and_cover(pattern: str, message: str) -> None:
    recipe = Recipe(kind="recipe", name="r", description="", steps=[Integers(scheme="int8", layers=pattern)])
    with pytest.raises(ConfigError, match=message):
        compress(load_network("digits-mlp"), recipe)


def test_the_last_storing_step_that_matches_says_how_weights_stand() -> None:
    steps = [
        {"scheme": "int8"},
        {"scheme": "store", "format": "huffman"},
        {"scheme": "store", "format": "relative", "layers": "fc2"},
        {"scheme": "store", "format": "packed", "bits": 8, "layers": "fc3"},
    ]
    recipe = Recipe.model_validate({"kind": "recipe", "name": "r", "description": "", "steps": steps})
    graph = compress(load_network("digits-mlp"), recipe)
    storages = [layer.weight.storage for layer in layers(graph)]
    assert storages == [("huffman", 0, 0, 0), ("relative", 4, 0, 0), ("packed", 8, 0, 0)]


@pytest.mark.parametrize("name", ["bitmask", "huffman"])
def test_a_format_without_a_width_takes_no_bits(name: str) -> None:
    with pytest.raises(ValidationError, match=f"bits must be absent for {name}, which has no width, not 4"):
        Store.model_validate({"scheme": "store", "format": name, "bits": 4})


def test_an_int16_scale_that_15_bits_cannot_hold_is_refused() -> None:
    linear = Linear("x", np.full((1, 1), 3e9, np.float32), np.zeros(1, np.float32), relu=False)
    given, result = Integer(1.0, 0, signed=False, bits=16), Integer(1.0, 0, signed=False, bits=16)
    with pytest.raises(WorkloadError, match=r"layer x: a requantize scale of int16 must be below 2\^14"):
        quantize_layer(linear, Integers(scheme="int16"), given, result)


def test_floats_are_not_stored_encoded() -> None:
    steps = [{"scheme": "fp16"}, {"scheme": "store", "format": "huffman"}]
    recipe = Recipe.model_validate({"kind": "recipe", "name": "r", "description": "", "steps": steps})
    with pytest.raises(ConfigError, match="weights that are stored encoded must be integers, not floats"):
        compress(load_network("digits-mlp"), recipe)
