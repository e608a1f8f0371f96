"""Operators of networks that come quantized: float32 arithmetic between integers, as onnxruntime has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node


def quantize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Nearest integers of the quotients, NaN as what stands for zero."""
    to = graph[node.output].element
    assert isinstance(to, Integer)  # noqa: S101 - as the operator has it
    with np.errstate(over="ignore", invalid="ignore"):
        quotient = np.nan_to_num(given[0] / np.asarray(to.scale).astype(np.float32), nan=0.0)
        nearest = np.rint(np.clip(quotient.astype(np.float64), -(2.0**62), 2.0**62)) + to.zero_point
    return (np.clip(nearest, to.qmin, to.qmax).astype(to.dtype),)


def dequantize(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Products of float32."""
    element = graph[node.inputs[0]].element
    assert isinstance(element, Integer)  # noqa: S101 - as the operator has it
    centred = (given[0].astype(np.int64) - element.zero_point).astype(np.float32)
    scale = given[1] if len(given) == 2 else np.asarray(element.scale)
    return (centred * scale.astype(np.float32),)


def retype(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The numbers themselves."""
    return (given[0],)


def scaled_add(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """Two fused multiply-adds, which float64 holds exactly before each is rounded to float32."""
    a, b, factors = given
    to = graph[node.output].element
    assert isinstance(to, Integer)  # noqa: S101 - as the operator has it
    first, other, fixed = factors.astype(np.float64)
    part = (b.astype(np.float64) * other + fixed).astype(np.float32)
    total = (a.astype(np.float64) * first + part.astype(np.float64)).astype(np.float32)
    return (np.clip(np.rint(total), to.qmin, to.qmax).astype(to.dtype),)
