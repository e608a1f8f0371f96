"""Images of other sizes: each axis by itself, by the places of its numbers or by a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.ops.matmul import MatMul
from accelsim.workload.importers.onnx.dtypes import REALS
from accelsim.workload.importers.onnx.families.shapes import at, full
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axes_of
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

Float64 = NDArray[np.float64]
_LONGEST = 2**16


class Side(NamedTuple):
    """How an axis changes: from so many numbers to so many, by a factor that need not be their quotient."""

    axis: int
    before: int
    behind: int
    scale: float


#: Where a number of the result lies among those that are given, by the mode's name (ONNX's Resize).
_COORDINATES: dict[str, Callable[[Float64, Side], Float64]] = {
    "half_pixel": lambda x, s: (x + 0.5) / s.scale - 0.5,
    "half_pixel_symmetric": lambda x, s: (
        s.before / 2 * (1 - s.behind / (s.scale * s.before)) + (x + 0.5) / s.scale - 0.5
    ),
    "pytorch_half_pixel": lambda x, s: (x + 0.5) / s.scale - 0.5 if s.behind > 1 else 0 * x - 0.5,
    "align_corners": lambda x, s: x * (s.before - 1) / (s.scale * s.before - 1) if s.scale * s.before != 1 else 0 * x,
    "asymmetric": lambda x, s: x / s.scale,
}
_NEAREST: dict[str, Callable[[Float64], Float64]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def resize(c: Translation, n: OnnxNode) -> Tensor:
    """Images, or other tensors, of another size."""
    x = n.given(0)
    n.require(antialias=(0,), mode=("nearest", "linear", "cubic"))
    old = n.version < 11
    coordinates = n.text("coordinate_transformation_mode", "half_pixel")
    nearest = n.text("nearest_mode", "round_prefer_floor")
    if old:
        coordinates, nearest = "asymmetric", "floor"
    if coordinates not in _COORDINATES or nearest not in _NEAREST:
        raise RefusedError(f"coordinate_transformation_mode must be one of {', '.join(_COORDINATES)}")
    given = n.integer_row("axes")
    axes = axes_of(given if given is not None else range(x.rank), x.rank)
    factors = _given_numbers(n, 1 if old else 2)
    if factors is not None:
        if len(factors) != len(axes) or not all(0 < f < _LONGEST for f in factors):
            raise RefusedError(f"scales must be {len(axes)} numbers above 0")
        sides = [Side(a, x.shape[a], int(x.shape[a] * f), f) for a, f in zip(axes, factors, strict=True)]
    else:
        sides = _sized(n, x, axes)
    return _resized(c, n, x, sides, coordinates, nearest)


def upsample(c: Translation, n: OnnxNode) -> Tensor:
    """Images of another size, as before Resize came."""
    x = n.given(0)
    n.require(mode=("nearest", "linear"))
    row = n.number_row("scales")
    factors = _given_numbers(n, 1) if row is None else [float(f) for f in row]
    if factors is None or len(factors) != x.rank or not all(0 < f < _LONGEST for f in factors):
        raise RefusedError(f"scales must be {x.rank} numbers above 0")
    sides = [Side(a, size, int(size * f), f) for a, (size, f) in enumerate(zip(x.shape, factors, strict=True))]
    return _resized(c, n, x, sides, "asymmetric", "floor")


def _given_numbers(n: OnnxNode, number: int) -> list[float] | None:
    """Scales, or None if they are left out, or empty."""
    if not n.has(number):
        return None
    found = n.constant(number, "scales").reshape(-1)
    return [float(f) for f in found] or None


def _sized(n: OnnxNode, x: Tensor, axes: tuple[int, ...]) -> list[Side]:
    """Sides by the sizes that a node wants."""
    sizes = n.integers(3, "sizes")
    n.require(keep_aspect_ratio_policy=("stretch", "not_larger", "not_smaller"))
    policy = n.text("keep_aspect_ratio_policy", "stretch")
    if len(sizes) != len(axes) or not all(0 < size < _LONGEST for size in sizes):
        raise RefusedError(f"sizes must be {len(axes)} numbers above 0")
    factors = [size / x.shape[axis] for size, axis in zip(sizes, axes, strict=True)]
    if policy != "stretch":
        factors = [min(factors) if policy == "not_larger" else max(factors)] * len(axes)
        sizes = [math.floor(x.shape[axis] * factors[0] + 0.5) for axis in axes]
    return [Side(a, x.shape[a], size, f) for a, size, f in zip(axes, sizes, factors, strict=True)]


def _resized(c: Translation, n: OnnxNode, x: Tensor, sides: list[Side], coordinates: str, nearest: str) -> Tensor:
    mode = n.text("mode", "nearest")
    for side in sides:
        if side.behind == side.before and side.scale == 1:
            continue
        if not 1 <= side.behind < _LONGEST:
            raise RefusedError(f"axis {side.axis} must have 1 number or more, not {side.behind}")
        places = _COORDINATES[coordinates](np.arange(side.behind, dtype=np.float64), side)
        if mode == "nearest":
            found = np.clip(_NEAREST[nearest](places), 0, side.before - 1).astype(np.int64)
            x = at(c, x, side.axis, found.tolist(), n.name)
            continue
        c.require_room(8 * side.before * side.behind)
        if x.dtype not in REALS:
            raise RefusedError(f"must take floats, not {x.dtype}")
        matrix = _linear(places, side) if mode == "linear" else _cubic(n, places, side)
        x = full(c, x)
        x = c.in_order(x, (*(axis for axis in x.axes if axis != side.axis), side.axis))
        value = c.put(MatMul(), x.value, c.constant(matrix.astype(np.float32), f"{n.name}.weight"), name=n.name)
        x = replace(x, value=value, shape=(*x.shape[: side.axis], side.behind, *x.shape[side.axis + 1 :]))
    return x


def _taps(places: Float64, side: Side, before: int, weights: list[Float64], *, outside: bool = True) -> Float64:
    """Matrix (before, behind) of weights of neighbours, the first of which is so far before a place."""
    matrix = np.zeros((side.before, side.behind))
    first = np.floor(places).astype(np.int64) - before
    total = np.zeros(side.behind)
    for number, weight in enumerate(weights):
        index = first + number
        counts = weight if outside else np.where((index >= 0) & (index < side.before), weight, 0)
        total += counts
        np.add.at(matrix, (np.clip(index, 0, side.before - 1), np.arange(side.behind)), counts)
    return matrix if outside else matrix / total


def _linear(places: Float64, side: Side) -> Float64:
    """Weights of the two neighbours of each place."""
    share = places - np.floor(places)
    return _taps(places, side, 0, [1 - share, share])


def _cubic(n: OnnxNode, places: Float64, side: Side) -> Float64:
    """Weights of four neighbours of each place (Keys, IEEE TASSP 1981)."""
    a, share = n.number("cubic_coeff_a", -0.75), places - np.floor(places)

    def far(x: Float64) -> Float64:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a

    def near(x: Float64) -> Float64:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1

    weights = [far(share + 1), near(share), near(1 - share), far(2 - share)]
    return _taps(places, side, 1, weights, outside=not n.integer("exclude_outside", 0))
