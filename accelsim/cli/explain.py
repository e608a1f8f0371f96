"""accelsim explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output


def explain(
    result: Annotated[Path, typer.Argument(help="A run's result.json, or the folder that holds it.")],
    workload: Annotated[
        str | None, typer.Option("--workload", help="Its network, if that is no shipped one: a path.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Say what a run's time consists of, and what it would gain if one thing were twice as fast."""
    from accelsim.dse import explain as dse
    from accelsim.report import explanation as report

    with output.ProgressBar() as progress:
        found = dse.explain(result, workload, progress=progress)
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(f"{found.workload} as {found.recipe} on {found.arch}: {found.cycles:,} cycles")
    for sentence in report.words(found):
        typer.echo(sentence)
    for table in (report.path(found), report.gains(found)):
        typer.echo()
        output.show(table)
