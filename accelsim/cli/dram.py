"""accelsim dram."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output


def dram(
    part: Annotated[str, typer.Option("--part", help="DRAM part: a shipped name or the path of a .yaml file.")],
    trace: Annotated[Path, typer.Option("--trace", help="Text file, a line each request: 0xADDRESS READ|WRITE CYCLE.")],
    commands: Annotated[
        Path | None,
        typer.Option(
            "--commands", help="File for the commands: clock, name, channel, rank, bank group, bank, row, column."
        ),
    ] = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Run a DRAM controller by itself on a trace of requests."""
    if commands:
        output.require_file(commands)
    from accelsim.config.load import load_part
    from accelsim.files import write_whole
    from accelsim.memory.trace import command_lines, read_trace, run_trace
    from accelsim.report import tables

    described = load_part(part)
    requests = read_trace(trace, described)
    with output.ProgressBar() as progress:
        run = run_trace(
            described,
            requests,
            case=trace.name.removesuffix(".txt"),
            keep_commands=commands is not None,
            progress=lambda done, of: progress("simulating", done, of),
        )
    if commands:
        write_whole(commands, (f"{line}\n".encode() for line in command_lines(run.commands)))
        typer.echo(f"wrote {commands}", err=True)
    if as_json:
        typer.echo(run.result.model_dump_json(indent=2))
        return
    for table in tables.dram(run):
        output.show(table, wide=wide)
        typer.echo()
