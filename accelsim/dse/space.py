"""From a point of a sweep to all that is simulated for it, read and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from accelsim import provenance
from accelsim.config import shipped
from accelsim.config.load import Document
from accelsim.config.tree import Path_
from accelsim.cost import energy
from accelsim.cost.area import QUANTITIES
from accelsim.dse.points import Point, points
from accelsim.dse.simulation import Inputs, Job, workload_hash
from accelsim.dse.spec import Constraint, SweepSpec
from accelsim.errors import AccelSimError, ConfigError, Fault, unknown_name
from accelsim.fields import READERS, by_root, is_whole, with_fields
from accelsim.workload.load import Workload

#: Changed models that a space keeps of each root.
KEPT_MODELS = 4096


@dataclass(frozen=True, slots=True)
class Refusal:
    """A point whose fields do not fit each other, and why."""

    key: str
    error: str


@dataclass(frozen=True)
class Space:
    """A sweep's points with all that they name.

    Parameters
    ----------
    spec
        What was asked for.
    beside
        Path of the sweep file, whose folder relative paths begin at.
    document
        The file, for the places of faults.
    """

    spec: SweepSpec
    beside: str = ""
    document: Document = field(default_factory=lambda: Document("", {}, {}))

    def __post_init__(self) -> None:
        named = {*self.spec.fields, *(axis.field for axis in self.spec.axes)}
        places: list[tuple[Path_, str]] = [(("fields", path), path) for path in self.spec.fields]
        for number, axis in enumerate(self.spec.axes):
            places.append((("axes", number, "field"), axis.field))
            places += [(("axes", number, "also", path), path) for path in axis.also]
        lacking = [(place, self._lacks(path, named)) for place, path in places]
        faults = [self.document.fault(place, message) for place, message in lacking if message]
        if faults:
            raise ConfigError(*faults)

    @cached_property
    def points(self) -> list[Point]:
        """All points, before constraints, in order."""
        return points(self.spec)

    def fields(self, point: Point) -> dict[str, Any]:
        """Fields that a point sets, those that all points set and those that its axes set also among them."""
        found = dict(self.spec.fields)
        for axis, value in zip(self.spec.axes, point.values, strict=True):
            found[axis.field] = value
            for path, times in axis.also.items():
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ConfigError(Fault(f"must be a number, of which {path} is a multiple, not {value!r}",
                                            key=axis.field))  # fmt: skip
                product = value * times
                found[path] = int(product) if float(product).is_integer() and is_whole(path) else product
        return found

    def case(self, point: Point) -> Job | Refusal:
        """What is simulated for a point, or why nothing can be."""
        fields: dict[str, Any] = {}
        try:
            fields = self.fields(point)
            return self.job(fields)
        except AccelSimError as error:
            about = {"spec": self.spec.model_dump(mode="json", exclude={"axes", "constraints", "objectives"})}
            values = dict(zip((axis.field for axis in self.spec.axes), point.values, strict=True))
            return Refusal(_key({**about, "values": values, "fields": fields, "error": str(error)}), str(error))

    def job(self, fields: Mapping[str, Any]) -> Job:
        """Read and check what fields make of the base.

        Raises
        ------
        AccelSimError
            If they don't fit each other.
        """
        given = by_root(fields)
        machine, arch_hash, arch_path = self._resolved("arch", fields.get("arch", self.spec.arch), given["arch"])
        tech, recipe = fields.get("tech", self.spec.tech), fields.get("recipe", self.spec.recipe)
        technology, tech_hash, _ = (
            self._resolved("tech", machine.tech, given["tech"], str(arch_path))
            if tech is None
            else self._resolved("tech", tech, given["tech"])
        )
        energy.check(technology, machine)
        chosen, recipe_hash, _ = (
            self._resolved("recipe", machine.default_recipe, given["recipe"], str(arch_path))
            if recipe is None
            else self._resolved("recipe", recipe, given["recipe"])
        )
        name = fields.get("workload", self.spec.workload)
        workload, workload_hash, _ = self._resolved("workload", name, given["workload"])
        inputs = Inputs(arch_hash, tech_hash, recipe_hash, workload_hash)
        asked = {name: getattr(self.spec, name) for name in ("engine", "timing_only", "residency")}
        return Job(_key({"inputs": inputs, **asked}), machine, technology, chosen, workload, inputs, **asked)

    def violation(self, job: Job) -> float:
        """Sum of what a point exceeds its constraints by, relative to each bound; 0 if it keeps to all.

        Raises
        ------
        ConfigError
            If a quantity is not known of it.
        """
        return sum(_violation(job, constraint) for constraint in self.spec.constraints)

    def _resolved(self, root: str, name: Any, given: Mapping[str, Any], beside: str = "") -> tuple[Any, str, Path]:
        """A model, changed by fields, with its hash and the path of its file."""
        if not isinstance(name, str):
            raise ConfigError(Fault(f"must be a shipped name or the path of a .yaml file, not {name!r}", key=root))
        return self._changed(root, name, json.dumps(given), beside or self.beside)

    @cached_property
    def _changed(self) -> Callable[[str, str, str, str], tuple[Any, str, Path]]:
        @cache
        def base(root: str, path: Path) -> Any:
            return READERS[root](path)

        @lru_cache(KEPT_MODELS)
        def changed(root: str, name: str, given: str, beside: str) -> tuple[Any, str, Path]:
            path = shipped.path_of(root, name, beside)
            model = with_fields(root, path, base(root, path), json.loads(given))
            return model, _model_hash(model), path

        return changed

    def _lacks(self, path: str, named: set[str]) -> str:
        """What the base lacks of a path, unless an axis may give it."""
        root, *parts = path.split(".")
        default = getattr(self.spec, root) is None  # the machine's
        if root in named or not parts or (default and "arch" in named):
            return ""
        value: Any = getattr(self.job({}), _ATTRIBUTES[root])
        value = value.spec if isinstance(value, Workload) else value
        place = root
        for part in parts:
            if place in named or f"{place}.kind" in named or f"{place}.scheme" in named:
                return ""
            if value is None:
                return f"must be a field of what the base has, but its {place} is absent"
            if isinstance(value, BaseModel) and part not in type(value).model_fields:
                return unknown_name(f"field of {place}", part, type(value).model_fields)
            if isinstance(value, list) and int(part) >= len(value):
                return f"must be an item of {place}, of which there are {len(value)}, not {part}"
            value = _inside(value, part)
            place = f"{place}.{part}"
        return ""


#: Attribute of a job that holds what a root names.
_ATTRIBUTES = {"arch": "machine", "tech": "technology", "recipe": "recipe", "workload": "workload"}


def _violation(job: Job, constraint: Constraint) -> float:
    value = _quantity(job, constraint.of)
    total = 0.0
    for kind, bound in constraint.bounds.items():
        other = _quantity(job, bound) if isinstance(bound, str) else bound
        if isinstance(value, str) or isinstance(other, str):
            if kind != "equals":
                raise ConfigError(Fault("must be a number where it has a bound, but is a name", key=constraint.of))
            total += value != other
        else:
            excess = {"equals": abs(value - other), "at_least": other - value, "at_most": value - other}[kind]
            total += max(0.0, excess) / (abs(other) or 1.0)
    return total


def _quantity(job: Job, name: str) -> float | str:
    """A quantity of a point, or a field of it."""
    found: Any
    if name in QUANTITIES:
        found = QUANTITIES[name](job.machine)
    else:
        root, *parts = name.split(".")
        found = getattr(job, _ATTRIBUTES[root])
        found = found.spec if isinstance(found, Workload) else found
        for part in parts:
            found = _inside(found, part)
    if isinstance(found, int | float | str):
        return found
    raise ConfigError(Fault(f"must be known where it has a bound, but is not for {job.machine.name}", key=name))


def _inside(value: Any, part: str) -> Any:
    """What a value has under a name or a number; None if it has not."""
    if isinstance(value, list):
        return value[int(part)] if part.isdigit() and int(part) < len(value) else None
    return value.get(part) if isinstance(value, dict) else getattr(value, part, None)


def _model_hash(model: Any) -> str:
    """Hash of all that a model says, tensors included."""
    if not isinstance(model, Workload):
        return hashlib.sha256(model.model_dump_json().encode()).hexdigest()
    return workload_hash(model)


def _key(about: Mapping[str, Any]) -> str:
    """Hash of inputs, with the source that simulates."""
    made_by = {"version": provenance.versions()["accelsim"], "source": provenance.source_sha256()}
    return provenance.content_hash({**about, **made_by})
