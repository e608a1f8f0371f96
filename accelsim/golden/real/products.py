"""Matrix products in real numbers."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node


def matmul(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Products, onto sums if there are any."""
    product = given[0] @ given[1]
    return (product + given[2] if len(given) == 3 else product,)
