"""Simulations that take no time or go wrong, in a module that workers can import; each notes the point that it runs."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from accelsim.dse.simulation import Job
from accelsim.errors import CompileError

#: Names the file in which points are noted, if there is one.
LOG = "ACCELSIM_TEST_LOG"
#: Number of points noted from which on no slow one comes to an end, if there is one.
LAST = "ACCELSIM_TEST_LAST"
#: Rows of the machine whose points go wrong.
BAD_ROWS = 20


def quick(job: Job) -> str:
    """Figures that follow from the machine, and from the threads that the worker's libraries may use."""
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as log:
            log.write(f"{os.getpid()} {job.key}\n")
    rows, columns = job.machine.matrix.rows, job.machine.matrix.columns
    figures = {
        "cycles": 10_000 // rows + columns,
        "energy_pj": {"total": rows * columns / 3},
        "threads": os.environ.get("OPENBLAS_NUM_THREADS"),
    }
    return json.dumps(figures)


def slow(job: Job) -> str:
    """The same in 20 ms, or not before it is killed."""
    time.sleep(0.02)
    figures = quick(job)
    if LAST in os.environ and len(Path(os.environ[LOG]).read_text().splitlines()) > int(os.environ[LAST]):
        time.sleep(60)
    return figures


def wrong(job: Job) -> str:
    """Some machines refuse, some make a mistake of accelsim's own show, some take too much memory."""
    if job.machine.matrix.rows == BAD_ROWS:
        raise (CompileError("must fit"), ZeroDivisionError("oh"), MemoryError)[job.machine.matrix.columns // 8 % 3]
    return quick(job)


def deadly(job: Job) -> str:
    """Some machines kill the process that simulates them, though not before whoever began it has seen it begin."""
    if job.machine.matrix.rows == BAD_ROWS:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return slow(job)


def huge(job: Job) -> str:
    """Figures that are too long to keep."""
    return json.dumps({"text": "x" * 2**21, "key": job.key})
