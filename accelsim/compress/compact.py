"""Compaction: features that no weight reads are removed before the network is compiled.

The outer-product unit's second mode of the lecture notes, where columns are pruned: instead of skipping inputs by
metadata, the matrices are made smaller, and any hardware runs them. An input (K) whose weights are all zero adds
nothing to any sum, so the outputs that remain keep every bit. The layer before need not form it, which may leave
inputs of that layer without weights in turn.

What is removed moves the inputs behind it: groups of N:M weights are counted anew, and a layer whose groups no longer
hold is one of dense weights to a unit for them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.network import IntegerLayer, IntegerNetwork, Survivors
from accelsim.workload.network import Inputs, each


def compact(network: IntegerNetwork) -> IntegerNetwork:
    """Remove inputs whose weights are all zero, and the outputs that only they would read.

    All outputs of the network stay, or of each independent layer, and of a layer without any weight its first input.
    """
    layers = []
    outputs: NDArray[np.bool_] = np.ones(network.layers[-1].outputs, np.bool_)
    for layer in reversed(network.layers):
        if network.independent:
            outputs = np.ones(layer.outputs, np.bool_)
        inputs = np.count_nonzero(layer.weight[:, outputs], axis=1) > 0
        inputs[0] |= not inputs.any()
        smaller = dataclasses.replace(
            layer,
            weight=layer.weight[np.ix_(inputs, outputs)],
            bias=layer.bias[outputs],
            multiplier=layer.multiplier[outputs],
            shift=layer.shift[outputs],
            survivors=Survivors(inputs, outputs),
        )
        layers.append(smaller)
        outputs = inputs
    return dataclasses.replace(network, layers=tuple(reversed(layers)))


def surviving(network: IntegerNetwork, inputs: Inputs[np.generic]) -> Inputs[np.generic]:
    """Features that a network, or each independent layer, reads of full inputs of shape (M, K)."""
    kept = tuple(_surviving(layer, x) for layer, x in zip(network.layers, each(inputs), strict=False))
    return kept if network.independent else kept[0]


def _surviving(layer: IntegerLayer, x: NDArray[np.generic]) -> NDArray[np.generic]:
    return x[:, layer.survivors.inputs] if layer.survivors else x
