"""Functions of tensors number by number: arithmetic, comparisons, logic, conversions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.elementwise import Elementwise, ElementwiseName
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.value import Value
from accelsim.workload.importers.onnx.dtypes import BOOL, DTYPES, REALS, DType, element_of, name_of
from accelsim.workload.importers.onnx.families import patterns, scales
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

#: Makes a constant a part of what formed the value before it, or does not.
Joins = Callable[[Translation, Value, Value, str], Value | None]
Rule = Callable[[Translation, OnnxNode], Tensor]


def taken(c: Translation, op: Op, *given: Tensor, name: str = "") -> Tensor:
    """What an operator forms of tensors, number by number."""
    values, like = c.joined(given)
    value = c.put(op, *values, name=name)
    dtype = given[-1].dtype if value.element == given[-1].value.element else value.element.dtype
    return replace(like, value=value, dtype=dtype)


def function(name: FunctionName) -> Rule:
    """Rule of a function without parameters."""
    return lambda c, n: c.unary(n.given(0), Function(name), n.name)


def floating(name: FunctionName) -> Rule:
    """Rule of a function of floats alone."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        require_floats(n.given(0))
        return c.unary(n.given(0), Function(name), n.name)

    return rule


def require_floats(x: Tensor) -> None:
    """Refuse integers and masks."""
    if x.dtype not in REALS and x.dtype != np.float64:
        raise RefusedError(f"must take floats, not {x.dtype}")


def pair(name: ElementwiseName) -> Rule:
    """Rule of a function of two tensors of one type."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        c.same_type(n.all_given())
        return taken(c, Elementwise(name), n.given(0), n.given(1), name=n.name)

    return rule


def several(one: Callable[[Translation, Tensor, Tensor, str], Tensor]) -> Rule:
    """Rule of an operator that takes any number of tensors, one after the other."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        first, *others = n.all_given()
        c.same_type(n.all_given())
        for other in others:
            first = one(c, first, other, n.name)
        return first

    return rule


def chosen(name: ElementwiseName) -> Callable[[Translation, Tensor, Tensor, str], Tensor]:
    """The smaller or larger of two tensors' numbers."""
    return lambda c, a, b, called: taken(c, Elementwise(name), a, b, name=called)


def _with_constant_last(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (b, a) if a.known and not b.known else (a, b)


def added(c: Translation, a: Tensor, b: Tensor, name: str) -> Tensor:
    """A sum; constants stand last, as biases do, or are part of a normalization."""
    return _with_constant(c, a, b, Add(), scales.shifted, name)


def multiplied(c: Translation, a: Tensor, b: Tensor, name: str) -> Tensor:
    """A product, or what exporters write as one: SiLU, hard swish, GELU."""
    if a.dtype not in REALS:
        return taken(c, Elementwise("multiply"), a, b, name=name)
    found = patterns.activation(c, a, b)
    if found:
        return c.unary(found.x, found.op, name)
    return _with_constant(c, a, b, Mul(), scales.scaled, name)


def _with_constant(c: Translation, a: Tensor, b: Tensor, op: Op, joins: Joins, name: str) -> Tensor:
    """A sum or product, or what it is as a part of the node before it."""
    a, b = _with_constant_last(a, b)
    if b.known and not a.known and a.dtype in REALS and not a.block:
        (x, constant), like = c.joined((a, b))
        value = joins(c, x, constant, name) if x is a.value else None
        if value is not None:
            return replace(like, value=value)
    return taken(c, op, a, b, name=name)


def add(c: Translation, n: OnnxNode) -> Tensor:
    """A + b."""
    c.same_type(n.all_given())
    return added(c, n.given(0), n.given(1), n.name)


def multiply(c: Translation, n: OnnxNode) -> Tensor:
    """A b."""
    c.same_type(n.all_given())
    return multiplied(c, n.given(0), n.given(1), n.name)


def subtract(c: Translation, n: OnnxNode) -> Tensor:
    """A - b; of a constant what is negative is added."""
    a, b = n.given(0), n.given(1)
    c.same_type((a, b))
    if b.known and b.dtype in REALS:
        return added(c, a, c.unary(b, Function("negative")), n.name)
    return taken(c, Elementwise("subtract"), a, b, name=n.name)


def divide(c: Translation, n: OnnxNode) -> Tensor:
    """A / b; by a constant the product with its reciprocal."""
    a, b = n.given(0), n.given(1)
    c.same_type((a, b))
    if b.known and b.dtype in REALS and b.numbers.all() and not a.known:
        return multiplied(c, a, c.unary(b, Function("reciprocal")), n.name)
    return taken(c, Elementwise("divide"), a, b, name=n.name)


def power(c: Translation, n: OnnxNode) -> Tensor:
    """A to the power of b, of a's type."""
    a, b = n.given(0), n.given(1)
    if b.known and b.count == 1 and b.rank <= a.rank and a.dtype in REALS:
        exponent = float(b.numbers.reshape(()))
        return c.unary(a, Function("square_root") if exponent == 0.5 else Function("power", exponent), n.name)
    if a.dtype == b.dtype:
        return taken(c, Elementwise("power"), a, b, name=n.name)
    if a.dtype in REALS or b.dtype not in (*REALS, DTYPES[11]):
        return taken(c, Elementwise("power"), a, converted(c, b, a.dtype), name=n.name)
    return converted(c, taken(c, Elementwise("power"), converted(c, a, b.dtype), b), a.dtype, n.name)


def mean(c: Translation, n: OnnxNode) -> Tensor:
    """The mean of some tensors."""
    total = several(added)(c, n)
    number = c.known_tensor(np.array(1 / len(n.inputs), np.float32))
    return multiplied(c, total, number, f"{n.name}.mean")


def modulo(c: Translation, n: OnnxNode) -> Tensor:
    """What a division leaves, with the sign of the divisor, or of the dividend."""
    c.same_type(n.all_given())
    name: ElementwiseName = "remainder" if n.integer("fmod", 0) else "modulo"
    return taken(c, Elementwise(name), n.given(0), n.given(1), name=n.name)


def shift(c: Translation, n: OnnxNode) -> Tensor:
    """Bits shifted left or right."""
    c.same_type(n.all_given())
    direction = n.text("direction", "")
    if direction not in {"LEFT", "RIGHT"}:
        raise RefusedError(f"direction must be LEFT or RIGHT, not {direction[:20]!r}")
    return taken(c, Elementwise("shift_left" if direction == "LEFT" else "shift_right"), *n.all_given(), name=n.name)


def invert(c: Translation, n: OnnxNode) -> Tensor:
    """Masks, or bits, turned over."""
    return c.unary(n.given(0), Elementwise("not"), n.name)


def where(c: Translation, n: OnnxNode) -> Tensor:
    """One tensor where a mask is true, and another one elsewhere."""
    mask, a, b = n.given(0), n.given(1), n.given(2)
    if mask.dtype != BOOL:
        raise RefusedError(f"its condition must be bool, not {mask.dtype}")
    c.same_type((a, b))
    return taken(c, Elementwise("where"), mask, a, b, name=n.name)


def is_nan(c: Translation, n: OnnxNode) -> Tensor:
    """Whether a number is none."""
    require_floats(n.given(0))
    return c.unary(n.given(0), Elementwise("is_nan"), n.name)


def is_infinite(c: Translation, n: OnnxNode) -> Tensor:
    """Whether a number is infinite, of both signs or of one."""
    x, above, below = n.given(0), n.integer("detect_positive", 1), n.integer("detect_negative", 1)
    require_floats(x)
    if above and below:
        return c.unary(x, Elementwise("is_infinite"), n.name)
    if not above and not below:
        found = c.unary(x, Elementwise("is_infinite"))
        return taken(c, Elementwise("and"), found, c.known_tensor(np.array(False)), name=n.name)
    limit = c.known_tensor(np.array(np.inf if above else -np.inf, x.dtype))
    return taken(c, Elementwise("equal"), x, limit, name=n.name)


def clip(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers held between two."""
    x = n.given(0)
    bounds: list[Tensor | None] = [n.optional(1), n.optional(2)]
    if n.version < 11:
        low, high = n.number("min", -np.inf), n.number("max", np.inf)
        return c.unary(x, _clip(low, high), n.name)
    if any(bound is not None and bound.count != 1 for bound in bounds):
        raise RefusedError("min and max must be one number each")
    if x.dtype in REALS and all(bound is None or bound.known for bound in bounds):
        low, high = (
            usual if bound is None else float(bound.numbers.reshape(()))
            for bound, usual in zip(bounds, (-np.inf, np.inf), strict=True)
        )
        return c.unary(x, _clip(low, high), n.name)
    found = x
    names: tuple[ElementwiseName, ElementwiseName] = ("maximum", "minimum")
    for bound, name in zip(bounds, names, strict=True):
        if bound is not None:
            c.same_type((x, bound))
            alone = replace(bound, value=c.reshaped(bound.value, ()), shape=(), axes=(), block=())
            found = taken(c, Elementwise(name), found, alone, name=f"{n.name}.{name}")
    return found


def _clip(low: float, high: float) -> Op:
    """The operator that holds numbers between two: a ReLU if the lower one is 0."""
    if low == 0 and high > 0:
        return Relu(high)
    return Function("clip", low, high)


def cast(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers in another type."""
    number = n.integer("to", 0)
    if number not in DTYPES:
        raise RefusedError(f"to must be a known type, not {name_of(number)}")
    return converted(c, n.given(0), DTYPES[number], n.name)


def cast_like(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers in the type of others."""
    return converted(c, n.given(0), n.given(1).dtype, n.name)


def converted(c: Translation, x: Tensor, dtype: DType, name: str = "") -> Tensor:
    """Numbers in a type: of floats of 16 bits the nearest ones, which stay real numbers in the graph."""
    if x.dtype == dtype:
        return x
    value: Value = x.value
    if x.dtype not in REALS or dtype not in REALS:
        value = c.put(Convert(element_of(dtype)), value, name=name)
    if dtype in REALS and dtype != DTYPES[1]:
        value = c.put(Function("float16" if dtype == DTYPES[10] else "bfloat16"), value, name=name)
    return replace(x, value=value, dtype=dtype)
