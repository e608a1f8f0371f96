"""Apply a recipe to a network."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase

import numpy as np

from accelsim.compress.outline import outline
from accelsim.compress.quantize import binary, floats, integers
from accelsim.compress.recipe import Quantizer, Recipe
from accelsim.compress.store import Store
from accelsim.errors import ConfigError, WorkloadError
from accelsim.formats.storage import Storage
from accelsim.golden import float_network
from accelsim.golden.network import (
    CompressedLayer,
    CompressedNetwork,
    FloatLayer,
    FloatNetwork,
    IntegerLayer,
    IntegerNetwork,
)
from accelsim.workload.network import Linear, Network, each


def compress(network: Network, recipe: Recipe) -> CompressedNetwork:
    """Quantize a float network by a recipe; activation ranges come from the network's calibration data.

    Of a network without values only types and shapes follow.

    Raises
    ------
    ConfigError
        If a step matches no layer, a layer is left without a step, or steps of different types follow each other.
    WorkloadError
        If a layer's values can't be represented.
    """
    steps = [_step(layer, network, recipe) for layer in network.layers]
    _one_type(network, recipe, steps)
    layers = _quantize(network, steps) if network.values else outline(network, steps)
    if isinstance(steps[0], floats.Floats):
        if any(isinstance(step, Store) for step in recipe.steps):
            raise ConfigError(f"recipe {recipe.name}: weights that are stored encoded must be integers, not floats")
        rounded = tuple(x for x in layers if isinstance(x, FloatLayer))
        return FloatNetwork(network.name, recipe.name, rounded, network.independent)
    stored = (dataclasses.replace(x, storage=_storage(x, recipe)) for x in layers if isinstance(x, IntegerLayer))
    return IntegerNetwork(network.name, recipe.name, tuple(stored), network.independent)


def _quantize(network: Network, steps: list[Quantizer]) -> list[CompressedLayer]:
    """Each layer by its step, between the ranges of its input and its output."""
    outputs = float_network.forward(network, network.calibration)
    for layer, values in zip(network.layers, outputs, strict=True):
        if not np.isfinite(values).all():
            raise WorkloadError(f"layer {layer.name}: outputs must be finite for the calibration data, but are not")
    calibration = (x.astype(np.float64) for x in each(network.calibration))
    inputs = calibration if network.independent else [*calibration, *outputs[:-1]]
    layers: list[CompressedLayer] = []
    for layer, step, *tensors in zip(network.layers, steps, inputs, outputs, strict=True):
        match step:
            case integers.Integers():
                ranges = [integers.activation_range(values, step.bits) for values in tensors]
                layers.append(integers.quantize_layer(layer, step, *ranges))
            case binary.Signs():
                scales = [binary.activation_scale(values) for values in tensors]
                layers.append(binary.binarize_layer(layer, *scales))
            case floats.Floats():
                layers.append(floats.round_layer(layer, step))
    return layers


def _one_type(network: Network, recipe: Recipe, steps: list[Quantizer]) -> None:
    """Refuse steps of different types, because a tensor has the type of the layer that reads it."""
    for layer, step, after in zip(network.layers, steps, steps[1:], strict=False):
        if step.scheme != after.scheme:
            raise ConfigError(
                f"recipe {recipe.name}: all layers must have operands of one type, but layer {layer.name} has "
                f"{step.scheme} and the next one {after.scheme}"
            )


def _step(layer: Linear, network: Network, recipe: Recipe) -> Quantizer:
    """The last quantizing step that matches a layer; every step must match some layer."""
    for step in recipe.steps:
        if not any(fnmatchcase(other.name, step.layers) for other in network.layers):
            names = ", ".join(other.name for other in network.layers)
            raise ConfigError(
                f"recipe {recipe.name}: layers must match a layer of {network.name} ({names}), not {step.layers!r}"
            )
    steps = [s for s in recipe.steps if not isinstance(s, Store) and fnmatchcase(layer.name, s.layers)]
    if not steps:
        raise ConfigError(f"recipe {recipe.name}: a step must quantize layer {layer.name}, but none matches it")
    return steps[-1]


def _storage(layer: IntegerLayer, recipe: Recipe) -> Storage | None:
    """Format of the last storing step that matches a layer, if there is one."""
    steps = [s for s in recipe.steps if isinstance(s, Store) and fnmatchcase(layer.name, s.layers)]
    return steps[-1].storage if steps else None
