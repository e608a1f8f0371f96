"""A sweep from its file to a table of all points."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel

from accelsim import api, provenance
from accelsim.config import shipped
from accelsim.config.load import Document, read_yaml, validate
from accelsim.cost.area import QUANTITIES
from accelsim.dse import runner
from accelsim.dse.points import Point
from accelsim.dse.simulation import Job, simulate
from accelsim.dse.space import Refusal, Space
from accelsim.dse.spec import SweepSpec, checked
from accelsim.dse.store import Outcome, Store
from accelsim.dse.table import Case, Results, objectives
from accelsim.dse.workers import LocalPool, Pool
from accelsim.errors import AccelSimError, ConfigError, needs_extra
from accelsim.report.roofs import Roofs

if TYPE_CHECKING:
    from accelsim.dse.search import Generation

Progress = Callable[[str, int, int], None]
Report = Callable[["Generation"], None]


def _asked(spec: SweepSpec, *, residency: bool) -> SweepSpec:
    """A sweep in which values may stay on chip only if they may by both."""
    return spec.model_copy(update={"residency": spec.residency and residency})


class Sweep:
    """Many designs, simulated on all cores, each once.

    Parameters
    ----------
    source
        Shipped name or path of a sweep file, or the model of one.
    residency
        False to send all values through DRAM between layers, whatever the file says.

    Raises
    ------
    ConfigError
        With every fault: of the file, and of the files and fields that it names.
    AccelSimError
        If it is a search, and there is no Optuna.
    """

    def __init__(self, source: str | Path | SweepSpec, *, residency: bool = True) -> None:
        if isinstance(source, SweepSpec):
            self.space = Space(checked(_asked(source, residency=residency), Document("", {}, {})))
        else:
            path = shipped.path_of("sweep", str(source))
            document = read_yaml(path)
            spec = _asked(validate(document, SweepSpec), residency=residency)
            self.space = Space(checked(spec, document), str(path), document)
        if self.spec.searches:
            with needs_extra("search"):
                import accelsim.dse.search  # noqa: F401, PLC0415 - Optuna may be absent

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
                made = pool_of(workers, scheduler)
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
        found = todo.outcomes(kept, (lambda done, of: progress("simulating", done, of)) if progress else None, progress)
        return Results(self.spec, kept, [found[case.key] for case in kept], len(cases) - len(kept))

    def _searched(self, todo: _Todo, progress: Progress | None, report: Report | None) -> Results:
        """Simulate what a search proposes, a generation after the other."""
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
            outcomes |= todo.outcomes(todos, told, progress)
            verdicts = [Verdict(case.violation, objectives(self.spec, case, outcomes.get(case.key)))
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

    def outcomes(
        self, cases: Sequence[Case], told: Callable[[int, int], None] | None, progress: Progress | None
    ) -> dict[str, Outcome]:
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
            self._simulate(pending, told, progress)
        return self.kept.known(keys)

    def _simulate(
        self, pending: dict[str, Point], told: Callable[[int, int], None] | None, progress: Progress | None
    ) -> None:
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

        pool = self.place()
        if isinstance(pool, LocalPool):
            first = next(jobs())
            api.compile_kernels([first.machine], engine=first.engine, timing_only=first.timing_only, progress=progress)
        runner.run(jobs(), len(pending), self.simulate, record, pool, told)


def _tell(progress: Progress, proposed: int, count: int, done: int, of: int) -> None:
    """Progress of a whole search, from that of a generation's points."""
    progress("simulating", proposed - of + done, count)


def pool_of(workers: int | None, scheduler: str | None) -> Pool:
    """Processes on this computer, or the workers of a Dask scheduler.

    Raises
    ------
    AccelSimError
        If there is no such scheduler, or no Dask.
    """
    if scheduler is None:
        return LocalPool(workers)
    with needs_extra("cluster"):
        from accelsim.dse.cluster import ClusterPool  # noqa: PLC0415 - Dask may be absent
    return ClusterPool(scheduler)


def _quantities(job: Job) -> dict[str, float | None]:
    return {name: of(job.machine) for name, of in QUANTITIES.items()}


def _contents(job: Job, but: set[str]) -> Iterable[tuple[str, str]]:
    """Hashes of what a point is made of, with its content, those left out that are known."""
    models: tuple[BaseModel, ...] = (job.machine, job.technology, job.recipe, job.workload.spec)
    for hash_, model in zip(job.inputs, models, strict=True):
        if hash_ not in but:
            yield hash_, model.model_dump_json()
