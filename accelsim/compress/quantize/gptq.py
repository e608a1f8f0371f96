"""Weights are rounded one input after the other, and the rest make up for it: GPTQ.

Frantar et al., "GPTQ", ICLR 2023, arXiv:2210.17323, algorithm 1: with the Cholesky factor of the inverse of
H = 2 X^T X + damp I, the error of each input's rounded weights is spread over the inputs that are still to be rounded,
in blocks, so that most of it is one matrix product.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.quantize.integers import weight_step
from accelsim.compress.rewrite import Float64, Rewrite, inputs_of, with_weight
from accelsim.config.model import Integer, quantity
from accelsim.graph.layer import Layer
from accelsim.workload.network import Network

#: Inputs of a block, as in the paper.
BLOCK = 128


class Gptq(Rewrite):
    """The recipe step; the quantizing step after it takes the weights' steps from here."""

    scheme: Literal["gptq"] = quantity("name", "Name of the scheme")
    bits: Integer = quantity("bits", "Of a weight", default=4, ge=2, le=8)
    damp: float = quantity("fraction", "Of H's mean diagonal that is added to it, as in the paper", default=0.01, gt=0)
    descending: bool = quantity(
        "flag", "Whether inputs with the largest diagonal of H are rounded first (the authors' act-order)", default=True
    )

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Round a layer's weights for its inputs."""
        weight, x = layer.matrix.astype(np.float64), inputs_of(network, layer)
        step = weight_step(weight, self.bits)
        q = rounded(weight, x, step, self.bits, self.damp, descending=self.descending)
        return with_weight(network, layer, q * step, step=step.astype(np.float32))


def rounded(weight: Float64, x: Float64, step: Float64, bits: int, damp: float, *, descending: bool) -> Float64:
    """Integers of `bits` bits, shape (K, N), whose product with x, times the steps of the outputs, is near x @ weight.

    Parameters
    ----------
    weight, x, step
        Shapes (K, N), (samples, K) and (N,).
    """
    largest = 2 ** (bits - 1) - 1
    h = 2 * (x.T @ x)
    dead = np.diag(h) == 0  # an input that is always zero: its weights are free
    h[dead, dead] = 1.0
    order = np.argsort(-np.diag(h), kind="stable") if descending else np.arange(len(h))
    h = h[np.ix_(order, order)]
    h[np.diag_indices_from(h)] += damp * np.diag(h).mean()
    factor = np.linalg.cholesky(np.linalg.inv(h)).T  # upper: row k spreads the error of input k over those behind it
    left = np.where(dead[:, None], 0.0, weight)[order]
    q = np.empty_like(left)
    for low in range(0, len(left), BLOCK):
        high = min(low + BLOCK, len(left))
        errors = np.empty((high - low, left.shape[1]))
        for k in range(low, high):
            q[k] = np.clip(np.rint(left[k] / step), -largest, largest)
            errors[k - low] = (left[k] - q[k] * step) / factor[k, k]
            left[k + 1 : high] -= np.outer(factor[k, k + 1 : high], errors[k - low])
        left[high:] -= factor[low:high, high:].T @ errors
    unordered = np.empty_like(q)
    unordered[order] = q
    return unordered
