"""Functions of single numbers in a machine's integers and floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.element import Float, Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.rotate import Rotate


def add(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Sum in the type of the result; integers of 32 and 64 bits wrap as adders do."""
    return ((given[0] + given[1]).astype(graph[node.output].element.dtype),)


def relu(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """No number below what stands for zero, nor above what stands for the most."""
    op, x, element = node.op, given[0], graph[node.output].element
    assert isinstance(op, Relu)  # noqa: S101 - as the table has it
    zero = element.zero_point
    result = np.where(x < zero, x.dtype.type(zero), x)
    if op.most == float("inf"):
        return (result,)
    if isinstance(element, Float):  # a clamp, as of any floats
        return (np.minimum(np.maximum(x, np.float32(0)), np.float32(op.most)),)
    return (np.minimum(result, element.quantize(np.array(op.most))),)


def multiply(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Products of integers less their zero points, or of floats."""
    if isinstance(graph[node.output].element, Float):
        return (given[0] * given[1],)
    zeros = [graph[name].element.zero_point for name in node.inputs]
    a, b = (x.astype(np.int64) - zero for x, zero in zip(given, zeros, strict=True))
    return ((a * b).astype(graph[node.output].element.dtype),)


def rotate(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Pairs turned: products of integers less their zero points, or of float32, and their sums."""
    op, element = node.op, graph[node.output].element
    assert isinstance(op, Rotate)  # noqa: S101 - as the table has it
    wide: type[np.generic] = np.float32 if isinstance(element, Float) else np.int64
    x, table = (
        part.astype(wide) - np.asarray(graph[name].element.zero_point).astype(wide)
        for part, name in zip(given, node.inputs, strict=True)
    )
    first, second = op.pairs(x.shape[-1])
    turned = np.empty_like(x)
    turned[..., first] = x[..., first] * table[..., first] - x[..., second] * table[..., second]
    turned[..., second] = x[..., first] * table[..., second] + x[..., second] * table[..., first]
    return (turned.astype(element.dtype),)


def look_up(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Entries of a table."""
    x, table = given
    element = graph[node.inputs[0]].element
    assert isinstance(element, Integer)  # noqa: S101 - as the operator has it
    return (table[x.astype(np.int64) - element.qmin],)
