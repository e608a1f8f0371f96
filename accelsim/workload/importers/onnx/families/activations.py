"""Activation functions, softmax among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accelsim.graph.element import REAL
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.reduce import Place, Reduce
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.softmax import Softmax
from accelsim.workload.importers.onnx.dtypes import REALS
from accelsim.workload.importers.onnx.families.elementwise import require_floats, taken
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axis_of
from accelsim.workload.importers.onnx.tensor import NEW, Tensor, permutation
from accelsim.workload.importers.onnx.translation import Translation


def relu(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers below zero become zero."""
    x = n.given(0)
    if x.dtype not in REALS:
        zero = c.known_tensor(np.zeros((), x.dtype))
        return taken(c, Elementwise("maximum"), x, zero, name=n.name)
    return c.unary(x, Relu(), n.name)


def with_alpha(name: FunctionName, alpha: float, beta: float = 0.0, second: str = "") -> Callable[..., Tensor]:
    """Rule of a function with an attribute alpha, and perhaps a second one, and their usual values."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        require_floats(n.given(0))
        found = n.number("alpha", alpha), n.number(second, beta) if second else beta
        return c.unary(n.given(0), Function(name, *found), n.name)

    return rule


def shrink(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers near zero become zero, all others come nearer to it."""
    return c.unary(n.given(0), Function("shrink", n.number("bias", 0.0), n.number("lambd", 0.5)), n.name)


def gelu(c: Translation, n: OnnxNode) -> Tensor:
    """GELU, exact or by tanh."""
    n.require(approximate=("none", "tanh"))
    require_floats(n.given(0))
    tanh = n.text("approximate", "none") == "tanh"
    return c.unary(n.given(0), Function("gelu_tanh" if tanh else "gelu"), n.name)


def swish(c: Translation, n: OnnxNode) -> Tensor:
    """X sigmoid(alpha x)."""
    require_floats(n.given(0))
    alpha = n.number("alpha", 1.0)
    return c.unary(n.given(0), Function("silu") if alpha == 1 else Function("swish", alpha), n.name)


def prelu(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers below zero times a slope."""
    x, slope = n.given(0), n.given(1)
    c.same_type((x, slope))
    zero = c.known_tensor(np.zeros((), x.dtype))
    op = Mul() if x.dtype in REALS else Elementwise("multiply")
    mask = taken(c, Elementwise("less"), x, zero)
    return taken(c, Elementwise("where"), mask, taken(c, op, x, slope), x, name=n.name)


def _last(c: Translation, n: OnnxNode) -> Tensor:
    """The input with the axis that it is normalized along as the value's last one; before opset 13 several are one."""
    x = n.real(0)
    if not x.rank:
        raise RefusedError("must have an axis to normalize along")
    axis = axis_of(n.integer("axis", -1 if n.version >= 13 else 1), x.rank)
    if n.version < 13:
        shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
        return c.tensor(c.reshaped(c.plain(x), shape), x.dtype)
    if x.block or NEW in x.axes or axis not in x.axes:
        x = c.in_order(x, permutation(x) if not x.block else tuple(range(x.rank)))
    if x.axes[-1] == axis:
        return x
    return c.in_order(x, (*(a for a in x.axes if a != axis), axis))


def _as_given(c: Translation, n: OnnxNode, x: Tensor, formed: Tensor) -> Tensor:
    """What is formed, in the shape of the input."""
    given = n.given(0)
    if formed.shape == given.shape and x.rank == given.rank:
        return formed
    return c.tensor(c.reshaped(c.plain(formed), given.shape), given.dtype)


def softmax(c: Translation, n: OnnxNode) -> Tensor:
    """Exponentials over their sum."""
    x = _last(c, n)
    return _as_given(c, n, x, c.unary(x, Softmax(), n.name))


def log_softmax(c: Translation, n: OnnxNode) -> Tensor:
    """Logarithm of a softmax."""
    x = _last(c, n)
    total = c.put(Reduce("log_sum_exp", (len(x.value.shape) - 1,), keeps=True), x.value)
    formed = replace(x, value=c.put(Elementwise("subtract"), x.value, total, name=n.name))
    return _as_given(c, n, x, formed)


def hardmax(c: Translation, n: OnnxNode) -> Tensor:
    """1 at the first of the largest, 0 elsewhere."""
    x = _last(c, n)
    place = c.put(Place("largest", len(x.value.shape) - 1, keeps=True), x.value)
    c.require_room(8 * x.value.features)
    places = c.constant(np.arange(x.value.features))
    mask = c.put(Elementwise("equal"), place, places)
    return _as_given(c, n, x, replace(x, value=c.put(Convert(REAL), mask, name=n.name)))
