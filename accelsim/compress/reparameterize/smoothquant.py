"""Ranges move from inputs to weights: SmoothQuant (Xiao et al., ICML 2023, arXiv:2211.10438).

Y = (X diag(s)^-1) (diag(s) W) with s_j = max |X_j|^alpha / max |W_j|^(1 - alpha), equation 4 of the paper.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Float64, Rewrite, with_inputs_divided
from accelsim.config.model import quantity
from accelsim.workload.network import Network


class SmoothQuant(Rewrite):
    """The recipe step."""

    scheme: Literal["smoothquant"] = quantity("name", "Name of the scheme")
    alpha: float = quantity("exponent", "How much of the inputs' range moves to the weights", default=0.5, ge=0, le=1)

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:
        """Divide a layer's inputs and multiply its weights; an input or weights of zeros stay as they are."""
        of_x = np.abs(x).max(axis=0)
        of_w = np.abs(network.layers[number].weight.astype(np.float64)).max(axis=1)
        known = (of_x > 0) & (of_w > 0)
        scale = np.ones_like(of_x)
        scale[known] = of_x[known] ** self.alpha / of_w[known] ** (1 - self.alpha)
        return with_inputs_divided(network, number, scale)
