"""accelsim explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError, Fault


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RESULT|WORKLOAD",
            help="A run's result.json, or the folder that holds it; with --plan a workload: a shipped name or a path.",
        ),
    ],
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Say what the compiler decides, fusion by fusion, without a run: tiles, what stays on chip from where "
            "to where, and the DRAM bytes that this moves.",
        ),
    ] = False,
    arch: Annotated[
        str | None,
        typer.Option("--arch", help="With --plan, the machine: a shipped name or a path; default is edge-ws."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="With --plan, the recipe: a shipped name or a path; default is the machine's."),
    ] = None,
    residency: options.Residency = True,
    least: options.Least = "time",
    workload: Annotated[
        str | None, typer.Option("--workload", help="Without --plan, the result's network, if that is no shipped one.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Say what a run's time consists of, and what it would gain if one thing were twice as fast; or what is planned."""
    if plan:
        if workload:
            raise AccelSimError(Fault("must go without --plan, whose argument is the workload", key="--workload"))
        _plan(what, arch, recipe, residency=residency, least=least, as_json=as_json)
        return
    given = {
        "--arch": arch is not None,
        "--recipe": recipe is not None,
        "--no-residency": not residency,
        "--least": least != "time",
    }
    for name in (name for name, there in given.items() if there):
        raise AccelSimError(Fault("must go with --plan: a result says itself what it was made with", key=name))
    from accelsim.dse import explain as dse
    from accelsim.report import explanation as report

    with output.ProgressBar() as progress:
        found = dse.explain(Path(what), workload, progress=progress)
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(f"{found.workload} as {found.recipe} on {found.arch}: {found.cycles:,} cycles")
    for sentence in report.words(found):
        typer.echo(sentence)
    for table in (report.path(found), report.gains(found)):
        typer.echo()
        output.show(table)


def _plan(
    workload: str,
    arch: str | None,
    recipe: str | None,
    *,
    residency: bool,
    least: Literal["time", "energy"],
    as_json: bool,
) -> None:
    """Print what the compiler decides."""
    from accelsim import api
    from accelsim.report import plan as report

    with output.naming_machines(workload, recipe), output.ProgressBar() as progress:
        found = api.plan(
            workload, arch or api.DEFAULT_ARCH, recipe, residency=residency, least=least, progress=progress
        )
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(report.headline(found))
    typer.echo()
    output.show(report.fusions(found))
