"""Numbers that change their places and nothing else, of whatever type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose


def slice_(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """A part of an axis."""
    op = node.op
    assert isinstance(op, Slice)  # noqa: S101 - as the table has it
    part = [slice(None)] * given[0].ndim
    part[op.axis] = slice(op.start, op.stop, op.step)
    return (given[0][tuple(part)],)


def copy(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The same numbers."""
    return (given[0],)


def gather(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """What stands at the indices; raises WorkloadError for one outside of the axis, because they are often inputs."""
    op = node.op
    assert isinstance(op, Gather)  # noqa: S101 - as the table has it
    indices, size = given[1].astype(np.int64), given[0].shape[op.axis]
    wrong = indices[(indices < -size) | (indices >= size)]
    if wrong.size:
        raise WorkloadError(f"node {node.name}: indices must be from {-size} to {size - 1}, not {wrong.flat[0]}")
    return (np.take(given[0], indices, axis=op.axis),)


def expand(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The tensor over and over."""
    op = node.op
    assert isinstance(op, Expand)  # noqa: S101 - as the table has it
    return (np.tile(given[0], op.times),)


def concat(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """One tensor behind the other."""
    op = node.op
    assert isinstance(op, Concat)  # noqa: S101 - as the table has it
    return (np.concatenate(given, axis=op.axis),)


def reshape(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The same numbers in another shape."""
    op = node.op
    assert isinstance(op, Reshape)  # noqa: S101 - as the table has it
    return (given[0].reshape(op.resolved(given[0].shape)),)


def transpose(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Axes in another order."""
    op = node.op
    assert isinstance(op, Transpose)  # noqa: S101 - as the table has it
    return (given[0].transpose(op.order),)


def pad(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """What stands for zero around the numbers."""
    op, zero = node.op, graph[node.output].element.zero_point
    assert isinstance(op, Pad)  # noqa: S101 - as the table has it
    return (np.pad(given[0], tuple(zip(op.before, op.behind, strict=True)), constant_values=zero),)
