"""All points of a sweep, what became of them, and which of them no other one beats."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from accelsim import provenance
from accelsim.cost.area import QUANTITIES
from accelsim.dse.points import Point
from accelsim.dse.spec import SweepSpec
from accelsim.dse.store import Outcome
from accelsim.files import Files, write_all
from accelsim.report import export, sweep
from accelsim.report.roofs import Roofs
from accelsim.report.sources import figure
from accelsim.report.tables import Table
from accelsim.shown import Shown, Told

if TYPE_CHECKING:
    from accelsim.dse.search import Generation

#: Libraries that points follow from.
_PROPOSERS = {"sobol": ("scipy",), "nsga2": ("optuna",), "tpe": ("optuna",)}


@dataclass(frozen=True, slots=True)
class Case:
    """A point, read and held against the constraints.

    Parameters
    ----------
    key
        Under which the store has it.
    quantities
        Those of its machine.
    violation
        What it exceeds the constraints by; only points of 0 are simulated.
    error
        Why it can't be simulated; None if it can.
    roofs
        Those of its machine, if it can.
    """

    point: Point
    key: str
    quantities: dict[str, float | None]
    violation: float = 0.0
    error: str | None = None
    roofs: Roofs | None = None


@dataclass(frozen=True, repr=False)
class Results(Told):
    """All points of a sweep, and what became of them.

    Parameters
    ----------
    cases, outcomes
        Points in the sweep's order, and what became of each.
    excluded
        Points that a constraint leaves out.
    generations
        How a search went; empty if it was none.
    """

    spec: SweepSpec
    cases: Sequence[Case]
    outcomes: Sequence[Outcome]
    excluded: int
    generations: Sequence[Generation] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row a point: axes, quantities, figures such as energy_pj.dram, whether no point beats it, and its error."""
        spec = self.spec
        figures = pd.json_normalize([self._figures(outcome) for outcome in self.outcomes])
        columns: dict[str, Any] = {
            axis.field: _column([case.point.values[i] for case in self.cases]) for i, axis in enumerate(spec.axes)
        }
        for name in QUANTITIES:
            columns[name] = [case.quantities.get(name) for case in self.cases]
        columns |= {str(name): _known(figures[name]) for name in figures if str(name) not in columns}
        frame = pd.DataFrame(columns)
        frame["pareto"] = pareto(frame, spec)
        frame["error"] = [outcome.error for outcome in self.outcomes]
        return frame

    @property
    def told(self) -> str:
        """The sweep in a line."""
        counts = self.provenance["points"]
        sought = ", ".join(objective.figure for objective in self.spec.objectives)
        return f"{self.spec.name}: {len(self.outcomes)} points, {counts['pareto']} that no other one beats in {sought}"

    @property
    def shown(self) -> Shown:
        """The points that no other one beats."""
        return self.best.columns, self.best.rows

    @property
    def provenance(self) -> dict[str, Any]:
        """What the sweep was, and what made it; no clock time."""
        failed = sum(outcome.error is not None for outcome in self.outcomes)
        return {
            "sweep": self.spec.model_dump(mode="json"),
            "points": {
                "simulated": len(self.outcomes) - failed,
                "failed": failed,
                "excluded": self.excluded,
                "pareto": int(self.frame["pareto"].sum()),
            },
            "generations": [generation._asdict() for generation in self.generations],
            "provenance": {
                "versions": provenance.versions() | provenance.versions_of(_PROPOSERS.get(self.spec.method, ())),
                "source_sha256": provenance.source_sha256(),
                "points_sha256": provenance.content_hash({"keys": [case.key for case in self.cases]}),
            },
        }

    def to_json(self) -> str:
        """Provenance and all points as one JSON object."""
        return json.dumps(self.content, indent=2)

    @property
    def content(self) -> dict[str, Any]:
        """What the JSON object has."""
        return {**self.provenance, "rows": self.rows}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All points as the JSON has them."""
        axes = [axis.field for axis in self.spec.axes]
        return [
            {
                "point": dict(zip(axes, case.point.values, strict=True)),
                **case.quantities,
                "pareto": best,
                "error": outcome.error,
                "roofs": case.roofs.model_dump() if case.roofs else None,
                "figures": self._figures(outcome) or None,
            }
            for case, outcome, best in zip(self.cases, self.outcomes, self.frame["pareto"].tolist(), strict=True)
        ]

    def save(self, folder: Path, also: Files | None = None) -> list[Path]:
        """Write sweep.json and sweep.parquet, and what else is given; all or none.

        Raises
        ------
        AccelSimError
            If the folder can't be written.
        """
        return write_all(
            folder,
            {
                "sweep.json": lambda path: path.write_text(json.dumps(self.provenance, indent=2) + "\n"),
                "sweep.parquet": lambda path: self.frame.to_parquet(path, index=False),
                **(also or {}),
            },
        )

    @property
    def best(self) -> Table:
        """The points that no other one beats, as they are printed: their axes, objectives, and what is bounded."""
        spec = self.spec
        bounded = [constraint.of for constraint in spec.constraints if constraint.of in self.frame]
        figures = [*(objective.figure for objective in spec.objectives), *bounded]
        return sweep.best(self.frame, [axis.field for axis in spec.axes], figures, spec.for_each)

    def export(self, file: Path) -> None:
        """Write all points to a .csv or .parquet file, or the best ones to .md or .tex, whole or not at all.

        Raises
        ------
        AccelSimError
            If the file ends in another way, or can't be written.
        """
        export.write(file, self.frame, self.best)

    @staticmethod
    def _figures(outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(outcome.figures) if outcome.figures else {}
        return found


def objectives(spec: SweepSpec, case: Case, outcome: Outcome | None) -> tuple[float, ...] | None:
    """A point's figures that are sought; None if it lacks one."""
    if outcome is None or outcome.figures is None:
        return None
    known = {**json.loads(outcome.figures), **case.quantities}
    found = [figure(known, objective.figure) for objective in spec.objectives]
    return tuple(map(float, found)) if all(isinstance(x, int | float) and math.isfinite(x) for x in found) else None


def pareto(frame: pd.DataFrame, spec: SweepSpec) -> NDArray[np.bool_]:
    """Whether no other row is at least as good in all objectives and better in one; what lacks a figure is not.

    Rows are held against those that have the same values of the axes of `for_each`.
    """
    best = np.zeros(len(frame), bool)
    objectives = [(o.figure, 1.0 if o.goal == "minimise" else -1.0) for o in spec.objectives]
    if not objectives or any(figure not in frame for figure, _ in objectives):
        return best
    columns = [
        pd.to_numeric(frame[figure], errors="coerce").to_numpy(float, na_value=np.nan) * sign
        for figure, sign in objectives
    ]
    costs = np.column_stack(columns)
    if "cycles" in frame:  # no point without a simulation, though its area is known
        costs[frame["cycles"].isna().to_numpy()] = np.nan
    groups = frame.groupby(spec.for_each, dropna=False).indices.values() if spec.for_each else [np.arange(len(frame))]
    for group in groups:
        best[group] = _unbeaten(costs[group])
    return best


def _unbeaten(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that no other row is at most equal to everywhere and below somewhere; float64, shape (rows, objectives)."""
    best = np.array(~np.isnan(costs).any(axis=1))
    for number in np.flatnonzero(best):
        row, rivals = costs[number], costs[best]
        best[number] = not np.any((rivals <= row).all(axis=1) & (rivals < row).any(axis=1))
    return best


def _column(values: list[Any]) -> list[Any]:
    """Values of one type, as tables on disk need them: those of several, and nested ones, as text."""
    kinds = Counter("number" if isinstance(v, int | float) and not isinstance(v, bool) else type(v).__name__
                    for v in values if v is not None)  # fmt: skip
    if len(kinds) > 1 or kinds.keys() & {"list", "dict"}:
        return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return values


def _known(figures: pd.Series[Any]) -> NDArray[Any]:
    """A column of figures; flags and names that a point lacks are None, as a table on disk has them."""
    found: NDArray[Any] = figures.to_numpy(copy=True)
    if found.dtype == object:
        found[figures.isna().to_numpy()] = None
        found[:] = _column(found.tolist())  # of figures that a store has from elsewhere
    return found
