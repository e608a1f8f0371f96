"""The residual path: what is summed across layers, and may have more bits than layers read.

Errors of quantization that enter there stay there up to the last layer, so that few more bits help much (Park et al.,
"Precision Highway for Ultra Low-Precision Quantization", 2018, arXiv:1812.09818).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool
from accelsim.graph.ops.softmax import Softmax

#: What reads values of the path as they are; all others read them narrowed.
WIDE_READERS = (Add, AveragePool, GlobalAveragePool)
#: What forms none: tables and functions of rows form bytes, and what stands side by side is of one type.
NARROW_FORMERS = (Function, Softmax, LayerNorm, RmsNorm, Concat)


@dataclass(frozen=True, eq=False)
class ResidualPath:
    """Values of a float graph that a residual sum reads or forms, as far as arithmetic forms them.

    Parameters
    ----------
    groups
        Layers, and what stands between them with the ReLU behind it.
    """

    graph: Graph
    groups: Sequence[Layer]

    def holds(self, name: str) -> bool:
        """Whether a value is on the path."""
        group = self.forming.get(name)
        if group is None or isinstance(group.head.op, NARROW_FORMERS):
            return False
        return any(isinstance(node.op, Add) for node in (group.head, *self.graph.readers(name)))

    def narrowed(self, node: Node) -> list[str]:
        """Values of the path that a node reads narrowed."""
        if isinstance(node.op, WIDE_READERS):
            return []
        return [name for name in node.inputs if self.holds(name)]

    @cached_property
    def forming(self) -> dict[str, Layer]:
        """Groups by what they form."""
        return {group.output.name: group for group in self.groups}
