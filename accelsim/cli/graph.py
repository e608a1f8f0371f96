"""accelsim graph."""

from __future__ import annotations

import typer

from accelsim.cli import options, output


def graph(
    workload: options.Workload = "digits-mlp",
    recipe: options.Recipe = None,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
) -> None:
    """Print a network's graph, a line a node: in real numbers, or in the types that a recipe chooses."""
    from accelsim import api
    from accelsim.graph.text import print_graph

    with output.ProgressBar() as progress:
        progress("loading", 0, 0)
        found = api.graph(options.source_of(workload, data, calibration, batch, shape), recipe)
    typer.echo(print_graph(found), nl=False)
