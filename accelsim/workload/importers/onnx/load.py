"""A model of a file as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.copy import Copy
from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.onnx import structure
from accelsim.workload.importers.onnx.dimensions import Given, dimensions
from accelsim.workload.importers.onnx.dtypes import element_of
from accelsim.workload.importers.onnx.faults import RefusedError, UnknownTypeError, fault, short
from accelsim.workload.importers.onnx.file import Folder, numbers, read_model
from accelsim.workload.importers.onnx.inference import infer
from accelsim.workload.importers.onnx.scope import Scope
from accelsim.workload.importers.onnx.table import reads_images
from accelsim.workload.importers.onnx.tensor import Tensor, channels_last, permutation
from accelsim.workload.importers.onnx.translation import FOLDED_BYTES_OF_READ, Translation, unique
from accelsim.workload.importers.quantized import in_integers

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def load(path: Path, *, batch: int | None = None, shapes: Mapping[str, Shape] | None = None) -> Imported:
    """Read a model.

    Parameters
    ----------
    batch
        Size of the first axis of inputs whose file leaves it open.
    shapes
        Shapes of inputs, by name.

    Returns
    -------
    Its graph. Images have their channels last, inputs too: `orders` says how axes stand there. Names of tensors that
    are formed, and of nodes that have some, are the model's.

    Raises
    ------
    WorkloadError
        With one line that names what of the file is wrong, or which operator has no meaning here.
    """
    model, folder = read_model(path)
    try:
        graph, orders = _graph(path.stem, model, folder, batch, shapes or {})
    except RefusedError as error:
        raise fault(str(path), str(error)) from None
    except UnicodeDecodeError:  # some protobufs give no text at all
        raise fault(str(path), "names must be UTF-8") from None
    return Imported(graph, folder.sha256, orders)


def _graph(
    name: str, model: ModelProto, folder: Folder, batch: int | None, shapes: Mapping[str, Shape]
) -> tuple[Graph, dict[str, tuple[int, ...]]]:
    """Graph of a model, and the order of its inputs' and outputs' axes."""
    versions = structure.operator_sets(model)
    structure.check(model.graph)
    constants = {tensor.name for tensor in model.graph.initializer}
    infos = {value.name: value for value in model.graph.input if value.name not in constants}
    given = dimensions(infos, batch, shapes)
    build = Translation()
    build.value_names |= {output for node in model.graph.node for output in node.output}
    build.value_names |= {*infos, *constants}
    build.node_names |= {node.name for node in model.graph.node if node.name}
    build.unused |= build.node_names
    scope = Scope.of_model(build, folder, versions, model)
    inputs = {key: _input(model.graph, key, kind) for key, kind in given.items() if isinstance(kind, Given)}
    scope.unknown |= {key: str(kind) for key, kind in given.items() if isinstance(kind, UnknownTypeError)}
    build.known |= {key: tensor.value for key, tensor in inputs.items()}
    scope.tensors.update(inputs)
    _read_constants(model.graph, folder, scope)
    infer(model, given)
    scope.run(model.graph.node)
    outputs = {value.name: scope.read(value.name) for value in model.graph.output}
    outputs = {key: _output(build, tensor) for key, tensor in outputs.items()}
    graph = in_integers(_formed(name, build, scope, tuple(inputs), outputs))
    orders = {key: tensor.axes for key, tensor in {**inputs, **outputs}.items() if not tensor.plain}
    return graph, orders


def _read_constants(graph: GraphProto, folder: Folder, scope: Scope) -> None:
    """Put the initializers into a scope."""
    for tensor in graph.initializer:
        try:
            data = numbers(tensor, folder)
        except UnknownTypeError as error:
            scope.unknown[tensor.name] = f"initializer {short(tensor.name)} {error}"
            continue
        except RefusedError as error:
            raise RefusedError(f"initializer {short(tensor.name)} {error}") from None
        scope.build.room += FOLDED_BYTES_OF_READ * data.nbytes
        value = Value(tensor.name, data.shape, element_of(data.dtype), data)
        scope.tensors[tensor.name] = Tensor(value, data.shape, data.dtype, tuple(range(data.ndim)))


def _input(graph: GraphProto, name: str, given: Given) -> Tensor:
    """An input of the graph, its channels last if images are read from it."""
    rank = len(given.shape)
    axes = channels_last(rank) if rank > 2 and reads_images(graph, name) else tuple(range(rank))
    value = Value(name, tuple(given.shape[axis] for axis in axes), element_of(given.dtype))
    return Tensor(value, given.shape, given.dtype, axes)


def _output(build: Translation, x: Tensor) -> Tensor:
    """An output with all its axes, in the order that it has in the graph."""
    if x.block:
        return build.in_order(x, tuple(range(x.rank)))
    return build.in_order(x, permutation(x))


def _formed(
    name: str, build: Translation, scope: Scope, inputs: tuple[str, ...], outputs: Mapping[str, Tensor]
) -> Graph:
    """The graph, its values under the model's names."""
    names = {old: new for old, new in scope.names.items() if new not in outputs}
    nodes = list(build.nodes)
    made, given = {output for node in nodes for output in node.outputs}, set[str]()
    for key, tensor in outputs.items():
        old = tensor.value.name
        if tensor.known:
            old = unique(f"{key}.constant", build.value_names)
            build.known[old] = replace(tensor.value, name=old)
        if old in made and old not in given:
            names[old] = key
            given.add(old)
        elif old != key:
            nodes.append(Node(unique(f"{key}.copy", build.node_names), Copy(), (old,), (key,)))
    named = [
        replace(
            node,
            inputs=tuple(names.get(part, part) for part in node.inputs),
            outputs=tuple(names.get(part, part) for part in node.outputs),
        )
        for node in nodes
    ]
    return Graph.formed(name, build.known, named, inputs, tuple(outputs))
