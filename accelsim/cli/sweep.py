"""accelsim sweep."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError, StoppedError

if TYPE_CHECKING:
    from accelsim.dse.search import Generation
    from accelsim.dse.table import Results


def sweep(
    file: Annotated[str, typer.Argument(help="Sweep: a shipped name or the path of a .yaml file.")],
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for sweep.json, sweep.parquet and, without --store, the store."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="SQLite file that keeps each point as soon as it is known; sweeps may share it."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=1024, help="Processes; default is one a core.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            help="Dask scheduler whose workers simulate, such as tcp://10.0.0.1:8786; needs the extra `cluster`.",
        ),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run points again that failed before.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", help="File to write: .csv or .parquet with all points, .md or .tex with the best as printed."
        ),
    ] = None,
    residency: options.Residency = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Simulate many designs on all cores or a cluster, each once, and show those that no other one beats.

    A second start goes on where the first one ended, however it did, if there is a store.
    """
    from accelsim.dse.sweep import Sweep, pool_of

    if workers and scheduler:
        raise AccelSimError("--workers and --scheduler must not be given together: a cluster has its own workers")
    output.require_table(export)
    if store:
        output.require_file(store)
    asked = Sweep(file, residency=residency)
    with _terminable(), contextlib.closing(pool_of(workers, scheduler)) as pool:  # before anything is written
        if folder:
            output.require_folder(folder)
            output.make_folder(folder)
            store = store or folder / "store.sqlite"
        try:
            with output.ProgressBar() as progress:
                found = asked.results(
                    store=store,
                    pool=pool,
                    retry=retry,
                    progress=progress,
                    report=lambda generation: progress.say(_told(generation)),
                )
        except KeyboardInterrupt:
            kept = f"{store} keeps what is done, and the same command goes on"
            raise StoppedError(f"interrupted: {kept if store else 'nothing keeps what was done'}") from None
    if folder:
        from accelsim.report import dashboard, sources

        drawn = sources.of_sweep(found.content, str(store))
        for path in found.save(folder, dashboard.beside([drawn])):
            typer.echo(f"wrote {path}", err=True)
    if export:
        found.export(export)
        typer.echo(f"wrote {export}", err=True)
    if as_json:
        typer.echo(found.to_json())
    else:
        _show(found, wide=wide)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a sweep as an interrupt does, so that its workers and what they share are gone before it is."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(generation: Generation) -> str:
    """How far a search has come."""
    volume = "unknown" if generation.hypervolume is None else f"{generation.hypervolume:.4g}"
    return (
        f"generation {generation.number}: {generation.proposals} proposals, {generation.simulated} points, "
        f"{generation.best} that no other one beats, hypervolume {volume}"
    )


def _show(found: Results, *, wide: bool) -> None:
    """Print the best points, and how many there were."""
    from accelsim.report import sweep as report

    spec = found.spec
    counts = found.provenance["points"]
    typer.echo(
        f"{spec.name}: {counts['simulated']} points, {counts['failed']} failed, {counts['excluded']} excluded by "
        f"constraints; {counts['pareto']} that no other one beats in "
        + ", ".join(objective.figure for objective in spec.objectives)
    )
    if not spec.residency:
        typer.echo("nothing stays on chip between layers, as asked")
    typer.echo()
    figures = [objective.figure for objective in spec.objectives]
    axes = [axis.field for axis in spec.axes]
    output.show(found.best, wide=wide)
    typer.echo()
    goals = {objective.figure: objective.goal for objective in spec.objectives}
    output.show(report.least(found.frame, axes, goals, spec.for_each), wide=wide)
    for note in report.notes(found.frame, figures, spec.for_each):
        typer.echo(f"warning: {note}", err=True)
    errors = found.frame["error"].dropna()
    for error, times in list(errors.value_counts().items())[:5]:
        typer.echo(f"{times} failed: {error}", err=True)
