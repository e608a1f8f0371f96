"""accelsim run."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options, output


def run(
    workload: options.Workload = "digits-mlp",
    arch: options.Arch = "edge-ws",
    recipe: options.Recipe = None,
    engine: options.EngineName = options.Engine.FAST,
    timing_only: Annotated[
        bool, typer.Option("--timing-only", help="Ask for no outputs: cycles, traffic and energy alone.")
    ] = False,
    folder: options.Folder = None,
    as_json: options.Json = False,
) -> None:
    """Compress a network, compile it, execute it bit for bit, and report cycles, energy and roofline."""
    if folder:
        output.require_folder(folder)
    from accelsim import api

    with output.ProgressBar() as progress:
        result = api.run(workload, arch, recipe, engine=engine, timing_only=timing_only, progress=progress)
    output.report(result, as_json=as_json, folder=folder)
