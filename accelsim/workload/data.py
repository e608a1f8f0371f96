"""Test and calibration data for a network that comes without: from an .npz file, or drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, nearest, reason
from accelsim.files import read_bytes
from accelsim.golden.task import Classification, Embeddings, Language, Regression, Task, next_tokens
from accelsim.graph.element import Integer, Plain
from accelsim.graph.graph import Graph
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.rewrite import with_samples
from accelsim.graph.value import Shape, Value, without_numbers
from accelsim.workload.arrays import read_arrays
from accelsim.workload.importers.texts import Texts
from accelsim.workload.network import Inputs, Network

Arrays = Mapping[str, NDArray[Any]]
#: Names of arrays that are no inputs.
LABELS, TARGETS, PAIRS, SCORES = "labels", "targets", "pairs", "scores"
#: Seed of inputs that are drawn for a network without data.
SEED = 0
#: Samples that are drawn to fix the activations' ranges.
CALIBRATION = 8


@dataclass(frozen=True, eq=False)
class Data:
    """Numbers of a graph's inputs, in their order and with its axes, and what judges the outputs."""

    inputs: Inputs
    task: Task | None
    sha256: dict[str, str]


def read_data(path: Path, graph: Graph, orders: Mapping[str, tuple[int, ...]]) -> Data:
    """Read inputs by their names, and what judges the outputs: see `task_of`.

    Parameters
    ----------
    orders
        Axes of the file's arrays in the graph's order, for inputs and outputs whose axes stand in another one.

    Raises
    ------
    WorkloadError
        If the file is none, an array is missing or unknown, or shapes or types don't fit.
    """
    arrays, sha256 = read_arrays(path)
    file = str(path)
    known = {*graph.inputs, LABELS, TARGETS, PAIRS, SCORES}
    inputs = []
    unknown = [name for name in arrays if name not in known]
    for name in graph.inputs:
        if name not in arrays:
            instead = f", not {nearest(name, unknown)[0]!r}" if nearest(name, unknown) else ""
            held = ", ".join(arrays) or "nothing"
            raise WorkloadError(Fault(f"must hold the input {name!r}{instead}; it holds {held}", file))
        inputs.append(_fitting(arrays[name], graph[name], orders.get(name), Fault("", file, key=name)))
    if unknown:
        near = nearest(unknown[0], known)
        offer = f"; did you mean {near[0]!r}?" if near else f"; inputs are {', '.join(graph.inputs)}"
        raise WorkloadError(Fault(f"must be an input of the network or labels{offer}", file, key=unknown[0]))
    sizes = {len(x) for x in inputs}
    if len(sizes) > 1:
        raise WorkloadError(Fault(f"must hold as many samples of each input, not {sorted(sizes)}", file))
    return Data(tuple(inputs), task_of(graph, inputs, arrays, file), {path.name: sha256})


def read_text(path: Path, graph: Graph, texts: Texts) -> Data:
    """Read a text (UTF-8) as windows of a language model's input, one behind the other; what is over is left out.

    Raises
    ------
    WorkloadError
        If the file is no text, or has fewer tokens than one window.
    """
    length = graph[graph.inputs[0]].shape[1]
    raw = read_bytes(path, MAX_TEXT_BYTES, WorkloadError)
    try:
        ids = texts.ids(raw.decode())
    except UnicodeDecodeError as error:
        raise WorkloadError(Fault(f"must be a readable text: {reason(error)}", str(path))) from None
    count = len(ids) // length
    if not count:
        raise WorkloadError(Fault(f"must have at least {length} tokens, not {len(ids)}", str(path)))
    windows = ids[: count * length].reshape(count, length)
    task = task_of(graph, [windows], {}, str(path))
    return Data((windows,), task, {path.name: hashlib.sha256(raw).hexdigest()})


#: Largest text.
MAX_TEXT_BYTES = 2**30


def with_data(network: Network, data: Data, file: str) -> Network:
    """The network with test data of a file, which fix ranges too where nothing else does."""
    network = replace(
        network,
        graph=with_samples(network.graph, len(data.inputs[0])),
        inputs=data.inputs,
        task=data.task,
        sha256=network.sha256 | data.sha256,
    )
    if network.calibration:
        return network
    return replace(network, calibration=data.inputs, calibrated_on=f"the test data, {file}")


def calibrated(network: Network, data: Data, file: str) -> Network:
    """The network with calibration data of a file."""
    return replace(network, calibration=data.inputs, calibrated_on=file, sha256=network.sha256 | data.sha256)


def _fitting(array: NDArray[Any], value: Value, order: tuple[int, ...] | None, place: Fault) -> NDArray[Any]:
    """Numbers of an input in the graph's axes and type, of at least one sample."""
    if order is not None and array.ndim == len(order):
        array = array.transpose(order)
    if array.shape[1:] != value.shape[1:] or array.ndim != len(value.shape) or not len(array):
        wanted = _in_file(("any", *map(str, value.shape[1:])), order)
        given = _in_file(tuple(map(str, array.shape)), order if array.ndim == len(value.shape) else None)
        raise WorkloadError(_at(place, f"must have shape ({wanted}), not ({given})"))
    if isinstance(value.element, Plain | Integer):
        if array.dtype.kind not in "biu":
            raise WorkloadError(_at(place, f"must be integers, not {array.dtype}"))
        if isinstance(value.element, Integer) and len(array):
            low, high = int(array.min()), int(array.max())
            if low < value.element.qmin or high > value.element.qmax:
                raise WorkloadError(_at(place, f"must be numbers of {value.element}, not {low} to {high}"))
        return np.ascontiguousarray(array.astype(value.element.dtype))
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(array.astype(np.float32))
    if not np.isfinite(numbers).all():
        raise WorkloadError(_at(place, "must be finite numbers, but some are not"))
    return numbers


def _at(place: Fault, message: str) -> Fault:
    return Fault(message, place.file, key=place.key)


def _in_file(sides: tuple[str, ...], order: tuple[int, ...] | None) -> str:
    """Sides of a tensor of a graph as the file has them."""
    if order is None:
        return ", ".join(sides)
    return ", ".join(sides[order.index(axis)] for axis in range(len(order)))


def task_of(graph: Graph, inputs: list[NDArray[Any]], arrays: Arrays, file: str) -> Task | None:
    """What judges the first output.

    `labels` are classes, `targets` numbers or next tokens, `pairs` and `scores` are of embeddings. A language model
    without any of them is judged by the tokens of its inputs.

    Raises
    ------
    WorkloadError
        If they don't fit the output.
    """
    samples, out = len(inputs[0]), graph[graph.outputs[0]]
    shape = (samples, *out.shape[1:])

    def require(name: str, wanted: Shape, kinds: str) -> NDArray[Any]:
        array = arrays[name]
        if array.shape != wanted or array.dtype.kind not in kinds:
            what = "integers" if "f" not in kinds else "numbers"
            text = f"must be {what} of shape {wanted}, not {array.dtype} of {array.shape}"
            raise WorkloadError(Fault(text, file, key=name))
        return array

    if LABELS in arrays:
        labels = require(LABELS, (samples,), "biu").astype(np.int64)
        wrong = no_class(graph, labels)
        if wrong:
            raise WorkloadError(Fault(wrong, file, key=LABELS))
        return classification(graph, labels)
    if TARGETS in arrays and len(shape) == 3 and arrays[TARGETS].dtype.kind in "iu":
        return Language(require(TARGETS, shape[:2], "iu").astype(np.int64))
    if TARGETS in arrays:
        return Regression(require(TARGETS, shape, "biuf").astype(np.float64))
    if PAIRS in arrays and SCORES in arrays:
        count = len(arrays[PAIRS])
        pairs = require(PAIRS, (count, 2), "iu").astype(np.int64)
        if count and (pairs.min() < 0 or pairs.max() >= samples):
            raise WorkloadError(Fault(f"must be numbers of samples, 0 to {samples - 1}", file, key=PAIRS))
        return Embeddings(pairs, require(SCORES, (count,), "biuf").astype(np.float64))
    return _of_tokens(graph, inputs)


def no_class(graph: Graph, labels: NDArray[np.int64]) -> str:
    """Why labels are no classes of a network's first output, of which a single number is of two; empty if they are."""
    out = graph[graph.outputs[0]]
    classes = max(out.features if len(out.shape) > 1 else 1, 2)
    wrong = labels[(labels < 0) | (labels >= classes)]
    return f"must be classes 0 to {classes - 1}, the outputs, not {wrong[0]}" if len(wrong) else ""


def classification(graph: Graph, labels: NDArray[np.int64]) -> Classification:
    """The task of a network that ends with logits, or with a sigmoid: then 0.5 divides two classes."""
    node = graph.producer(graph.outputs[0])
    while node and (node.op.moves or isinstance(node.op, Cast)):
        node = graph.producer(node.inputs[0])
    ends = isinstance(node.op, Function) and node.op.name in {"sigmoid", "hard_sigmoid"} if node else False
    return Classification(labels, 0.5 if ends else 0.0)


def _of_tokens(graph: Graph, inputs: list[NDArray[Any]]) -> Task | None:
    """What tokens judge by themselves: the next one of a language model, and nothing of embeddings."""
    if not isinstance(graph[graph.inputs[0]].element, Plain):
        return None
    ids, out = inputs[0], graph[graph.outputs[0]]
    if ids.ndim != 2:
        return None
    if len(out.shape) == 3 and out.shape[1] == ids.shape[1] and out.features > out.shape[1]:
        return Language(next_tokens(ids.astype(np.int64)))
    return Embeddings(np.zeros((0, 2), np.int64), np.zeros(0)) if len(out.shape) == 2 else None


def drawn(graph: Graph, seed: int, samples: int | None = None) -> Inputs:
    """Inputs of a graph: normal numbers, integers of the input's range, indices of tables; masks leave nothing out."""
    rng = np.random.default_rng(seed)
    found = []
    for name in graph.inputs:
        value = graph[name]
        shape = value.shape if samples is None else (samples, *value.shape[1:])
        element = value.element
        if isinstance(element, Plain):
            rows = _table_rows(graph, name)
            x = rng.integers(0, rows, shape).astype(element.dtype) if rows else np.ones(shape, element.dtype)
        elif isinstance(element, Integer):
            x = rng.integers(element.qmin, element.qmax + 1, shape).astype(element.dtype)
        else:
            x = rng.standard_normal(shape, np.float32)
        found.append(x)
    return tuple(found)


def with_drawn(network: Network, *, values: bool) -> Network:
    """The network with drawn inputs, or inputs that have only shapes."""
    graph = network.graph
    if values:
        inputs, ranges = drawn(graph, SEED), drawn(graph, SEED + 1, CALIBRATION)
    else:
        inputs = tuple(without_numbers(graph[name].element.dtype, graph[name].shape) for name in graph.inputs)
        ranges = inputs
    if network.calibration:
        return replace(network, inputs=inputs, seed=SEED)
    return replace(network, inputs=inputs, calibration=ranges, calibrated_on="drawn inputs", seed=SEED)


def _table_rows(graph: Graph, name: str) -> int:
    """Rows of the smallest table that an input holds indices of; 0 if it holds none."""
    sizes = [
        graph[node.inputs[0]].shape[node.op.axis]
        for node in graph.nodes
        if isinstance(node.op, Gather) and name in node.inputs[1:]
    ]
    return min(sizes, default=0)
