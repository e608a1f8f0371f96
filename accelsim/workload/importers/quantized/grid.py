"""The integers that constants of a network stand on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.interpreter import Meaning
from accelsim.golden.real import shapes
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.quantize import Dequantize
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

#: Operators that give the numbers of a constant other places.
_MOVES: dict[type[Op], Meaning] = {
    Reshape: shapes.reshape,
    Transpose: shapes.transpose,
    Slice: shapes.slice_,
    Gather: shapes.gather,
}


class Grid(NamedTuple):
    """A constant as integers times scales.

    Parameters
    ----------
    numbers
        Less their zero points.
    scale
        float32, of each number.
    bits, signed
        Of the integers before zero points were taken off.
    """

    numbers: Int64
    scale: Float32
    bits: int
    signed: bool

    @property
    def by_feature(self) -> Float32 | None:
        """Scales of the last axis, or one for all, float32, shape (features,) or (1,); None if others differ."""
        rows = self.scale.reshape(-1, self.scale.shape[-1]) if self.scale.ndim else self.scale.reshape(1, 1)
        if (rows != rows[:1]).any():
            return None
        first = np.array(rows[0], np.float32)
        return first[:1] if (first == first[0]).all() else first


def grid_of(graph: Graph, name: str) -> Grid | None:
    """The integers behind a value that a network forms of constants alone, by Dequantize; None if it is no such."""
    node = graph.producer(name)
    if node is None:
        return None
    if isinstance(node.op, Dequantize) and all(map(graph.constant, node.inputs)):
        return _dequantized(graph, node)
    meaning = _MOVES.get(type(node.op))
    if meaning is None or not all(map(graph.constant, node.inputs[1:])):
        return None
    before = grid_of(graph, node.inputs[0])
    if before is None:
        return None
    others = [graph[other].numbers for other in node.inputs[1:]]
    numbers, scale = (meaning(graph, node, [part, *others])[0] for part in before[:2])
    return before._replace(numbers=numbers, scale=scale)


def _dequantized(graph: Graph, node: Node) -> Grid:
    value = graph[node.inputs[0]]
    element = value.element
    assert isinstance(element, Integer)  # noqa: S101 - as the operator has it
    given = graph[node.inputs[1]].numbers if len(node.inputs) == 2 else np.asarray(element.scale)
    numbers = value.numbers.astype(np.int64) - element.zero_point
    scale = np.broadcast_to(given.astype(np.float32), numbers.shape)
    return Grid(numbers, scale, element.bits, element.signed)
