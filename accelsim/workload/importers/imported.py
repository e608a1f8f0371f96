"""What an importer of other tools' files makes of them."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    graph: Graph
    sha256: dict[str, str]
