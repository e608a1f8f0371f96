"""Networks from whatever a person has: shipped names, workload files and folders, ONNX, GGUF, Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelsim.errors import AccelSimError, ConfigError, Fault, WorkloadError
from accelsim.files import is_file, is_folder
from accelsim.graph.value import Shape
from accelsim.workload import library
from accelsim.workload.arrays import read_arrays
from accelsim.workload.data import Data, calibrated, read_data, read_text, with_data, with_drawn
from accelsim.workload.importers import gguf, huggingface, onnx, torch
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.texts import TOKENIZER, Texts, of_file
from accelsim.workload.load import Workload, read_network, read_workload, with_fields
from accelsim.workload.model_file import ModelSpec
from accelsim.workload.network import Network


@dataclass(frozen=True)
class Source:
    """A network as it is asked for.

    Parameters
    ----------
    name
        Shipped name, name of a network that `accelsim get` has brought, or a path: of a workload file or its folder, an
        ONNX or GGUF file, or a Hugging Face directory.
    data, calibration
        Files of test inputs, with what judges the outputs, and of inputs that fix the activations' ranges: .npz, or
        .txt for a language model, whose tokens are cut into texts of one length.
    batch
        Samples; all that the data have, or what the file says, if absent.
    shapes
        Shapes of inputs whose file leaves them open, by name.
    fields
        Fields of a workload file that are other than it says, by their paths.
    """

    name: str
    data: Path | None = None
    calibration: Path | None = None
    batch: int | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def load_network(source: str | Source, variant: str | None = None, *, values: bool = True) -> Network:
    """Load a network with its data.

    Parameters
    ----------
    variant
        Name of the variant whose weights are read; those of the network itself if absent.
    values
        Whether synthetic weights and inputs are drawn; else the network has only shapes. Files are read anyway.

    Raises
    ------
    ConfigError, WorkloadError
        With every fault found.
    """
    asked = source if isinstance(source, Source) else Source(source)
    path = library.found(asked.name)
    if path is None and asked.name in library.KNOWN:
        raise ConfigError(f"{asked.name} must be brought to this computer first: accelsim get {asked.name}")
    name = asked.name if path else None
    path = path or Path(asked.name)
    if is_file(path / "workload.yaml"):
        path = path / "workload.yaml"
    if not _is_imported(path):
        file = str(path) if path.suffix in {".yaml", ".yml"} else asked.name
        workload = _with_length(with_fields(read_workload(file), asked.fields), asked)
        return _with_data(read_network(workload, variant, values=values), workload.path, asked)
    if asked.fields:
        raise ConfigError(f"fields of a workload must be those of a workload file, which {path} is not")
    if variant is not None:
        raise ConfigError(f"recipe must not begin with the variant {variant!r}, of which {path} has none")
    imported = _import(path, asked)
    graph = replace(imported.graph, name=name) if name else imported.graph
    empty: tuple[()] = ()
    bare = Network(graph, empty, None, empty, imported.sha256, calibrated_on="", orders=imported.orders)
    return _with_data(bare, path, asked, drawn_values=values)


def _with_length(workload: Workload, asked: Source) -> Workload:
    """A workload with as many tokens an input as are asked for; only a language model's file leaves that open."""
    if isinstance(workload.spec, ModelSpec):
        length = _length(asked)
        spec = workload.spec if length is None else workload.spec.model_copy(update={"length": length})
        return replace(workload, spec=spec)
    if asked.shapes:
        raise AccelSimError("--shape must be absent for a workload file, which says all shapes")
    return workload


def _is_imported(path: Path) -> bool:
    """Whether an importer reads it."""
    return path.suffix.lower() in _READERS or (is_folder(path) and not is_file(path / "workload.yaml"))


def _import(path: Path, asked: Source) -> Imported:
    """Read other tools' files."""
    read = _READERS.get(path.suffix.lower(), _huggingface)
    try:
        return read(path, asked)
    except MemoryError:
        raise WorkloadError(Fault("tensors must fit this computer's memory, but do not", str(path))) from None


def _onnx(path: Path, asked: Source) -> Imported:
    return onnx.load(path, batch=asked.batch, shapes=asked.shapes)


def _gguf(path: Path, asked: Source) -> Imported:
    return gguf.load(path, batch=asked.batch or 1, length=_length(asked))


def _torch(path: Path, asked: Source) -> Imported:
    return torch.load(path, batch=asked.batch or 1)


def _huggingface(path: Path, asked: Source) -> Imported:
    return huggingface.load(path, batch=asked.batch or 1, length=_length(asked))


#: What reads files, by how they end; directories are Hugging Face's.
_READERS: dict[str, Callable[[Path, Source], Imported]] = {
    ".onnx": _onnx, ".gguf": _gguf, ".pth": _torch, ".pt": _torch,
}  # fmt: skip


def _length(asked: Source) -> int | None:
    """Tokens of a text, as the shape of the input says, or the data."""
    for name, shape in asked.shapes.items():
        if name != IDS or len(shape) != 2:
            sides = ",".join(map(str, shape))
            raise AccelSimError(f"--shape must be {IDS}=BATCH,LENGTH for a language model, not {name}={sides}")
        return shape[1]
    if asked.data and asked.data.suffix != TEXT:
        ids = read_arrays(asked.data)[0].get(IDS)
        return ids.shape[1] if ids is not None and ids.ndim == 2 else None  # what it is else is said when it is read
    return None


#: Input of language models, and how files of text end.
IDS, TEXT = "input_ids", ".txt"


def _data(file: Path, network: Network, path: Path) -> Data:
    """Data of a file for a network from a path."""
    if file.suffix != TEXT:
        return read_data(file, network.graph, network.orders)
    return read_text(file, network.graph, tokenizer(path, file))


def tokenizer(path: Path, file: Path) -> Texts:
    """What makes tokens of a text for the network from a path.

    Raises
    ------
    WorkloadError
        If the network comes without a tokenizer.
    """
    if path.suffix.lower() == ".gguf":
        return gguf.tokenizer(path)
    beside = path.parent / TOKENIZER
    if path.name == "workload.yaml" and is_file(beside):
        return of_file(beside)
    if not is_folder(path):
        raise WorkloadError(Fault("must be .npz: only a language model with its tokenizer reads text", str(file)))
    return huggingface.tokenizer(path)


def _with_data(network: Network, path: Path, asked: Source, *, drawn_values: bool = True) -> Network:
    """The network with the data that were asked for, or with drawn ones if it has none."""
    if asked.data:
        network = with_data(network, _data(asked.data, network, path), asked.data.name)
    elif not network.inputs:
        network = with_drawn(network, values=drawn_values)
    if asked.calibration:
        network = calibrated(network, _data(asked.calibration, network, path), asked.calibration.name)
    if asked.batch is not None:
        network = network.first(asked.batch)
    return network
