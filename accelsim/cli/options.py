"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

Workload = Annotated[str, typer.Argument(help="Workload: a shipped name or the path of a .yaml file.")]
Arch = Annotated[str, typer.Option("--arch", help="Machine: a shipped name or the path of a .yaml file.")]
Recipe = Annotated[
    str | None, typer.Option("--recipe", help="Recipe: a shipped name or a path; default is the machine's.")
]


class Engine(StrEnum):
    """Engines that can simulate."""

    FAST = "fast"
    REFERENCE = "reference"


EngineName = Annotated[Engine, typer.Option("--engine", help="Engine that simulates; both give the same result.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Residency = Annotated[
    bool,
    typer.Option(
        "--residency/--no-residency",
        help="Whether values may stay on chip between layers; else all go through DRAM, to see what that is worth.",
    ),
]
Least = Annotated[
    Literal["time", "energy"],
    typer.Option(
        "--least",
        help="What the plan looks for first: the least time, and then few DRAM bytes; or the fewest DRAM bytes.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="Folder for result.json, layers.parquet, timeline.parquet and occupancy.parquet."
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option("--trace", help="File for a timeline that ui.perfetto.dev opens, gzipped JSON: trace.json.gz."),
]
ProgramFile = Annotated[Path, typer.Argument(help="Program file, as `accelsim compile` writes it.")]
