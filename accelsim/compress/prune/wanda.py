"""Weights that move the least of an output, |w| times the norm of their input, become zero.

Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", ICLR 2024, arXiv:2306.11695: scores
|W_kn| ||X_k||_2 are compared within each output; with a pattern, within each group of M inputs of an output; with a
global budget, among all layers of the step, for the inputs that they have before any is pruned.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from accelsim.compress.prune.magnitude import Budget, largest, without_smallest
from accelsim.compress.prune.nm import Pattern, kept_of_groups
from accelsim.compress.rewrite import Float64, Rewrite, inputs_of, with_weight
from accelsim.config.model import quantity
from accelsim.graph.layer import Layer, layer_of
from accelsim.workload.network import Network


class PruneWanda(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_wanda"] = quantity("name", "Name of the scheme")
    sparsity: float | None = quantity(
        "fraction", "Share of weights that become zero, of each output or of all layers", default=None, ge=0, lt=1
    )
    budget: Budget = quantity(
        "name",
        "What the share is of: each output's weights, or those of all layers of the step together",
        default="layer",
    )
    pattern: Pattern | None = quantity("weights", "N and M: of M inputs in a row, N keep a weight", default=None)

    @model_validator(mode="after")
    def _one_of_both(self) -> PruneWanda:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError("sparsity or pattern must be given, and not both")
        return self

    @model_validator(mode="after")
    def _share_of_all(self) -> PruneWanda:
        if self.budget == "global" and self.sparsity is None:
            raise ValueError("budget must be layer for a pattern, which each group of inputs keeps, not global")
        return self

    def rewrite_all(self, network: Network, names: list[str]) -> Network:
        """Zero them, in each output or wherever they move least."""
        if self.budget == "layer" or self.sparsity is None:
            return super().rewrite_all(network, names)
        found = [layer_of(network.graph, name) for name in names]
        scores = [_scores(one, inputs_of(network, one)) for one in found]
        return without_smallest(network, found, scores, self.sparsity)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Zero them."""
        weight = layer.matrix
        scores = _scores(layer, inputs_of(network, layer))
        if self.pattern:
            kept = kept_of_groups(scores, *self.pattern)
        else:
            kept = largest(scores.T, len(scores) - round((self.sparsity or 0) * len(scores))).T
        return with_weight(network, layer, np.where(kept, weight, 0))


def _scores(layer: Layer, x: Float64) -> Float64:
    """What each weight of a layer moves its output by, shape (K, N)."""
    moved: Float64 = np.abs(layer.matrix.astype(np.float64)) * np.linalg.norm(x, axis=0)[:, None]
    return moved
