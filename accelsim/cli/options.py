"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from accelsim.errors import AccelSimError

if TYPE_CHECKING:
    from accelsim.workload.source import Source


def shipped_names(kind: str) -> Callable[[str], list[str]]:
    """What a shell completes: shipped names of a kind that begin as what is typed."""

    def names(incomplete: str) -> list[str]:
        from accelsim.config import shipped

        return [name for name in shipped.names(kind) if name.startswith(incomplete)]

    return names


Workload = Annotated[
    str,
    typer.Argument(
        autocompletion=shipped_names("workload"),
        help="Network: a shipped name, one that `accelsim get` brought, or a path: of a workload.yaml or its folder, "
        "an .onnx or .gguf file, a Hugging Face directory.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Test data, .npz: inputs by their names, and labels, targets, or pairs and scores, if there are any.",
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option("--calibration", help="Inputs that fix the activations' ranges, .npz; the test data if absent."),
]
Batch = Annotated[
    int | None, typer.Option("--batch", help="Samples; all that the data have if absent.", min=1, max=2**20)
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        help="Shape of an input that a file leaves open, as the file has it: NAME=1,3,224,224; may come again.",
    ),
]
Arch = Annotated[
    str,
    typer.Option(
        "--arch", autocompletion=shipped_names("arch"), help="Machine: a shipped name or the path of a .yaml file."
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        autocompletion=shipped_names("recipe"),
        help="Recipe: a shipped name or a path; default is the machine's.",
    ),
]


def source_of(
    workload: str,
    data: Path | None = None,
    calibration: Path | None = None,
    batch: int | None = None,
    shapes: list[str] | None = None,
) -> Source:
    """The network that is asked for.

    Raises
    ------
    AccelSimError
        If a shape is none.
    """
    from accelsim.workload.source import Source

    return Source(workload, data, calibration, batch, dict(map(_shape, shapes or ())))


def fields_of(settings: list[str] | None) -> dict[str, Any]:
    """Values of --set by the paths of fields.

    Raises
    ------
    AccelSimError
        If one is no such path, or no value.
    """
    if not settings:
        return {}
    from accelsim import fields

    return fields.parse(settings)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Name and shape of NAME=1,3,224,224."""
    name, _, sides = text.rpartition("=")
    numbers = [side.strip() for side in sides.split(",")]
    if not name or not all(number.isdecimal() and 0 < len(number) < MOST_DIGITS for number in numbers):
        raise AccelSimError(f"--shape must be NAME=1,3,224,224, not {text!r}")
    return name, tuple(map(int, numbers))


#: Digits of a side of a shape, fewer than these.
MOST_DIGITS = 10


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
TimingOnly = Annotated[
    bool, typer.Option("--timing-only", help="Ask for no outputs: cycles, traffic and energy alone.")
]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show all columns of tables, however narrow the terminal; pipes have all anyway.")
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export", help="File of the table to write: .csv or .parquet with all figures, .md or .tex as it is printed."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="A field by the path that sweeps have for it, and its value in YAML: arch.matrix.rows=64; may come again.",
    ),
]
Tech = Annotated[
    str | None,
    typer.Option(
        "--tech",
        autocompletion=shipped_names("tech"),
        help="Energy table: a shipped name or a path; default is the machine's.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="Folder for result.json, outputs.npz, and layers, timeline and occupancy (.parquet)."
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option("--trace", help="File for a timeline that ui.perfetto.dev opens, gzipped JSON: trace.json.gz."),
]
ProgramFile = Annotated[Path, typer.Argument(help="Program file, as `accelsim compile` writes it.")]
