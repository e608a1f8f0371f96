"""Weights share few values: k-means (Lloyd, 1982) over a layer's weights, as Deep Compression has it.

Han et al., "Deep Compression", ICLR 2016, arXiv:1510.00149, section 3: centroids begin evenly between the least and the
largest weight, which keeps the large weights that few others stand beside (section 3.2). Zeros of a pruned layer stay
zeros and take one of the values.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.rewrite import Float64, Rewrite, with_weight
from accelsim.config.model import Integer, quantity
from accelsim.graph.layer import Layer
from accelsim.workload.network import Network

#: Iterations, at most; Lloyd's algorithm ends of itself, often after some dozens.
ITERATIONS = 300


class Cluster(Rewrite):
    """The recipe step."""

    scheme: Literal["kmeans"] = quantity("name", "Name of the scheme")
    bits: Integer = quantity(
        "bits", "Of an index to a layer's values; zero is one of them if weights are zero", ge=2, le=8
    )

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Put the nearest centroid in the place of each weight."""
        weight = layer.matrix
        nonzero = weight != 0
        if not nonzero.any():
            return network
        found = kmeans(weight[nonzero].astype(np.float64), 2**self.bits - (not nonzero.all()))
        shared = np.zeros_like(weight)
        shared[nonzero] = found.centroids[found.nearest]
        return with_weight(network, layer, shared)


class Clusters(NamedTuple):
    """Values by cluster.

    Parameters
    ----------
    centroids
        Float64, shape (clusters,), ascending; fewer than asked for if there are fewer different values.
    nearest
        int64, shape (values,): cluster of each value.
    objectives
        Sum of squared distances after each iteration; none is above the one before it.
    """

    centroids: Float64
    nearest: NDArray[np.int64]
    objectives: list[float]


def kmeans(values: Float64, clusters: int) -> Clusters:
    """Cluster numbers, shape (values,), beginning with evenly spread centroids; empty clusters are dropped.

    In one dimension a cluster is a run of the sorted values, so that an iteration is a search for each centroid's
    bounds and a difference of running sums.
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    sums = np.concatenate([[0.0], np.cumsum(ascending)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(ascending))])
    centroids = np.linspace(ascending[0], ascending[-1], clusters)
    objectives: list[float] = []
    bounds = np.array([0, len(values)])
    for _ in range(ITERATIONS):
        between = (centroids[1:] + centroids[:-1]) / 2
        found = np.concatenate([[0], np.searchsorted(ascending, between, side="right"), [len(values)]])
        found = np.unique(found)  # an empty cluster has no bounds of its own
        counts, total = np.diff(found), np.diff(sums[found])
        centroids = total / counts
        objectives.append(float((np.diff(squares[found]) - total * centroids).sum()))
        if np.array_equal(found, bounds):
            break
        bounds = found
    index = np.empty(len(values), np.int64)
    index[order] = np.repeat(np.arange(len(centroids)), np.diff(bounds))
    return Clusters(centroids, index, objectives)
