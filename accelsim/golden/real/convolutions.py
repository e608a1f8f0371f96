"""Convolutions and pools in real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.golden.windows import pixels
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.pool import AveragePool, MaxPool


def conv(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Sums of products of each window, group by group."""
    op = node.op
    assert isinstance(op, Conv)  # noqa: S101 - as the table has it
    x, w = given
    channels, filters = w.shape[2], w.shape[3] // op.groups
    windows = pixels(x, op.window, 0.0)
    sums = [
        np.tensordot(
            windows[..., g * channels : (g + 1) * channels],
            w[..., g * filters : (g + 1) * filters],
            axes=((3, 4, 5), (0, 1, 2)),
        )
        for g in range(op.groups)
    ]
    return (np.concatenate(sums, axis=-1),)


def max_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Largest number of each window."""
    op = node.op
    assert isinstance(op, MaxPool)  # noqa: S101 - as the table has it
    return (pixels(given[0], op.window, -np.inf).max(axis=(3, 4)),)


def average_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """Mean of each window."""
    op = node.op
    assert isinstance(op, AveragePool)  # noqa: S101 - as the table has it
    sums = pixels(given[0], op.window, 0.0).sum(axis=(3, 4))
    ones = np.ones((1, *given[0].shape[1:3], 1))
    counts = pixels(ones, op.window, 1.0 if op.padded else 0.0).sum(axis=(3, 4))
    return (sums / counts,)


def global_average_pool(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001
    """Mean of each image."""
    return (given[0].mean(axis=(1, 2)),)
