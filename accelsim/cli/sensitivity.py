"""accelsim sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError, Fault


def sensitivity(
    workload: options.Workload = "digits-mlp",
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Recipe of all other layers; default is fp32, for weight_bits int8."),
    ] = None,
    scheme: Annotated[
        str,
        typer.Option(
            "--scheme", help="prune_magnitude, prune_wanda, prune_columns, prune_nm or weight_bits (of integers)."
        ),
    ] = "prune_magnitude",
    values: Annotated[
        str | None,
        typer.Option("--values", help="What each layer gets: shares such as 0.5,0.7,0.9; N:M; or bits of a weight."),
    ] = None,
    loss: Annotated[
        float | None, typer.Option("--loss", help="Accuracy, a fraction, that one layer may lose against the recipe.")
    ] = None,
    sqnr: Annotated[float | None, typer.Option("--sqnr", help="SQNR in dB that one layer must leave.")] = None,
    budgets: Annotated[
        Path | None,
        typer.Option(
            "--budgets", help="Recipe to write: of each layer the value that saves most within --loss, --sqnr."
        ),
    ] = None,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for sensitivity.json and sensitivity.parquet.")
    ] = None,
    export: options.Export = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Compress one layer at a time, and say what the network's outputs lose; nothing is simulated."""
    if folder:
        output.require_folder(folder)
    if budgets:
        if loss is None and sqnr is None:
            raise AccelSimError(
                Fault("must come with --loss or --sqnr, which say what a layer may lose", key="--budgets")
            )
        output.require_file(budgets)
    output.require_table(export)
    from accelsim.dse import sensitivity as dse
    from accelsim.report import sensitivity as report

    chosen = None if values is None else [dse.parse(scheme, text) for text in values.split(",")]
    with output.ProgressBar() as progress:
        source = options.source_of(workload, data, calibration, batch, shape)
        found = dse.scan(source, scheme, chosen, recipe, loss=loss, sqnr_db=sqnr, progress=progress)
    if folder:
        for path in found.save(folder):
            typer.echo(f"wrote {path}", err=True)
    if budgets and found.budgets:
        from accelsim.files import write_whole

        write_whole(budgets, found.budgets.recipe.to_yaml().encode())
        typer.echo(f"wrote {budgets}", err=True)
    if export:
        output.write_table(export, found.frame, report.layers(found))
    if as_json:
        typer.echo(found.to_json())
        return
    typer.echo(report.headline(found))
    typer.echo()
    output.show(report.layers(found), wide=wide)
    if found.budgets:
        typer.echo()
        typer.echo(report.budgets(found))
