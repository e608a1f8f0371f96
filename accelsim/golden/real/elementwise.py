"""Functions of single real numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import erf, expit

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.quantize import Quantize
from accelsim.graph.ops.relu import Relu

FUNCTIONS: dict[FunctionName, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def add(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Sum."""
    return (given[0] + given[1],)


def multiply(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """Product."""
    return (given[0] * given[1],)


def relu(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """No number below zero, nor above the most."""
    assert isinstance(node.op, Relu)  # noqa: S101 - as the table has it
    return (np.clip(given[0], 0, node.op.most),)


def quantize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The nearest real number that the integers stand for."""
    assert isinstance(node.op, Quantize)  # noqa: S101 - as the table has it
    return (node.op.to.dequantize(node.op.to.quantize(given[0])),)


def dequantize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The number itself, or times its scale."""
    return (given[0] * given[1] if len(given) == 2 else given[0],)


def function(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The function of the operator's name."""
    assert isinstance(node.op, Function)  # noqa: S101 - as the table has it
    return (FUNCTIONS[node.op.name](given[0]),)
