"""Constants that scale and shift channels, as part of the normalization by statistics that stands before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.value import Value
from accelsim.workload.importers.onnx.translation import Translation

Float64 = NDArray[np.float64]


def scaled(c: Translation, x: Value, factor: Value, name: str) -> Value | None:
    """X times a constant of each channel as a normalization, if it is that of one, or of a convolution's sums."""
    numbers = _by_channel(x, factor)
    if numbers is None:
        return None
    before = _normalized(c, x)
    if before is not None:
        of, epsilon, (gamma, beta, mean, variance) = before
        return _norm(c, of, epsilon, (gamma * numbers, beta * numbers, mean, variance), name)
    if not _sums(c, x):
        return None
    zeros, ones = np.zeros_like(numbers), np.ones_like(numbers)
    return _norm(c, x, 0.0, (numbers, zeros, zeros, ones), name)


def shifted(c: Translation, x: Value, addend: Value, name: str) -> Value | None:
    """X plus a constant of each channel as a normalization, if x is formed by one."""
    numbers, before = _by_channel(x, addend), _normalized(c, x)
    if numbers is None or before is None:
        return None
    of, epsilon, (gamma, beta, mean, variance) = before
    return _norm(c, of, epsilon, (gamma, beta + numbers, mean, variance), name)


def _by_channel(x: Value, constant: Value) -> Float64 | None:
    """A number for each channel, if that is what a constant has."""
    if len(x.shape) < 2 or constant.data is None or constant.shape not in {(), (1,), (x.shape[-1],)}:
        return None
    return np.broadcast_to(constant.data.astype(np.float64), (x.shape[-1],)).copy()


def _normalized(c: Translation, x: Value) -> tuple[Value, float, list[Float64]] | None:
    """What a normalization of constant parameters reads, its epsilon, and its parameters; None of other values."""
    node = c.producer(x.name)
    if node is None or not isinstance(node.op, BatchNorm):
        return None
    of, *parameters = (c.value(name) for name in node.inputs)
    if any(parameter.data is None for parameter in parameters):
        return None
    return of, node.op.epsilon, [parameter.numbers.astype(np.float64) for parameter in parameters]


def _sums(c: Translation, x: Value) -> bool:
    """Whether a value is the sums of a convolution, perhaps with a bias."""
    node = c.producer(x.name)
    if node is not None and isinstance(node.op, Add):
        node = c.producer(node.inputs[0]) if len(c.value(node.inputs[1]).shape) == 1 else None
    return node is not None and isinstance(node.op, Conv)


def _norm(c: Translation, x: Value, epsilon: float, parameters: Sequence[Float64], name: str) -> Value:
    names = ("gamma", "beta", "mean", "variance")
    constants = [
        c.constant(part.astype(np.float32), f"{c.name}.{key}") for key, part in zip(names, parameters, strict=True)
    ]
    return c.put(BatchNorm(epsilon), x, *constants, name=name)
