"""The unit that a machine runs: nodes that are computed together, without their values between them in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.product import Product
from accelsim.graph.graph import Node


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """A product with its epilogue (bias, activation, conversion), a chain of vector nodes, or one of the host's.

    Parameters
    ----------
    nodes
        The nodes that it holds, in order.
    sources
        Values that it reads; of a product the features of several stand side by side, and a right factor that is no
        constant comes last.
    target
        Value that it forms.
    work
        What is computed.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    target: str
    work: Product | VectorWork | HostWork

    @property
    def product(self) -> Product | None:
        """The product, if it is one."""
        return self.work if isinstance(self.work, Product) else None

    def of(self, work: Product | VectorWork | HostWork) -> Fusion:
        """The fusion with more known of its work."""
        return replace(self, work=work)

    @property
    def beside(self) -> tuple[str, ...]:
        """Values that it reads as activations."""
        return self.sources[:-1] if self.product and self.product.factor else self.sources
