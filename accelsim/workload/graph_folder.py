"""Workload folders of networks that were read from other tools' files: what `graph_file` reads again."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from safetensors import SafetensorError
from safetensors.numpy import save_file

from accelsim import provenance
from accelsim.config.load import MAX_FILE_BYTES, wording
from accelsim.errors import Fault, WorkloadError
from accelsim.files import Files
from accelsim.formats.ggml import BlockTensor
from accelsim.golden.operators import write_op
from accelsim.graph.element import REAL, Element, Integer, Plain
from accelsim.graph.element_info import ChannelsInfo, element_info
from accelsim.graph.graph import Graph, Node
from accelsim.graph.state import State
from accelsim.graph.value import Value
from accelsim.outputs import write_arrays
from accelsim.workload.graph_file import GraphSpec
from accelsim.workload.importers.texts import TOKENIZER, Texts
from accelsim.workload.network import Network

Array = NDArray[Any]
Said = dict[str, Any]

WORKLOAD, WEIGHTS = "workload.yaml", "weights.safetensors"
#: Files of test and calibration data in a folder.
DATA, CALIBRATION, TEXT = "data.npz", "calibration.npz", "text.txt"


def folder_files(
    network: Network,
    origin: str,
    data: Path | None = None,
    calibration: Path | None = None,
    tokenizer: Texts | None = None,
) -> Files:
    """What writes each file of a workload folder, by name.

    Parameters
    ----------
    network
        As it was read, with its data.
    origin
        Name of the file or directory that it was read from.
    data, calibration
        Files of data that the folder shall have: .npz, and a text with its tokenizer, as they are; of a text that
        fixes ranges what the network has as inputs.
    tokenizer
        What reads texts.

    Raises
    ------
    WorkloadError
        If names or sizes are none that a workload file may have.
    """
    tensors = _Tensors()
    text = data is not None and data.suffix != ".npz"
    spec: Said = {
        "kind": "workload",
        "name": network.name,
        "description": f"The network of {origin}, operator by operator",
        "source": f"{origin}, read by accelsim import",
        "provenance": {"accelsim": provenance.versions()["accelsim"], "files": dict(network.sha256)},
        "weights": WEIGHTS,
        **({"task": {"kind": "language", "text": TEXT, "tokenizer": TOKENIZER}} if text else {}),
        **({"data": DATA} if data and not text else {}),
        **({"calibration": CALIBRATION} if calibration else {}),
        **_described(network.graph, tensors),
    }
    if network.orders:
        spec["orders"] = {name: list(order) for name, order in network.orders.items()}
    content = _content(spec, origin)
    files = {WORKLOAD: lambda path: path.write_bytes(content), WEIGHTS: tensors.save}
    for name, given, inputs in ((DATA, data, network.inputs), (CALIBRATION, calibration, network.calibration)):
        if given and not (text and name == DATA):
            files[name] = _data_writer(given, dict(zip(network.graph.inputs, inputs, strict=True)))
    if text:
        assert data and tokenizer  # noqa: S101, PT018 - what else reads a text
        written = tokenizer.tokenizer.to_str()
        files[TEXT] = lambda path: shutil.copyfile(data, path)
        files[TOKENIZER] = lambda path: path.write_text(written, encoding="utf-8")
    return files


def _data_writer(given: Path, inputs: Mapping[str, Array]) -> Any:
    if given.suffix == ".npz":
        return lambda path: shutil.copyfile(given, path)
    return lambda path: write_arrays(path, inputs)


@dataclass
class _Tensors:
    """Tensors of the file of weights, none of them copied unless its memory has gaps.

    Parameters
    ----------
    by_name
        The tensors.
    places
        Name of the tensor at a place in memory, and its format if it is one of blocks.
    """

    by_name: dict[str, Array] = field(default_factory=dict)
    places: dict[tuple[int, int, str], tuple[str, str | None]] = field(default_factory=dict)

    def add(self, name: str, tensor: Array) -> str:
        """Keep a tensor under its name, or another one if that is taken."""
        free = name
        while free in self.by_name:
            free += "_"
        self.by_name[free] = tensor
        return free

    def save(self, path: Path) -> None:
        """Write the file."""
        path.touch()
        mode = path.stat().st_mode
        try:
            save_file(self.by_name, path)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        path.chmod(mode)  # the library lets nobody else read its files

    def element(self, name: str, element: Element) -> Said:
        """What the workload file says of an element; scales of channels are a tensor."""
        if isinstance(element, Integer) and np.ndim(element.scale):
            scales = self.add(f"{name}.scales", np.array(element.scale, np.float64))
            info = ChannelsInfo(
                bits=element.bits,
                signed=element.signed,
                scales=scales,
                zero_point=element.zero_point,
            )
            return info.model_dump(mode="json")
        return element_info(element).model_dump(mode="json")

    def constant(self, value: Value) -> Said:
        """What the workload file says of a constant, whose numbers are kept; blocks come before what shares them."""
        said: Said = {"shape": list(value.shape)}
        numbers = value.numbers.astype(value.element.dtype, copy=False)
        if value.element not in {REAL, Plain(numbers.dtype.name)}:
            said["element"] = self.element(value.name, value.element)
        if value.pattern != (1, 1):
            said["pattern"] = list(value.pattern)
        stands, order = in_memory(numbers)
        place = (stands.ctypes.data, stands.nbytes, stands.dtype.name)
        if isinstance(value.groups, BlockTensor):
            tensor = self.add(value.name, np.ascontiguousarray(value.groups.blocks))
            self.places[place] = tensor, value.groups.codec.name
            said |= {"blocks": value.groups.codec.name}
            order = tuple(range(numbers.ndim))
        elif stands.nbytes and place in self.places:
            tensor, blocks = self.places[place]
            if blocks:  # numbers of blocks stand output by output
                said |= {"blocks": blocks, "decoded": True}
                order = tuple(1 - axis for axis in order)
            elif self.by_name[tensor].shape != stands.shape:
                tensor = self.add(value.name, stands)
        else:
            tensor = self.add(value.name, stands)
            self.places[place] = tensor, None
        if tensor != value.name:
            said["tensor"] = tensor
        if order != tuple(range(numbers.ndim)):
            said["order"] = list(order)
        return said


def in_memory(numbers: Array) -> tuple[Array, tuple[int, ...]]:
    """Numbers in the order of their memory, and for each of their axes that of what comes back.

    Only of what has gaps, or numbers twice, there is a copy, in the order of its axes.
    """
    order = sorted(range(numbers.ndim), key=lambda axis: (-abs(numbers.strides[axis]), axis))
    stands = numbers.transpose(order)
    if not stands.flags.c_contiguous:
        return np.ascontiguousarray(numbers), tuple(range(numbers.ndim))
    return stands, tuple(order.index(axis) for axis in range(numbers.ndim))


def _described(graph: Graph, tensors: _Tensors) -> Said:
    """What the workload file says of a graph."""
    constants = {value.name: Said() for value in graph.constants}
    for value in sorted(graph.constants, key=lambda value: value.groups is None):
        constants[value.name] = tensors.constant(value)
    return {
        "inputs": {name: _entering(graph[name], tensors) for name in graph.inputs},
        **({"states": [_state(graph, state, tensors) for state in graph.states]} if graph.states else {}),
        "constants": constants,
        "nodes": [_node(node, tensors) for node in graph.nodes],
        "outputs": list(graph.outputs),
    }


def _entering(value: Value, tensors: _Tensors) -> Said:
    element = {} if value.element == REAL else {"element": tensors.element(value.name, value.element)}
    return {"shape": list(value.shape), **element}


def _state(graph: Graph, state: State, tensors: _Tensors) -> Said:
    said = {"read": state.read, "written": state.written, **_entering(graph[state.read], tensors)}
    if state.initial.any():
        said["initial"] = tensors.add(f"{state.read}.initial", np.array(state.initial, np.float32))
    return said


def _node(node: Node, tensors: _Tensors) -> Said:
    op = write_op(node.op, element=lambda element: tensors.element(node.name, element))
    return {
        "name": node.name,
        "op": op["kind"] if len(op) == 1 else op,
        "reads": list(node.inputs),
        "forms": list(node.outputs),
    }


#: Keys whose values are blocks of lines; all others stand in one.
_BLOCKS = frozenset({"provenance", "inputs", "states", "constants", "nodes", "orders"})


def _content(spec: Said, origin: str) -> bytes:
    """The workload file, which is one that can be read.

    Raises
    ------
    WorkloadError
        If it is none.
    """
    try:
        GraphSpec.model_validate(spec)
    except ValidationError as error:
        detail = error.errors()[0]
        raise WorkloadError(Fault(wording(detail), origin, key=".".join(map(str, detail["loc"])))) from None
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 2**16  # a node's operator stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    stream.write(
        "# Written by accelsim import. It may be edited: `accelsim check` says whether it still is a network.\n"
    )
    yaml.dump(_tree(spec), stream)
    try:
        content = stream.getvalue().encode()
    except UnicodeEncodeError:
        raise WorkloadError(Fault("names must be UTF-8", origin)) from None
    if len(content) > MAX_FILE_BYTES:
        text = f"must be a network that {MAX_FILE_BYTES} bytes of {WORKLOAD} describe, but takes {len(content)}"
        raise WorkloadError(Fault(text, origin))
    return content


def _tree(spec: Said) -> CommentedMap:
    """The file as ruamel's tree, with each node, input and constant on lines of its own."""
    tree = CommentedMap()
    for key, value in spec.items():
        if key == "nodes":
            tree[key] = CommentedSeq(CommentedMap((k, _flow(v)) for k, v in node.items()) for node in value)
        elif key in _BLOCKS and isinstance(value, dict):
            tree[key] = CommentedMap((k, _flow(v)) for k, v in value.items())
        elif key in _BLOCKS:
            tree[key] = CommentedSeq(_flow(part) for part in value)
        else:
            tree[key] = _flow(value)
    return tree


def _flow(value: Any) -> Any:
    """A value on one line."""
    found: CommentedMap | CommentedSeq
    if isinstance(value, dict):
        found = CommentedMap((key, _flow(part)) for key, part in value.items())
    elif isinstance(value, list):
        found = CommentedSeq(map(_flow, value))
    else:
        return value
    found.fa.set_flow_style()
    return found
