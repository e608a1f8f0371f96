"""Sweep files: a base, axes, constraints and objectives, and where a dotted path leads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from pydantic import model_validator

from accelsim.config import shipped
from accelsim.config.fields import follow
from accelsim.config.load import Document, read_yaml, validate
from accelsim.config.model import NAME, Frozen, Integer, quantity
from accelsim.config.tree import Path_
from accelsim.cost.area import QUANTITIES
from accelsim.errors import ConfigError, Fault, unknown_name
from accelsim.fields import ROOTS, require_field
from accelsim.files import is_file
from accelsim.results import Summary

#: What no objective may be.
_NO_FIGURES = frozenset({"layers", "counters", "provenance"})
MAX_AXES = 64
MAX_POINTS = 100_000


def _require_finite(name: str, values: object) -> None:
    """Refuse what JSON can't say."""
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be finite numbers, names, flags, lists or mappings") from None


class Range(Frozen):
    """Numbers from a lower to an upper one, both included."""

    low: float = quantity("that of the field", "Least value")
    high: float = quantity("that of the field", "Greatest value")
    scale: Literal["linear", "log"] = quantity(
        "name", "Whether differences or ratios of values are equal", default="linear"
    )
    count: Integer | None = quantity(
        "count",
        "Values; needed by a grid, unless `step` gives them all; not used by random and Sobol points",
        default=None,
        ge=1,
        le=MAX_POINTS,
    )
    step: float | None = quantity(
        "that of the field",
        "Values are rounded to the least one plus a multiple of it; 1 for whole numbers if absent",
        default=None,
        gt=0,
    )
    draw: Literal["even", "random", "sobol"] = quantity(
        "name", "How a grid takes its values: evenly, at random, or as a Sobol sequence", default="even"
    )
    seed: Integer = quantity("count", "Seed of values that are drawn", default=0, ge=0, le=2**63 - 1)

    @model_validator(mode="after")
    def _ascends(self) -> Range:
        if self.high < self.low:
            raise ValueError(f"high must be at least low ({self.low:g}), not {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low must be greater than 0 on a log scale, not {self.low:g}")
        return self


class Axis(Frozen):
    """A field, and the values that it takes."""

    field: str = quantity(
        "dotted path",
        "What varies: arch, tech, recipe or workload, each a name or a path, or a field of one, such as "
        "arch.matrix.rows, arch.dram.part or recipe.steps.0.sparsity; items of lists are numbered from 0",
    )
    values: list[Any] | None = quantity("those of the field", "Its values", default=None, min_length=1)
    range: Range | None = quantity("section", "Its numbers, where they are not listed", default=None)
    also: dict[str, float] = quantity(
        "ratio", "Other fields, by their paths, that are set to the value times a number", default={}
    )

    @model_validator(mode="after")
    def _either(self) -> Axis:
        if (self.values is None) == (self.range is None):
            raise ValueError("either values or range must be given")
        _require_finite("values", self.values)
        return self

    @property
    def fields(self) -> list[str]:
        """All fields that the axis sets."""
        return [self.field, *self.also]


class Constraint(Frozen):
    """Bounds on a quantity of a point, without which it is not simulated."""

    of: str = quantity("name", f"{', '.join(QUANTITIES)}, or the dotted path of a field")
    at_least: float | str | None = quantity("that of the quantity", "Number, or quantity or field", default=None)
    at_most: float | str | None = quantity("that of the quantity", "Number, or quantity or field", default=None)
    equals: float | str | None = quantity("that of the quantity", "Number, or quantity or field", default=None)

    @model_validator(mode="after")
    def _bounds(self) -> Constraint:
        if not self.bounds:
            raise ValueError("at_least, at_most or equals must be given")
        return self

    @property
    def bounds(self) -> dict[str, float | str]:
        """Bounds by their kind."""
        given = {"at_least": self.at_least, "at_most": self.at_most, "equals": self.equals}
        return {kind: bound for kind, bound in given.items() if bound is not None}


class Objective(Frozen):
    """A figure that the best points have the least or the most of."""

    figure: str = quantity("dotted path", "Field of a run's JSON object, such as energy_pj.total, or area_mm2")
    goal: Literal["minimise", "maximise"] = quantity("name", "What is better", default="minimise")
    reference: float | None = quantity(
        "that of the figure",
        "Worst value that counts in a search's hypervolume; the worst one of its first generations if absent",
        default=None,
    )


class SweepSpec(Frozen):
    """A sweep, as its YAML file describes it."""

    kind: Literal["sweep"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the sweep", pattern=NAME)
    description: str = quantity("text", "The question that it answers")
    workload: str = quantity("name", "Network, where no axis names it", default="digits-mlp")
    arch: str = quantity("name", "Machine, where no axis names it", default="edge-ws")
    recipe: str | None = quantity("name", "Recipe, where no axis names it; the machine's if absent", default=None)
    tech: str | None = quantity("name", "Energy table, where no axis names it; the machine's if absent", default=None)
    engine: Literal["fast", "reference"] = quantity("name", "Engine that simulates", default="fast")
    timing_only: bool = quantity(
        "flag", "Whether cycles, traffic and energy are asked for, and no outputs", default=False
    )
    residency: bool = quantity(
        "flag", "Whether values may stay on chip between layers; else all go through DRAM", default=True
    )
    method: Literal["grid", "random", "sobol", "nsga2", "tpe"] = quantity(
        "name",
        "Points: all combinations, the last axis varying fastest; or a count of random ones; or of a Sobol sequence, "
        "which fills the space evenly; or those that a search proposes, by the genetic algorithm NSGA-II or by a "
        "tree-structured Parzen estimator",
        default="grid",
    )
    count: Integer | None = quantity(
        "count",
        "Random or Sobol points, or proposals of a search, before constraints",
        default=None,
        ge=1,
        le=MAX_POINTS,
    )
    generation: Integer = quantity(
        "count",
        "Proposals that a search makes before it learns what became of them, which are simulated at once; NSGA-II's "
        "population",
        default=32,
        ge=2,
        le=1024,
    )
    seed: Integer = quantity("count", "Seed of random and Sobol points and of searches", default=0, ge=0, le=2**63 - 1)
    fields: dict[str, Any] = quantity(
        "those of the fields", "What all points change of the base: values by dotted path", default={}
    )
    axes: list[Axis] = quantity("axes", "What varies", min_length=1, max_length=MAX_AXES)
    constraints: list[Constraint] = quantity("constraints", "What a point must keep to", default=[])
    objectives: list[Objective] = quantity(
        "objectives",
        "What makes a point better; those that no other one beats are marked",
        default=[Objective(figure="energy_pj.total"), Objective(figure="cycles")],
        min_length=1,
    )

    for_each: list[str] = quantity(
        "dotted paths",
        "Axes that are circumstances and no choices, such as a batch: the best points are sought for each value",
        default=[],
    )

    @model_validator(mode="after")
    def _counted(self) -> SweepSpec:
        if (self.count is None) == (self.method != "grid"):
            raise ValueError(f"count must be {'absent' if self.count else 'given'} where method is {self.method}")
        if self.searches and self.for_each:
            raise ValueError(
                f"for_each must be absent where method is {self.method}: a search has one set of best points"
            )
        _require_finite("fields", self.fields)
        return self

    @property
    def searches(self) -> bool:
        """Whether points depend on what became of others."""
        return self.method in {"nsga2", "tpe"}


def load_sweep(name_or_path: str) -> SweepSpec:
    """Load a sweep by its shipped name or its path.

    Raises
    ------
    ConfigError
        With every fault of the file, unknown fields and names among them.
    """
    document = read_yaml(shipped.path_of("sweep", name_or_path))
    return checked(validate(document, SweepSpec), document)


def checked(spec: SweepSpec, document: Document) -> SweepSpec:
    """Check what a sweep names: files, fields and figures; raises as `load_sweep`."""
    faults: list[Fault] = []
    for place, check in _checks(spec, document.file):
        try:
            check()
        except ConfigError as error:
            faults += [document.fault(place, fault.message) for fault in error.faults]
    if not faults:
        faults += [document.fault(place, message) for place, message in _range_faults(spec)]
    if faults:
        raise ConfigError(*faults)
    return spec


def _checks(spec: SweepSpec, beside: str) -> Iterator[tuple[Path_, Callable[[], object]]]:
    """What each name of a sweep must pass, with its place."""
    for root in ROOTS:
        yield (root,), partial(require_file, root, getattr(spec, root), beside)
    yield from _field_checks(spec, beside)
    for i, constraint in enumerate(spec.constraints):
        yield ("constraints", i, "of"), partial(require_quantity, constraint.of)
        for kind, bound in constraint.bounds.items():
            if isinstance(bound, str):
                yield ("constraints", i, kind), partial(require_quantity, bound)
    for i, name in enumerate(spec.for_each):
        yield ("for_each", i), partial(_require_axis, name, spec)
    for i, objective in enumerate(spec.objectives):
        yield ("objectives", i, "figure"), partial(require_figure, objective.figure, timing_only=spec.timing_only)


def _field_checks(spec: SweepSpec, beside: str) -> Iterator[tuple[Path_, Callable[[], object]]]:
    """What fields and axes must pass."""
    times = Counter([*spec.fields, *(field for axis in spec.axes for field in axis.fields)])
    for field in spec.fields:
        yield ("fields", field), partial(require_field, field)
    for i, axis in enumerate(spec.axes):
        yield ("axes", i, "field"), partial(require_field, axis.field)
        yield ("axes", i, "field"), partial(_require_once, axis, times)
        for field in axis.also:
            yield ("axes", i, "also", field), partial(require_field, field)
        if axis.field in ROOTS:
            for j, value in enumerate(axis.values or []):
                yield ("axes", i, "values", j), partial(require_file, axis.field, value, beside)


def _range_faults(spec: SweepSpec) -> Iterator[tuple[Path_, str]]:
    """What is wrong with ranges of fields that there are."""
    for i, axis in enumerate(spec.axes):
        asked = axis.range
        if asked is None:
            continue
        if not _holds_numbers(axis.field):
            yield ("axes", i, "range"), f"must be values for {axis.field}, which is no number"
        steps = asked.draw == "even" and asked.scale == "linear" and asked.step
        if spec.method == "grid" and asked.count is None and not steps:
            yield ("axes", i, "range"), "must give a count for a grid"


def _require_axis(name: str, spec: SweepSpec) -> None:
    axes = [axis.field for axis in spec.axes]
    if name not in axes:
        raise ConfigError(unknown_name("axis of this sweep", name, axes))


def _require_once(axis: Axis, times: Counter[str]) -> None:
    twice = [field for field in axis.fields if times[field] > 1]
    if twice:
        raise ConfigError(f"must be fields that are set once, but {twice[0]} is set twice")


def require_file(root: str, name: object, beside: str) -> None:
    """Refuse a name that is not shipped, and a path without a file; a recipe and a table may be the machine's."""
    if name is None and root in {"recipe", "tech"}:
        return
    if not isinstance(name, str):
        raise ConfigError(f"must be a shipped name or the path of a .yaml file, not {name!r}")
    path = shipped.path_of(root, name, beside)
    if not is_file(path):
        raise ConfigError(f"must be a {root} file that exists, not {name!r}")


def require_quantity(name: str) -> None:
    """Refuse what is neither a quantity nor a field of a number, a name or a flag."""
    if name in QUANTITIES:
        return
    if "." not in name:
        raise ConfigError(unknown_name("quantity, or the dotted path of a field", name, QUANTITIES))
    require_field(name)


def require_figure(path: str, *, timing_only: bool) -> None:
    """Refuse what is no number of a run's summary, or is not known of a run."""
    if path in QUANTITIES:
        return
    first, *parts = path.split(".")
    known = [*(name for name in Summary.model_fields if name not in _NO_FIGURES), *QUANTITIES]
    if first not in known:
        raise ConfigError(unknown_name("figure", first, known))
    if first in {"quality", "bit_exact"} and timing_only:
        raise ConfigError(f"must be a figure that timing alone has, not {path}")
    found = follow([Summary.model_fields[first].annotation], first, parts)
    if not any(kind in {int, float} for kind in found):
        raise ConfigError(f"must be a number, not {path}; give one of its fields")


def _holds_numbers(path: str) -> bool:
    return any(kind in {int, float} for kind in require_field(path))
