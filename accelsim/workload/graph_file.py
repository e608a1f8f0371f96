"""Workload files of graphs: nodes, each an operator and what it reads and forms, beside safetensors of constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, model_validator

from accelsim.computer import memory_bytes
from accelsim.config.load import Document
from accelsim.config.model import NAME, Frozen, quantity
from accelsim.config.tree import Path_
from accelsim.errors import AccelSimError, WorkloadError, unknown_name
from accelsim.formats.ggml import LAYOUTS, BlockTensor, Ggml, GgmlName
from accelsim.formats.storage import Storage
from accelsim.golden.operators import UNFIT, read_op
from accelsim.golden.task import Classification, Embeddings, Language, Regression, Task
from accelsim.graph.element import REAL, Element, Integer, Plain, Signs
from accelsim.graph.element_info import AnyElementInfo, FloatInfo, element_of
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.op import UnfitError
from accelsim.graph.state import State
from accelsim.graph.value import Shape, Type, Value
from accelsim.workload.data import calibrated, read_data, read_text, with_data
from accelsim.workload.importers import texts
from accelsim.workload.network import Network
from accelsim.workload.tensor_files import TensorFiles

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: Largest side of a tensor, and axes that it has at most.
MAX_SIDE, MAX_AXES = 2**31 - 1, 32
#: Faults of names after which no more are looked for, because each nearest name takes its time.
MOST_FAULTS = 10
#: safetensors' names of numpy's types.
DTYPES = {
    "float32": "F32", "float64": "F64", "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
}  # fmt: skip

Name = Annotated[str, StringConstraints(pattern=NAME)]
Axes = Annotated[list[Annotated[int, Field(ge=0, lt=MAX_AXES)]], Field(max_length=MAX_AXES)]
Sides = Annotated[list[Annotated[int, Field(ge=0, le=MAX_SIDE)]], Field(max_length=MAX_AXES)]


class InputSpec(Frozen):
    """An input."""

    shape: Sides = quantity("numbers", "Samples first, features (channels) last")
    element: AnyElementInfo = quantity(
        "section", "What its numbers are", default=FloatInfo.model_validate({"operand": "fp32"})
    )


class ConstantSpec(Frozen):
    """A constant."""

    shape: Sides = quantity("numbers", "Features (outputs) last")
    element: AnyElementInfo | None = quantity(
        "section", "What its numbers are; what the tensor's type says if absent, fp32 or numbers for themselves",
        default=None,
    )  # fmt: skip
    tensor: Name | None = quantity(
        "name", "Its tensor in the file of weights; that of its name if absent", default=None
    )
    order: Axes | None = quantity(
        "numbers", "For each axis that of the tensor in the file, where they stand in another order", default=None
    )
    blocks: GgmlName | None = quantity(
        "name", "ggml's format of the blocks that the tensor holds, U8, (outputs, blocks, bytes)", default=None
    )
    decoded: bool = quantity("flag", "Whether blocks are numbers in memory, and not blocks there too", default=False)
    pattern: Annotated[list[int], Field(min_length=2, max_length=2)] | None = quantity(
        "numbers", "N and M: of every M numbers along the inputs at most N are nonzero", default=None
    )


class StateSpec(Frozen):
    """What lives on from one evaluation to the next."""

    read: Name = quantity("name", "Value that nodes read")
    written: Name = quantity("name", "Value that a node forms, and that is read next time")
    shape: Sides = quantity("numbers", "Samples first")
    element: AnyElementInfo = quantity(
        "section", "What its numbers are", default=FloatInfo.model_validate({"operand": "fp32"})
    )
    initial: Name | None = quantity(
        "name", "Tensor of a sample's numbers before the first evaluation, F32; zeros if absent", default=None
    )


class NodeSpec(Frozen):
    """An operator between values."""

    name: Name = quantity("name", "Name of the node, unique in the network")
    op: str | dict[str, Any] = quantity("operator", "Its kind, or `{kind: KIND, ATTRIBUTE: ...}`")
    reads: list[Name] = quantity("names", "Values that it takes, in order")
    forms: list[Name] = quantity("names", "Values that it forms, in order", min_length=1)


class ProvenanceSpec(Frozen):
    """What a file was made from."""

    accelsim: str = quantity("version", "Version of accelsim that wrote the file")
    files: dict[str, str] = quantity("hexadecimal digits", "SHA-256 of each file that was read, by its name")


class TaskSpec(Frozen):
    """What judges the outputs."""

    kind: Literal["classification", "regression", "embeddings", "language"] = quantity(
        "name", "What it is: classes, numbers, vectors whose angles are compared, or next tokens"
    )
    text: str | None = quantity(
        "path",
        "Text of a language model, inside the folder: its tokens, cut into inputs one behind the other, are the data",
        default=None,
    )
    tokenizer: str | None = quantity(
        "path", "The text's tokenizer, a tokenizer.json of Hugging Face's library, inside the folder", default=None
    )

    @model_validator(mode="after")
    def _text_has_a_tokenizer(self) -> TaskSpec:
        if (self.text is None) != (self.tokenizer is None):
            raise ValueError("text and tokenizer must be given together")
        if self.text is not None and self.kind != "language":
            raise ValueError(f"text must be for kind language, not {self.kind}")
        return self


#: What judges the outputs, by the name of its kind.
TASKS: dict[str, type[Task]] = {
    "classification": Classification, "regression": Regression, "embeddings": Embeddings, "language": Language,
}  # fmt: skip


class GraphSpec(Frozen):
    """A network as a graph."""

    kind: Literal["workload"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the network", pattern=NAME)
    description: str = quantity("text", "What the network does")
    source: str = quantity("text", "Where weights and data come from")
    provenance: ProvenanceSpec | None = quantity("section", "What the file was made from", default=None)
    weights: str = quantity("path", "safetensors file of constants, relative to the workload's folder and inside it")
    data: str | None = quantity(
        "path", "Test data, .npz, inside the folder: inputs by their names, and labels, targets, or pairs and scores",
        default=None,
    )  # fmt: skip
    task: TaskSpec | None = quantity(
        "section", "What judges the outputs; what the arrays of the data are for if absent", default=None
    )
    calibration: str | None = quantity(
        "path",
        "Inputs that fix the activations' ranges, .npz, inside the folder; the test data if absent",
        default=None,
    )
    inputs: dict[Name, InputSpec] = quantity("inputs", "Inputs, by name, in order")
    constants: dict[Name, ConstantSpec] = quantity("constants", "Constants, by name", default={})
    states: list[StateSpec] = quantity("states", "What lives on from one evaluation to the next", default=[])
    nodes: list[NodeSpec] = quantity(
        "nodes", "Operators, in an order in which all is there that one reads", min_length=1
    )
    outputs: list[Name] = quantity("names", "Outputs, in order", min_length=1)
    orders: dict[Name, Axes] = quantity(
        "numbers", "Of inputs and outputs for each axis that of the arrays in files of data, where they differ",
        default={},
    )  # fmt: skip

    @property
    def files(self) -> list[str]:
        """Files that it names."""
        task = (self.task.text, self.task.tokenizer) if self.task else ()
        return [name for name in (self.weights, self.data, self.calibration, *task) if name]

    @model_validator(mode="after")
    def _one_kind_of_data(self) -> GraphSpec:
        if self.data and self.task and self.task.text:
            raise ValueError("data must be absent where the task has a text")
        return self


def read_graph(path: Path, document: Document, spec: GraphSpec, sha256: str) -> Network:
    """Read the constants and the data of a graph.

    Parameters
    ----------
    path
        Of the workload file.
    sha256
        Its hash.

    Raises
    ------
    WorkloadError
        With the faults that were found, each with its place.
    """
    tensors = TensorFiles(document, path.parent)
    reader = _Reader(document, spec, tensors)
    reader.check_names()
    reader.check()
    graph = reader.graph()
    hashes = {path.name: sha256, **tensors.sha256}
    network = Network(graph, (), None, (), hashes, calibrated_on="", orders=reader.orders(graph))
    if spec.task and spec.task.text:
        network = _with_text(network, spec.task, tensors)
    for key, name, use in (("data", spec.data, with_data), ("calibration", spec.calibration, calibrated)):
        if name:
            file = tensors.path((key,), name)
            reader.check()
            assert file  # noqa: S101 - else there is a fault
            network = use(network, read_data(file, network.graph, network.orders), name)
    if spec.task and not isinstance(network.task, TASKS[spec.task.kind]):
        judged = next((kind for kind, of in TASKS.items() if isinstance(network.task, of)), "nothing")
        text = f"must be what the data judge, {judged}, not {spec.task.kind}"
        raise WorkloadError(document.fault(("task", "kind"), text))
    return network


def _with_text(network: Network, task: TaskSpec, tensors: TensorFiles) -> Network:
    """The network with a text as its data."""
    assert task.text and task.tokenizer  # noqa: S101, PT018 - as who calls has it
    text, tokenizer = (
        tensors.path(("task", key), name) for key, name in (("text", task.text), ("tokenizer", task.tokenizer))
    )
    if tensors.faults:
        raise WorkloadError(*tensors.faults)
    assert text and tokenizer  # noqa: S101, PT018 - else there is a fault
    data = read_text(text, network.graph, texts.of_file(tokenizer))
    return with_data(network, data, task.text)


class _Origin(NamedTuple):
    """Where a value is from: a key of the file, and the node that forms it, if one does."""

    key: Path_
    node: int = -1


@dataclass
class _Reader:
    """Makes a graph of what a file says."""

    document: Document
    spec: GraphSpec
    tensors: TensorFiles
    origins: dict[str, _Origin] = field(default_factory=dict)
    _read: dict[str, NDArray[Any]] = field(default_factory=dict)
    _blocks: dict[tuple[str, GgmlName], tuple[BlockTensor, Float32]] = field(default_factory=dict)

    def check(self) -> None:
        """Raise what was found so far."""
        if self.tensors.faults:
            raise WorkloadError(*self.tensors.faults)

    def check_names(self) -> None:
        """Look for names that are there twice, unknown, or read before their value is there."""
        self._declare_all()
        spec = self.spec
        for i, node in enumerate(spec.nodes):
            for j, name in enumerate(node.reads):
                self._known(("nodes", i, "reads", j), name, i)
        for i, name in enumerate(spec.outputs):
            self._known(("outputs", i), name, len(spec.nodes))
        for i, state in enumerate(spec.states):
            self._known(("states", i, "written"), state.written, len(spec.nodes))
        ends = {*spec.inputs, *spec.outputs}
        for name in spec.orders:
            if name not in ends:
                self.tensors.fault(("orders", name), unknown_name("input or output", name, ends))

    def _declare_all(self) -> None:
        """Note where all values are from; refuse two of one name, and two nodes of one name."""
        spec, names = self.spec, dict[str, int]()
        for name in spec.inputs:
            self._declare(name, _Origin(("inputs", name)))
        for i, state in enumerate(spec.states):
            self._declare(state.read, _Origin(("states", i, "read")))
        for name in spec.constants:
            self._declare(name, _Origin(("constants", name)))
        for i, node in enumerate(spec.nodes):
            if names.setdefault(node.name, i) != i:
                text = f"must be another name than that at nodes.{names[node.name]}.name, {node.name!r}"
                self.tensors.fault(("nodes", i, "name"), text)
            for j, name in enumerate(node.forms):
                self._declare(name, _Origin(("nodes", i, "forms", j), i))

    def _declare(self, name: str, origin: _Origin) -> None:
        before = self.origins.setdefault(name, origin)
        if before is not origin:
            first = ".".join(map(str, before.key))
            self.tensors.fault(origin.key, f"must be another name than that at {first}, {name!r}")

    def _known(self, key: Path_, name: str, number: int) -> None:
        """Look whether a value is there before a node of some number."""
        if len(self.tensors.faults) >= MOST_FAULTS:
            self.check()
        origin = self.origins.get(name)
        if origin is None:
            self.tensors.fault(key, unknown_name("value", name, self.origins))
        elif origin.node >= number:
            by = self.spec.nodes[origin.node].name
            self.tensors.fault(key, f"must be there before it is read, but {name!r} is formed by {by!r}, which is not")

    def graph(self) -> Graph:
        """The graph; constants that no node reads are not taken."""
        spec = self.spec
        read = {name for node in spec.nodes for name in node.reads} | {*spec.outputs}
        needed = {name: constant for name, constant in spec.constants.items() if name in read}
        self._check_memory(needed)
        values = {name: self._entering(("inputs", name), name, x) for name, x in spec.inputs.items()}
        values |= {state.read: self._entering(("states", i), state.read, state) for i, state in enumerate(spec.states)}
        values |= {name: self._constant(name, constant) for name, constant in needed.items()}
        states = [self._state(i, state) for i, state in enumerate(spec.states)]
        self.check()
        nodes = [self._node(i, node, values) for i, node in enumerate(spec.nodes)]
        known = {name: values[name] for name in (*spec.inputs, *(s.read for s in spec.states), *needed)}
        try:
            return Graph.formed(spec.name, known, nodes, spec.inputs, spec.outputs, states)
        except AccelSimError as error:
            raise WorkloadError(self.document.fault(("states",), str(error))) from None

    def orders(self, graph: Graph) -> dict[str, tuple[int, ...]]:
        """Axes of files of data in the graph's order."""
        for name, order in self.spec.orders.items():
            rank = len(graph[name].shape)
            if sorted(order) != list(range(rank)):
                self.tensors.fault(("orders", name), f"must be axes 0 to {rank - 1} in some order, not {order}")
        self.check()
        return {name: tuple(order) for name, order in self.spec.orders.items()}

    def _check_memory(self, constants: Mapping[str, ConstantSpec]) -> None:
        """Refuse constants that say they are larger than the memory, before any of it is taken."""
        size, there = 0, memory_bytes()
        for name, constant in constants.items():
            size += 4 * math.prod(constant.shape)
            if size > there:
                key = ("constants", name, "shape")
                self.tensors.fault(
                    key, f"constants must fit in {there} bytes of memory, but take {size} up to this one"
                )
                self.check()

    def _entering(self, key: Path_, name: str, spec: InputSpec | StateSpec) -> Value:
        shape = tuple(spec.shape)
        element = self._element((*key, "element"), spec.element, shape)
        self._check_size((*key, "shape"), name, Type(shape, element))
        return Value(name, shape, element)

    def _state(self, i: int, state: StateSpec) -> State:
        shape = tuple(state.shape[1:])
        if state.initial is None:
            return State(state.read, state.written, np.broadcast_to(np.float32(0), shape))
        key = ("states", i, "initial")
        initial = self._tensor(key, state.initial, shape, {"F32"})
        return State(state.read, state.written, np.zeros((), np.float32) if initial is None else initial)

    def _constant(self, name: str, spec: ConstantSpec) -> Value:
        key, shape = ("constants", name), tuple(spec.shape)
        order = list(range(len(shape))) if spec.order is None else spec.order
        if sorted(order) != list(range(len(shape))):
            self.tensors.fault((*key, "order"), f"must be axes 0 to {len(shape) - 1} in some order, not {order}")
            return Value(name, shape, REAL)
        pattern = self._pattern(key, spec)
        if spec.blocks is not None:
            return self._in_blocks(name, spec, order, pattern)
        element = None if spec.element is None else self._element((*key, "element"), spec.element, shape)
        dtypes = set(DTYPES.values()) if element is None else {DTYPES[element.dtype.name]}
        data = self._tensor(key, spec.tensor or name, _in_file(shape, order), dtypes)
        if data is None:
            return Value(name, shape, REAL)
        if element is None:
            element = REAL if data.dtype == np.float32 else Plain(data.dtype.name)
        self._check_numbers(key, name, data, element)
        return Value(name, shape, element, data.transpose(order), pattern=pattern)

    def _in_blocks(self, name: str, spec: ConstantSpec, order: list[int], pattern: tuple[int, int]) -> Value:
        """A matrix of blocks."""
        assert spec.blocks is not None  # noqa: S101 - as who calls has it
        key, codec = ("constants", name), Ggml(spec.blocks)
        value = Value(name, tuple(spec.shape), REAL, pattern=pattern)
        stands = _in_file(value.shape, order)
        if spec.element is not None or len(stands) != 2 or stands[0] % codec.block:
            text = (
                f"must be a matrix of floats with a multiple of {codec.block} inputs in the file, not of shape {stands}"
            )
            self.tensors.fault((*key, "blocks"), text)
            return value
        if spec.order is not None and not spec.decoded:
            self.tensors.fault((*key, "order"), "must be absent where a matrix stays in blocks")
            return value
        sides = (stands[1], stands[0] // codec.block, LAYOUTS[spec.blocks].bytes)
        data = self._tensor(key, spec.tensor or name, sides, {"U8"})
        if data is None:
            return value
        try:
            place = (spec.tensor or name, spec.blocks)
            if place not in self._blocks:
                self._blocks[place] = _decoded(codec, data)
        except ValueError as error:
            self.tensors.fault((*key, "blocks"), str(error))
            return value
        blocks, numbers = self._blocks[place]
        numbers = numbers.transpose(order)
        if spec.decoded:
            return replace(value, data=numbers)
        return replace(value, data=numbers, storage=Storage(spec.blocks, 0, codec.block), groups=blocks)

    def _pattern(self, key: Path_, spec: ConstantSpec) -> tuple[int, int]:
        if spec.pattern is None:
            return (1, 1)
        n, m = spec.pattern
        if not 1 <= n <= m <= MAX_SIDE:
            self.tensors.fault((*key, "pattern"), f"must be N and M, 1 <= N <= M, not {n} and {m}")
        return (n, m)

    def _tensor(self, key: Path_, name: str, shape: Shape, dtypes: set[str]) -> NDArray[Any] | None:
        """A tensor of the file of weights, read once for all constants that have it; None after a fault."""
        if name in self._read:
            found = self._read[name]
            if found.shape == shape and DTYPES[found.dtype.name] in dtypes:
                return found
        before = len(self.tensors.faults)
        found = self.tensors.tensor(key, ("weights",), self.spec.weights, name, shape, dtypes)
        if len(self.tensors.faults) > before:
            return None
        return self._read.setdefault(name, found)

    def _element(self, key: Path_, info: AnyElementInfo, shape: Shape) -> Element:
        """An element, whose channels are as many as those of a shape."""
        element = element_of(info, lambda name: self._scales(key, name))
        if isinstance(element, Integer) and np.ndim(element.scale) and np.shape(element.scale) != shape[-1:]:
            self.tensors.fault(key, f"must have {shape[-1:]} scales, one a channel, not {np.size(element.scale)}")
        return element

    def _scales(self, key: Path_, name: str) -> Float64:
        """Scales of channels."""
        scales = self.tensors.tensor(key, ("weights",), self.spec.weights, name, (None,), {"F64"})
        if not (np.isfinite(scales) & (scales > 0)).all():
            self.tensors.fault(key, f"scales of {name!r} must be above 0 and finite")
        return scales

    def _check_numbers(self, key: Path_, name: str, data: NDArray[Any], element: Element) -> None:
        """Refuse integers beyond the range of their element."""
        if isinstance(element, Integer | Signs) and data.size:
            low, high = int(data.min()), int(data.max())
            if low < element.qmin or high > element.qmax or (isinstance(element, Signs) and not data.all()):
                self.tensors.fault(key, f"numbers of {name!r} must be those of {element}, not {low} to {high}")

    def _check_size(self, key: Path_, name: str, kind: Type) -> None:
        """Refuse a tensor that no memory holds."""
        size, there = math.prod(kind.shape) * kind.element.dtype.itemsize, memory_bytes()
        if size > there or any(side > MAX_SIDE for side in kind.shape):
            shape = ", ".join(map(str, kind.shape))
            raise WorkloadError(
                self.document.fault(key, f"{name!r} must fit in {there} bytes of memory, not have shape ({shape})")
            )

    def _node(self, i: int, spec: NodeSpec, values: dict[str, Value]) -> Node:
        """A node; what it forms is put into the values."""
        key: Path_ = ("nodes", i, "op")
        given = [values[name] for name in spec.reads]
        try:
            op = read_op(
                {"kind": spec.op} if isinstance(spec.op, str) else spec.op, scales=lambda name: self._scales(key, name)
            )
            self.check()
            least, most = op.arity
            if not least <= len(given) <= most:
                key = ("nodes", i, "reads")
                raise UnfitError(f"must be {_values(least, most)}, not {len(given)}")
            key = ("nodes", i)
            types = op.infer(*given)
            if len(types) != len(spec.forms):
                key = ("nodes", i, "forms")
                raise UnfitError(f"must be {_values(len(types), len(types))}, not {len(spec.forms)}")
        except WorkloadError:
            raise
        except UNFIT as error:
            raise WorkloadError(self.document.fault(key, str(error) or type(error).__name__)) from None
        for name, kind in zip(spec.forms, types, strict=True):
            self._check_size(("nodes", i), name, kind)
            values[name] = Value(name, kind.shape, kind.element)
        return Node(spec.name, op, tuple(spec.reads), tuple(spec.forms))


def _values(least: int, most: int) -> str:
    """How many values."""
    count = str(least) if least == most else f"{least} to {most}"
    return f"{count} value{'' if most == 1 else 's'}"


def _in_file(shape: Shape, order: list[int]) -> Shape:
    """Shape of a tensor whose axes come to others by an order."""
    return tuple(shape[order.index(axis)] for axis in range(len(shape)))


def _decoded(codec: Ggml, data: NDArray[np.uint8]) -> tuple[BlockTensor, Float32]:
    """Blocks, and their numbers."""
    blocks = codec.of(data)
    return blocks, blocks.decode()
