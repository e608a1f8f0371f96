"""Two smaller layers in the place of one: the truncated singular value decomposition.

W = U S V^T loses least in the Frobenius norm when the `rank` largest singular values stay (Eckart and Young, 1936); a
layer of K x N products becomes one of K x r and one of r x N (Denton et al., NeurIPS 2014, arXiv:1404.0736). S is
shared between both, so that their ranges are alike.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Float64, Rewrite
from accelsim.config.model import Integer, quantity
from accelsim.errors import ConfigError
from accelsim.workload.network import Linear, Network


class Svd(Rewrite):
    """The recipe step."""

    scheme: Literal["svd"] = quantity("name", "Name of the scheme")
    rank: Integer = quantity("count", "Singular values that stay", ge=1)

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:  # noqa: ARG002 - one signature for all
        """Put NAME.u and NAME.v in the place of a layer.

        Raises
        ------
        ConfigError
            If the rank is not below the layer's sides, or layers are independent, so that none reads another one.
        """
        layer = network.layers[number]
        if network.independent:
            raise ConfigError(f"layer {layer.name}: svd must be for layers that read each other, not independent ones")
        least = min(layer.weight.shape)
        if self.rank >= least:
            raise ConfigError(f"layer {layer.name}: rank must be below {least}, its smaller side, not {self.rank}")
        first, second = factors(layer.weight.astype(np.float64), self.rank)
        parts = (
            Linear(f"{layer.name}.u", first.astype(np.float32), np.zeros(self.rank, np.float32), relu=False),
            Linear(f"{layer.name}.v", second.astype(np.float32), layer.bias, layer.relu),
        )
        layers = (*network.layers[:number], *parts, *network.layers[number + 1 :])
        return dataclasses.replace(network, layers=layers)


def factors(weight: Float64, rank: int) -> tuple[Float64, Float64]:
    """Matrices of shapes (K, rank) and (rank, N) whose product is nearest to one of shape (K, N)."""
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]
