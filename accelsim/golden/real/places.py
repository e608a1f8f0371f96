"""Numbers by their places, of whatever type."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from accelsim.errors import WorkloadError
from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.gather_elements import GatherElements
from accelsim.graph.ops.gather_nd import GatherNd
from accelsim.graph.ops.scatter import Reduction, ScatterElements, ScatterNd
from accelsim.graph.ops.top_k import TopK

_REDUCTIONS: dict[Reduction, Callable[..., Any]] = {
    "add": np.add.at,
    "mul": np.multiply.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


@contextlib.contextmanager
def _inside(node: Node) -> Iterator[None]:
    """Say that indices are outside of a tensor, because they are often inputs."""
    try:
        yield
    except IndexError as error:
        raise WorkloadError(f"node {node.name}: {error}") from None


def _along(indices: Array, axis: int) -> tuple[Array, ...]:
    """Indices of all axes: their own, but for one."""
    own: list[Array] = list(np.indices(indices.shape, sparse=True))
    own[axis] = indices
    return tuple(own)


def _put(x: Array, places: tuple[Array, ...], updates: Array, reduction: Reduction) -> Array:
    """A copy with numbers put to places."""
    formed = x.copy()
    if reduction == "none":
        formed[places] = updates
    else:
        _REDUCTIONS[reduction](formed, places, updates)
    return formed


def gather_elements(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """What stands at an index along an axis; raises WorkloadError for one outside of it."""
    assert isinstance(node.op, GatherElements)  # noqa: S101 - as the table has it
    with _inside(node):
        return (given[0][_along(given[1], node.op.axis)],)


def gather_nd(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """What stands at rows of indices; raises WorkloadError for one outside of the tensor."""
    assert isinstance(node.op, GatherNd)  # noqa: S101 - as the table has it
    x, indices = given
    rows = np.moveaxis(indices, -1, 0)
    own = np.indices(rows.shape[1:], sparse=True)[: node.op.batch]
    with _inside(node):
        return (x[(*own, *rows)],)


def scatter_elements(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """A tensor with numbers put to an index along an axis; raises WorkloadError for one outside of it."""
    assert isinstance(node.op, ScatterElements)  # noqa: S101 - as the table has it
    x, indices, updates = given
    with _inside(node):
        return (_put(x, _along(indices, node.op.axis), updates, node.op.reduction),)


def scatter_nd(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """A tensor with parts put to rows of indices; raises WorkloadError for one outside of it."""
    assert isinstance(node.op, ScatterNd)  # noqa: S101 - as the table has it
    x, indices, updates = given
    with _inside(node):
        return (_put(x, tuple(np.moveaxis(indices, -1, 0)), updates, node.op.reduction),)


def top_k(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, Array]:  # noqa: ARG001 - one signature
    """The largest numbers and their places."""
    op, x = node.op, given[0]
    assert isinstance(op, TopK)  # noqa: S101 - as the table has it
    if op.largest:  # a stable sort of the reversed axis, read backwards, has the first of equal ones first
        order = x.shape[op.axis] - 1 - np.flip(np.argsort(np.flip(x, op.axis), axis=op.axis, kind="stable"), op.axis)
    else:
        order = np.argsort(x, axis=op.axis, kind="stable")
    places = np.take(order, np.arange(op.k), axis=op.axis)
    return np.take_along_axis(x, places, axis=op.axis), places.astype(np.int64)
