"""Whole inputs without weights: those whose weights' magnitudes sum to the least.

The lecture notes' pruning for the outer-product unit, which skips such a column of activations and row of weights; a
recipe with `compact: true` removes them from the matrices instead.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.prune.magnitude import largest
from accelsim.compress.rewrite import Rewrite, with_weight
from accelsim.config.model import quantity
from accelsim.graph.layer import Layer
from accelsim.workload.network import Network


class PruneColumns(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_columns"] = quantity("name", "Name of the scheme")
    sparsity: float = quantity("fraction", "Share of a layer's inputs whose weights become zero", ge=0, lt=1)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Zero them."""
        weight = layer.matrix
        norms = np.abs(weight.astype(np.float64)).sum(axis=1)
        (kept,) = largest(norms[None], len(norms) - round(self.sparsity * len(norms)))
        return with_weight(network, layer, np.where(kept[:, None], weight, 0))
