"""Apply a recipe to a network."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np

from accelsim.compress.quantize import int8
from accelsim.compress.recipe import Recipe
from accelsim.errors import ConfigError, WorkloadError
from accelsim.golden import float_network
from accelsim.golden.network import IntegerNetwork
from accelsim.workload.network import Network


def compress(network: Network, recipe: Recipe) -> IntegerNetwork:
    """Quantize a float network by a recipe; activation ranges come from the network's calibration data.

    Raises
    ------
    ConfigError
        If a step matches no layer, or a layer is left in float.
    WorkloadError
        If a layer's values can't be represented.
    """
    for step in recipe.steps:
        if not any(fnmatchcase(layer.name, step.layers) for layer in network.layers):
            names = ", ".join(layer.name for layer in network.layers)
            raise ConfigError(
                f"recipe {recipe.name}: layers must match a layer of {network.name} ({names}), not {step.layers!r}"
            )
    outputs = float_network.forward(network, network.calibration)
    for layer, values in zip(network.layers, outputs, strict=True):
        if not np.isfinite(values).all():
            raise WorkloadError(f"layer {layer.name}: outputs must be finite for the calibration data, but are not")
    ranges = [int8.activation_range(values) for values in (network.calibration.astype(np.float64), *outputs)]
    layers = []
    for i, layer in enumerate(network.layers):
        steps = [step for step in recipe.steps if fnmatchcase(layer.name, step.layers)]
        if not steps:
            raise ConfigError(f"recipe {recipe.name}: a step must quantize layer {layer.name}, but none matches it")
        layers.append(int8.quantize_layer(layer, steps[-1], ranges[i], ranges[i + 1]))
    return IntegerNetwork(network.name, recipe.name, tuple(layers))
