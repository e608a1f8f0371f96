"""Processes that simulate: each with one thread for BLAS, and gone as soon as whoever began them is.

Workers are new interpreters. They import accelsim but not the script that asked for them, which so needs no guard.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Protocol

from accelsim.computer import cores

#: Settings of libraries that would begin threads of their own.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


class Pool(Protocol):
    """Where batches of points are simulated: here, or on a cluster.

    A worker's death must end the futures of at least its batch in an exception of `killed`, or be mended. `close` may
    leave batches unfinished.
    """

    @property
    def killed(self) -> type[Exception]:
        """What tells that a batch's worker died."""
        ...

    @property
    def tries(self) -> int:
        """Times that a point may end so with nothing beside it before it has failed."""
        ...

    @property
    def workers(self) -> int:
        """Batches that are simulated at once."""
        ...

    def executor(self) -> Executor:
        """What takes batches."""
        ...

    def renewed(self) -> Executor:
        """What takes batches after a death."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


class LocalPool:
    """Processes on this computer.

    Parameters
    ----------
    workers
        How many; one a core if absent.
    """

    killed: type[Exception] = BrokenExecutor
    tries = 3

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._context = _Context()
        self._executor: ProcessPoolExecutor | None = None
        self._watched, self._held = self._context.Pipe(duplex=False)

    def executor(self) -> Executor:
        """The processes; new ones if there are none."""
        return self._executor or self.renewed()

    def renewed(self) -> Executor:
        """New processes; those that there were get no more work."""
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = ProcessPoolExecutor(
            self.workers, mp_context=self._context, initializer=_begin, initargs=(self._watched,)
        )
        return self._executor

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._held.close()
        self._watched.close()
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)


class _Process(SpawnProcess):
    """A process that does not import the script of its parent."""

    def start(self) -> None:
        with _one_thread(), _no_script():
            super().start()


class _Context(SpawnContext):
    """What makes such processes."""

    Process = _Process


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    """Let multiprocessing see a main module without a file, so that it gives the child nothing to import."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _begin(watched: Connection) -> None:
    """Leave interrupts to the parent, and end when it does: the other end of the pipe is closed then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()


def _end_with_parent(watched: Connection) -> None:
    wait([watched])
    os._exit(1)
