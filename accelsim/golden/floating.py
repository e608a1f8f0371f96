"""The float network evaluated by numpy in the order in which an array adds: float32 sums, fold by fold.

Products of two floats of 16 bits or fewer are exact in float32; those of fp32 are rounded to it. Within a fold of
`fold_inputs` inputs, sums start at 0 and take one product after the other, inputs in order; the fold's sum is then
added to what the accumulator holds. Every addition rounds to nearest even.

Inputs that are multiplied as integers come first, a group at a time: the integer sum is rounded to float32, multiplied
by the scale of its row and then by that of its column, and added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.network import FloatLayer, FloatNetwork, IntegerPart
from accelsim.workload.network import Inputs, each

Float32 = NDArray[np.float32]


def folds(x: Float32, weight: Float32, fold_inputs: int) -> list[Float32]:
    """Sums (M, N) of each fold of activations (M, K) and weights (K, N)."""
    found = []
    for first in range(0, len(weight), fold_inputs):
        fold = np.zeros((len(x), weight.shape[1]), np.float32)
        for k in range(first, min(first + fold_inputs, len(weight))):
            fold = fold + np.multiply.outer(x[:, k], weight[k])
        found.append(fold)
    return found


def groups(x: Float32, part: IntegerPart) -> list[Float32]:
    """Sums (M, N) of each group of inputs that are multiplied as integers, scaled back."""
    found = []
    largest = np.float32(2 ** (part.bits - 1) - 1)
    for number, scale in enumerate(part.scale):
        inputs = slice(number * part.group, min((number + 1) * part.group, part.inputs))
        integers = np.zeros((len(x), part.weight[inputs].shape[0]), np.int64)
        steps = np.zeros((len(x), 1), np.float32)
        for row, values in enumerate(x[:, inputs]):
            peak = np.float32(max(abs(values)))
            if peak > 0:
                integers[row] = np.clip(np.rint(values * (largest / peak)), -largest, largest)
                steps[row] = peak / largest
        products = integers @ part.weight[inputs].astype(np.int64)
        found.append(products.astype(np.float32) * steps * scale)
    return found


def sums(layer: FloatLayer, x: Float32, fold_inputs: int) -> Float32:
    """Sums (M, N) of a layer's activations (M, K) and weights."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        parts = groups(x, layer.integers) if layer.integers else []
        parts += folds(x[:, layer.inputs - len(layer.weight) :], layer.weight, fold_inputs)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
    return total


def layer_output(layer: FloatLayer, x: Float32, fold_inputs: int) -> NDArray[np.generic]:
    """Output of one layer for inputs of shape (M, K): float32 values of the output's type, shape (M, N)."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = sums(layer, x, fold_inputs) + layer.bias
    if layer.relu:
        result = np.where(result < 0, np.float32(0), result)
    return layer.output.quantize(result)


def forward(network: FloatNetwork, x: Inputs[np.generic], fold_inputs: int) -> list[NDArray[np.generic]]:
    """Output of every layer, in order, for inputs of shape (M, K), or those of each independent layer."""
    outputs: list[NDArray[np.generic]] = []
    given = each(x)
    before = given[0].astype(np.float32)
    for i, layer in enumerate(network.layers):
        if network.independent:
            before = given[i].astype(np.float32)
        outputs.append(layer_output(layer, before, fold_inputs))
        found = outputs[-1].astype(np.float32)
        before = np.hstack([before, found]) if layer.appends else found
    return outputs
