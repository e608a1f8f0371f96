"""Normalizations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm
from accelsim.graph.ops.pool import AveragePool
from accelsim.graph.ops.reduce import Reduce
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.onnx.families.elementwise import taken
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axis_of
from accelsim.workload.importers.onnx.tensor import Tensor, channels_last
from accelsim.workload.importers.onnx.translation import Translation


def batch_norm(c: Translation, n: OnnxNode) -> Tensor:
    """Channels by statistics of training."""
    n.one_output()
    n.require(training_mode=(0,))
    if n.version < 9:
        n.require(spatial=(1,))
    x = n.real(0)
    if x.rank < 2:
        raise RefusedError("must have channels behind the samples")
    axes = channels_last(x.rank)
    parameters = [c.plain(n.real(i)) for i in range(1, 5)]
    value = c.put(BatchNorm(n.number("epsilon", 1e-5)), c.arranged(x, axes), *parameters, name=n.name)
    return replace(x, value=value, axes=axes, block=())


def _ones(c: Translation, count: int) -> Value:
    c.require_room(4 * count)
    return c.constant(np.ones(count, np.float32), f"{c.name}.gamma")


def _normal(c: Translation, rows: Value, epsilon: float, name: str = "") -> Value:
    """Rows less their mean, over the root of their variance."""
    return c.put(LayerNorm(epsilon), rows, _ones(c, rows.features), name=name)


def _by_channel(c: Translation, x: Tensor, value: Value, gamma: Tensor, beta: Tensor, name: str) -> Tensor:
    """Normalized numbers of the input's shape, times gamma and plus beta of each channel."""
    shape = (x.shape[1], *[1] * (x.rank - 2))
    if gamma.shape != (x.shape[1],) or beta.shape != (x.shape[1],):
        raise RefusedError(f"scale and bias must be {x.shape[1]} numbers each, one a channel")
    scaled = c.put(Mul(), c.reshaped(value, x.shape), c.reshaped(c.plain(gamma), shape))
    return c.tensor(c.put(Add(), scaled, c.reshaped(c.plain(beta), shape), name=name), x.dtype)


def instance_norm(c: Translation, n: OnnxNode) -> Tensor:
    """Channels of each image by their own mean and variance."""
    x = n.real(0)
    if x.rank < 3:
        raise RefusedError("must have pixels behind the channels")
    rows = c.reshaped(c.plain(x), (*x.shape[:2], math.prod(x.shape[2:])))
    normal = _normal(c, rows, n.number("epsilon", 1e-5))
    return _by_channel(c, x, normal, n.real(1), n.real(2), n.name)


def group_norm(c: Translation, n: OnnxNode) -> Tensor:
    """Groups of channels of each image by their own mean and variance."""
    x, groups = n.real(0), n.integer("num_groups", 0)
    if x.rank < 2 or groups < 1 or x.shape[1] % groups:
        raise RefusedError(f"num_groups must divide the channels, not be {groups}")
    rows = c.reshaped(c.plain(x), (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    normal = _normal(c, rows, n.number("epsilon", 1e-5))
    gamma, beta = n.real(1), n.real(2)
    if n.version < 21:  # one number a group
        gamma, beta = (_each(c, part, x.shape[1] // groups) for part in (gamma, beta))
    return _by_channel(c, x, normal, gamma, beta, n.name)


def _each(c: Translation, x: Tensor, times: int) -> Tensor:
    """Each number so many times."""
    if not x.known:
        raise RefusedError("scale and bias must be constant")
    c.require_room(x.numbers.nbytes * times)
    return c.known_tensor(np.repeat(x.numbers, times), dtype=x.dtype)


def _rows(c: Translation, n: OnnxNode) -> tuple[Tensor, Value, Shape]:
    """The input, what is normalized as its rows, and the shape of one."""
    x = n.real(0)
    axis = axis_of(n.integer("axis", -1), x.rank)
    shape = x.shape[axis:]
    value = c.plain(x)
    if len(shape) > 1:
        value = c.reshaped(value, (*x.shape[:axis], math.prod(shape)))
    return x, value, shape


def _parameter(c: Translation, x: Tensor, shape: Shape) -> Value | None:
    """Gamma or beta as a row, or None if it is no number for each place of a row."""
    return c.reshaped(c.plain(x), (math.prod(shape),)) if x.shape == shape else None


def layer_norm(c: Translation, n: OnnxNode) -> tuple[Tensor, ...]:
    """The last axes less their mean, over the root of their variance."""
    x, rows, shape = _rows(c, n)
    epsilon = n.number("epsilon", 1e-5)
    given = [n.real(1), *([n.real(2)] if n.has(2) else [])]
    parameters = [_parameter(c, part, shape) for part in given]
    if None in parameters:
        formed = c.tensor(c.reshaped(_normal(c, rows, epsilon), x.shape), x.dtype)
        for part, op in zip(given, (Mul(), Add()), strict=False):
            formed = taken(c, op, formed, part, name=n.name)
    else:
        value = c.put(LayerNorm(epsilon), rows, *[part for part in parameters if part is not None], name=n.name)
        formed = c.tensor(c.reshaped(value, x.shape), x.dtype)
    if not n.asks(1) and not n.asks(2):
        return (formed,)
    last, kept = len(rows.shape) - 1, (*x.shape[: x.rank - len(shape)], *[1] * len(shape))
    mean = c.put(Reduce("mean", (last,), keeps=True), rows)
    squares = c.put(Function("power", 2.0), c.put(Elementwise("subtract"), rows, mean))
    variance = c.put(Reduce("mean", (last,), keeps=True), squares)
    root = c.put(Function("square_root"), c.put(Add(), variance, c.scalar(epsilon)))
    inverse = c.put(Function("reciprocal"), root)
    return formed, *(c.tensor(c.reshaped(part, kept), x.dtype) for part in (mean, inverse))


def rms_norm(c: Translation, n: OnnxNode) -> Tensor:
    """The last axes over the root of their mean square."""
    x, rows, shape = _rows(c, n)
    gamma, op = n.real(1), RmsNorm(n.number("epsilon", 1e-5))
    parameter = _parameter(c, gamma, shape)
    if parameter is not None:
        return c.tensor(c.reshaped(c.put(op, rows, parameter, name=n.name), x.shape), x.dtype)
    normal = c.tensor(c.reshaped(c.put(op, rows, _ones(c, rows.features)), x.shape), x.dtype)
    return taken(c, Mul(), normal, gamma, name=n.name)


def lrn(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers over a power of the mean square of their neighbours among the channels."""
    x, size = n.real(0), n.integer("size", 0)
    if x.rank < 2 or not 1 <= size < 2**16:
        raise RefusedError(f"size must be 1 or more, not {size}")
    value = c.plain(x)
    columns = c.reshaped(c.put(Function("power", 2.0), value), (*x.shape[:2], math.prod(x.shape[2:]), 1))
    window = Window((size, 1), padding=((size - 1) // 2, 0, size // 2, 0))
    mean = c.put(AveragePool(window, padded=True), columns)
    scaled = c.put(Mul(), mean, c.scalar(n.number("alpha", 1e-4)))
    base = c.put(Add(), scaled, c.scalar(n.number("bias", 1.0)))
    factor = c.put(Function("power", -n.number("beta", 0.75)), base)
    return c.tensor(c.put(Mul(), value, c.reshaped(factor, x.shape), name=n.name), x.dtype)


def lp_norm(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers over the p-norm of those along an axis; zeros where that is zero."""
    x, p = n.real(0), n.integer("p", 2)
    n.require(p=(2, 1))
    axis = axis_of(n.integer("axis", -1), x.rank)
    value = c.plain(x)
    powers = c.put(Function("power", 2.0) if p == 2 else Function("absolute"), value)
    total = c.put(Reduce("sum", (axis,), keeps=True), powers)
    norm = c.put(Function("square_root"), total) if p == 2 else total
    zero = c.scalar(0)
    safe = c.put(Elementwise("where"), c.put(Elementwise("equal"), norm, zero), c.scalar(1), norm)
    return c.tensor(c.put(Elementwise("divide"), value, safe, name=n.name), x.dtype)
