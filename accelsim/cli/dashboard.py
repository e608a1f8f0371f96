"""accelsim dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import output


def dashboard(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="result.json or compare.json files, the folders that hold them, or what sweep --json has printed."
        ),
    ],
    file: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")],
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = "accelsim",
) -> None:
    """Draw rooflines, energy, cycles and quality of results in one HTML file that works offline."""
    output.require_file(file)
    from accelsim.report import dashboard as report
    from accelsim.report import sources

    with output.ProgressBar() as progress:
        progress("reading", 0, 0)
        found = [sources.read(path) for path in results]
        progress("drawing", 0, 0)
        report.write(found, file, title)
    typer.echo(f"wrote {file}", err=True)
