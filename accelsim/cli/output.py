"""Tables on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from accelsim.errors import AccelSimError, CompileError, Fault, reason

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.report.tables import Table
    from accelsim.results import RunResult
    from accelsim.workload.source import Source

#: Seconds before progress shows, and between lines of two phases where stderr is no terminal.
PATIENCE_S = 1.0
#: Seconds between two lines of one phase.
LINE_S = 60.0
#: Seconds between two looks at what is going on.
TICK_S = 0.1


def show(table: Table, *, wide: bool = False) -> None:
    """Print a table as the terminal has room for it; whole where stdout is none, or if it is asked for."""
    from accelsim.report.text import lines

    width = None if wide or not sys.stdout.isatty() else shutil.get_terminal_size().columns
    for line in lines(table, width):
        typer.echo(line)


def report(
    result: RunResult,
    *,
    as_json: bool,
    folder: Path | None,
    trace: Path | None,
    export: Path | None = None,
    wide: bool = False,
) -> None:
    """Save a result if a folder is given, name the trace if there is one, then print JSON or tables.

    Parameters
    ----------
    export
        File of the layers' table to write.
    wide
        Whether tables have all their columns, whatever the terminal's width.
    """
    if trace:
        typer.echo(f"wrote {trace}", err=True)
    if folder:
        from accelsim.report import dashboard, sources

        held = result.occupancy if len(result.occupancy) else None
        drawn = dashboard.beside([sources.Source((result.summary,), result.timeline, held)])
        for path in result.save(folder, drawn):
            typer.echo(f"wrote {path}", err=True)
    from accelsim.report import tables

    if export:
        write_table(export, result.layers, tables.layers(result.summary))
    if as_json:
        typer.echo(result.to_json())
        return
    typer.echo(tables.headline(result.summary))
    for table in (tables.layers, tables.energy, tables.units):
        typer.echo()
        show(table(result.summary), wide=wide)


def require_table(file: Path | None) -> None:
    """Refuse a file that a table can't be exported to before the work for it begins; errors as for `require_file`."""
    if file:
        from accelsim.report.export import require_ending

        require_ending(file)
        require_file(file)


def write_table(file: Path, frame: pd.DataFrame, table: Table) -> None:
    """Export a table, and say so."""
    from accelsim.report import export

    export.write(file, frame, table)
    typer.echo(f"wrote {file}", err=True)


@contextlib.contextmanager
def naming_machines(workload: str | Source, recipe: str | None) -> Iterator[None]:
    """Say, where a machine can't execute a recipe, which of the shipped ones can."""
    try:
        yield
    except CompileError as error:
        from accelsim import api

        able = api.machines_for(workload, recipe) if recipe else []
        if not able:
            raise
        raise CompileError(*error.faults, f"machines that can execute {recipe}: {', '.join(able)}") from None


def require_folder(path: Path) -> None:
    """Refuse an output folder before the work for it begins; it need not exist.

    Raises
    ------
    AccelSimError
        If it, or the nearest folder above it that exists, is not one or can't be written.
    """
    try:
        folder = path.absolute()
        while not folder.exists() and not folder.is_symlink():
            folder = folder.parent
        if not folder.is_dir():
            raise AccelSimError(Fault(f"must be a folder, but {folder} is none", str(path)))
        if not os.access(folder, os.W_OK):
            raise AccelSimError(Fault(f"must be in a writable folder, but {folder} is not", str(path)))
    except (OSError, ValueError) as error:
        raise AccelSimError(Fault(f"must be a possible path: {reason(error)}", str(path))) from None


def make_folder(path: Path) -> None:
    """Make an output folder, and those above it, if they don't exist.

    Raises
    ------
    AccelSimError
        If it can't be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a writable folder: {reason(error)}", str(path))) from None


def require_file(path: Path) -> None:
    """Refuse an output file before the work for it begins; it need not exist, but its folder must.

    Raises
    ------
    AccelSimError
        If it is a folder, or its folder does not exist or can't be written.
    """
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a device or pipe"
            raise AccelSimError(Fault(f"must be a file, but is {what}", str(path)))
        if not path.absolute().parent.is_dir():
            raise AccelSimError(Fault(f"must be in a folder that exists, but {path.parent} does not", str(path)))
    except (OSError, ValueError) as error:
        raise AccelSimError(Fault(f"must be a possible path: {reason(error)}", str(path))) from None
    require_folder(path.absolute().parent)


def require_outputs(folder: Path | None, trace: Path | None) -> None:
    """Refuse a run's output folder, or its trace, before the work for them begins; the trace may lie in the folder.

    Raises
    ------
    AccelSimError
        If one of them can't be written, or the trace is the folder or a file that the result has in it.
    """
    if folder:
        require_folder(folder)
    if not trace:
        return
    if folder and folder.absolute() in {trace.absolute(), trace.absolute().parent}:
        from accelsim.results import FILES

        if trace.absolute() == folder.absolute() or trace.name in {*FILES, "dashboard.html"}:
            raise AccelSimError(Fault("must be another file than those of the result", str(trace)))
        if not folder.exists():  # it will be made
            return
    require_file(trace)


class ProgressBar:
    """Says what a job that takes over a second does: a bar on a terminal, elsewhere one line a phase.

    A thread looks at it, so that a phase that reports nothing is told of too. Of a phase that lasts for minutes there
    is a line a minute, with an estimate once a unit of the work is done.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._last = self._begun  # line
        self._now: _Phase | None = None
        self._said: set[str] = set()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._look_often, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._watch.join()
        if self._bar:
            self._bar.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Say that `done` of `of` parts of something are done; of 0 if nobody knows of how many."""
        with self._lock:
            if self._now is None or self._now.what != what:
                self._now = _Phase(what, time.monotonic())
                self._task = None
            self._now.done, self._now.of = done, of
        self._look()

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar if there is one."""
        with self._lock:
            if self._bar:
                self._bar.console.print(text, markup=False, highlight=False)
            else:
                typer.echo(text, err=True)

    def _look_often(self) -> None:
        while not self._over.wait(TICK_S):
            self._look()

    def _look(self) -> None:
        """Show the phase, if there has been patience enough."""
        with self._lock:
            now, phase = time.monotonic(), self._now
            if phase is None or self._over.is_set() or now - self._begun < PATIENCE_S:
                return
            if sys.stderr.isatty():
                self._draw(phase)
            elif phase.what not in self._said and (not self._said or now - self._last >= PATIENCE_S):
                self._said.add(phase.what)
                self._print(phase.what, now)
            elif phase.what in self._said and phase.done and now - self._last >= LINE_S:
                self._print(f"{phase.what}: {phase.done:,} of {phase.of:,}, {phase.left(now)}", now)

    def _print(self, text: str, now: float) -> None:
        self._last = now
        typer.echo(text, err=True)

    def _draw(self, phase: _Phase) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        if self._task is None:
            for old in self._bar.task_ids:
                self._bar.remove_task(old)
            self._task = self._bar.add_task(escape(phase.what), total=phase.of or None)
        self._bar.update(self._task, completed=phase.done, total=phase.of or None)


@dataclass
class _Phase:
    """What is done, since when, and how far it is."""

    what: str
    since: float
    done: int = 0
    of: int = 0

    def left(self, now: float) -> str:
        """Estimate of the time that is left, from what is done."""
        return f"about {(now - self.since) / self.done * (self.of - self.done):.0f} s left"
