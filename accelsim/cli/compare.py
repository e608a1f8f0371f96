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
    objectives: Annotated[
        str | None,
        typer.Option(
            "--objectives",
            help="What starred rows are best in: energy, seconds, accuracy (default), energy-delay, power, dram-bytes, "
            "stored-bits.",
        ),
    ] = None,
    tech: options.Tech = None,
    settings: options.Set = None,
    engine: options.EngineName = options.Engine.FAST,
    timing_only: options.TimingOnly = False,
    residency: options.Residency = True,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for compare.json and compare.parquet.")
    ] = None,
    export: options.Export = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Run a network by many compression recipes, and compare energy, cycles, bytes and what the outputs lose."""
    if folder:
        output.require_folder(folder)
    output.require_table(export)
    from accelsim.dse import compare as dse
    from accelsim.report import comparison

    chosen = recipes.split(",") if recipes is not None else dse.DEFAULT_RECIPES
    with output.ProgressBar() as progress:
        source = options.source_of(workload, data, calibration, batch, shape)
        found = dse.compare(
            source,
            chosen,
            arch,
            tech=tech,
            fields=options.fields_of(settings),
            objectives=objectives.split(",") if objectives is not None else None,
            engine=engine,
            timing_only=timing_only,
            residency=residency,
            progress=progress,
        )
    if folder:
        from accelsim.report import dashboard, sources

        for path in found.save(folder, dashboard.beside([sources.Source(tuple(found.rows))])):
            typer.echo(f"wrote {path}", err=True)
    if export:
        output.write_table(export, found.frame, comparison.schemes(found))
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        typer.echo(found.to_json())
        return
    output.show(comparison.schemes(found), wide=wide)
    typer.echo(comparison.told(found))
    typer.echo()
    output.show(comparison.energy(found), wide=wide)
    typer.echo()
    if not residency:
        typer.echo("nothing stays on chip between layers, as asked")
    for refused in found.refused:
        able = f"; machines that can: {', '.join(refused.machines)}" if refused.machines else ""
        typer.echo(f"refused: {refused.recipe} on {refused.arch}: {refused.reason}{able}")
