"""Steps that change a network's float weights, before its types are chosen."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.config.model import Frozen, quantity
from accelsim.errors import ConfigError
from accelsim.golden import float_network
from accelsim.workload.network import Float32, Network, each

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class Rewrite(Frozen, ABC):
    """A recipe step that turns a float network into another one."""

    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    def rewrite_all(self, network: Network, names: list[str]) -> Network:
        """Change the layers of these names, one after the other: each sees what was done before it."""
        for name in names:
            number = number_of(network, name)  # a layer before it may have been split
            network = self.rewrite(network, number, inputs_of(network, number))
        return network

    @abstractmethod
    def rewrite(self, network: Network, number: int, x: Float64) -> Network:
        """Change one layer, and what must change around it.

        Parameters
        ----------
        number
            The layer's place in the network.
        x
            Its inputs for the calibration data, shape (samples, K).
        """


def number_of(network: Network, name: str) -> int:
    """Place of a layer in its network."""
    return [layer.name for layer in network.layers].index(name)


def inputs_of(network: Network, number: int) -> Float64:
    """Inputs of a layer for the calibration data, shape (samples, K)."""
    if network.independent or not number:
        return each(network.calibration)[number].astype(np.float64)
    outputs = float_network.forward(network, network.calibration)
    return float_network.inputs(network, network.calibration, outputs)[number]


def with_layer(network: Network, number: int, **changes: Any) -> Network:
    """A network with fields of one layer replaced."""
    layers = list(network.layers)
    layers[number] = dataclasses.replace(layers[number], **changes)
    return dataclasses.replace(network, layers=tuple(layers))


def with_inputs_divided(network: Network, number: int, scale: Float64) -> Network:
    """A network that computes the same, but for rounding, with a layer's inputs divided by scales, all positive.

    Its weights are multiplied; the layer before forms smaller outputs, which its ReLU lets through as it did; the host
    divides the first layer's inputs.
    """
    weight = network.layers[number].weight.astype(np.float64) * scale[:, None]
    _require_chain(network, number)
    moved = with_layer(network, number, weight=weight.astype(np.float32), weight_step=None)
    if number and not network.independent:
        before = network.layers[number - 1]
        smaller = (before.weight / scale).astype(np.float32), (before.bias / scale).astype(np.float32)
        return with_layer(moved, number - 1, weight=smaller[0], bias=smaller[1], weight_step=None)
    return _with_inputs(moved, number, lambda x: (x / scale).astype(np.float32))


def with_inputs_in_order(network: Network, number: int, order: Int64) -> Network:
    """A network that computes the same, but for how sums are rounded, with a layer's inputs in another order.

    The layer before forms its outputs in that order; the host leaves the first layer's inputs in it.
    """
    _require_chain(network, number)
    moved = with_layer(network, number, weight=network.layers[number].weight[order])
    if number and not network.independent:
        before = network.layers[number - 1]
        return with_layer(moved, number - 1, weight=before.weight[:, order], bias=before.bias[order])
    return _with_inputs(moved, number, lambda x: x[:, order])


def _require_chain(network: Network, number: int) -> None:
    """Refuse to change inputs that a branch reads too.

    Raises
    ------
    ConfigError
        If a branch was made before.
    """
    layer = network.layers[number]
    if layer.wide or layer.appends:
        raise ConfigError(
            f"layer {layer.name}: steps that change inputs must stand before those that keep some of them floats"
        )


def _with_inputs(network: Network, number: int, change: Callable[[Float32], Float32]) -> Network:
    """A network whose inputs to the first layer, or to an independent one, are changed, for calibration too."""
    inputs, calibration = (list(each(x)) for x in (network.inputs, network.calibration))
    inputs[number], calibration[number] = change(inputs[number]), change(calibration[number])
    if network.independent:
        return dataclasses.replace(network, inputs=tuple(inputs), calibration=tuple(calibration))
    return dataclasses.replace(network, inputs=inputs[0], calibration=calibration[0])
