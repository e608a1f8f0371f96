"""Points to outcomes, in batches on many workers, whatever becomes of the workers.

A worker that dies takes its batch with it. Which point did it is not known then, so each point of all batches that were
under way runs again with nothing beside it: what kills its worker alone, several times, has failed. All others are
none the worse for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import islice

from accelsim.dse.simulation import Job
from accelsim.dse.store import Outcome
from accelsim.dse.workers import Pool
from accelsim.errors import AccelSimError

#: Seconds that a batch should take, and points that it may have.
BATCH_S = 0.4
MAX_BATCH = 128
#: Batches a worker that are under way, so that none waits for the next one.
AHEAD = 2

#: What is wrong with a point that has killed its workers.
KILLS = "it killed each process that simulated it, by a fault or for lack of memory"

Simulate = Callable[[Job], str]
#: Takes outcomes of jobs; when it returns, they are kept.
Record = Callable[[Sequence[Job], Sequence[Outcome]], None]


def run(
    jobs: Iterable[Job],
    total: int,
    simulate: Simulate,
    record: Record,
    pool: Pool,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Simulate jobs, in any order, and record each outcome as soon as its batch is done.

    Parameters
    ----------
    jobs, total
        What is simulated, and how many that is.
    simulate
        What a worker does with a job; of a module, because workers import it.
    record
        Called in this thread.
    progress
        Called with the number of jobs that are recorded, and of all.
    """
    _Run(iter(jobs), total, simulate, record, pool, progress).all()


@dataclass
class _Run:
    """A run that is under way."""

    jobs: Iterable[Job]
    total: int
    simulate: Simulate
    record: Record
    pool: Pool
    progress: Callable[[int, int], None] | None
    done: int = 0
    each_s: float = BATCH_S
    under_way: dict[Future[tuple[list[Outcome], float]], list[Job]] = field(default_factory=dict)

    def all(self) -> None:
        """Run all jobs."""
        if self.progress:
            self.progress(0, self.total)
        executor = self.pool.executor()
        while True:
            suspects = self._submit(executor)
            if not self.under_way and not suspects:
                return
            suspects += self._collect()
            if suspects:
                suspects += self._rest()
                executor = self._one_by_one(suspects)

    def _submit(self, executor: Executor) -> list[Job]:
        """Keep all workers busy; what is left of a batch that a broken executor does not take."""
        while len(self.under_way) < AHEAD * self.pool.workers:
            left = self.total - self.done - sum(map(len, self.under_way.values()))
            fair = max(1, left // (2 * AHEAD * self.pool.workers))
            size = max(1, min(MAX_BATCH, fair, int(BATCH_S / max(self.each_s, 1e-6))))
            batch = list(islice(self.jobs, size))
            if not batch:
                break
            try:
                self.under_way[executor.submit(outcomes, self.simulate, batch)] = batch
            except self.pool.killed:
                return batch
        return []

    def _collect(self) -> list[Job]:
        """Wait for a batch; the jobs of those whose worker died."""
        finished = wait(self.under_way, return_when=FIRST_COMPLETED).done if self.under_way else set()
        return [job for future in finished for job in self._taken(future)]

    def _rest(self) -> list[Job]:
        """After a death all other batches end too: with outcomes, or without."""
        return [job for future in wait(self.under_way).done for job in self._taken(future)]

    def _taken(self, future: Future[tuple[list[Outcome], float]]) -> list[Job]:
        """Record a batch; its jobs if its worker died."""
        batch = self.under_way.pop(future)
        try:
            found, seconds = _ended(future)
        except self.pool.killed:
            return batch
        self.each_s = seconds / len(batch)
        self._record(batch, found)
        return []

    def _one_by_one(self, suspects: Sequence[Job]) -> Executor:
        """Run jobs with nothing beside them, each until it has an outcome or has killed too many workers.

        Returns
        -------
        An executor that works.
        """
        executor = self.pool.renewed()
        for job in suspects:
            for death in range(1, self.pool.tries + 1):
                try:
                    found, _ = _ended(executor.submit(outcomes, self.simulate, [job]))
                except self.pool.killed:
                    executor = self.pool.renewed()
                    if death == self.pool.tries:
                        self._record([job], [Outcome.failed(job.key, KILLS)])
                else:
                    self._record([job], found)
                    break
        return executor

    def _record(self, batch: Sequence[Job], found: Sequence[Outcome]) -> None:
        self.record(batch, found)
        self.done += len(batch)
        if self.progress:
            self.progress(self.done, self.total)


def _ended(future: Future[tuple[list[Outcome], float]]) -> tuple[list[Outcome], float]:
    """What a batch has given, after waiting for it."""
    try:
        return future.result()
    except CancelledError:
        raise AccelSimError("workers must last until the sweep ends, but whoever leads them has gone") from None


def outcomes(simulate: Simulate, batch: Sequence[Job]) -> tuple[list[Outcome], float]:
    """What a worker does with a batch: an outcome for each job, and the seconds that it took."""
    begun = time.perf_counter()
    return [_outcome(simulate, job) for job in batch], time.perf_counter() - begun


def _outcome(simulate: Simulate, job: Job) -> Outcome:
    try:
        return Outcome(job.key, simulate(job), None)
    except AccelSimError as error:
        return Outcome.failed(job.key, str(error))
    except Exception as error:  # noqa: BLE001 - whatever one point does wrong, the others go on
        return Outcome.failed(job.key, f"{type(error).__name__}: {error}")
