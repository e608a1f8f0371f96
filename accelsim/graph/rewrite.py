"""The moves that schemes are built from; each leaves what a float graph computes as it was, but for rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.ggml import BlockTensor
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import PRODUCTS, weight_of
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.value import Value

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A map of a tensor's features (last axis) that is pushed towards what forms them.

    Parameters
    ----------
    apply
        The map of numbers, of whatever leading axes.
    scales
        Whether it changes numbers, by positive factors; else their places alone.
    """

    apply: Callable[[NDArray[Any]], NDArray[Any]]
    scales: bool

    def commutes(self, node: Node) -> bool:
        """Whether the map may stand before a node of one input in place of behind it."""
        return node.op.homogeneous if self.scales else node.op.elementwise


def divided_by(scale: Float64) -> FeatureMap:
    """Features are divided by positive scales."""
    return FeatureMap(lambda data: (data / scale).astype(data.dtype), scales=True)


def in_order(order: Int64) -> FeatureMap:
    """Features take other places."""
    return FeatureMap(lambda data: data[..., order], scales=False)


def with_constant(graph: Graph, name: str, data: NDArray[Any], **fields: Any) -> Graph:
    """The graph with other numbers, and perhaps other fields, of a constant; a file's blocks of it are given up."""
    before = graph[name]
    if isinstance(before.groups, BlockTensor):
        before = replace(before, storage=None, groups=None)
    value = Value(
        name,
        data.shape,
        **{
            "element": before.element,
            "data": data,
            "outlined": before.outlined,
            "pattern": before.pattern,
            "step": before.step,
            "storage": before.storage,
            "groups": before.groups,
            "survivors": before.survivors,
            **fields,
        },
    )
    return graph.rebuilt(value)


def push(graph: Graph, name: str, move: FeatureMap) -> tuple[Graph, tuple[str, ...]]:
    """Map the features of a value by changing the constants that it is formed from.

    Returns
    -------
    The graph, and those of its inputs whose features must be mapped outside it.

    Raises
    ------
    ValueError
        If a node on the way does not commute with the map, or others read what it would change, the next step among
        them; nobody must read the value itself but those who expect the change.
    """
    node = graph.producer(name)
    if node is None:
        if name not in graph.inputs:
            raise ValueError(f"{name} is what the step before wrote")
        return graph, (name,)
    before = node.inputs[0]
    for constant in filter(graph.constant, node.inputs):
        if len(graph.readers(constant)) > 1:
            raise ValueError(f"others read {constant}")
    linear = isinstance(node.op, MatMul) or (isinstance(node.op, Conv) and (move.scales or node.op.groups == 1))
    if linear and graph.constant(node.inputs[1]):
        weight = graph[node.inputs[1]]
        step = weight.step
        if step is not None:
            step = None if move.scales else move.apply(step) if step.size > 1 else step
        graph = with_constant(graph, weight.name, move.apply(weight.numbers), step=step)
        return push(graph, node.inputs[2], move) if len(node.inputs) == 3 else (graph, ())
    if isinstance(node.op, Add) and graph.constant(node.inputs[1]):
        bias = graph[node.inputs[1]]
        graph = with_constant(graph, bias.name, move.apply(bias.numbers))
    elif not move.commutes(node) or len(node.inputs) != 1:
        raise ValueError(f"{node.name} does not commute with it")
    if len(graph.readers(before)) > 1 or before in graph.leaving:
        raise ValueError(f"others read {before}")
    return push(graph, before, move)


def replaced(graph: Graph, old: Iterable[Node], new: Iterable[Node], *values: Value) -> Graph:
    """The graph with some nodes in the place of others, where the first of these stood; values are new constants."""
    gone = {node.name for node in old}
    nodes: list[Node] = []
    placed = False
    for node in graph.nodes:
        if node.name not in gone:
            nodes.append(node)
        elif not placed:
            nodes += new
            placed = True
    return graph.rebuilt(*values, nodes=nodes)


def needed_features(graph: Graph) -> Mapping[str, NDArray[np.bool_]]:
    """Features (last axis) of each value that an output depends on, and all of states; bool, shape (features,).

    A product does not need inputs whose weights are all zero for the outputs that are needed of it; a convolution of
    several groups needs all, and forms all, and so does what is no function of single numbers.
    """
    needed = {name: np.zeros(value.features, np.bool_) for name, value in graph.values.items() if value.shape}
    for name in (*graph.leaving, *(state.read for state in graph.states)):
        needed[name][:] = True
    for node in reversed(graph.nodes):
        wanted = needed[node.output]
        if isinstance(node.op, Conv) and node.op.groups > 1:
            wanted[:] = True
        if isinstance(node.op, PRODUCTS) and graph.constant(weight_of(node)):
            weight = graph[weight_of(node)].numbers
            if isinstance(node.op, Conv) and node.op.groups > 1:
                inputs = np.ones(graph[node.inputs[0]].features, np.bool_)
            else:
                inputs = np.count_nonzero(weight[..., wanted], axis=(*range(weight.ndim - 2), -1)) > 0
            inputs[0] |= not inputs.any()
            needed[node.inputs[0]] |= inputs
            others = node.inputs[2:] if weight_of(node) == node.inputs[1] else ()
        elif node.op.elementwise:
            others = node.inputs
        else:
            wanted[:] = True
            for name in node.inputs:
                needed[name][:] = True
            others = ()
        for name in others:
            if needed[name].shape == wanted.shape:
                needed[name] |= wanted
    return needed


def with_samples(graph: Graph, samples: int) -> Graph:
    """The graph for a batch of another size."""
    given = (replace(graph[name], shape=(samples, *graph[name].shape[1:])) for name in graph.entering)
    return graph.rebuilt(*given)
