"""The smallest weights become zero.

A share of them (Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015,
arXiv:1506.02626), or those below a multiple of the layer's standard deviation, which is how that paper sets thresholds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from accelsim.compress.rewrite import Float64, Rewrite, with_layer
from accelsim.config.model import quantity
from accelsim.workload.network import Network


class PruneMagnitude(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_magnitude"] = quantity("name", "Name of the scheme")
    sparsity: float | None = quantity(
        "fraction", "Share of a layer's weights that become zero", default=None, ge=0, lt=1
    )
    threshold: float | None = quantity(
        "standard deviations of a layer's weights", "Magnitude below which weights become zero", default=None, gt=0
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> PruneMagnitude:
        if (self.sparsity is None) == (self.threshold is None):
            raise ValueError("sparsity or threshold must be given, and not both")
        return self

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:  # noqa: ARG002 - one signature for all
        """Zero them."""
        weight = network.layers[number].weight
        if self.threshold is not None:
            kept = np.abs(weight) >= self.threshold * weight.std(dtype=np.float64)
        else:
            kept = largest(np.abs(weight).reshape(1, -1), weight.size - round((self.sparsity or 0) * weight.size))
        return with_layer(network, number, weight=np.where(kept.reshape(weight.shape), weight, np.float32(0)))


def largest(
    scores: np.ndarray[tuple[int, int], np.dtype[np.floating]], count: int
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which scores, shape (rows, n), are the `count` largest of their row, the first of equal ones; bool."""
    order = np.argsort(-scores, axis=1, kind="stable")
    kept = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(kept, order[:, :count], True, axis=1)
    return kept
