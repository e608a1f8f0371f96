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
    with np.errstate(over="ignore", invalid="ignore"):
        for i, layer in enumerate(network.layers):
            before = outputs[-1] if i and not network.independent else given[i].astype(np.float64)
            y = before @ layer.weight.astype(np.float64) + layer.bias
            outputs.append(np.maximum(y, 0) if layer.relu else y)
    return outputs
