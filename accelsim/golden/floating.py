"""The float network evaluated by numpy in the order in which an array adds: float32 sums, fold by fold.

Products of two floats of 16 bits or fewer are exact in float32; those of fp32 are rounded to it. Within a fold of
`fold_inputs` inputs, sums start at 0 and take one product after the other, inputs in order; the fold's sum is then
added to what the accumulator holds. Every addition rounds to nearest even.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.network import FloatLayer, FloatNetwork
from accelsim.workload.network import Inputs, each

Float32 = NDArray[np.float32]


def sums(x: Float32, weight: Float32, fold_inputs: int) -> Float32:
    """Sums (M, N) of activations (M, K) and weights (K, N)."""
    total = np.zeros((len(x), weight.shape[1]), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(weight), fold_inputs):
            fold = np.zeros_like(total)
            for k in range(first, min(first + fold_inputs, len(weight))):
                fold = fold + np.multiply.outer(x[:, k], weight[k])
            total = fold if first == 0 else total + fold
    return total


def layer_output(layer: FloatLayer, x: Float32, fold_inputs: int) -> NDArray[np.generic]:
    """Output of one layer for inputs of shape (M, K): float32 values of the output's type, shape (M, N)."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = sums(x, layer.weight, fold_inputs) + layer.bias
    if layer.relu:
        result = np.where(result < 0, np.float32(0), result)
    return layer.output.quantize(result)


def forward(network: FloatNetwork, x: Inputs[np.generic], fold_inputs: int) -> list[NDArray[np.generic]]:
    """Output of every layer, in order, for inputs of shape (M, K), or those of each independent layer."""
    outputs: list[NDArray[np.generic]] = []
    given = each(x)
    for i, layer in enumerate(network.layers):
        before = outputs[-1] if i and not network.independent else given[i]
        outputs.append(layer_output(layer, before.astype(np.float32), fold_inputs))
    return outputs
