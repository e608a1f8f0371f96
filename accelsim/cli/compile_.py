"""accelsim compile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output


def compile_(
    workload: options.Workload,
    file: Annotated[Path, typer.Option("-o", "--output", help="Program file to write.")],
    arch: options.Arch = "edge-ws",
    recipe: options.Recipe = None,
    residency: options.Residency = True,
    least: options.Least = "time",
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
) -> None:
    """Compile a network for a machine into a program file."""
    output.require_file(file)
    from accelsim import api

    source = options.source_of(workload, data, calibration, batch, shape)
    with output.naming_machines(source, recipe), output.ProgressBar() as progress:
        program = api.compile_workload(source, arch, recipe, residency=residency, least=least, progress=progress)
    program.save(file)
    typer.echo(
        f"wrote {file}: {len(program.instructions)} instructions, {program.image.size} bytes of DRAM image",
        err=True,
    )
