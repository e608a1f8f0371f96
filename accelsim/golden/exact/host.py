"""What an operator means that no unit computes: the host takes real numbers, computes in float64, and rounds once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden import real
from accelsim.golden.interpreter import Array
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph, Node


def compute(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """Real values of what is read, the operator's real meaning, and the nearest numbers of what it forms."""
    # numbers in the order of their axes, as sums of floats depend on how numpy walks them
    elements = (graph[name].element for name in node.inputs)
    numbers = [
        np.ascontiguousarray(x if isinstance(element, Plain) else element.dequantize(x)).reshape(x.shape)
        for element, x in zip(elements, given, strict=True)
    ]
    formed = real.MEANINGS[type(node.op)](graph, node, numbers)
    return tuple(graph[name].element.quantize(x) for name, x in zip(node.outputs, formed, strict=True))
