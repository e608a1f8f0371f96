"""Workers of a Dask cluster: on other computers, coming and going as they like.

Scheduler and workers trust whoever talks to them, and this process trusts them: they exchange pickles. Dask's own
configuration has them meet by TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client, KilledWorker, Security
from distributed import Future as DaskFuture
from distributed.comm.core import connect

from accelsim import provenance
from accelsim.config import shipped
from accelsim.dse.simulation import Job, workload_hash
from accelsim.dse.store import Outcome
from accelsim.errors import AccelSimError, Fault

logger = logging.getLogger(__name__)
logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it says in pages is said here in a line

#: Seconds to wait for the scheduler's answer, and for which a number of workers is taken to be right.
CONNECT_S = 10
COUNTED_S = 1.0
#: Seconds between looks whether there are workers at all.
WATCH_S = 10.0

Outcomes = tuple[list[Outcome], float]
#: What a worker does with a batch, and with each of its points.
Batch = Callable[[Callable[[Job], str], Sequence[Job]], Outcomes]


class ClusterPool:
    """Workers of a Dask cluster; each simulates one point at a time, however many threads it has.

    A worker that dies is Dask's to replace; its batches go to others, several times. What is lost then is reported as
    killed, be it a point's fault or not.

    Parameters
    ----------
    address
        Of the scheduler, such as tcp://10.0.0.1:8786.

    Raises
    ------
    AccelSimError
        If there is no scheduler, or its workers don't have the source that this process has.
    """

    killed: type[Exception] = KilledWorker
    tries = 1  # each of which has killed several workers already

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            asyncio.run(_reach(address))
        except (OSError, ValueError) as error:
            raise AccelSimError(Fault(f"must be the address of a Dask scheduler: {error}", address)) from None
        self._client = Client(address, set_as_default=False)
        self._executor = _Executor(self._client)
        self._count, self._counted = 0, -COUNTED_S
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """Workers that there are now; 1 if there are none, for which batches wait."""
        now = time.monotonic()
        if now - self._counted > COUNTED_S and self._client.status == "running":
            self._count, self._counted = len(self._client.nthreads()), now
        return max(1, self._count)

    def executor(self) -> _Executor:
        """The cluster."""
        return self._executor

    def renewed(self) -> _Executor:
        """The cluster, which no death of a worker breaks."""
        return self._executor

    def close(self) -> None:
        """Leave the cluster; it drops what is not done."""
        self._closed.set()
        self._client.close()

    def _watch(self) -> None:
        """Say when there are no workers, for batches wait for new ones then, however long."""
        there = True
        while True:
            with contextlib.suppress(OSError, TimeoutError):  # a scheduler that is gone ends the batches
                before, there = there, bool(self._client.nthreads())
                if before and not there:
                    logger.warning("%s has no workers; waiting for some", self._address)
            if self._closed.wait(WATCH_S):
                return

    def _check(self) -> None:
        """Have a worker say which source it has; wait for one to come if there is none."""
        try:
            source = self._client.submit(provenance.source_sha256, pure=False).result()
        except Exception as error:  # noqa: BLE001 - what an import there raises
            raise AccelSimError(
                Fault(f"must be a cluster whose workers have accelsim installed: {error!r}", self._address)
            ) from None
        _require_source(source)


async def _reach(address: str) -> None:
    """Connect to a scheduler and leave: a client that can't connect holds its process up for 20 s at its end."""
    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=CONNECT_S, **arguments)
    await comm.close()


class _Executor(Executor):
    """An executor of batches, checked by the worker before it runs them.

    Dask's own executor never ends a batch whose outcomes were lost with their worker and could not be had again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(  # type: ignore[override] # it takes batches alone
        self, run: Batch, /, simulate: Callable[[Job], str], batch: Sequence[Job]
    ) -> Future[Outcomes]:
        """Have a worker run a batch."""
        named = [(_absolute(job), shipped.name_of("workload", job.workload.path)) for job in batch]
        source = provenance.source_sha256()
        future: Future[Outcomes] = Future()
        self._client.submit(_checked, run, simulate, named, source, pure=False).add_done_callback(
            partial(_transmit, future)
        )
        return future


def _transmit(future: Future[Outcomes], ended: DaskFuture[Outcomes]) -> None:
    """End a future as Dask's has ended; in a thread of Dask's client."""
    try:
        future.set_result(ended.result())
    except BaseException as error:  # noqa: BLE001 - whatever it is, whoever waits is told
        future.set_exception(error)


def _absolute(job: Job) -> Job:
    return replace(job, workload=replace(job.workload, path=job.workload.path.absolute()))


#: Held while a batch is simulated: a worker may have several threads, and networks are kept for one.
_alone = threading.Lock()
_files_checked: set[tuple[Any, str]] = set()


def _checked(run: Batch, simulate: Callable[[Job], str], named: list[tuple[Job, str | None]], source: str) -> Outcomes:
    """Run a batch on a worker, if it has the same source and the same files as whoever keeps the results."""
    with _alone:
        _require_source(provenance.source_sha256(), source)
        return run(simulate, [_found(job, name) for job, name in named])


def _require_source(source: str, wanted: str | None = None) -> None:
    """Refuse other source than this, whose results would be kept as those of this one."""
    wanted = wanted or provenance.source_sha256()
    if source != wanted:
        raise AccelSimError(
            f"workers must have the accelsim that asks them, of source {wanted[:12]}, but one has {source[:12]}"
        )


def _found(job: Job, name: str | None) -> Job:
    """A point whose workload is where this computer has it."""
    workload = replace(job.workload, path=shipped.path_of("workload", name)) if name else job.workload
    if workload.files and (workload.path, job.inputs.workload) not in _files_checked:
        if workload_hash(workload) != job.inputs.workload:
            raise AccelSimError(
                f"workers must have the files of workload {workload.spec.name} that this process has, "
                f"but one has not, in {workload.path.parent}"
            )
        _files_checked.add((workload.path, job.inputs.workload))
    return replace(job, workload=workload)
