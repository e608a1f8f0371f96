"""accelsim explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError, Fault

if TYPE_CHECKING:
    from accelsim.workload.source import Source


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
    tech: Annotated[
        str | None, typer.Option("--tech", help="With --plan, the energy table: a shipped name or a path.")
    ] = None,
    settings: options.Set = None,
    residency: options.Residency = True,
    least: options.Least = "time",
    workload: Annotated[
        str | None, typer.Option("--workload", help="Without --plan, the result's network, if that is no shipped one.")
    ] = None,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Say what a run's time consists of, and what it would gain if one thing were twice as fast; or what is planned."""
    if plan:
        if workload:
            raise AccelSimError(Fault("must go without --plan, whose argument is the workload", key="--workload"))
        source = options.source_of(what, data, calibration, batch, shape)
        fields = options.fields_of(settings)
        _plan(source, arch, recipe, tech, fields, residency=residency, least=least, as_json=as_json, wide=wide)
        return
    given = {
        "--arch": arch is not None,
        "--recipe": recipe is not None,
        "--tech": tech is not None,
        "--no-residency": not residency,
        "--least": least != "time",
    }
    for name in (name for name, there in given.items() if there):
        raise AccelSimError(Fault("must go with --plan: a result says itself what it was made with", key=name))
    source = options.source_of(workload or "", data, calibration, batch, shape)
    from accelsim import fields as paths
    from accelsim.dse import explain as dse
    from accelsim.report import explanation as report

    fields = options.fields_of(settings)
    for path in (path for path in fields if not path.startswith("workload.")):
        raise AccelSimError(Fault("must go with --plan, unless it is of the workload", key=f"--set {path}"))
    source = replace(source, fields=paths.by_root(fields)["workload"])
    with output.ProgressBar() as progress:
        found = dse.explain(Path(what), source, progress=progress)
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(f"{found.workload} as {found.recipe} on {found.arch}: {found.cycles:,} cycles")
    for sentence in report.words(found):
        typer.echo(sentence)
    for table in (report.path(found), report.gains(found)):
        typer.echo()
        output.show(table, wide=wide)


def _plan(
    source: Source,
    arch: str | None,
    recipe: str | None,
    tech: str | None,
    fields: Mapping[str, Any],
    *,
    residency: bool,
    least: Literal["time", "energy"],
    as_json: bool,
    wide: bool,
) -> None:
    """Print what the compiler decides."""
    from accelsim import api
    from accelsim.report import plan as report

    with output.naming_machines(source, recipe), output.ProgressBar() as progress:
        found = api.plan(
            source,
            arch or api.DEFAULT_ARCH,
            recipe,
            tech=tech,
            fields=fields,
            residency=residency,
            least=least,
            progress=progress,
        )
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(report.headline(found))
    typer.echo()
    output.show(report.fusions(found), wide=wide)
