"""Steps that change a network's float weights, before its types are chosen."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.config.model import Frozen, quantity
from accelsim.workload.network import Network, each

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


class Rewrite(Frozen, ABC):
    """A recipe step that turns a float network into another one."""

    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

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


def with_layer(network: Network, number: int, **changes: Any) -> Network:
    """A network with fields of one layer replaced."""
    layers = list(network.layers)
    layers[number] = dataclasses.replace(layers[number], **changes)
    return dataclasses.replace(network, layers=tuple(layers))


def with_inputs_in_order(network: Network, number: int, order: Int64) -> Network:
    """A network that computes the same, but for how sums are rounded, with a layer's inputs in another order.

    The layer before forms its outputs in that order; the host leaves the first layer's inputs in it.
    """
    moved = with_layer(network, number, weight=network.layers[number].weight[order])
    if number and not network.independent:
        before = network.layers[number - 1]
        return with_layer(moved, number - 1, weight=before.weight[:, order], bias=before.bias[order])
    inputs, calibration = (list(each(x)) for x in (network.inputs, network.calibration))
    inputs[number], calibration[number] = inputs[number][:, order], calibration[number][:, order]
    if network.independent:
        return dataclasses.replace(moved, inputs=tuple(inputs), calibration=tuple(calibration))
    return dataclasses.replace(moved, inputs=inputs[0], calibration=calibration[0])
