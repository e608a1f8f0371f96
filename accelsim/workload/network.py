"""A loaded network: its graph in real numbers, calibration and test data, and the task that judges it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.graph import Graph

Float32 = NDArray[np.float32]
#: Numbers of a graph's inputs, in their order.
Inputs = tuple[Float32, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A graph with its data.

    Parameters
    ----------
    graph
        In real numbers. Layers that are independent of each other are components that no edge joins.
    inputs
        Test inputs, samples first.
    labels
        Class of each test input, int64, shape (batch,); None if the network has no task.
    calibration
        Inputs from the training split that fix the activations' ranges; the test inputs themselves if those are drawn
        for each layer.
    sha256
        Hash of each file that the network was read from, by file name.
    seed
        Seed of synthetic weights and inputs, or None.
    """

    graph: Graph
    inputs: Inputs
    labels: NDArray[np.int64] | None
    calibration: Inputs
    sha256: dict[str, str]
    seed: int | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.graph.name

    @property
    def has_numbers(self) -> bool:
        """Whether tensors have numbers; else they have only their shapes, and take no memory."""
        return self.graph.has_numbers

    def with_graph(self, graph: Graph) -> Network:
        """The network with another graph of the same inputs."""
        return replace(self, graph=graph)
