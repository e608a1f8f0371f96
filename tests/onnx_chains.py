"""Chains of nodes that turn, reduce, join, cut and reshape a tensor, for hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx_models import model, numbers

Shape = tuple[int, ...]
FIRST: Shape = (2, 3, 4, 4)


class Step(NamedTuple):
    """A node, with its one input written as X and constants as C0, C1 and so on, and the shape that it forms."""

    node: str
    shape: Shape
    constants: tuple[np.ndarray, ...] = ()


def _set(shape: Shape, axis: int, *sizes: int, more: int = 1) -> Shape:
    """A shape with other sizes in the place of an axis, or of several."""
    return (*shape[:axis], *sizes, *shape[axis + more :])


def _transpose(draw: st.DrawFn, shape: Shape, axis: int) -> Step:
    order = draw(st.permutations(range(len(shape))))
    return Step(f"Transpose <perm={list(order)}> (X)", tuple(shape[i] for i in order))


def _pool(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    return Step("MaxPool <kernel_shape=[1,1]> (X)", shape) if len(shape) == 4 else None


def _reduce(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    keeps = draw(st.integers(0, 1))
    formed = _set(shape, axis, *[1] * keeps)
    return Step(f"ReduceMax <axes=[{axis}], keepdims={keeps}> (X)", formed) if len(shape) > 2 else None


def _bias(draw: st.DrawFn, shape: Shape, axis: int) -> Step:
    return Step("Add (X, C0)", shape, (numbers(*shape[axis:], seed=axis),))


def _concat(draw: st.DrawFn, shape: Shape, axis: int) -> Step:
    return Step(f"Concat <axis={axis}> (X, X)", _set(shape, axis, 2 * shape[axis]))


def _slice(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    constants = tuple(np.array([number]) for number in (1, 99, axis))
    return Step("Slice (X, C0, C1, C2)", _set(shape, axis, shape[axis] - 1), constants) if shape[axis] > 1 else None


def _unsqueeze(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    return Step("Unsqueeze (X, C0)", _set(shape, axis, 1, shape[axis]), (np.array([axis]),)) if len(shape) < 5 else None


def _flatten(draw: st.DrawFn, shape: Shape, axis: int) -> Step:
    return Step(f"Flatten <axis={axis}> (X)", (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _split(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    formed = _set(shape, axis, 2, 2)
    return Step("Reshape (X, C0)", formed, (np.array(formed),)) if shape[axis] == 4 and len(shape) < 5 else None


def _join(draw: st.DrawFn, shape: Shape, axis: int) -> Step | None:
    if axis == 0:
        return None
    formed = _set(shape, axis - 1, shape[axis - 1] * shape[axis], more=2)
    return Step("Reshape (X, C0)", formed, (np.array(formed),))


def _same(node: str) -> Callable[[st.DrawFn, Shape, int], Step | None]:
    """A node that forms the shape that it takes."""
    return lambda _, shape, axis: Step(node.replace("AXIS", str(axis)), shape)


STEPS: tuple[Callable[[st.DrawFn, Shape, int], Step | None], ...] = (
    _transpose, _transpose, _pool, _reduce, _bias, _concat, _slice, _unsqueeze, _flatten, _split, _join,
    _same("Relu (X)"), _same("Add (X, X)"), _same("Softmax <axis=AXIS> (X)"),
)  # fmt: skip


@st.composite
def chains(draw: st.DrawFn) -> onnx.ModelProto:
    """A model of one input, FIRST."""
    shape, last, lines = FIRST, "x", []
    constants: dict[str, np.ndarray] = {}
    for number in range(draw(st.integers(1, 8))):
        step = draw(st.sampled_from(STEPS))(draw, shape, draw(st.integers(0, len(shape) - 1)))
        if step is None:
            continue
        shape = step.shape
        constants |= {f"v{number}c{i}": numbers_ for i, numbers_ in enumerate(step.constants)}
        node = step.node.replace("X", last)
        for i in range(len(step.constants)):
            node = node.replace(f"C{i}", f"v{number}c{i}")
        last = f"v{number}"
        lines.append(f"{last} = {node}")
    lines.append(f"y = Neg ({last})")
    symbols = ",".join("abcdefgh"[: len(shape)])
    return model(f"(float[2,3,4,4] x) => (float[{symbols}] y) {{ {chr(10).join(lines)} }}", **constants)
