"""Results that commands have kept, read again: hostile until they are checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from accelsim.comparison import Comparison, Row
from accelsim.config.load import wording
from accelsim.config.model import quantity
from accelsim.errors import AccelSimError, Fault, reason
from accelsim.results import Summary

#: Bytes of a result file, at most: that of llama-2-7b's 224 layers is 3 MB.
MAX_BYTES = 2**28
#: Files that a folder is searched for, the first one found being taken.
NAMES = ("result.json", "compare.json")
#: Columns of a timeline, in the order in which `RunResult.timeline` has them.
TIMELINE = ["layer", "unit", "opcode", "issue", "start", "free", "end"]


class Swept(Summary):
    """A point of a sweep: a run of which the layers were not kept."""

    point: dict[str, Any] = quantity("values", "What the sweep chose, by field")


@dataclass(frozen=True, slots=True)
class Source:
    """What one file holds.

    Parameters
    ----------
    runs
        Summaries: one of a run, those of a comparison, or of the points of a sweep that did not fail.
    timeline
        Instructions of a run, a row each, from the file beside it; None if there is none.
    """

    runs: tuple[Summary, ...]
    timeline: pd.DataFrame | None = None


def read(path: Path) -> Source:
    """Read a result.json, a compare.json or what `sweep --json` prints, and the timeline beside a run.

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
        found = json.loads(text)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a readable file: {reason(error)}", str(file))) from None
    except json.JSONDecodeError as error:
        raise AccelSimError(Fault(f"must be JSON: {error.msg}", str(file), error.lineno, error.colno)) from None
    except (UnicodeDecodeError, RecursionError):
        raise AccelSimError(Fault("must be JSON text", str(file))) from None
    if not isinstance(found, dict) or not {"rows", "layers"} & found.keys():
        raise AccelSimError(Fault("must be the result of a run or of a comparison, which this is not", str(file)))
    model = Comparison if "rows" in found else Summary
    try:
        if "sweep" in found:
            return of_sweep(found["rows"])
        checked = model.model_validate_json(text)
    except ValidationError as error:
        faults = (Fault(wording(x), str(file), key=".".join(map(str, x["loc"]))) for x in error.errors()[:5])
        raise AccelSimError(*faults) from None
    if isinstance(checked, Comparison):
        return Source(tuple(checked.rows))
    return Source((checked,), _timeline(file.with_name("timeline.parquet"), checked))


def of_sweep(rows: list[dict[str, Any]]) -> Source:
    """Points of a sweep, as its JSON has them; those that failed are left out.

    Raises
    ------
    ValidationError
        If they are no such points.
    """
    checked = _POINTS.validate_python(rows)
    nothing: dict[str, Any] = {"layers": [], "counters": [], "provenance": {}}
    return Source(
        tuple(Swept.model_validate({**row.figures, **nothing, "point": row.point}) for row in checked if row.figures)
    )


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


def label(run: Summary) -> str:
    """How a run is called among others."""
    if isinstance(run, Swept):
        return ", ".join(f"{name} {value}" for name, value in run.point.items())
    return f"{run.recipe} on {run.arch}" + (f", {run.workload}" if run.workload != "digits-mlp" else "")


class _Point(BaseModel):
    """A row of a sweep's JSON, as far as it is read."""

    point: dict[str, Any]
    figures: dict[str, Any] | None


_POINTS = TypeAdapter(list[_Point])


def is_best(run: Summary) -> bool | None:
    """Whether no other one of its comparison beats it; None for a run by itself."""
    return run.pareto if isinstance(run, Row) else None
