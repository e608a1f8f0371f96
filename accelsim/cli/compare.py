"""accelsim compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output


def compare(
    workload: options.Workload = "digits-mlp",
    arch: Annotated[
        str | None,
        typer.Option("--arch", help="Machine of all recipes that name none; default is what each is meant for."),
    ] = None,
    recipes: Annotated[
        str | None,
        typer.Option(
            "--recipes",
            help="Recipes, with @ and a machine if need be: A[@ARCH],B,...; names or paths, the first the baseline.",
        ),
    ] = None,
    engine: options.EngineName = options.Engine.FAST,
    residency: options.Residency = True,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for compare.json and compare.parquet.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Run a network by many compression recipes, and compare energy, cycles, bytes and what the outputs lose."""
    if folder:
        output.require_folder(folder)
    from accelsim.dse import compare as dse

    chosen = recipes.split(",") if recipes is not None else dse.DEFAULT_RECIPES
    with output.ProgressBar() as progress:
        source = options.source_of(workload, data, calibration, batch, shape)
        found = dse.compare(source, chosen, arch, engine=engine, residency=residency, progress=progress)
    if folder:
        from accelsim.report import dashboard, sources

        for path in found.save(folder, dashboard.beside([sources.Source(tuple(found.rows))])):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        typer.echo(found.to_json())
        return
    from accelsim.report import comparison

    for table in (comparison.schemes, comparison.energy):
        output.show(table(found))
        typer.echo()
    if not residency:
        typer.echo("nothing stays on chip between layers, as asked")
    for refused in found.refused:
        able = f"; machines that can: {', '.join(refused.machines)}" if refused.machines else ""
        typer.echo(f"refused: {refused.recipe} on {refused.arch}: {refused.reason}{able}")
