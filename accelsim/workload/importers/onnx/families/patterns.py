"""Activations that exporters write as several nodes: SiLU, hard swish, GELU by the error function or by tanh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

from accelsim.graph.graph import Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.value import Value
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

#: How far a constant may be from the one that is meant: float32, or float16, rounds it.
_NEAR = 1e-3


class Activation(NamedTuple):
    """A function, and what it is of."""

    x: Tensor
    op: Function


def activation(c: Translation, a: Tensor, b: Tensor) -> Activation | None:
    """The function that a product of two tensors is, or None if it is none."""
    for x, other in permutations((a, b)):
        name = None if x.known else _times(c, x.value, other.value)
        if name:
            return Activation(x, Function(name))
    for x, half in permutations((a, b)):  # (x (1 + erf)) / 2
        if half.known and _is(half.value, 0.5):
            found = _of_product(c, x)
            if found:
                return found
    return None


def _times(c: Translation, x: Value, other: Value) -> FunctionName | None:
    """The function that x times another value is."""
    node = _producer(c, other)
    if node is None:
        return None
    match node.op:
        case Function("sigmoid") if node.inputs == (x.name,):
            return "silu"
        case Function("hard_sigmoid") as op if node.inputs == (x.name,) and _near(op.alpha, 1 / 6) and op.beta == 0.5:
            return "hard_swish"
        case Mul():  # (1 + erf) / 2
            return next((name for part in _scaled(c, node, 0.5) if (name := _one_and(c, part, x))), None)
        case _:
            return None


def _of_product(c: Translation, product: Tensor) -> Activation | None:
    """Half of a product x (1 + erf): the GELU of x."""
    node = _producer(c, product.value)
    if node is None or not isinstance(node.op, Mul):
        return None
    for first, second in permutations(node.inputs):
        x = c.value(first)
        name = _one_and(c, second, x) if x.data is None else None
        if name:
            return Activation(product.like(x), Function(name))
    return None


def _one_and(c: Translation, name: str, x: Value) -> FunctionName | None:
    """The GELU whose 1 + erf(x / sqrt(2)), or 1 + tanh(...), a value is."""
    node = c.producer(name)
    if node is None or not isinstance(node.op, Add) or not _is(c.value(node.inputs[1]), 1.0):
        return None
    inner = c.producer(node.inputs[0])
    if inner is None:
        return None
    argument = c.producer(inner.inputs[0])
    if inner.op == Function("error_function") and x.name in _scaled(c, argument, 1 / math.sqrt(2)):
        return "gelu"
    scaled = _scaled(c, argument, math.sqrt(2 / math.pi))
    if inner.op == Function("tanh") and any(_cubic(c, part, x) for part in scaled):
        return "gelu_tanh"
    return None


def _cubic(c: Translation, name: str, x: Value) -> bool:
    """Whether a value is x + 0.044715 x^3."""
    node = c.producer(name)
    if node is None or not isinstance(node.op, Add):
        return False
    for first, second in permutations(node.inputs):
        if first != x.name:
            continue
        for part in _scaled(c, c.producer(second), 0.044715):
            cube = c.producer(part)
            if cube and cube.inputs == (x.name,) and cube.op == Function("power", 3.0):
                return True
    return False


def _scaled(c: Translation, node: Node | None, factor: float) -> Iterator[str]:
    """Names of what a node multiplies by a constant factor; none if it does not."""
    if node is not None and isinstance(node.op, Mul):
        for first, second in permutations(node.inputs):
            if _is(c.value(second), factor):
                yield first


def _producer(c: Translation, value: Value) -> Node | None:
    return None if value.data is not None else c.producer(value.name)


def _is(value: Value, number: float) -> bool:
    return value.data is not None and value.data.size == 1 and _near(float(value.data.reshape(())), number)


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= _NEAR * abs(b)
