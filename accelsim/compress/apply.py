"""Apply a recipe to a network."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase

import numpy as np

from accelsim.compress.outline import outline
from accelsim.compress.quantize import binary, dynamic, floats, integers
from accelsim.compress.recipe import Quantizer, Recipe
from accelsim.compress.rewrite import Rewrite
from accelsim.compress.store import Store
from accelsim.errors import ConfigError, WorkloadError
from accelsim.golden import float_network
from accelsim.golden.network import (
    CompressedLayer,
    CompressedNetwork,
    FloatLayer,
    FloatNetwork,
    IntegerLayer,
    IntegerNetwork,
)
from accelsim.workload.network import Linear, Network


def compress(network: Network, recipe: Recipe) -> CompressedNetwork:
    """Rewrite a float network and quantize it by a recipe; what is known of inputs comes from its calibration data.

    Of a network without values only types and shapes follow.

    Raises
    ------
    ConfigError
        If a step matches no layer, a layer is left without a step, or steps of different types follow each other.
    WorkloadError
        If a layer's values can't be represented.
    """
    return quantize(rewritten(network, recipe), recipe)


def rewritten(network: Network, recipe: Recipe) -> Network:
    """The float network after the recipe's rewriting steps, layer by layer: each sees what those before it did.

    Its inputs may stand in another order; the outputs of its last layer are those of the network.

    Raises
    ------
    ConfigError
        If a step of the recipe matches no layer.
    """
    for step in recipe.rewrites:
        _require_match(step.layers, network, recipe)
        names = [layer.name for layer in network.layers if fnmatchcase(layer.name, step.layers)]
        network = step.rewrite_all(network, names)
    return network


def quantize(network: Network, recipe: Recipe) -> CompressedNetwork:
    """Choose the types of a float network's tensors by a recipe's other steps; errors as for `compress`."""
    for other in recipe.steps:
        if not isinstance(other, Rewrite):
            _require_match(other.layers, network, recipe)
    steps = [quantizer_of(layer, recipe) for layer in network.layers]
    _one_type(network, recipe, steps)
    layers = _quantize(network, steps) if network.values else outline(network, steps)
    if isinstance(steps[0], floats.Floats | dynamic.DynamicIntegers):
        if any(isinstance(step, Store) for step in recipe.steps):
            raise ConfigError(f"recipe {recipe.name}: weights that are stored encoded must be integers, not floats")
        rounded = tuple(x for x in layers if isinstance(x, FloatLayer))
        return FloatNetwork(network.name, recipe.name, rounded, network.independent)
    stored = (_stored(x, recipe) for x in layers if isinstance(x, IntegerLayer))
    return IntegerNetwork(network.name, recipe.name, tuple(stored), network.independent)


def _quantize(network: Network, steps: list[Quantizer]) -> list[CompressedLayer]:
    """Each layer by its step, between the ranges of its input and its output.

    What a chain's last layer forms is read by no layer: it has 8 bits at least.
    """
    forward = binary.forward if isinstance(steps[0], binary.Signs) else float_network.forward
    outputs = forward(network, network.calibration)
    for layer, values in zip(network.layers, outputs, strict=True):
        if not np.isfinite(values).all():
            raise WorkloadError(f"layer {layer.name}: outputs must be finite for the calibration data, but are not")
    inputs = float_network.inputs(network, network.calibration, outputs)
    layers: list[CompressedLayer] = []
    for number, (layer, step, given, found) in enumerate(zip(network.layers, steps, inputs, outputs, strict=True)):
        after = None if network.independent else next(iter(network.layers[number + 1 :]), None)
        last = after is None and not network.independent
        match step:
            case integers.Integers():
                bits = max(step.bits, integers.LAST_BITS) if last else step.bits
                reader = step if after is None else steps[number + 1]
                assert isinstance(reader, integers.Integers)  # noqa: S101 - `_one_type` has refused others
                types = (
                    integers.tensor_type(layer, given, step.bits, step),
                    integers.tensor_type(after, found, bits, reader),
                )
                layers.append(integers.quantize_layer(layer, step, *types))
            case binary.Signs():
                signs = binary.tensor_type(after, found)
                formed = integers.activation_range(found, integers.LAST_BITS) if last else signs
                layers.append(binary.binarize_layer(layer, binary.tensor_type(layer, given), formed))
            case floats.Floats():
                layers.append(floats.round_layer(layer, step))
            case dynamic.DynamicIntegers():
                layers.append(dynamic.quantize_layer(layer, step))
    return layers


def _one_type(network: Network, recipe: Recipe, steps: list[Quantizer]) -> None:
    """Refuse steps of different types, because a tensor has the type of the layer that reads it."""
    for layer, step, after in zip(network.layers, steps, steps[1:], strict=False):
        if step.operand != after.operand:
            raise ConfigError(
                f"recipe {recipe.name}: all layers must have operands of one type, but layer {layer.name} has "
                f"{step.operand} and the next one {after.operand}"
            )
    for layer, step in zip(network.layers, steps, strict=True):
        if (layer.wide or layer.appends) and not isinstance(step, floats.Floats | dynamic.DynamicIntegers):
            raise ConfigError(
                f"recipe {recipe.name}: layer {layer.name} has inputs that stay floats, so that its step must be of "
                f"floats or of dynamic integers, not {step.scheme}"
            )


def _require_match(pattern: str, network: Network, recipe: Recipe) -> None:
    """Refuse a step that is for no layer."""
    names = [layer.name for layer in network.layers]
    if not any(fnmatchcase(name, pattern) for name in names):
        raise ConfigError(
            f"recipe {recipe.name}: layers must match a layer of {network.name} ({', '.join(names)}), not {pattern!r}"
        )


def quantizer_of(layer: Linear, recipe: Recipe) -> Quantizer:
    """The last quantizing step that matches a layer.

    Raises
    ------
    ConfigError
        If there is none.
    """
    steps = [s for s in recipe.steps if isinstance(s, Quantizer) and fnmatchcase(layer.name, s.layers)]
    if not steps:
        raise ConfigError(f"recipe {recipe.name}: a step must quantize layer {layer.name}, but none matches it")
    return steps[-1]


def _stored(layer: IntegerLayer, recipe: Recipe) -> IntegerLayer:
    """A layer whose weights stand in the format of the last storing step that matches it, if there is one."""
    steps = [s for s in recipe.steps if isinstance(s, Store) and fnmatchcase(layer.name, s.layers)]
    if not steps:
        return layer
    if layer.storage:
        raise ConfigError(
            f"recipe {recipe.name}: no step may store layer {layer.name}, whose groups are stored as "
            f"{layer.storage.format}"
        )
    return dataclasses.replace(layer, storage=steps[-1].storage)
