"""Results that commands have kept, read again: hostile until they are checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from accelsim.comparison import Comparison, Row
from accelsim.config.load import wording
from accelsim.config.model import quantity
from accelsim.errors import AccelSimError, Fault, reason
from accelsim.report.roofs import Roofs
from accelsim.results import Summary

#: Bytes of a result file, at most: that of llama-2-7b's 224 layers is 3 MB.
MAX_BYTES = 2**28
#: Files that a folder is searched for, the first one found being taken.
NAMES = ("result.json", "compare.json")
#: Columns of a timeline, in the order in which `RunResult.timeline` has them.
TIMELINE = ["layer", "unit", "opcode", "issue", "start", "free", "end"]
#: On-chip memories, and columns of an occupancy, as `RunResult.occupancy` has them.
MEMORIES = ("activation", "weight", "output", "accumulator")
OCCUPANCY = ["memory", "capacity_bytes", "cycle", "kept_bytes", "tile_bytes"]
#: Digits of a whole number, at most.
MAX_DIGITS = 32
#: Characters of a point's name where there is little room.
SHORT = 28
#: Axes of a sweep, and objectives of which points keep their figures.
MAX_AXES, MAX_OBJECTIVES = 64, 16


class Swept(Summary):
    """A point of a sweep: a run of which the layers were not kept."""

    point: dict[str, Any] = quantity("values", "What the sweep chose, by field")
    pareto: bool = quantity("flag", "Whether no other point beats it in the sweep's objectives")
    judged: dict[str, float | None] = quantity("those of the figures", "What it is judged by, by figure")
    roofs: Roofs | None = quantity("section", "Those of its machine; null if the file does not keep them")


class Objective(BaseModel):
    """A figure that the best points of a sweep have the least or the most of."""

    model_config = ConfigDict(frozen=True, strict=True)

    figure: Annotated[str, Field(max_length=256)]
    goal: str


class Stage(BaseModel):
    """How far a search was after one of its generations."""

    model_config = ConfigDict(frozen=True, strict=True)

    proposals: int = Field(ge=0)
    hypervolume: float | None


@dataclass(frozen=True, slots=True)
class Sought:
    """What a sweep was for.

    Parameters
    ----------
    for_each
        Axes whose values have best points of their own.
    stages
        How a search went; empty if it was none.
    about
        What the file says beside its points.
    """

    name: str
    objectives: tuple[Objective, ...]
    for_each: tuple[str, ...]
    stages: tuple[Stage, ...]
    about: dict[str, Any]

    @property
    def axes(self) -> tuple[Objective, ...]:
        """Objectives, and if there is but one, another figure to hold it against."""
        if len(self.objectives) != 1:
            return self.objectives
        other = "energy_pj.total" if self.objectives[0].figure != "energy_pj.total" else "cycles"
        return (*self.objectives, Objective(figure=other, goal="minimise"))


@dataclass(frozen=True, slots=True)
class Source:
    """What one file holds.

    Parameters
    ----------
    runs
        Summaries: one of a run, those of a comparison, or of the points of a sweep that did not fail.
    timeline
        Instructions of a run, a row each, from the file beside it; None if there is none.
    occupancy
        What on-chip memories hold over a run, likewise.
    sought
        What was sought, if the runs are points of a sweep.
    """

    runs: tuple[Summary, ...]
    timeline: pd.DataFrame | None = None
    occupancy: pd.DataFrame | None = None
    sought: Sought | None = None


def read(path: Path) -> Source:
    """Read a result.json, a compare.json or what `sweep --json` prints, and the tables beside a run.

    Raises
    ------
    AccelSimError
        If there is none, or it is not such a file.
    """
    file = _file(path)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise AccelSimError(Fault(f"must be at most {MAX_BYTES} bytes, not {size}", str(file)))
        text = file.read_bytes()
        found = json.loads(text, parse_int=_whole)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a readable file: {reason(error)}", str(file))) from None
    except json.JSONDecodeError as error:
        raise AccelSimError(Fault(f"must be JSON: {error.msg}", str(file), error.lineno, error.colno)) from None
    except (ValueError, RecursionError):
        told = f"must be JSON text, with whole numbers of at most {MAX_DIGITS} digits"
        raise AccelSimError(Fault(told, str(file))) from None
    if not isinstance(found, dict) or not {"rows", "layers"} & found.keys():
        raise AccelSimError(Fault("must be the result of a run or of a comparison, which this is not", str(file)))
    model = Comparison if "rows" in found else Summary
    try:
        if "sweep" in found:
            return of_sweep(found)
        checked = model.model_validate_json(text)
    except ValidationError as error:
        faults = (Fault(wording(x), str(file), key=".".join(map(str, x["loc"]))) for x in error.errors()[:5])
        raise AccelSimError(*faults) from None
    if isinstance(checked, Comparison):
        return Source(tuple(checked.rows))
    timeline = _timeline(file.with_name("timeline.parquet"), checked)
    return Source((checked,), timeline, _occupancy(file.with_name("occupancy.parquet")))


def _whole(digits: str) -> int:
    """A whole number that charts can reckon with as a float."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(digits)
    return int(digits)


def of_sweep(found: dict[str, Any]) -> Source:
    """Points of a sweep, as its JSON has them; those that failed are left out.

    Raises
    ------
    ValidationError
        If they are no such points.
    """
    checked = _Sweep.model_validate(found)
    spec = checked.sweep
    about = {name: value for name, value in found.items() if name not in {"rows", "generations"}}
    objectives, circumstances = tuple(spec.objectives[:MAX_OBJECTIVES]), tuple(spec.for_each[:MAX_AXES])
    sought = Sought(spec.name, objectives, circumstances, tuple(checked.generations), about)
    nothing: dict[str, Any] = {"layers": [], "counters": [], "provenance": {}}
    points = []
    for row in checked.rows:
        if row.figures:
            known = {**(row.model_extra or {}), **row.figures}
            judged = {axis.figure: figure(known, axis.figure) for axis in sought.axes}
            kept = {"point": row.point, "pareto": row.pareto, "judged": judged, "roofs": row.roofs}
            points.append(Swept.model_validate({**row.figures, **nothing, **kept}))
    return Source(tuple(points), sought=sought)


def figure(found: Any, path: str) -> Any:
    """Figure of a point under a dotted path; None if there is none."""
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    raise AccelSimError(Fault(f"must hold {' or '.join(NAMES)}, but holds neither", str(path)))


def _timeline(file: Path, run: Summary) -> pd.DataFrame | None:
    """Instructions of a run, if they stand beside it."""
    if not file.is_file():
        return None
    try:
        frame = pd.read_parquet(file, columns=TIMELINE)
    except (OSError, ValueError) as error:  # pyarrow's faults are ValueErrors
        raise AccelSimError(Fault(f"must be a timeline: {str(error).splitlines()[0]}", str(file))) from None
    known = {layer.name for layer in run.layers}
    if not set(frame["layer"].astype(str).unique()) <= known:
        raise AccelSimError(Fault(f"must be the timeline of {run.workload}, whose layers it does not have", str(file)))
    return frame


def _occupancy(file: Path) -> pd.DataFrame | None:
    """What on-chip memories hold over a run, if that stands beside it."""
    if not file.is_file():
        return None
    try:
        frame = pd.read_parquet(file, columns=OCCUPANCY)
    except (OSError, ValueError) as error:  # pyarrow's faults are ValueErrors
        raise AccelSimError(Fault(f"must be an occupancy: {str(error).splitlines()[0]}", str(file))) from None
    known, numbers = frame["memory"].isin(MEMORIES), frame[OCCUPANCY[1:]].dtypes
    if not known.all() or not all(map(pd.api.types.is_integer_dtype, numbers)):
        raise AccelSimError(Fault(f"must be an occupancy, in whole numbers, of {', '.join(MEMORIES)}", str(file)))
    return frame if len(frame) else None


def label(run: Summary) -> str:
    """How a run is called among others."""
    if isinstance(run, Swept):
        return ", ".join(f"{name} {shown(value)}" for name, value in run.point.items())
    return f"{run.recipe} on {run.arch}" + (f", {run.workload}" if run.workload != "digits-mlp" else "")


def shown(value: object) -> str:
    """A value of an axis, numbers with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def short(run: Summary) -> str:
    """How a run is called where there is little room: a point of a sweep by the values of its axes, cut if long."""
    if not isinstance(run, Swept):
        return label(run)
    found = ", ".join(map(shown, run.point.values()))
    return found if len(found) <= SHORT else f"{found[: SHORT - 3]}..."


class _Row(BaseModel):
    """A row of a sweep's JSON, as far as it is read; what it has beside these are quantities of its machine."""

    model_config = ConfigDict(extra="allow", strict=True)

    point: dict[str, Any]
    pareto: bool = False
    roofs: Roofs | None = None
    figures: dict[str, Any] | None


class _Spec(BaseModel):
    """What a sweep was, as far as it is read."""

    name: str = "sweep"
    objectives: list[Objective] = []
    for_each: list[str] = []


class _Sweep(BaseModel):
    """What `sweep --json` prints, as far as it is read."""

    sweep: _Spec
    generations: list[Stage] = []
    rows: list[_Row]

    @model_validator(mode="after")
    def _alike(self) -> _Sweep:
        axes = self.rows[0].point.keys() if self.rows else set()
        if len(axes) > MAX_AXES or any(row.point.keys() != axes for row in self.rows):
            raise ValueError(f"points must have the same axes, at most {MAX_AXES}")
        return self


def is_best(run: Summary) -> bool | None:
    """Whether no other one of its comparison or sweep beats it; None for a run by itself."""
    return run.pareto if isinstance(run, Row | Swept) else None
