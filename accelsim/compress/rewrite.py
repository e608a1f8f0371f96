"""Steps that change a network's float weights, before its types are chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.calibrate import calibrated
from accelsim.config.model import Frozen, quantity
from accelsim.errors import ConfigError
from accelsim.golden.windows import pixels
from accelsim.graph.layer import Layer, layer_of
from accelsim.graph.ops.conv import Conv
from accelsim.graph.rewrite import FeatureMap, divided_by, in_order, push, with_constant
from accelsim.workload.network import Network

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

#: Numbers of a convolution's windows that a scheme looks at, at most (count): 256 MB of them.
ENOUGH = 2**25


class Rewrite(Frozen, ABC):
    """A recipe step that turns a float network into another one."""

    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    def rewrite_all(self, network: Network, names: list[str]) -> Network:
        """Change the layers of these names, one after the other: each sees what was done before it."""
        for name in names:
            network = self.rewrite(network, layer_of(network.graph, name))
        return network

    @abstractmethod
    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Change one layer, and what must change around it."""


def inputs_of(network: Network, layer: Layer) -> Float64:
    """Inputs of a layer for the calibration data, shape (samples, K).

    Those of a convolution are the pixels of some of its windows, as many as are enough.

    Raises
    ------
    ConfigError
        If filters read some of the channels alone.
    """
    name, op = layer.head.inputs[0], layer.head.op
    numbers = calibrated(network, (name,))[name]
    if not isinstance(op, Conv):
        return numbers.reshape(-1, numbers.shape[-1])
    require_all_channels(layer)
    windows = pixels(numbers, op.window, 0.0)
    return windows.reshape(-1, int(np.prod(windows.shape[3:]))) if windows.size <= ENOUGH else _some(windows)


def _some(windows: Float64) -> Float64:
    """Every so manieth window of many, so that they fit `ENOUGH`."""
    samples, rows, columns = windows.shape[:3]
    each = int(np.prod(windows.shape[3:]))
    places = np.arange(0, samples * rows * columns, -(-windows.size // ENOUGH))
    return windows[np.unravel_index(places, (samples, rows, columns))].reshape(-1, each)


def require_all_channels(layer: Layer) -> None:
    """Refuse a convolution whose filters read some of the channels alone."""
    if isinstance(layer.head.op, Conv) and layer.head.op.groups > 1:
        raise ConfigError(
            f"layer {layer.name}: filters must read all channels, not those of {layer.head.op.groups} groups"
        )


def require_matrix(layer: Layer, scheme: str) -> None:
    """Refuse a convolution."""
    if isinstance(layer.head.op, Conv):
        raise ConfigError(f"layer {layer.name}: {scheme} must be for matrix products, not for a convolution")


def with_weight(network: Network, layer: Layer, weight: NDArray[Any], **fields: Any) -> Network:
    """A network with other weights of one layer, shape (K, N); `fields` are others of the value."""
    data = weight.astype(np.float32).reshape(layer.weight.shape)
    return network.with_graph(with_constant(network.graph, layer.weight.name, data, **fields))


def with_inputs_divided(network: Network, layer: Layer, scale: Float64) -> Network:
    """A network that computes the same, but for rounding, with a layer's inputs divided by scales, all positive.

    Its weights are multiplied; what comes before forms smaller outputs, which a ReLU lets through as it did; the host
    divides inputs of the network.
    """
    require_all_channels(layer)
    weight = layer.by_channel.astype(np.float64) * scale[:, None]
    return _pushed(with_weight(network, layer, weight, step=None), layer, divided_by(scale))


def with_inputs_in_order(network: Network, layer: Layer, order: Int64) -> Network:
    """A network that computes the same, but for how sums are rounded, with a layer's inputs in another order.

    What comes before forms its outputs in that order; the host leaves inputs of the network in it.
    """
    require_all_channels(layer)
    return _pushed(with_weight(network, layer, layer.by_channel[:, order]), layer, in_order(order))


def _pushed(network: Network, layer: Layer, move: FeatureMap) -> Network:
    """A network whose layer reads features as a map leaves them.

    Raises
    ------
    ConfigError
        If others read what the map would change, or what forms them does not commute with it.
    """
    graph, name = network.graph, layer.head.inputs[0]
    if len(graph.readers(name)) > 1 or name in graph.leaving:
        raise ConfigError(
            f"layer {layer.name}: steps that change inputs must stand before those that keep some of them floats"
        )
    try:
        graph, outside = push(graph, name, move)
    except ValueError as error:
        raise ConfigError(f"layer {layer.name}: inputs can't be changed where they are formed: {error}") from None
    network = network.with_graph(graph)
    for given in outside:
        place = graph.inputs.index(given)
        inputs, calibration = list(network.inputs), list(network.calibration)
        inputs[place], calibration[place] = move.apply(inputs[place]), move.apply(calibration[place])
        network = replace(network, inputs=tuple(inputs), calibration=tuple(calibration))
    return network
