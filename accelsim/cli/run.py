"""accelsim run."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError


def run(
    workload: options.Workload = "digits-mlp",
    arch: options.Arch = "edge-ws",
    recipe: options.Recipe = None,
    tech: options.Tech = None,
    settings: options.Set = None,
    engine: options.EngineName = options.Engine.FAST,
    timing_only: options.TimingOnly = False,
    reuse_blocks: Annotated[
        bool,
        typer.Option(
            "--reuse-blocks",
            help="With --timing-only: of blocks of layers that repeat, simulate some and copy the others from those.",
        ),
    ] = False,
    residency: options.Residency = True,
    least: options.Least = "time",
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
    folder: options.Folder = None,
    trace: options.Trace = None,
    export: options.Export = None,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Compress a network, compile it, execute it bit for bit, and report cycles, energy and roofline."""
    if reuse_blocks and not timing_only:
        raise AccelSimError("--reuse-blocks must go with --timing-only: layers that are not executed have no outputs")
    if reuse_blocks and trace:
        raise AccelSimError("--trace must go without --reuse-blocks: copied layers have no instructions")
    output.require_outputs(folder, trace)
    output.require_table(export)
    from accelsim import api

    source = options.source_of(workload, data, calibration, batch, shape)
    with output.naming_machines(source, recipe), output.ProgressBar() as progress:
        result = api.run(
            source,
            arch,
            recipe,
            tech=tech,
            fields=options.fields_of(settings),
            engine=engine,
            timing_only=timing_only,
            reuse_blocks=reuse_blocks,
            residency=residency,
            least=least,
            trace=trace,
            progress=progress,
        )
    output.report(result, as_json=as_json, folder=folder, trace=trace, export=export, wide=wide)
