"""Inputs that matter get larger weights: AWQ (Lin et al., MLSys 2024, arXiv:2306.00978).

Y = (X diag(s)^-1) Q(diag(s) W) with s = s_X^alpha, s_X the inputs' mean magnitudes; alpha is searched that loses least
(equation 5 of the paper). There weights alone are quantized, and so they are while alpha is searched.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.quantize.integers import weight_step
from accelsim.compress.rewrite import Float64, Rewrite, inputs_of, with_inputs_divided
from accelsim.config.model import Integer, quantity
from accelsim.graph.layer import Layer
from accelsim.workload.network import Network

#: Values of alpha that are tried, as the paper's grid of 20 has them.
ALPHAS = np.arange(20) / 20


class Awq(Rewrite):
    """The recipe step."""

    scheme: Literal["awq"] = quantity("name", "Name of the scheme")
    bits: Integer = quantity("bits", "Of the weights that the search rounds", default=4, ge=2, le=8)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Divide a layer's inputs and multiply its weights by the powers that lose least; alpha 0 is among them."""
        weight, x = layer.matrix.astype(np.float64), inputs_of(network, layer)
        pixels = len(layer.by_channel)
        magnitude = np.abs(x).mean(axis=0).reshape(pixels, -1).mean(axis=0)
        wanted = x @ weight
        scales = [_scales(magnitude, alpha) for alpha in ALPHAS.tolist()]
        losses = [np.square(x @ self._rounded(weight, np.tile(scale, pixels)) - wanted).sum() for scale in scales]
        return with_inputs_divided(network, layer, scales[int(np.argmin(losses))])

    def _rounded(self, weight: Float64, scale: Float64) -> Float64:
        """Weights as they come out of scaling, rounding and scaling back."""
        scaled = weight * scale[:, None]
        step = weight_step(scaled, self.bits)
        back: Float64 = np.rint(scaled / step) * step / scale[:, None]
        return back


def _scales(magnitude: Float64, alpha: float) -> Float64:
    """Powers of the inputs' magnitudes, around 1; inputs that are always zero stay as they are."""
    scale = np.where(magnitude > 0, magnitude, 1.0) ** alpha
    around: Float64 = scale / np.sqrt(scale.max() * scale.min())  # as the authors' code has it, so that ranges stay
    return around
