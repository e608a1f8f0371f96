"""Compaction: features that no weight reads are removed before the network is compiled.

The outer-product unit's second mode of the lecture notes, where columns are pruned: instead of skipping inputs by
metadata, the matrices are made smaller, and any hardware runs them. An input (K) whose weights are all zero adds
nothing to any sum, so the outputs that remain keep every bit. The layer before need not form it, which may leave
inputs of that layer without weights in turn.

What is removed moves the inputs behind it: groups of N:M weights are counted anew, and a layer whose groups no longer
hold is one of dense weights to a unit for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.layer import PRODUCTS, weight_of
from accelsim.graph.ops.conv import Conv
from accelsim.graph.rewrite import needed_features
from accelsim.graph.value import Value


def compact(graph: Graph) -> Graph:
    """Remove inputs whose weights are all zero, and the outputs that only they would read; of a graph of integers.

    All outputs of the network stay, and of a layer without any weight its first input.
    """
    needed = needed_features(graph)
    changed: dict[str, Value] = {}
    for node in graph.nodes:
        columns = needed[node.output]
        product = isinstance(node.op, PRODUCTS) and graph.constant(weight_of(node))
        for name in node.inputs:
            value = graph[name]
            if value.data is None:
                continue
            rows = needed[node.inputs[0]]
            if product and name == weight_of(node):
                element = value.element
                if isinstance(element, Integer) and np.size(element.scale) == value.features:
                    element = replace(element, scale=np.broadcast_to(element.scale, value.features)[columns])
                whole = isinstance(node.op, Conv) and node.op.groups > 1  # whose inputs and outputs all stay
                data = value.data if whole else value.data[..., rows, :][..., columns]
                changed[name] = replace(value, shape=data.shape, data=data, element=element, survivors=columns)
            elif value.shape and value.features == len(columns):
                data = value.data[..., columns]
                changed[name] = replace(value, shape=data.shape, data=data, survivors=columns)
    for name in graph.inputs:
        value = graph[name]
        shape = (*value.shape[:-1], int(needed[name].sum()))
        changed[name] = replace(value, shape=shape, survivors=needed[name])
    smaller = graph.rebuilt(*changed.values())
    for node in smaller.nodes:
        for name in node.outputs:
            smaller = smaller.changed(name, survivors=needed[name])
    return smaller


def surviving(graph: Graph, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Features that a compacted graph reads of full inputs."""
    return tuple(graph[name].of_full(x) for name, x in zip(graph.inputs, inputs, strict=True))
