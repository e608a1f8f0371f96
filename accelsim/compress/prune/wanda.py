"""Weights that move the least of an output, |w| times the norm of their input, become zero.

Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", ICLR 2024, arXiv:2306.11695: scores
|W_kn| ||X_k||_2 are compared within each output; with a pattern, within each group of M inputs of an output.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from accelsim.compress.prune.magnitude import largest
from accelsim.compress.prune.nm import Pattern, kept_of_groups
from accelsim.compress.rewrite import Float64, Rewrite, with_layer
from accelsim.config.model import quantity
from accelsim.workload.network import Network


class PruneWanda(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_wanda"] = quantity("name", "Name of the scheme")
    sparsity: float | None = quantity(
        "fraction", "Share of each output's weights that become zero", default=None, ge=0, lt=1
    )
    pattern: Pattern | None = quantity("weights", "N and M: of M inputs in a row, N keep a weight", default=None)

    @model_validator(mode="after")
    def _one_of_both(self) -> PruneWanda:
        if (self.sparsity is None) == (self.pattern is None):
            raise ValueError("sparsity or pattern must be given, and not both")
        return self

    def rewrite(self, network: Network, number: int, x: Float64) -> Network:
        """Zero them."""
        weight = network.layers[number].weight
        scores = np.abs(weight.astype(np.float64)) * np.linalg.norm(x, axis=0)[:, None]
        if self.pattern:
            kept = kept_of_groups(scores, *self.pattern)
        else:
            kept = largest(scores.T, len(scores) - round((self.sparsity or 0) * len(scores))).T
        return with_layer(network, number, weight=np.where(kept, weight, np.float32(0)))
