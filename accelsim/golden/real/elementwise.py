"""Functions of single real numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from accelsim.golden.interpreter import Array
from accelsim.golden.real.functions import apply
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.elementwise import Elementwise, ElementwiseName
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.quantize import Quantize, QuantizeByRange
from accelsim.graph.ops.relu import Relu


def _modulo(a: Array, b: Array) -> Array:
    """Remainder of a division with the divisor's sign."""
    formed: Array = np.mod(a, b)
    return formed


def _divide(a: Array, b: Array) -> Array:
    """Quotient; that of integers without its fraction."""
    if np.result_type(a, b).kind == "f":
        formed: Array = a / b
        return formed
    quotient, rest = np.divmod(a, b)  # which round down
    corrected: Array = quotient + ((rest != 0) & ((a < 0) != (b < 0))).astype(quotient.dtype)
    return corrected


#: Functions of two or three tensors.
ELEMENTWISE: dict[ElementwiseName, Callable[..., Array]] = {
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _divide,
    "power": np.power,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "modulo": _modulo,
    "remainder": np.fmod,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,
    "where": np.where,
    "equal": np.equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "greater": np.greater,
    "greater_or_equal": np.greater_equal,
    "is_nan": np.isnan,
    "is_infinite": np.isinf,
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


def quantize_by_range(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature
    """One part of bytes over the range of floats; each step is rounded to float32, as the definition has it."""
    assert isinstance(node.op, QuantizeByRange)  # noqa: S101 - as the table has it
    x = given[0].astype(np.float32)
    low, high = np.minimum(x.min(), np.float32(0)), np.maximum(x.max(), np.float32(0))
    scale = (high - low) / np.float32(255) if high > low else np.float32(1)
    if node.op.part == "scale":
        return (np.asarray(scale, given[0].dtype),)
    zero = np.rint(np.clip(-low / scale, np.float32(0), np.float32(255)))
    if node.op.part == "zero_point":
        return (np.asarray(zero).astype(np.uint8),)
    return (np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8),)


def function(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:  # noqa: ARG001 - one signature for all
    """The function of the operator's name."""
    assert isinstance(node.op, Function)  # noqa: S101 - as the table has it
    return (apply(node.op, given[0]).astype(given[0].dtype),)


def elementwise(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """The function of the operator's name, of the element's type."""
    assert isinstance(node.op, Elementwise)  # noqa: S101 - as the table has it
    formed = ELEMENTWISE[node.op.name](*given)
    element = graph[node.output].element
    return (formed.astype(element.dtype) if isinstance(element, Plain) else formed,)


def convert(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array]:
    """The same numbers in another type; real ones stay in the type in which is computed."""
    element = graph[node.output].element
    if isinstance(element, Plain):
        return (given[0].astype(element.dtype),)
    return (given[0] if given[0].dtype.kind == "f" else given[0].astype(np.float64),)
