"""accelsim evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output


def evaluate(
    workload: options.Workload = "digits-mlp",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Recipe: a shipped name or a path; real numbers, or the file's own, if absent."),
    ] = None,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for evaluation.json and outputs.npz.")
    ] = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Say what a network's outputs are worth, in real numbers or as a recipe has it, without any machine."""
    if folder:
        output.require_folder(folder)
    from accelsim import api
    from accelsim.report import evaluation as report

    source = options.source_of(workload, data, calibration, batch, shape)
    with output.ProgressBar() as progress:
        found = api.evaluate(source, recipe, progress=progress)
    if folder:
        for path in found.save(folder):
            typer.echo(f"wrote {path}", err=True)
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(report.headline(found.summary))
    if found.summary.quality.task:
        typer.echo()
        output.show(report.measures(found.summary), wide=wide)
