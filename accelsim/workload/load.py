"""Workload files: a YAML description beside safetensors of weights and data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from safetensors import SafetensorError, safe_open

from accelsim.config import shipped
from accelsim.config.load import Document, read_yaml, validate
from accelsim.config.model import NAME, Frozen, Integer, quantity
from accelsim.errors import Fault, WorkloadError, reason, unknown_name
from accelsim.workload.layer import LinearSpec
from accelsim.workload.network import Linear, Network

MAX_TENSOR_FILE_BYTES = 2**36


class DataSpec(Frozen):
    """Where test and calibration data stand."""

    file: str = quantity("path", "safetensors file, relative to the workload's folder and inside it")
    inputs: str = quantity("name", "Tensor of test inputs, float, shape (batch, inputs)")
    labels: str = quantity("name", "Tensor of their classes, integer, shape (batch,)")
    calibration: str = quantity("name", "Tensor of calibration inputs from the training split, float")


class Synthetic(Frozen):
    """Weights and inputs that are drawn: for questions of time and energy, not of quality."""

    seed: Integer = quantity("count", "Seed of numpy's default generator", ge=0, le=2**63 - 1)
    batch: Integer = quantity("samples", "Inputs", ge=1, le=2**20)


class WorkloadSpec(Frozen):
    """A network as its YAML file describes it."""

    kind: Literal["workload"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the network", pattern=NAME)
    description: str = quantity("text", "What the network does")
    source: str = quantity("text", "Where weights and data come from")
    weights: str | None = quantity(
        "path", "safetensors file, relative to the workload's folder and inside it", default=None
    )
    data: DataSpec | None = quantity("section", "Test and calibration data", default=None)
    synthetic: Synthetic | None = quantity(
        "section", "How weights and inputs are drawn, instead of files", default=None
    )
    layers: list[LinearSpec] = quantity("layers", "The layers, in the order of execution", min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> WorkloadSpec:
        names = [layer.name for layer in self.layers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"layers must have different names, not {name!r} twice")
        return self

    @model_validator(mode="after")
    def _files_or_seed(self) -> WorkloadSpec:
        if self.synthetic is None:
            if self.weights is None or self.data is None:
                raise ValueError("weights and data must be given, or synthetic in their place")
            unnamed = [layer.name for layer in self.layers if layer.weight is None]
            if unnamed:
                raise ValueError(f"layer {unnamed[0]} must name its weight")
        elif self.weights or self.data or any(layer.weight or layer.bias for layer in self.layers):
            raise ValueError("synthetic must stand alone: weights, data and the layers' tensors are drawn")
        return self


def load_network(name_or_path: str) -> Network:
    """Load a workload by its shipped name or its path.

    Raises
    ------
    ConfigError, WorkloadError
        With every fault found: of the YAML file, then of the tensors' names, shapes and values.
    """
    path = shipped.path_of("workload", name_or_path)
    document = read_yaml(path)
    spec = validate(document, WorkloadSpec)
    faults = _chain_faults(document, spec)
    if faults:
        raise WorkloadError(*faults)
    if spec.synthetic:
        return _draw(spec, spec.synthetic, hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
    assert spec.weights is not None  # noqa: S101 - as the model's validator says
    assert spec.data is not None  # noqa: S101 - the same
    reader = _Tensors(document, path.parent)
    layers = [_linear(reader, i, layer) for i, layer in enumerate(spec.layers)]
    features = spec.layers[0].inputs
    data = spec.data
    inputs = reader.floats(("data", "inputs"), data.file, data.inputs, (None, features))
    labels = reader.integers(("data", "labels"), data.file, data.labels, (None,))
    calibration = reader.floats(("data", "calibration"), data.file, data.calibration, (None, features))
    if not reader.faults and len(inputs) != len(labels):
        reader.fault(("data", "labels"), f"must be {len(inputs)} classes, one an input, not {len(labels)}")
    classes = spec.layers[-1].outputs
    wrong = labels[(labels < 0) | (labels >= classes)]
    if not reader.faults and len(wrong):
        reader.fault(("data", "labels"), f"must be classes 0 to {classes - 1}, the outputs, not {wrong[0]}")
    for key, array in (("inputs", inputs), ("calibration", calibration)):
        if not reader.faults and not len(array):
            reader.fault(("data", key), "must hold at least one sample, not none")
    if reader.faults:
        raise WorkloadError(*reader.faults)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest(), **reader.sha256}
    return Network(spec.name, tuple(layers), inputs, labels, calibration, hashes)


def _draw(spec: WorkloadSpec, synthetic: Synthetic, sha256: str, file: str) -> Network:
    """Draw weights of variance 1 / inputs, so that activations keep their size, and inputs from 0 to 1."""
    rng = np.random.default_rng(synthetic.seed)
    features = spec.layers[0].inputs
    inputs, calibration = (rng.random((samples, features), np.float32) for samples in (synthetic.batch, 64))
    layers = []
    for layer in spec.layers:
        weight = rng.standard_normal((layer.inputs, layer.outputs), np.float32)
        weight /= np.float32(np.sqrt(layer.inputs))
        layers.append(Linear(layer.name, weight, np.zeros(layer.outputs, np.float32), layer.activation == "relu"))
    return Network(spec.name, tuple(layers), inputs, None, calibration, {file: sha256}, synthetic.seed)


def _chain_faults(document: Document, spec: WorkloadSpec) -> list[Fault]:
    return [
        document.fault(
            ("layers", i + 1, "inputs"),
            f"must be {before.outputs}, the outputs of layer {before.name}, not {after.inputs}",
        )
        for i, (before, after) in enumerate(zip(spec.layers, spec.layers[1:], strict=False))
        if before.outputs != after.inputs
    ]


def _linear(reader: _Tensors, index: int, spec: LinearSpec) -> Linear:
    place = ("layers", index)
    file = reader.spec_weights
    assert spec.weight is not None  # noqa: S101 - as the workload's validator says
    weight = reader.floats((*place, "weight"), file, spec.weight, (spec.outputs, spec.inputs))
    bias = (
        reader.floats((*place, "bias"), file, spec.bias, (spec.outputs,))
        if spec.bias
        else np.zeros(spec.outputs, np.float32)
    )
    return Linear(spec.name, np.ascontiguousarray(weight.T), bias, spec.activation == "relu")


class _Tensors:
    """Reads and checks tensors of the files that a workload names; collects faults instead of raising."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder.resolve()
        self._files: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.sha256: dict[str, str] = {}
        self.spec_weights: str = document.data["weights"]

    def fault(self, key: tuple[int | str, ...], message: str) -> None:
        fault = self._document.fault(key, message)
        if fault not in self.faults:
            self.faults.append(fault)

    def floats(
        self, key: tuple[int | str, ...], file: str, name: str, shape: tuple[int | None, ...]
    ) -> NDArray[np.float32]:
        array = self._tensor(key, file, name, shape, {"F32", "F64", "F16", "U8"})
        with np.errstate(over="ignore"):
            values = array.astype(np.float32)
        if not np.isfinite(values).all():
            bad = int(np.size(values) - np.isfinite(values).sum())
            self.fault(key, f"must be finite numbers, but {bad} of {values.size} values of {name!r} are not")
        return values

    def integers(
        self, key: tuple[int | str, ...], file: str, name: str, shape: tuple[int | None, ...]
    ) -> NDArray[np.int64]:
        return self._tensor(key, file, name, shape, {"I64", "I32", "I16", "I8", "U8"}).astype(np.int64)

    def _tensor(
        self,
        key: tuple[int | str, ...],
        file: str,
        name: str,
        shape: tuple[int | None, ...],
        dtypes: set[str],
    ) -> NDArray[Any]:
        empty = np.zeros([0] * len(shape), np.float32)  # after a fault nothing is taken, whatever the shape promises
        handle = self._open(("weights",) if file == self.spec_weights else ("data", "file"), file)
        if handle is None:
            return empty
        if name not in handle.keys():  # noqa: SIM118 - not a mapping
            self.fault(key, unknown_name(f"tensor of {file}", name, handle.keys()))
            return empty
        view = handle.get_slice(name)
        given, dtype = tuple(view.get_shape()), view.get_dtype()
        if dtype not in dtypes:
            self.fault(key, f"must be a tensor of type {' or '.join(sorted(dtypes))}, not {dtype}")
            return empty
        if len(given) != len(shape) or any(w is not None and w != g for w, g in zip(shape, given, strict=True)):
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            self.fault(key, f"must have shape ({wanted}), not ({', '.join(map(str, given))})")
            return empty
        tensor: NDArray[Any] = handle.get_tensor(name)
        return tensor

    def _open(self, key: tuple[int | str, ...], file: str) -> Any:
        if file in self._files:
            return self._files[file]
        self._files[file] = None
        try:
            path = (self._folder / file).resolve()
            if not path.is_relative_to(self._folder):
                self.fault(key, f"must be a file inside the workload's folder, not {file!r}")
                return None
            if path.stat().st_size > MAX_TENSOR_FILE_BYTES:
                self.fault(key, f"must be at most {MAX_TENSOR_FILE_BYTES} bytes, not {path.stat().st_size}")
                return None
            self._files[file] = safe_open(path, framework="numpy")
            with path.open("rb") as stream:
                self.sha256[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError, RuntimeError) as error:
            self.fault(key, f"must be a readable file: {file}: {reason(error)}")
        except SafetensorError as error:
            self.fault(key, f"must be a whole safetensors file: {file}: {error}")
        return self._files[file]
