"""Numbers of some axes as one, of whatever type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.reduce import Cumulate, Place, Reduce, ReduceName


def _lowest(x: Array) -> Any:
    return -np.inf if x.dtype.kind == "f" else False if x.dtype.kind == "b" else np.iinfo(x.dtype).min


def _highest(x: Array) -> Any:
    return np.inf if x.dtype.kind == "f" else True if x.dtype.kind == "b" else np.iinfo(x.dtype).max


def _log_sum_exp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Logarithm of the sum of exponentials, without overflow."""
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    found: Array = np.log(np.exp(x - shift).sum(axis=axis, keepdims=True)) + shift
    return found if keepdims else found.reshape([n for i, n in enumerate(found.shape) if i not in axis])


REDUCTIONS: dict[ReduceName, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "product": np.prod,
    "largest": lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims, initial=_lowest(x)),
    "smallest": lambda x, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims, initial=_highest(x)),
    "log_sum_exp": _log_sum_exp,
}


def reduce(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """One number of those of some axes."""
    op, element = node.op, graph[node.output].element
    assert isinstance(op, Reduce)  # noqa: S101 - as the table has it
    found = np.asarray(REDUCTIONS[op.name](given[0], axis=op.axes, keepdims=op.keeps))
    return (found.astype(element.dtype) if isinstance(element, Plain) else found,)


def place(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Where the largest or smallest number stands."""
    op, x = node.op, given[0]
    assert isinstance(op, Place)  # noqa: S101 - as the table has it
    find = np.argmax if op.name == "largest" else np.argmin
    if op.last:
        found = x.shape[op.axis] - 1 - find(np.flip(x, op.axis), axis=op.axis, keepdims=op.keeps)
    else:
        found = find(x, axis=op.axis, keepdims=op.keeps)
    return (np.asarray(found, np.int64),)


def cumulate(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Sums, or products, of each number and those before it."""
    op, x = node.op, given[0]
    assert isinstance(op, Cumulate)  # noqa: S101 - as the table has it
    x = np.flip(x, op.axis) if op.reverse else x
    function, begin = (np.cumsum, 0) if op.name == "sum" else (np.cumprod, 1)
    if op.exclusive and x.shape[op.axis]:
        part = [slice(None)] * x.ndim
        part[op.axis] = slice(0, -1)
        first = np.full_like(np.take(x, [0], axis=op.axis), begin)
        x = np.concatenate([first, x[tuple(part)]], axis=op.axis)
    found = function(x, axis=op.axis, dtype=x.dtype)
    return (np.flip(found, op.axis) if op.reverse else found,)
