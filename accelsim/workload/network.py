"""A loaded network: its graph in real numbers, calibration and test data, and the task that judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.task import Task
from accelsim.graph.element import Integer, Signs
from accelsim.graph.graph import Graph
from accelsim.graph.rewrite import with_samples
from accelsim.graph.value import without_numbers

Float32 = NDArray[np.float32]
#: Numbers of a graph's inputs, in their order: float32, or of the type of an input that is none of real numbers.
Inputs = tuple[NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A graph with its data.

    Parameters
    ----------
    graph
        In real numbers. Layers that are independent of each other are components that no edge joins.
    inputs
        Test inputs, samples first.
    task
        What judges the outputs; None if nothing does.
    calibration
        Inputs from the training split that fix the activations' ranges; the test inputs themselves if those are drawn
        for each layer.
    sha256
        Hash of each file that the network was read from, by file name.
    seed
        Seed of synthetic weights and inputs, or None.
    calibrated_on
        Where the calibration inputs are from, in a few words.
    orders
        Axes of the file's arrays in the graph's order, by name of an input or output, where they differ.
    """

    graph: Graph
    inputs: Inputs
    task: Task | None
    calibration: Inputs
    sha256: dict[str, str]
    seed: int | None = None
    calibrated_on: str = "drawn inputs"
    orders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.graph.name

    @property
    def has_numbers(self) -> bool:
        """Whether tensors have numbers; else they have only their shapes, and take no memory."""
        return self.graph.has_numbers

    @property
    def is_typed(self) -> bool:
        """Whether its file has types of its own: integers, and how they are rounded."""
        return any(isinstance(value.element, Integer | Signs) for value in self.graph.values.values())

    def first(self, samples: int) -> Network:
        """The network for its first test inputs alone, or for as many that repeat them."""
        order = np.arange(samples) % len(self.inputs[0])
        inputs = tuple(
            x[order] if self.has_numbers else without_numbers(x.dtype, (samples, *x.shape[1:])) for x in self.inputs
        )
        task = self.task.of(order) if self.task else None
        return replace(self, graph=with_samples(self.graph, samples), inputs=inputs, task=task)

    def with_graph(self, graph: Graph) -> Network:
        """The network with another graph of the same inputs."""
        return replace(self, graph=graph)
