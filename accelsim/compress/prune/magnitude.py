"""The smallest weights become zero.

A share of them (Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015,
arXiv:1506.02626), or those below a multiple of the layer's standard deviation, which is how that paper sets thresholds.

The share is each layer's, or that of all layers together (global magnitude pruning in Blalock et al., "What is the
State of Neural Network Pruning?", MLSys 2020, arXiv:2003.03033): then magnitudes are compared as they are, so that a
layer of small weights loses more than its share. Divided by their layer's root mean square, they would leave each layer
about its share, and of digits-mlp more is lost that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from accelsim.compress.rewrite import Float64, Rewrite, with_weight
from accelsim.config.model import quantity
from accelsim.graph.layer import Layer, layer_of
from accelsim.workload.network import Network

Budget = Literal["layer", "global"]


class PruneMagnitude(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_magnitude"] = quantity("name", "Name of the scheme")
    sparsity: float | None = quantity(
        "fraction", "Share of weights that become zero, of each layer or of all", default=None, ge=0, lt=1
    )
    budget: Budget = quantity(
        "name",
        "What the share is of: each layer's weights, or those of all layers of the step together",
        default="layer",
    )
    threshold: float | None = quantity(
        "standard deviations of a layer's weights", "Magnitude below which weights become zero", default=None, gt=0
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> PruneMagnitude:
        if (self.sparsity is None) == (self.threshold is None):
            raise ValueError("sparsity or threshold must be given, and not both")
        return self

    @model_validator(mode="after")
    def _share_of_all(self) -> PruneMagnitude:
        if self.budget == "global" and self.sparsity is None:
            raise ValueError("budget must be layer for a threshold, which counts in the layer's deviations, not global")
        return self

    def rewrite_all(self, network: Network, names: list[str]) -> Network:
        """Zero them, in each layer or wherever they are smallest."""
        if self.budget == "layer" or self.sparsity is None:
            return super().rewrite_all(network, names)
        found = [layer_of(network.graph, name) for name in names]
        magnitudes = [np.abs(one.matrix.astype(np.float64)) for one in found]
        return without_smallest(network, found, magnitudes, self.sparsity)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Zero them."""
        weight = layer.matrix
        if self.threshold is not None:
            kept = np.abs(weight) >= self.threshold * weight.std(dtype=np.float64)
        else:
            kept = largest(np.abs(weight).reshape(1, -1), weight.size - round((self.sparsity or 0) * weight.size))
        return with_weight(network, layer, np.where(kept.reshape(weight.shape), weight, 0))


def without_smallest(network: Network, layers: Sequence[Layer], scores: Sequence[Float64], share: float) -> Network:
    """A network in which the weights of the smallest scores of all layers together are zero.

    Parameters
    ----------
    scores
        Of each layer's weights, in their shape.
    share
        How many of all these weights become zero.
    """
    together = np.concatenate([score.ravel() for score in scores])
    (kept,) = largest(together[None], together.size - round(share * together.size))
    first = 0
    for one, score in zip(layers, scores, strict=True):
        mine: NDArray[np.bool_] = kept[first : first + score.size].reshape(score.shape)
        network = with_weight(network, one, np.where(mine, one.matrix, 0))
        first += score.size
    return network


def largest(
    scores: np.ndarray[tuple[int, int], np.dtype[np.floating]], count: int
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which scores, shape (rows, n), are the `count` largest of their row, the first of equal ones; bool."""
    order = np.argsort(-scores, axis=1, kind="stable")
    kept = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(kept, order[:, :count], True, axis=1)
    return kept
