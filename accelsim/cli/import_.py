"""accelsim import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import output

app = typer.Typer(
    help="Write workload.yaml and arch.yaml from other tools' files.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def options() -> None:
    """Write workload.yaml and arch.yaml from other tools' files."""


@app.command("scalesim")
def scalesim(
    topology: Annotated[
        Path, typer.Argument(help="SCALE-Sim topology (.csv): convolutions, or matrix products M, N, K.")
    ],
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder for workload.yaml and arch.yaml.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="SCALE-Sim configuration (.cfg); without one no arch.yaml is written."),
    ] = None,
) -> None:
    """Import a SCALE-Sim topology, and the machine of its configuration."""
    output.require_folder(folder)
    from accelsim.isa.program import write_whole
    from accelsim.workload.importers.scalesim import read_topology, workload_text
    from accelsim.workload.importers.scalesim_machine import machine_text, read_configuration

    found = read_configuration(config) if config else None
    layers = read_topology(topology, sparse=found is not None and found.sparse)
    files = {folder / "workload.yaml": workload_text(layers)}
    if found:
        files[folder / "arch.yaml"] = machine_text(found, [layer.shape for layer in layers.layers])
    output.make_folder(folder)
    for path in files:
        output.require_file(path)
    for path, text in files.items():
        write_whole(path, text.encode())
        typer.echo(f"wrote {path}", err=True)
    for file, notes in ((topology, layers.notes), (config, found.notes if found else [])):
        for note in notes:
            typer.echo(f"{file}: {note}", err=True)
