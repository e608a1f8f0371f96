"""Functions of single real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import erf, expit

from accelsim.golden.interpreter import Array
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.relu import Relu

FUNCTIONS: dict[FunctionName, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
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


def function(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The function of the operator's name."""
    assert isinstance(node.op, Function)  # noqa: S101 - as the table has it
    return (FUNCTIONS[node.op.name](given[0]),)
