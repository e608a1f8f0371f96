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
    trace: options.Trace = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Verify a program file and execute it."""
    output.require_outputs(folder, trace)
    from accelsim import api
    from accelsim.isa.program import Program

    program = Program.load(file)
    with output.ProgressBar() as progress:
        result = api.execute(program, arch, engine=engine, trace=trace, progress=progress, file=str(file))
    output.report(result, as_json=as_json, folder=folder, trace=trace, wide=wide)
