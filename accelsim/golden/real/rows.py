"""Normalizations and softmax in real numbers, row by row or channel by channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm


def batch_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """By statistics of training."""
    assert isinstance(node.op, BatchNorm)  # noqa: S101 - as the table has it
    x, gamma, beta, mean, variance = given
    return ((x - mean) / np.sqrt(variance + node.op.epsilon) * gamma + beta,)


def layer_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """By mean and variance of the row."""
    assert isinstance(node.op, LayerNorm)  # noqa: S101 - as the table has it
    x, gamma = given[:2]
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + node.op.epsilon) * gamma
    return (normal + given[2] if len(given) == 3 else normal,)


def rms_norm(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """By the root of the row's mean square."""
    assert isinstance(node.op, RmsNorm)  # noqa: S101 - as the table has it
    x, gamma = given
    return (x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + node.op.epsilon) * gamma,)


def softmax(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Exponentials over their sum."""
    exponentials = np.exp(given[0] - given[0].max(axis=-1, keepdims=True))
    return (exponentials / exponentials.sum(axis=-1, keepdims=True),)
