"""accelsim run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from accelsim.cli import options, output


class Engine(StrEnum):
    """Engines that can simulate."""

    REFERENCE = "reference"


def run(
    workload: options.Workload = "digits-mlp",
    arch: options.Arch = "edge-ws",
    recipe: options.Recipe = None,
    engine: Annotated[Engine, typer.Option(help="Engine that simulates.")] = Engine.REFERENCE,  # noqa: ARG001 - one
    folder: options.Folder = None,
    as_json: options.Json = False,
) -> None:
    """Compress a network, compile it, execute it bit for bit, and report cycles, energy and roofline."""
    if folder:
        output.require_folder(folder)
    from accelsim import api

    with output.ProgressBar() as progress:
        result = api.run(workload, arch, recipe, progress=progress)
    output.report(result, as_json=as_json, folder=folder)
