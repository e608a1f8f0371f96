"""Points of a sweep: all combinations of its axes' values, or random ones, or those of a Sobol sequence.

Those of a search come one generation after the other, `search.py`, from the same axes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.dse.spec import MAX_POINTS, Axis, Range, SweepSpec
from accelsim.errors import ConfigError, Fault
from accelsim.fields import is_whole


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a sweep.

    Parameters
    ----------
    number
        Place in the sweep's order, from 0.
    values
        Value of each axis.
    """

    number: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """An axis as a search sees it.

    Parameters
    ----------
    listed
        All its values, numbers in ascending order; empty if they are too many, or not whole steps apart.
    ordered
        Whether a value between two others lies between them in what it does: whether they are numbers.
    """

    axis: Axis
    listed: list[Any]
    ordered: bool

    @classmethod
    def of(cls, axis: Axis) -> Side:
        """The side of an axis."""
        if axis.values is None:
            asked = axis.range
            assert asked is not None  # noqa: S101 - as the model's validator says
            step = asked.step or (1.0 if is_whole(axis.field) else 0.0)
            few = step and asked.scale == "linear" and (asked.high - asked.low) / step < MAX_POINTS
            steps = asked.model_copy(update={"count": None, "step": step, "draw": "even"}) if few else None
            return cls(axis, _grid_values(axis.model_copy(update={"range": steps})) if steps else [], ordered=True)
        values = _grid_values(axis)
        ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return cls(axis, sorted(values) if ordered else values, ordered)

    def value(self, drawn: float) -> Any:
        """Value for a place in the list, or for a number from 0 to below 1 where there is none."""
        return self.listed[int(drawn)] if self.listed else _at(self.axis, drawn, whole=is_whole(self.axis.field))


def points(spec: SweepSpec) -> list[Point]:
    """All points of a sweep, before constraints, in order; a point that occurs twice is there once.

    Raises
    ------
    ConfigError
        If there are too many, or they are a search's.
    """
    if spec.searches:
        raise ConfigError(Fault(f"must be grid, random or sobol where all points are asked for, not {spec.method}",
                                key="method"))  # fmt: skip
    columns = [_grid_values(axis) for axis in spec.axes] if spec.method == "grid" else []
    size = int(np.prod([len(column) for column in columns], dtype=float))
    if size > MAX_POINTS:
        raise ConfigError(Fault(f"must span at most {MAX_POINTS} points, not {size}", key="axes"))
    found = itertools.product(*columns) if columns else _sampled(spec)
    distinct = {json.dumps(values): values for values in found}
    return [Point(number, tuple(values)) for number, values in enumerate(distinct.values())]


def _sampled(spec: SweepSpec) -> Iterator[tuple[Any, ...]]:
    """Random or Sobol points: the unit cube's, each side stretched to its axis."""
    count, sides = spec.count or 0, len(spec.axes)
    if spec.method == "random":
        cube = np.random.default_rng(spec.seed).random((count, sides))
    else:
        cube = sobol(sides, count, spec.seed)
    whole = [is_whole(axis.field) for axis in spec.axes]
    for row in cube.tolist():
        yield tuple(_at(axis, u, whole=w) for axis, u, w in zip(spec.axes, row, whole, strict=True))


def sobol(sides: int, count: int, seed: int) -> NDArray[np.float64]:
    """First points of a scrambled Sobol sequence, shape (count, sides), each from 0 to below 1."""
    from scipy.stats import qmc  # noqa: PLC0415 - half a second that only Sobol sweeps need

    sampler = qmc.Sobol(sides, scramble=True, rng=np.random.default_rng(seed))
    cube: NDArray[np.float64] = sampler.random_base2((count - 1).bit_length())[:count]
    return cube


def _grid_values(axis: Axis) -> list[Any]:
    """Values of an axis of a grid, in order, each once."""
    if axis.values is not None:
        return list({json.dumps(value): value for value in axis.values}.values())
    asked = axis.range
    assert asked is not None  # noqa: S101 - as the model's validator says
    whole = is_whole(axis.field)
    if asked.count is None:
        steps = int((asked.high - asked.low) / (asked.step or 1) + 1e-9)
        if steps >= MAX_POINTS:
            raise ConfigError(Fault(f"must span at most {MAX_POINTS} points, not {steps + 1}", key="axes"))
        shares = np.arange(steps + 1) / max(steps, 1) if steps else np.zeros(1)
        high = asked.low + steps * (asked.step or 1)
        return [_in_range(asked.model_copy(update={"high": high}), u, whole=whole) for u in shares.tolist()]
    if asked.draw == "even":
        shares = np.linspace(0, 1, asked.count)
    elif asked.draw == "random":
        shares = np.random.default_rng(asked.seed).random(asked.count)
    else:
        shares = sobol(1, asked.count, asked.seed)[:, 0]
    take = _in_range if asked.draw == "even" else _drawn
    return list(dict.fromkeys(take(asked, u, whole=whole) for u in shares.tolist()))


def _at(axis: Axis, share: float, *, whole: bool) -> Any:
    """Value of an axis for a number drawn from 0 to below 1."""
    if axis.values is not None:
        return axis.values[int(share * len(axis.values))]
    assert axis.range is not None  # noqa: S101 - as the model's validator says
    return _drawn(axis.range, share, whole=whole)


def _drawn(asked: Range, share: float, *, whole: bool) -> float:
    """Number of a range for one drawn from 0 to below 1: on a linear scale all steps are equally likely."""
    step = asked.step or (1.0 if whole else 0.0)
    if step and asked.scale == "linear":
        steps = int((asked.high - asked.low) / step + 1e-9)
        share = int(share * (steps + 1)) * step / (asked.high - asked.low) if steps else 0.0
    return _in_range(asked, share, whole=whole)


def _in_range(asked: Range, share: float, *, whole: bool) -> float:
    """Number at a share of a range, from 0 to 1, rounded to a step."""
    if asked.scale == "log":
        value = asked.low * (asked.high / asked.low) ** share
    else:
        value = asked.low + share * (asked.high - asked.low)
    step = asked.step or (1.0 if whole else 0.0)
    if step:
        most = int((asked.high - asked.low) / step + 1e-9)
        value = asked.low + step * min(round((value - asked.low) / step), most)
    value = min(max(value, asked.low), asked.high)
    return int(value) if whole and float(value).is_integer() else value
