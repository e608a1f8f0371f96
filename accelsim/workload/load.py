"""Workload files: a YAML description, of layers, of a graph or of a model, beside the files of weights and data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from accelsim import provenance
from accelsim.config import shipped
from accelsim.config.fields import changed
from accelsim.config.load import MAX_FILE_BYTES, Document, read_yaml, validate
from accelsim.config.model import NAME, Frozen, Integer, quantity
from accelsim.config.tree import Path_
from accelsim.errors import AccelSimError, Fault, WorkloadError, unknown_name
from accelsim.files import hash_of, is_file
from accelsim.golden.task import Regression, Task
from accelsim.graph.graph import Graph
from accelsim.graph.rewrite import with_samples
from accelsim.graph.value import Shape, without_numbers
from accelsim.workload.assemble import PREVIOUS, MisfitError, assemble, readings
from accelsim.workload.data import classification, no_class, with_drawn
from accelsim.workload.graph_file import GraphSpec, read_graph
from accelsim.workload.layer import (
    MAX_LAYERS,
    MAX_ROWS,
    MAX_SIDE,
    BatchNormSpec,
    ConvSpec,
    LayerSpec,
    LinearSpec,
    ProductSpec,
    Side,
)
from accelsim.workload.model_file import ModelSpec, read_model
from accelsim.workload.network import Network
from accelsim.workload.synthetic import Draw, Shapes, Synthetic, draw_layers, draw_network
from accelsim.workload.tensor_files import TensorFiles


class DataSpec(Frozen):
    """Where test and calibration data stand."""

    file: str = quantity("path", "safetensors file, relative to the workload's folder and inside it")
    inputs: str = quantity("name", "Tensor of test inputs, shape (batch, inputs), or (batch, height, width, channels)")
    labels: str | None = quantity(
        "name", "Tensor of their classes, integer, shape (batch,); of a single output 0 and 1", default=None
    )
    targets: str | None = quantity(
        "name", "Tensor of what the outputs should be, in place of classes, float, of the outputs' shape", default=None
    )
    calibration: str = quantity("name", "Tensor of calibration inputs from the training split, float")
    scale: float = quantity("factor", "What each number of the inputs is multiplied by", default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_task(self) -> DataSpec:
        if (self.labels is None) == (self.targets is None):
            raise ValueError("either labels or targets must be given")
        return self


class VariantSpec(Frozen):
    """Other weights of the same layers, trained for a compression scheme."""

    description: str = quantity("text", "What the variant is")
    source: str = quantity("text", "How it was trained")
    weights: str = quantity(
        "path",
        "safetensors file, relative to the workload's folder and inside it, of tensors named as those of `weights`; "
        "LAYER.weight_step and LAYER.input_step, if there, are steps that training learned",
    )
    accuracy: float = quantity("fraction", "Of the test inputs, in the arithmetic that it was trained for", ge=0, le=1)
    center: float = quantity("value", "What is subtracted from all inputs", default=0.0)


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
    variants: dict[str, VariantSpec] = quantity(
        "variants", "Trained variants of the weights, which recipes may begin with, by name", default={}
    )
    synthetic: Synthetic | None = quantity(
        "section", "How weights and inputs are drawn, instead of files", default=None
    )
    independent: bool = quantity(
        "flag", "Whether each layer has drawn inputs of its own, instead of reading the one before", default=False
    )
    repeats: Integer = quantity(
        "count",
        "How often the layers follow each other: they are a block then, and those of repeat I are called NAME.I",
        default=1,
        ge=1,
        le=10_000,
    )
    input: list[Side] | None = quantity(
        "numbers", "Shape of one input, [height, width, channels]; the first layer's inputs if absent", default=None,
        min_length=1, max_length=3,
    )  # fmt: skip
    layers: list[LayerSpec] = quantity("layers", "The layers, in the order of execution", min_length=1)

    @model_validator(mode="after")
    def _not_too_many(self) -> WorkloadSpec:
        count = self.repeats * len(self.layers)
        if count > MAX_LAYERS:
            raise ValueError(f"layers must be at most {MAX_LAYERS} in all repeats, not {count}")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> WorkloadSpec:
        name, times = Counter(layer.name for layer in self.layers).most_common(1)[0]
        if times > 1:
            raise ValueError(f"layers must have different names, not {name!r} twice")
        held = [layer.name for layer in self.layers if layer.name.startswith(PREVIOUS)]
        if held:
            raise ValueError(f"layer {held[0]!r} must not be called as what a step before put out, {PREVIOUS}NAME")
        return self

    @model_validator(mode="after")
    def _files_or_seed(self) -> WorkloadSpec:
        if self.synthetic is None:
            if self.weights is None or self.data is None:
                raise ValueError("weights and data must be given, or synthetic in their place")
            unnamed = [layer.name for layer in self._weighted if layer.weight is None]
            if unnamed:
                raise ValueError(f"layer {unnamed[0]} must name its weight")
        elif self.weights or self.data or self.variants or any(layer.weight or layer.bias for layer in self._weighted):
            raise ValueError("synthetic must stand alone: weights, data and the layers' tensors are drawn")
        return self

    @property
    def all_layers(self) -> list[LayerSpec]:
        """The layers of all repeats, under their own names."""
        if self.repeats == 1:
            return self.layers
        numbers = range(1, self.repeats + 1)
        return [x.model_copy(update={"name": f"{x.name}.{i}"}) for i in numbers for x in self.layers]

    @property
    def _weighted(self) -> list[ProductSpec]:
        return [layer for layer in self.layers if isinstance(layer, ProductSpec)]

    @property
    def sample(self) -> Shape:
        """Shape of one input."""
        if self.input is not None:
            return tuple(self.input)
        first = self.layers[0]
        return (first.inputs,) if isinstance(first, LinearSpec) else (1,)


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload file, checked, its tensors not yet read or drawn.

    Parameters
    ----------
    path
        Of the file, beside which those of its tensors lie.
    document, spec
        What it says, with the place of each word, and checked.
    sha256
        Hash of what it says.
    """

    path: Path
    document: Document
    spec: WorkloadSpec | GraphSpec | ModelSpec
    sha256: str

    @property
    def files(self) -> dict[str, Path]:
        """Files of tensors and data, by the name that the workload gives them."""
        folder = self.path.parent
        if not isinstance(self.spec, WorkloadSpec):
            files = self.spec.files if isinstance(self.spec, GraphSpec) else self.spec.files(folder)
            return {name: folder / name for name in files}
        named = [self.spec.weights, self.spec.data and self.spec.data.file]
        named += [variant.weights for variant in self.spec.variants.values()]
        return {name: folder / name for name in named if name}


def read_workload(name_or_path: str) -> Workload:
    """Read and check a workload file of a shipped name or a path, tensors apart.

    Raises
    ------
    ConfigError, WorkloadError
        With every fault found.
    """
    path = shipped.path_of("workload", name_or_path)
    path = path / "workload.yaml" if is_file(path / "workload.yaml") else path
    if is_file(path) and path.suffix.lower() not in {".yaml", ".yml"}:
        what = "must be a workload's .yaml file, as accelsim import writes one of a network of other tools"
        raise WorkloadError(Fault(what, str(path)))
    document = read_yaml(path)
    return workload_of(path, document, hash_of(path, MAX_FILE_BYTES, WorkloadError))


def workload_of(path: Path, document: Document, sha256: str) -> Workload:
    """Check what a workload file says, or would say after a change; errors as for `read_workload`."""
    if "nodes" in document.data:
        if "layers" in document.data:
            text = "must be absent where there are layers: a network is the one or the other"
            raise WorkloadError(document.fault(("nodes",), text))
        return Workload(path, document, validate(document, GraphSpec), sha256)
    if "model" in document.data:
        return Workload(path, document, validate(document, ModelSpec), sha256)
    spec = validate(document, WorkloadSpec)
    faults = _structure_faults(document, spec)
    if faults:
        raise WorkloadError(*faults)
    return Workload(path, document, spec, sha256)


def with_fields(workload: Workload, given: Mapping[str, Any]) -> Workload:
    """A workload after a change of some fields.

    Parameters
    ----------
    given
        Values by the paths of fields.

    Raises
    ------
    ConfigError, WorkloadError
        If there is no such workload.
    """
    if not given:
        return workload
    data = changed(workload.document.data, given)
    try:
        return workload_of(workload.path, Document("", data, {}), provenance.content_hash(data))
    except AccelSimError as error:
        faults = (replace(f, key=f"workload.{f.key}".strip(".")) if not f.file else f for f in error.faults)
        raise type(error)(*faults) from None


def network_of(workload: Workload, variant: str | None = None, *, values: bool = True) -> Network:
    """Read or draw the tensors of a workload, and inputs of a graph without data; see `read_network`."""
    network = read_network(workload, variant, values=values)
    return network if network.inputs else with_drawn(network, values=values)


def read_network(workload: Workload, variant: str | None = None, *, values: bool = True) -> Network:
    """Read or draw the tensors of a workload; a graph without data has no inputs yet.

    Parameters
    ----------
    variant
        Name of the variant whose weights are read; those of the workload itself if absent.
    values
        Whether synthetic weights and inputs are drawn; else the network has only shapes. Files are read anyway.

    Raises
    ------
    WorkloadError
        With every fault found of the tensors' names, shapes and values.
    AccelSimError
        If the extra `text`, which language models need, is not installed.
    """
    spec = workload.spec
    variants = spec.variants if isinstance(spec, WorkloadSpec) else {}
    if variant is not None and variant not in variants:
        raise WorkloadError(workload.document.fault((), unknown_name(f"variant of {spec.name}", variant, variants)))
    if isinstance(spec, GraphSpec):
        return read_graph(workload.path, workload.document, spec, workload.sha256)
    if isinstance(spec, ModelSpec):
        return read_model(workload.path, workload.document, spec, workload.sha256)
    try:
        if spec.synthetic is None:
            return _read(workload.document, workload.path, spec, workload.sha256, variant)
        draw = Draw(spec.synthetic.seed) if values else Shapes()
        if spec.independent:
            products = [layer for layer in spec.all_layers if isinstance(layer, ProductSpec)]
            network = draw_layers(spec.name, products, spec.synthetic, draw)
        else:
            network = draw_network(spec.name, spec.layers, spec.synthetic, spec.sample, draw)
    except MisfitError as error:
        place = ("layers", error.place, error.field)
        raise WorkloadError(workload.document.fault(place, error.message)) from None
    return replace(network, sha256={workload.path.name: workload.sha256})


def _read(document: Document, path: Path, spec: WorkloadSpec, sha256: str, variant: str | None) -> Network:
    """Read weights and data from the files that a workload names."""
    data = spec.data
    assert data is not None  # noqa: S101 - as the model's validator says
    reader = _Tensors(document, path.parent)
    begun = spec.variants[variant] if variant is not None else None
    if begun:
        reader.weights, reader.weights_key = begun.weights, ("variants", variant or "", "weights")
    graph = assemble(spec.name, spec.layers, (1, *spec.sample), reader)
    inputs = reader.floats(("data", "inputs"), data.file, data.inputs, (None, *spec.sample))
    calibration = reader.floats(("data", "calibration"), data.file, data.calibration, (None, *spec.sample))
    task = _task(reader, data, graph, len(inputs))
    for key, array in (("inputs", inputs), ("calibration", calibration)):
        if not reader.faults and not len(array):
            reader.fault(("data", key), "must hold at least one sample, not none")
    if reader.faults:
        raise WorkloadError(*reader.faults)
    hashes = {path.name: sha256, **reader.sha256}
    scale, center = np.float32(data.scale), np.float32(begun.center if begun else 0)
    inputs, calibration = (x * scale - center for x in (inputs, calibration))
    of = f"{data.calibration} of {data.file}"
    return Network(with_samples(graph, len(inputs)), (inputs,), task, (calibration,), hashes, calibrated_on=of)


def _task(reader: _Tensors, data: DataSpec, graph: Graph, samples: int) -> Task:
    """What judges the outputs; what is wrong with it is noted."""
    if data.labels is None:
        place, shape = ("data", "targets"), graph[graph.outputs[0]].shape[1:]
        targets = reader.floats(place, data.file, data.targets or "", (None, *shape))
        if not reader.faults and len(targets) != samples:
            reader.fault(place, f"must be {samples} outputs, one an input, not {len(targets)}")
        return Regression(targets.astype(np.float64))
    place = ("data", "labels")
    labels = reader.integers(place, data.file, data.labels, (None,))
    if not reader.faults and len(labels) != samples:
        reader.fault(place, f"must be {samples} classes, one an input, not {len(labels)}")
    wrong = no_class(graph, labels)
    if not reader.faults and wrong:
        reader.fault(place, wrong)
    return classification(graph, labels)


def _structure_faults(document: Document, spec: WorkloadSpec) -> list[Fault]:
    """What the layers' kinds and sizes must be to each other and to their workload."""
    faults = []
    if spec.independent and not spec.synthetic:
        faults.append(document.fault(("independent",), "must be false where weights and data are read from files"))
    if spec.repeats > 1 and not spec.independent:
        faults.append(
            document.fault(("repeats",), f"must be 1 in a workload that is not independent, not {spec.repeats}")
        )
    for i, layer in enumerate(spec.layers):
        faults += [
            document.fault(("layers", i, key), message) for key, message in _layer_faults(layer, alone=spec.independent)
        ]
        if isinstance(layer, ProductSpec):
            if layer.sparsity and not spec.synthetic:
                text = "must be absent where weights are read and not drawn"
                faults.append(document.fault(("layers", i, "sparsity"), text))
            faults += [document.fault(("layers", i), message) for message in _sides(layer, spec)]
    if faults or spec.independent:
        return faults
    try:
        readings(spec.layers)
    except MisfitError as error:
        return [document.fault(("layers", error.place, error.field), error.message)]
    return _chain_faults(document, spec)


def _layer_faults(layer: LayerSpec, *, alone: bool) -> list[tuple[str, str]]:
    """Fields of a layer that only layers by themselves have, or only those that read others."""
    images = ("height", "width", "channels")
    if not alone:
        if layer.kind == "gemm":
            return [("kind", "must be linear in a workload that is not independent, not gemm")]
        if not isinstance(layer, ConvSpec):
            return []
        text = "must be absent where a layer's input is what others form"
        return [(name, text) for name in images if getattr(layer, name) is not None]
    if not isinstance(layer, ProductSpec):
        return [("kind", f"must be a matrix product in a workload that is independent, not {layer.kind}")]
    text = "must be absent in a workload that is independent"
    faults = [(name, text) for name in ("reads", "state") if getattr(layer, name)]
    if layer.activation not in {"none", "relu"} or layer.batch_norm:
        faults.append(("kind", "must end with no function or relu alone in a workload that is independent"))
    if isinstance(layer, ConvSpec):
        text = "must be given where a convolution stands by itself"
        faults += [(name, text) for name in images if getattr(layer, name) is None]
        if layer.groups > 1:
            faults.append(("groups", "must be 1 where a convolution stands by itself"))
    return faults


def _sides(layer: ProductSpec, spec: WorkloadSpec) -> list[str]:
    """Sides of a layer's product that are too long, as far as it tells them by itself."""
    if isinstance(layer, ConvSpec) and None in {layer.height, layer.width, layer.channels}:
        return []
    shape = layer.product(spec.synthetic.batch if spec.synthetic else 1)
    sides = zip(("rows (M)", "inputs (K)"), shape[:2], (MAX_ROWS, MAX_SIDE), strict=True)
    return [f"must be a product of at most {most} {side}, not {size}" for side, size, most in sides if size > most]


def _chain_faults(document: Document, spec: WorkloadSpec) -> list[Fault]:
    """Every fully connected layer's inputs are the outputs of the one that it reads, as far as both tell."""
    by_name = {layer.name: layer for layer in spec.layers}
    faults = []
    for i, (layer, reads) in enumerate(zip(spec.layers, readings(spec.layers), strict=True)):
        before = by_name.get(reads[0])
        if isinstance(layer, LinearSpec) and isinstance(before, LinearSpec) and before.outputs != layer.inputs:
            text = f"must be {before.outputs}, the outputs of layer {before.name}, not {layer.inputs}"
            faults.append(document.fault(("layers", i, "inputs"), text))
    return faults


class _Tensors(TensorFiles):
    """Reads and checks tensors of the files that a list of layers names; collects faults instead of raising."""

    outlined = False

    def __init__(self, document: Document, folder: Path) -> None:
        super().__init__(document, folder)
        self.weights: str = document.data["weights"]
        self.weights_key: tuple[int | str, ...] = ("weights",)

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

    def weight(self, index: int, spec: ProductSpec, shape: Shape) -> NDArray[np.float32]:
        """Weights of a layer, shape (K, N) though they stand output by output, or filters."""
        assert spec.weight is not None  # noqa: S101 - as the workload's validator says
        place = ("layers", index, "weight")
        if len(shape) == 4:
            return _shaped(self.floats(place, self.weights, spec.weight, shape), shape)
        return _shaped(np.ascontiguousarray(self.floats(place, self.weights, spec.weight, shape[::-1]).T), shape)

    def bias(self, index: int, spec: ProductSpec, outputs: int) -> NDArray[np.float32] | None:
        """Bias of a layer, if it has one."""
        if spec.bias is None:
            return None
        return _shaped(self.floats(("layers", index, "bias"), self.weights, spec.bias, (outputs,)), (outputs,))

    def norm(
        self, index: int, spec: BatchNormSpec, outputs: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Parameters of a normalization."""
        place = ("layers", index, "batch_norm", "prefix")
        gamma, beta, mean, variance = (
            _shaped(self.floats(place, self.weights, f"{spec.prefix}.{part}", (outputs,)), (outputs,))
            for part in ("gamma", "beta", "mean", "variance")
        )
        if (variance < 0).any():
            self.fault(place, f"variances of {spec.prefix} must be 0 or more")
        return gamma, beta, mean, variance

    def of_rows(self, index: int, prefix: str, part: str, features: int) -> NDArray[np.float32]:
        """Gamma or beta of a normalization of rows."""
        found = self.floats(("layers", index, "prefix"), self.weights, f"{prefix}.{part}", (features,))
        return _shaped(found, (features,))

    def steps(
        self, index: int, spec: ProductSpec, outputs: int
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Steps of weights and inputs that training fixed."""
        place = ("layers", index, "weight")
        return self._steps(place, f"{spec.name}.weight_step", outputs), self._steps(place, f"{spec.name}.input_step", 1)

    def _steps(self, key: tuple[int | str, ...], name: str, count: int) -> NDArray[np.float32] | None:
        """Positive steps of a layer, shape (count,); None if the file of weights has none of the name."""
        if self.open(self.weights_key, self.weights) is None or name not in self.names(self.weights):
            return None
        found = self.floats(key, self.weights, name, (count,))
        if (found <= 0).any():
            self.fault(key, f"steps of {name!r} must be above 0")
        return found

    def integers(
        self, key: tuple[int | str, ...], file: str, name: str, shape: tuple[int | None, ...]
    ) -> NDArray[np.int64]:
        return self._tensor(key, file, name, shape, {"I64", "I32", "I16", "I8", "U8"}).astype(np.int64)

    def _tensor(
        self, key: Path_, file: str, name: str, shape: tuple[int | None, ...], dtypes: set[str]
    ) -> NDArray[Any]:
        of_file = self.weights_key if file == self.weights else ("data", "file")
        return self.tensor(key, of_file, file, name, shape, dtypes)


def _shaped(tensor: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """A tensor, or after a fault one of its shape that takes no memory, so that other faults are looked for."""
    return tensor if tensor.shape == shape else without_numbers(np.float32, shape)
