"""Two smaller layers in the place of one: the truncated singular value decomposition.

W = U S V^T loses least in the Frobenius norm when the `rank` largest singular values stay (Eckart and Young, 1936); a
layer of K x N products becomes one of K x r and one of r x N (Denton et al., NeurIPS 2014, arXiv:1404.0736). S is
shared between both, so that their ranges are alike.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from accelsim.compress.rewrite import Float64, Rewrite, require_matrix
from accelsim.config.model import Integer, quantity
from accelsim.errors import ConfigError
from accelsim.graph.element import REAL
from accelsim.graph.graph import Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.rewrite import replaced
from accelsim.graph.value import Value
from accelsim.workload.network import Network


class Svd(Rewrite):
    """The recipe step."""

    scheme: Literal["svd"] = quantity("name", "Name of the scheme")
    rank: Integer = quantity("count", "Singular values that stay", ge=1)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Put NAME.u and NAME.v in the place of a layer.

        Raises
        ------
        ConfigError
            If the rank is not below the layer's sides.
        """
        require_matrix(layer, self.scheme)
        name, weight = layer.name, layer.matrix
        first, second = factors(weight.astype(np.float64), checked_rank(self.rank, layer))
        constants = [
            Value(f"{name}.{part}.weight", matrix.shape, REAL, matrix.astype(np.float32))
            for part, matrix in (("u", first), ("v", second))
        ]
        middle = f"{name}.u.output"
        products = (
            Node(f"{name}.u", MatMul(), (layer.head.inputs[0], constants[0].name), (middle,)),
            Node(f"{name}.v", MatMul(), (middle, constants[1].name), (layer.head.output,)),
        )
        return network.with_graph(replaced(network.graph, (layer.head,), products, *constants))


def checked_rank(rank: int, layer: Layer) -> int:
    """A rank that makes a layer smaller.

    Raises
    ------
    ConfigError
        If it is not below the layer's sides.
    """
    least = min(layer.weight.shape)
    if rank >= least:
        raise ConfigError(f"layer {layer.name}: rank must be below {least}, its smaller side, not {rank}")
    return rank


def factors(weight: Float64, rank: int) -> tuple[Float64, Float64]:
    """Matrices of shapes (K, rank) and (rank, N) whose product is nearest to one of shape (K, N)."""
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]
