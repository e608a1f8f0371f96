"""Ranges move from inputs to weights: SmoothQuant (Xiao et al., ICML 2023, arXiv:2211.10438).

Y = (X diag(s)^-1) (diag(s) W) with s_j = max |X_j|^alpha / max |W_j|^(1 - alpha), equation 4 of the paper.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Rewrite, inputs_of, with_inputs_divided
from accelsim.config.model import quantity
from accelsim.graph.layer import Layer
from accelsim.workload.network import Network


class SmoothQuant(Rewrite):
    """The recipe step."""

    scheme: Literal["smoothquant"] = quantity("name", "Name of the scheme")
    alpha: float = quantity("exponent", "How much of the inputs' range moves to the weights", default=0.5, ge=0, le=1)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Divide a layer's inputs and multiply its weights; an input or weights of zeros stay as they are."""
        weights = layer.by_channel.astype(np.float64)
        of_x = np.abs(inputs_of(network, layer)).max(axis=0).reshape(len(weights), -1).max(axis=0)
        of_w = np.abs(weights).max(axis=(0, 2))
        known = (of_x > 0) & (of_w > 0)
        scale = np.ones_like(of_x)
        scale[known] = of_x[known] ** self.alpha / of_w[known] ** (1 - self.alpha)
        return with_inputs_divided(network, layer, scale)
