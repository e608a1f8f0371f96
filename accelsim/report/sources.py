"""Results that commands have kept, read again: hostile until they are checked."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator

from accelsim.comparison import Comparison, Row
from accelsim.config.load import wording
from accelsim.config.model import quantity
from accelsim.errors import FAULTS, AccelSimError, Fault
from accelsim.files import is_file, is_folder, read_bytes, require_regular
from accelsim.report.roofs import Roofs
from accelsim.results import Summary

#: Bytes of a result file, at most: that of llama-2-7b's 224 layers is 3 MB, of 10,000 points of a sweep 40 MB.
MAX_BYTES = 2**27
#: Values of a sweep's file, of one of a run or a comparison, and of a sweep's point: an object of Python's takes up to
#: 100 bytes, a fault of one 600, so 2 GB of memory hold them.
MAX_VALUES, MAX_RUN_VALUES, MAX_ROW_VALUES = 10**7, 2 * 10**6, 10**4
#: Bytes of a table beside a result, rows that are read of an occupancy, and first instructions of a timeline.
MAX_TABLE_BYTES, MAX_TABLE_ROWS, MAX_INSTRUCTIONS = 2**30, 10**6, 2**16
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
    failed
        Errors of points, and how many have each, the most frequent one first.
    points
        How many there are, those that failed among them.
    """

    name: str
    objectives: tuple[Objective, ...]
    for_each: tuple[str, ...]
    stages: tuple[Stage, ...]
    about: dict[str, Any]
    failed: tuple[tuple[str, int], ...] = ()
    points: int = 0

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
    text = read_bytes(file, MAX_BYTES)
    found = _object(text, file)
    if "sweep" in found:
        return of_sweep(found, str(file))
    model = Comparison if "rows" in found else Summary
    _require_whole(model, found, file, ())
    try:
        checked = model.model_validate_json(text)
    except ValidationError as error:
        raise _misfit(error, str(file)) from None
    for run in checked.rows if isinstance(checked, Comparison) else [checked]:
        _require_totals(run, str(file))
    if isinstance(checked, Comparison):
        return Source(tuple(checked.rows))
    timeline = _timeline(file.with_name("timeline.parquet"), checked)
    return Source((checked,), timeline, _occupancy(file.with_name("occupancy.parquet")))


def _object(text: bytes, file: Path) -> dict[str, Any]:
    """The object of a file's text, which holds no more values than its kind may."""
    values = sum(map(text.count, (b",", b":", b"[", b"{")))  # at least, and each takes up to 100 bytes
    if values > MAX_VALUES:
        raise AccelSimError(Fault(f"must hold at most {MAX_VALUES} values, which it does not", str(file)))
    try:
        found = json.loads(text, parse_int=_whole, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise AccelSimError(Fault(f"must be JSON: {error.msg}", str(file), error.lineno, error.colno)) from None
    except RecursionError:
        raise AccelSimError(Fault("must be JSON of fewer values inside each other", str(file))) from None
    except UnicodeDecodeError:
        raise AccelSimError(Fault("must be JSON in UTF-8", str(file))) from None
    except ValueError as error:
        raise AccelSimError(Fault(f"must be JSON: {error}", str(file))) from None
    if not isinstance(found, dict) or not {"rows", "layers"} & found.keys():
        raise AccelSimError(Fault("must be the result of a run or of a comparison, which this is not", str(file)))
    if "sweep" not in found and values > MAX_RUN_VALUES:
        raise AccelSimError(Fault(f"must hold at most {MAX_RUN_VALUES} values, which it does not", str(file)))
    return found


def _whole(digits: str) -> int:
    """A whole number that charts can reckon with as a float."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"whole numbers must have at most {MAX_DIGITS} digits, not {len(digits)}")
    return int(digits)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _misfit(error: ValidationError, file: str) -> AccelSimError:
    """What is wrong with a file, as far as there is room to tell it."""
    found = error.errors(include_url=False)
    faults = [Fault(wording(x), file, key=".".join(map(str, x["loc"]))) for x in found[:FAULTS]]
    return AccelSimError(*faults, *(Fault(x["msg"], file) for x in found[FAULTS:]))


def _require_whole(model: type[BaseModel], found: Any, file: Path, place: tuple[int | str, ...]) -> None:
    """Refuse lists of many objects that lack fields: each field of each would be a fault, and take memory."""
    for name, field in model.model_fields.items():
        (inner, *_) = get_args(field.annotation) or (None,)
        items = found.get(name) if isinstance(found, dict) else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(items, list)):
            continue
        needed = {key for key, one in inner.model_fields.items() if one.is_required()}
        for number, item in enumerate(items):
            here = (*place, name, number)
            if not isinstance(item, dict) or needed - item.keys():
                lacks = ", ".join(sorted(needed - item.keys())) if isinstance(item, dict) else "all"
                key = ".".join(map(str, here))
                raise AccelSimError(Fault(f"must be an object with all fields, but lacks {lacks}", str(file), key=key))
            _require_whole(inner, item, file, here)


def _require_totals(run: Summary, file: str) -> None:
    """Refuse a unit whose cycles have no sum."""
    for name, states in run.units.items():
        if "total" not in states:
            raise AccelSimError(Fault("must have total, but it is missing", file, key=f"units.{name}"))


def of_sweep(found: dict[str, Any], file: str = "") -> Source:
    """Points of a sweep, as its JSON has them; of those that failed only the errors are kept.

    Parameters
    ----------
    file
        Where they are from.

    Raises
    ------
    AccelSimError
        If they are no such points.
    """
    try:
        return _of_sweep(found, file)
    except ValidationError as error:
        raise _misfit(error, file) from None


def _of_sweep(found: dict[str, Any], file: str) -> Source:
    rows = found["rows"] if isinstance(found.get("rows"), list) else []
    for number, row in enumerate(rows):
        if _size(row) > MAX_ROW_VALUES:
            message = f"must hold at most {MAX_ROW_VALUES} values, which it does not"
            raise AccelSimError(Fault(message, file, key=f"rows.{number}"))
    checked = _Sweep.model_validate(found)
    spec = checked.sweep
    about = {name: value for name, value in found.items() if name not in {"rows", "generations"}}
    objectives, circumstances = tuple(spec.objectives[:MAX_OBJECTIVES]), tuple(spec.for_each[:MAX_AXES])
    failed = tuple(Counter(row.error or "no figures" for row in checked.rows if not row.figures).most_common())
    sought = Sought(spec.name, objectives, circumstances, tuple(checked.generations), about, failed, len(rows))
    nothing: dict[str, Any] = {"layers": [], "counters": [], "provenance": {}}
    points = []
    for row in checked.rows:
        if row.figures:
            known = {**(row.model_extra or {}), **row.figures}
            judged = {axis.figure: figure(known, axis.figure) for axis in sought.axes}
            kept = {"point": row.point, "pareto": row.pareto, "judged": judged, "roofs": row.roofs}
            points.append(Swept.model_validate({**row.figures, **nothing, **kept}))
            _require_totals(points[-1], file)
    return Source(tuple(points), sought=sought)


def _size(found: object) -> int:
    """How many values a value holds."""
    if not isinstance(found, dict | list):
        return 1
    inner = found.values() if isinstance(found, dict) else found
    return len(found) + sum(_size(value) for value in inner if isinstance(value, dict | list))


def figure(found: Any, path: str) -> Any:
    """Figure of a point under a dotted path; None if there is none."""
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _file(path: Path) -> Path:
    if not is_folder(path):
        return path
    for name in NAMES:
        if is_file(path / name):
            return path / name
    raise AccelSimError(Fault(f"must hold {' or '.join(NAMES)}, but holds neither", str(path)))


def _timeline(file: Path, run: Summary) -> pd.DataFrame | None:
    """The first instructions of a run, as many as a page may show, if they stand beside it."""
    if not is_file(file):
        return None
    frame = _table(file, TIMELINE, "a timeline", first=MAX_INSTRUCTIONS)
    names, numbers = TIMELINE[:3], TIMELINE[3:]
    if not all(isinstance(frame[name].dtype, pd.CategoricalDtype) for name in names) or frame.isna().any(axis=None):
        raise AccelSimError(Fault(f"must be a timeline, with names of {', '.join(names)}", str(file)))
    if not all(map(pd.api.types.is_signed_integer_dtype, frame[numbers].dtypes)):
        raise AccelSimError(Fault(f"must be a timeline, with whole numbers of {', '.join(numbers)}", str(file)))
    known = {layer.name for layer in run.layers}
    if not set(frame["layer"].astype(str).unique()) <= known:
        raise AccelSimError(Fault(f"must be the timeline of {run.workload}, whose layers it does not have", str(file)))
    return frame


def _occupancy(file: Path) -> pd.DataFrame | None:
    """What on-chip memories hold over a run, if that stands beside it."""
    if not is_file(file):
        return None
    frame = _table(file, OCCUPANCY, "an occupancy")
    known, numbers = frame["memory"].isin(MEMORIES), frame[OCCUPANCY[1:]].dtypes
    if not known.all() or not all(map(pd.api.types.is_signed_integer_dtype, numbers)):
        raise AccelSimError(Fault(f"must be an occupancy, in whole numbers, of {', '.join(MEMORIES)}", str(file)))
    return frame if len(frame) else None


def _table(file: Path, columns: list[str], what: str, first: int | None = None) -> pd.DataFrame:
    """Columns of a parquet file, texts among them as categories; whole, or its first rows.

    Of a file of a megabyte that says so, 10^8 rows would be read, and each text as often as it is named.
    """
    require_regular(file, MAX_TABLE_BYTES)
    try:
        with pq.ParquetFile(file) as table:
            schema, rows = table.schema_arrow, table.metadata.num_rows
            if missing := set(columns) - set(schema.names):
                raise AccelSimError(Fault(f"must be {what}, but lacks {', '.join(sorted(missing))}", str(file)))
            if first is None and rows > MAX_TABLE_ROWS:
                raise AccelSimError(Fault(f"must have at most {MAX_TABLE_ROWS} rows, not {rows}", str(file)))
        texts = [name for name in columns if not pa.types.is_integer(schema.field(name).type)]
        with pq.ParquetFile(file, read_dictionary=texts) as table:
            batches = table.iter_batches(batch_size=first or MAX_TABLE_ROWS, columns=columns)
            read = list(islice(batches, 1 if first else None))
        plain = pa.schema([field.remove_metadata() for field in read[0].schema]) if read else schema
        found = pa.Table.from_batches([batch.replace_schema_metadata(None) for batch in read], plain)
        frame: pd.DataFrame = found.select(columns).to_pandas(split_blocks=True)
    except (  # what pyarrow and pandas raise for files that are no such table
        OSError, ValueError, LookupError, NotImplementedError, TypeError, pa.ArrowException
    ) as error:  # fmt: skip
        if isinstance(error, AccelSimError):
            raise
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise AccelSimError(Fault(f"must be {what}: {told}", str(file))) from None
    return frame


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
    error: str | None = None
    roofs: Roofs | None = None
    figures: dict[str, Any] | None


class _Spec(BaseModel):
    """What a sweep was, as far as it is read."""

    name: str = "sweep"
    objectives: Annotated[list[Objective], FailFast()] = []
    for_each: Annotated[list[str], FailFast()] = []


class _Sweep(BaseModel):
    """What `sweep --json` prints, as far as it is read."""

    sweep: _Spec
    generations: Annotated[list[Stage], FailFast()] = []
    rows: Annotated[list[_Row], FailFast()]

    @model_validator(mode="after")
    def _alike(self) -> _Sweep:
        axes = self.rows[0].point.keys() if self.rows else set()
        if len(axes) > MAX_AXES or any(row.point.keys() != axes for row in self.rows):
            raise ValueError(f"points must have the same axes, at most {MAX_AXES}")
        return self


def is_best(run: Summary) -> bool | None:
    """Whether no other one of its comparison or sweep beats it; None for a run by itself."""
    return run.pareto if isinstance(run, Row | Swept) else None
