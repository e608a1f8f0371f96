"""The network as it was trained, evaluated in float64: the reference for calibration and for quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.network import Inputs, Network, each


def forward(network: Network, x: Inputs[Any]) -> list[NDArray[np.float64]]:
    """Output of every layer, after its activation function, for inputs of shape (M, K), or those of each layer.

    Weights near the end of the float range give infinities or NaN, without a warning: who needs finite outputs checks.
    """
    outputs: list[NDArray[np.float64]] = []
    given = each(x)
    before = given[0].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, layer in enumerate(network.layers):
            if network.independent:
                before = given[i].astype(np.float64)
            y = before @ layer.weight.astype(np.float64) + layer.bias
            outputs.append(np.maximum(y, 0) if layer.relu else y)
            before = np.hstack([before, outputs[-1]]) if layer.appends else outputs[-1]
    return outputs


def inputs(network: Network, x: Inputs[Any], outputs: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Input of every layer, of shape (M, K), from what `forward` returns for the same inputs."""
    given = [one.astype(np.float64) for one in each(x)]
    if network.independent:
        return given
    for layer, output in zip(network.layers[:-1], outputs, strict=False):
        given.append(np.hstack([given[-1], output]) if layer.appends else output)
    return given
