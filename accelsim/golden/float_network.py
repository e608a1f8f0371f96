"""The network as it was trained, evaluated in float64: the reference for calibration and for quality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.network import Network


def forward(network: Network, x: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    """Output of every layer, after its activation function, for inputs of shape (M, K).

    Weights near the end of the float range give infinities or NaN, without a warning: who needs finite outputs checks.
    """
    outputs: list[NDArray[np.float64]] = []
    y = x.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in network.layers:
            y = y @ layer.weight.astype(np.float64) + layer.bias
            y = np.maximum(y, 0) if layer.relu else y
            outputs.append(y)
    return outputs
