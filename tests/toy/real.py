"""Squares of real numbers, as golden/real would have them."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node


def square(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Square."""
    return (given[0] ** 2,)
