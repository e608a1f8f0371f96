"""A branch of few dimensions takes what integers find hard: SVDQuant (Li et al., ICLR 2025, arXiv:2411.05007).

W = L1 L2 + R with L1 L2 the best approximation of rank r, so that X W = (X L1) L2 + X R: the branch stays in floats of
16 bits, and only R, whose singular values are the smaller ones of W, becomes integers together with X.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.factorize.svd import checked_rank, factors
from accelsim.compress.rewrite import Rewrite, require_matrix
from accelsim.config.model import Integer, quantity
from accelsim.errors import ConfigError
from accelsim.graph.element import WIDE
from accelsim.graph.graph import Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.rewrite import replaced, with_constant
from accelsim.graph.value import Value
from accelsim.workload.network import Network


class LowRank(Rewrite):
    """The recipe step; SmoothQuant goes before it, as in the paper."""

    scheme: Literal["low_rank_branch"] = quantity("name", "Name of the scheme")
    rank: Integer = quantity("count", "Dimensions of the branch", default=32, ge=1)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Put NAME.branch before a layer, the residual in its place, and L2's products, NAME.up, onto its sums.

        Raises
        ------
        ConfigError
            If the rank is not below the layer's sides, or the layer has products of floats already.
        """
        require_matrix(layer, self.scheme)
        name, graph = layer.name, network.graph
        if layer.more:
            raise ConfigError(f"layer {name}: must have no inputs that stay floats before it gets a branch")
        weight = layer.matrix.astype(np.float64)
        first, second = (part.astype(np.float32) for part in factors(weight, checked_rank(self.rank, layer)))
        residual = (weight - first.astype(np.float64) @ second).astype(np.float32)
        graph = with_constant(graph, layer.weight.name, residual, step=None)
        down, up = (
            Value(f"{name}.{part}.weight", matrix.shape, WIDE, matrix)
            for part, matrix in (("branch", first), ("up", second))
        )
        given, (sums,), narrow = layer.head.inputs[0], layer.head.outputs, f"{name}.branch.output"
        nodes = (
            Node(f"{name}.branch", MatMul(), (given, down.name), (narrow,)),
            Node(name, MatMul(), layer.head.inputs, (f"{name}.residual",)),
            Node(f"{name}.up", MatMul(), (narrow, up.name, f"{name}.residual"), (sums,)),
        )
        return network.with_graph(replaced(graph, (layer.head,), nodes, down, up))
