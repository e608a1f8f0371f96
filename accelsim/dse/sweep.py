"""A sweep from its file to a table of all points."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from accelsim import provenance
from accelsim.config import shipped
from accelsim.config.load import Document, read_yaml, validate
from accelsim.cost.area import QUANTITIES
from accelsim.dse import runner
from accelsim.dse.points import Point
from accelsim.dse.simulation import Job, simulate
from accelsim.dse.space import Refusal, Space
from accelsim.dse.spec import SweepSpec, checked
from accelsim.dse.store import Outcome, Store
from accelsim.dse.workers import LocalPool, Pool
from accelsim.errors import AccelSimError, ConfigError, Fault, needs_extra
from accelsim.files import Files, write_all
from accelsim.report.roofs import Roofs

if TYPE_CHECKING:
    from accelsim.dse.search import Generation

#: Libraries that points follow from.
_PROPOSERS = {"sobol": ("scipy",), "nsga2": ("optuna",), "tpe": ("optuna",)}

Progress = Callable[[str, int, int], None]
Report = Callable[["Generation"], None]


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


@dataclass(frozen=True)
class Results:
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
        columns |= {str(name): _known(figures[name]) for name in figures if name not in columns}
        frame = pd.DataFrame(columns)
        frame["pareto"] = pareto(frame, spec)
        frame["error"] = [outcome.error for outcome in self.outcomes]
        return frame

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

    def export(self, file: Path) -> None:
        """Write the table to a .parquet or .csv file, whole or not at all; errors as for `save`."""
        write = self.frame.to_csv if require_table(file) == ".csv" else self.frame.to_parquet
        write_all(file.parent, {file.name: lambda path: write(path, index=False)})

    @staticmethod
    def _figures(outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(outcome.figures) if outcome.figures else {}
        return found


class Sweep:
    """Many designs, simulated on all cores, each once.

    Parameters
    ----------
    source
        Shipped name or path of a sweep file, or the model of one.

    Raises
    ------
    ConfigError
        With every fault: of the file, and of the files and fields that it names.
    """

    def __init__(self, source: str | Path | SweepSpec) -> None:
        if isinstance(source, SweepSpec):
            self.space = Space(checked(source, Document("", {}, {})))
            return
        path = shipped.path_of("sweep", str(source))
        document = read_yaml(path)
        spec = checked(validate(document, SweepSpec), document)
        self.space = Space(spec, str(path), document)

    @property
    def spec(self) -> SweepSpec:
        """What was asked for."""
        return self.space.spec

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.spec.name

    def run(
        self,
        workers: int | None = None,
        store: str | Path | None = None,
        *,
        scheduler: str | None = None,
        retry: bool = False,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Simulate all points that the store does not have, and return a table of all; see `results`."""
        return self.results(workers, store, scheduler=scheduler, retry=retry, progress=progress).frame

    def results(
        self,
        workers: int | None = None,
        store: str | Path | None = None,
        *,
        scheduler: str | None = None,
        retry: bool = False,
        progress: Progress | None = None,
        report: Report | None = None,
        pool: Pool | None = None,
        simulate: runner.Simulate = simulate,
    ) -> Results:
        """Simulate all points that the store does not have.

        Parameters
        ----------
        workers
            Processes; one a core if absent. The result does not depend on them.
        store
            SQLite file of all points that are known; in memory if absent.
        scheduler
            Address of a Dask scheduler whose workers simulate, instead of processes of this computer.
        retry
            Whether points that failed before run again.
        progress
            Called with what is going on, how much is done, and of how much.
        report
            Called with how far a search has come, after each generation.
        pool
            Where points are simulated, instead of by `workers` or `scheduler`; it stays open.
        simulate
            What a worker does with a point, a function of a module.

        Raises
        ------
        AccelSimError
            If the store or the scheduler can't be used. What is wrong with a point is told in its row.
        """
        with Store(Path(store) if store is not None else None) as kept, contextlib.ExitStack() as until_done:

            @cache
            def place() -> Pool:
                made = _pool(workers, scheduler)
                until_done.callback(made.close)
                return made

            todo = _Todo(self.space, kept, (lambda: pool) if pool else place, simulate, retry)
            return self._searched(todo, progress, report) if self.spec.searches else self._listed(todo, progress)

    def _listed(self, todo: _Todo, progress: Progress | None) -> Results:
        """Simulate points that are known beforehand."""
        cases: list[Case] = []
        points = self.space.points
        for number, point in enumerate(points):
            if progress:
                progress("reading points", number, len(points))
            cases.append(self._case(point))
        kept = [case for case in cases if not case.violation]
        found = todo.outcomes(kept, (lambda done, of: progress("simulating", done, of)) if progress else None)
        return Results(self.spec, kept, [found[case.key] for case in kept], len(cases) - len(kept))

    def _searched(self, todo: _Todo, progress: Progress | None, report: Report | None) -> Results:
        """Simulate what a search proposes, a generation after the other."""
        with needs_extra("search"):
            from accelsim.dse.search import Search, Verdict  # noqa: PLC0415 - Optuna may be absent
        search = Search(self.spec)
        cases: dict[str, Case] = {}  # by their values
        outcomes: dict[str, Outcome] = {}
        generations: list[Generation] = []
        while points := search.propose():
            names = [json.dumps(point.values) for point in points]
            new = {name: point for name, point in zip(names, points, strict=True) if name not in cases}
            cases |= {name: self._case(point) for name, point in new.items()}
            todos = [cases[name] for name in new if not cases[name].violation]
            before = generations[-1].proposals if generations else 0
            told = partial(_tell, progress, before + len(points), self.spec.count or 0) if progress else None
            outcomes |= todo.outcomes(todos, told)
            verdicts = [Verdict(case.violation, _objectives(self.spec, case, outcomes.get(case.key)))
                        for case in map(cases.__getitem__, names)]  # fmt: skip
            generations.append(search.tell(verdicts))
            if report:
                report(generations[-1])
        kept = [case for case in cases.values() if not case.violation]
        found = [outcomes[case.key] for case in kept]
        return Results(self.spec, kept, found, len(cases) - len(kept), generations)

    def _case(self, point: Point) -> Case:
        """Read a point."""
        job = self.space.case(point)
        if isinstance(job, Refusal):
            return Case(point, job.key, {}, error=job.error)
        try:
            violation = self.space.violation(job)
        except ConfigError as error:
            key = provenance.content_hash({"key": job.key, "error": str(error)})
            return Case(point, key, _quantities(job), error=str(error))
        return Case(point, job.key, _quantities(job), violation, roofs=Roofs.of(job.machine))


@dataclass(frozen=True)
class _Todo:
    """What a sweep's points are simulated with."""

    space: Space
    kept: Store
    place: Callable[[], Pool]
    simulate: runner.Simulate
    retry: bool

    def outcomes(self, cases: Sequence[Case], told: Callable[[int, int], None] | None) -> dict[str, Outcome]:
        """What became of points, by their keys; those that the store does not have are simulated."""
        keys = list({case.key for case in cases})
        known = self.kept.known(keys)
        if self.retry:
            known = {key: outcome for key, outcome in known.items() if outcome.error is None}
        refused = {
            case.key: Outcome.failed(case.key, case.error) for case in cases if case.error and case.key not in known
        }
        self.kept.add(list(refused.values()), {}, {})
        pending = {case.key: case.point for case in cases if case.key not in known and case.key not in refused}
        if pending:
            self._simulate(pending, told)
        return self.kept.known(keys)

    def _simulate(self, pending: dict[str, Point], told: Callable[[int, int], None] | None) -> None:
        def jobs() -> Iterator[Job]:  # read again, because so many don't fit in memory
            for point in pending.values():
                job = self.space.case(point)
                if isinstance(job, Refusal) or job.key not in pending:
                    raise AccelSimError(
                        f"files of sweep {self.space.spec.name} must stay as they are while it runs, but changed"
                    )
                yield job

        written: set[str] = set()

        def record(batch: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
            contents = {hash_: text for job in batch for hash_, text in _contents(job, written)}
            self.kept.add(outcomes, {job.key: json.dumps(job.inputs._asdict()) for job in batch}, contents)
            written.update(contents)

        runner.run(jobs(), len(pending), self.simulate, record, self.place(), told)


def _tell(progress: Progress, proposed: int, count: int, done: int, of: int) -> None:
    """Progress of a whole search, from that of a generation's points."""
    progress("simulating", proposed - of + done, count)


def _objectives(spec: SweepSpec, case: Case, outcome: Outcome | None) -> tuple[float, ...] | None:
    """What a search is told of a point; None if it lacks an objective."""
    if outcome is None or outcome.figures is None:
        return None
    figures = json.loads(outcome.figures)
    found = [_figure(case.quantities, figures, objective.figure) for objective in spec.objectives]
    return tuple(found) if all(map(math.isfinite, found)) else None


def _figure(quantities: dict[str, float | None], figures: Any, path: str) -> float:
    """A figure of a point by its dotted path; not a number if it has none."""
    if path in quantities:
        figures = quantities[path]
    else:
        for part in path.split("."):
            figures = figures.get(part) if isinstance(figures, dict) else None
    return float(figures) if isinstance(figures, int | float) else math.nan


def _pool(workers: int | None, scheduler: str | None) -> Pool:
    if scheduler is None:
        return LocalPool(workers)
    with needs_extra("cluster"):
        from accelsim.dse.cluster import ClusterPool  # noqa: PLC0415 - Dask may be absent
    return ClusterPool(scheduler)


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


def require_table(file: Path) -> str:
    """Ending of a file that a table can be exported to.

    Raises
    ------
    AccelSimError
        If it is another one.
    """
    if file.suffix not in {".csv", ".parquet"}:
        raise AccelSimError(Fault(f"must end in .parquet or .csv, not {file.suffix or 'in nothing'!r}", str(file)))
    return file.suffix


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
    return found


def _quantities(job: Job) -> dict[str, float | None]:
    return {name: of(job.machine) for name, of in QUANTITIES.items()}


def _contents(job: Job, but: set[str]) -> Iterable[tuple[str, str]]:
    """Hashes of what a point is made of, with its content, those left out that are known."""
    models: tuple[BaseModel, ...] = (job.machine, job.technology, job.recipe, job.workload.spec)
    for hash_, model in zip(job.inputs, models, strict=True):
        if hash_ not in but:
            yield hash_, model.model_dump_json()
