"""The unit that a machine runs: nodes that are computed together, without their values between them in memory."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.compiler.product import Product
from accelsim.graph.graph import Node


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """A product with its epilogue: bias, activation and conversion.

    Parameters
    ----------
    nodes
        The nodes that it holds, in order.
    sources
        Values that it reads as activations; the features of several stand side by side.
    target
        Value that it forms.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    target: str
    product: Product
