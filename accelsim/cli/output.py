"""Tables on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from accelsim.errors import AccelSimError, CompileError, Fault, reason

if TYPE_CHECKING:
    from accelsim.report.tables import Table
    from accelsim.results import RunResult
    from accelsim.workload.source import Source

#: Seconds before progress shows, and between two lines where stderr is no terminal.
PATIENCE_S = 1.0
LINE_S = 10.0


def show(table: Table) -> None:
    """Print a table; where stdout is no terminal, as wide as it needs to be."""
    console = Console() if sys.stdout.isatty() else Console(width=1000)
    drawn = RichTable(title=table.title or None, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="left" if i in table.text_columns else "right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*map(Text, row))  # a layer may be called [bold]
    console.print(drawn)


def report(result: RunResult, *, as_json: bool, folder: Path | None, trace: Path | None) -> None:
    """Save a result if a folder is given, name the trace if there is one, then print JSON or tables."""
    if trace:
        typer.echo(f"wrote {trace}", err=True)
    if folder:
        from accelsim.report import dashboard, sources

        held = result.occupancy if len(result.occupancy) else None
        drawn = dashboard.beside([sources.Source((result.summary,), result.timeline, held)])
        for path in result.save(folder, drawn):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        typer.echo(result.to_json())
        return
    from accelsim.report import tables

    typer.echo(tables.headline(result.summary))
    for table in (tables.layers, tables.energy, tables.units):
        typer.echo()
        show(table(result.summary))


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
    """Shows progress of anything that takes over a second; a bar on a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._last = self._begun
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._since: dict[str, float] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show that `done` of `of` parts of something are done; of 0 if nobody knows of how many."""
        now = time.monotonic()
        self._since.setdefault(what, now)
        if now - self._begun < PATIENCE_S:
            return
        if not sys.stderr.isatty():
            if not of:
                if what not in self._said:
                    self._said.add(what)
                    typer.echo(what, err=True)
            elif now - self._last >= LINE_S:
                self._last = now
                typer.echo(f"{what}: {100 * done // of} %{self._left(what, done, of, now)}", err=True)
            return
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=of or None)
        self._bar.update(self._tasks[what], completed=done)

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar if there is one."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)

    def _left(self, what: str, done: int, of: int, now: float) -> str:
        """Estimate of the time that is left, if there has been time to tell."""
        return f", about {(now - self._since[what]) / done * (of - done):.0f} s left" if done else ""
