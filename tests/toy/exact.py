"""Squares in a machine's integers and floats, as golden/exact would have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node


def square(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Squares of integers less their zero point, or of floats in float32."""
    element = graph[node.inputs[0]].element
    if isinstance(element, Float):
        return (given[0] * given[0],)
    centred = given[0].astype(np.int64) - element.zero_point
    return ((centred * centred).astype(graph[node.output].element.dtype),)
