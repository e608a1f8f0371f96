"""What an importer of other tools' files makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelsim.graph.graph import Graph


@dataclass(frozen=True, eq=False)
class Imported:
    """A network as a graph, and where it came from.

    Parameters
    ----------
    graph
        Channels last, samples first.
    sha256
        Hash of each file that was read, by file name.
    orders
        Of inputs and outputs whose axes stand in another order than in the file, by name: for each axis of the graph's
        value that of the file's tensor, so that the graph's numbers are the file's `.transpose(order)`.
    """

    graph: Graph
    sha256: dict[str, str]
    orders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
