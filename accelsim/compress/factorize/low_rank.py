"""A branch of few dimensions takes what integers find hard: SVDQuant (Li et al., ICLR 2025, arXiv:2411.05007).

W = L1 L2 + R with L1 L2 the best approximation of rank r, so that X W = (X L1) L2 + X R: the branch stays in floats of
16 bits, and only R, whose singular values are the smaller ones of W, becomes integers together with X. The branch is a
layer before, whose r outputs are more inputs of this one, behind X: L2 is the last r rows of its weights.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from accelsim.compress.factorize.svd import factors
from accelsim.compress.rewrite import Float64, Rewrite
from accelsim.config.model import Integer, quantity
from accelsim.errors import ConfigError
from accelsim.workload.network import Linear, Network


class LowRank(Rewrite):
    """The recipe step; SmoothQuant goes before it, as in the paper."""

    scheme: Literal["low_rank_branch"] = quantity("name", "Name of the scheme")
    rank: Integer = quantity("count", "Dimensions of the branch", default=32, ge=1)

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:  # noqa: ARG002 - one signature for all
        """Put NAME.branch before a layer, and the residual and L2 in its place.

        Raises
        ------
        ConfigError
            If the rank is not below the layer's sides, layers are independent, or the layer has wide inputs already.
        """
        layer = network.layers[number]
        if network.independent:
            raise ConfigError(f"layer {layer.name}: a branch must be for layers that read each other, not independent")
        if layer.wide or layer.appends:
            raise ConfigError(f"layer {layer.name}: must have no inputs that stay floats before it gets a branch")
        least = min(layer.weight.shape)
        if self.rank >= least:
            raise ConfigError(f"layer {layer.name}: rank must be below {least}, its smaller side, not {self.rank}")
        weight = layer.weight.astype(np.float64)
        first, second = (part.astype(np.float32) for part in factors(weight, self.rank))
        residual = (weight - first.astype(np.float64) @ second).astype(np.float32)
        bias = np.zeros(self.rank, np.float32)
        branch = Linear(f"{layer.name}.branch", first, bias, relu=False, wide=layer.inputs, appends=True)
        both = dataclasses.replace(layer, weight=np.vstack([residual, second]), weight_step=None, wide=self.rank)
        layers = (*network.layers[:number], branch, both, *network.layers[number + 1 :])
        return dataclasses.replace(network, layers=layers)
