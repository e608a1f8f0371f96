"""accelsim exec."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options, output


def exec_(
    file: options.ProgramFile,
    arch: Annotated[
        str | None, typer.Option("--arch", help="Machine: a name or a path; default is the one compiled for.")
    ] = None,
    engine: options.EngineName = options.Engine.FAST,
    folder: options.Folder = None,
    as_json: options.Json = False,
) -> None:
    """Verify a program file and execute it."""
    if folder:
        output.require_folder(folder)
    from accelsim import api
    from accelsim.isa.program import Program

    program = Program.load(file)
    with output.ProgressBar() as progress:
        result = api.execute(program, arch, engine=engine, progress=progress, file=str(file))
    output.report(result, as_json=as_json, folder=folder)
