"""accelsim import."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import options, output
from accelsim.errors import AccelSimError, Fault
from accelsim.files import is_file, is_folder

app = typer.Typer(help="Write workloads from other tools' files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def importers() -> None:
    """Write workloads from other tools' files."""


@app.command("scalesim")
def scalesim(
    topology: Annotated[
        Path, typer.Argument(help="SCALE-Sim topology (.csv): convolutions, or matrix products M, N, K.")
    ],
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder for workload.yaml and arch.yaml.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="SCALE-Sim configuration (.cfg); without one no arch.yaml is written."),
    ] = None,
) -> None:
    """Import a SCALE-Sim topology, and the machine of its configuration."""
    output.require_folder(folder)
    from accelsim.files import write_all
    from accelsim.workload.importers.scalesim import read_topology, workload_text
    from accelsim.workload.importers.scalesim_machine import machine_text, read_configuration

    found = read_configuration(config) if config else None
    layers = read_topology(topology, sparse=found is not None and found.sparse)
    texts = {"workload.yaml": workload_text(layers)}
    if found:
        texts["arch.yaml"] = machine_text(found, [layer.shape for layer in layers.layers])
    for path in write_all(folder, {name: partial(_write, text) for name, text in texts.items()}):
        typer.echo(f"wrote {path}", err=True)
    for file, notes in ((topology, layers.notes), (config, found.notes if found else [])):
        for note in notes:
            typer.echo(f"{file}: {note}", err=True)


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


Folder = Annotated[
    Path, typer.Option("-o", "--output", help="Folder for workload.yaml, weights.safetensors and the data.")
]


@app.command("onnx")
def onnx(
    source: Annotated[Path, typer.Argument(help="ONNX file (.onnx).")],
    folder: Folder,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
) -> None:
    """Import an ONNX file."""
    _require(source, is_kind=source.suffix.lower() == ".onnx", kind="an ONNX file, .onnx")
    _import(source, folder, data, calibration, batch, shape)


@app.command("gguf")
def gguf(
    source: Annotated[Path, typer.Argument(help="GGUF file (.gguf).")],
    folder: Folder,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
) -> None:
    """Import a GGUF file; its weights stay in their blocks."""
    _require(source, is_kind=source.suffix.lower() == ".gguf", kind="a GGUF file, .gguf")
    _import(source, folder, data, calibration, batch, shape)


@app.command("hf")
def hf(
    source: Annotated[Path, typer.Argument(help="Hugging Face directory (config.json, safetensors).")],
    folder: Folder,
    data: options.Data = None,
    calibration: options.Calibration = None,
    batch: options.Batch = None,
    shape: options.Shapes = None,
) -> None:
    """Import a Hugging Face directory."""
    is_kind = is_folder(source) and not is_file(source / "workload.yaml")
    _require(source, is_kind=is_kind, kind="a Hugging Face directory")
    _import(source, folder, data, calibration, batch, shape)


def _require(source: Path, *, is_kind: bool, kind: str) -> None:
    if not is_kind:
        raise AccelSimError(Fault(f"must be {kind}", str(source)))


def _import(
    source: Path,
    folder: Path,
    data: Path | None,
    calibration: Path | None,
    batch: int | None,
    shape: list[str] | None,
) -> None:
    """Write the folder of a source that is read as `accelsim run` reads it."""
    output.require_folder(folder)
    if data and batch is not None:
        raise AccelSimError("--batch must be absent where --data says how many samples there are")
    from accelsim.files import write_all
    from accelsim.workload.graph_folder import folder_files
    from accelsim.workload.source import TEXT, load_network, tokenizer

    with output.ProgressBar() as progress:
        progress("importing", 0, 0)
        network = load_network(options.source_of(str(source), data, calibration, batch, shape), values=False)
        origin = source.name or source.resolve().name
        texts = tokenizer(source, data) if data and data.suffix == TEXT else None
        progress("writing", 0, 0)
        written = write_all(folder, folder_files(network, origin, data, calibration, texts))
    for path in written:
        typer.echo(f"wrote {path}", err=True)
