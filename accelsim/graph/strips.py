"""Cutting nodes into strips: each computes some images, or some lines of one image, of what the nodes form.

A strip reads the lines that its windows reach, so that those at the borders of strips are computed twice where another
node forms them. What a graph means does not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.value import Value

#: Operators that do the same to each pixel.
_POINTWISE = (Add, Cast, Function, LookUp, Mul, Relu)


class Part(NamedTuple):
    """Images of a value, the first axis, and lines of each, the second one; one line of what is no image."""

    images: range
    lines: range

    @classmethod
    def whole(cls, value: Value) -> Part:
        """All of a value."""
        return cls(range(value.shape[0]), range(lines_of(value)))

    def union(self, other: Part) -> Part:
        """The smallest part that holds both."""
        pairs = zip(self, other, strict=True)
        images, lines = (range(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)
        return Part(images, lines)


class Strip(NamedTuple):
    """What a value of a cut graph is: rows of a value of the graph before, from the first one on.

    Parameters
    ----------
    prefix
        What the names of the strip's nodes and values begin with.
    """

    of: str
    first: int
    prefix: str


def lines_of(value: Value) -> int:
    """Lines of an image; 1 of a matrix of samples by features."""
    return value.shape[1] if len(value.shape) > 2 else 1  # noqa: PLR2004 - samples and features


@dataclass(frozen=True, slots=True)
class Strips:
    """Nodes of a graph, and the part of each value that each strip forms of what they form or reads of what they read.

    Parameters
    ----------
    outputs
        Values that others read, or the network gives: strips form each line of them once.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    parts: tuple[Mapping[str, Part], ...]

    @classmethod
    def of(cls, graph: Graph, nodes: Sequence[Node], last: str, parts: Iterable[Part]) -> Strips | None:
        """Cut nodes so that the strips form these parts of one of their values; None if they can't be cut so.

        Parameters
        ----------
        nodes
            In the graph's order, with all that lie between them; the rest of the graph reads none of what they form
            before the last of them.
        last
            A value that they form.
        parts
            All lines of it, image by image.
        """
        formed = {output for node in nodes for output in node.outputs}
        names = {node.name for node in nodes}
        outputs = tuple(
            name
            for node in nodes
            for name in node.outputs
            if name in graph.outputs or any(reader.name not in names for reader in graph.readers(name))
        )
        if last not in outputs:
            return None
        found = []
        for part in parts:
            needed = needed_by(graph, nodes, {last: part})
            if needed is None:
                return None
            found.append(needed)
        strips = cls(graph, tuple(nodes), outputs, tuple(found))
        return strips if all(strips._once(name) for name in outputs) and formed else None

    def _once(self, name: str) -> bool:
        """Whether strips form each line of a value once, image by image."""
        value, next_row = self.graph[name], 0
        for needed in self.parts:
            part = needed.get(name)
            if part is None or not _rows_are_one(part, value) or _first(part, value) != next_row:
                return False
            next_row += len(part.images) * len(part.lines)
        return next_row == value.shape[0] * lines_of(value)

    def cut(self, number: int) -> tuple[Graph, dict[str, Strip]]:
        """The graph with its strips one after the other, and what of the values before those of the strips are.

        Parameters
        ----------
        number
            Of the first strip; names begin with those.
        """
        graph, strips, nodes = self.graph, dict[str, Strip](), list[Node]()
        known: dict[str, Value] = {}
        pieces: dict[str, list[tuple[Part, str]]] = {name: [] for name in self.outputs}
        for offset, needed in enumerate(self.parts):
            strip = _Cutter(graph, f"strip{number + offset}.", needed)
            for node in self.nodes:
                if node.output in needed:
                    strip.cut(node)
                    value, part = graph[node.output], needed[node.output]
                    name = strip.prefix + value.name
                    known[name] = replace(value, name=name)
                    strips[name] = Strip(value.name, _first(part, value) * _pixels(value), strip.prefix)
                    if value.name in pieces:
                        pieces[value.name].append((part, name))
            nodes += strip.nodes
        for name, parts in pieces.items():
            nodes += _joined(name, parts)
        return self._with(nodes, known), strips

    def _with(self, strips: Sequence[Node], known: Mapping[str, Value]) -> Graph:
        """The graph with strips in the place of the last of the nodes, and what reads them behind."""
        graph, gone = self.graph, {node.name for node in self.nodes}
        formed = {output for node in self.nodes for output in node.outputs}
        last = max(place for place, node in enumerate(graph.nodes) if node.name in gone)
        before, behind = list[Node](), list[Node]()
        for node in graph.nodes[: last + 1]:
            if node.name in gone:
                continue
            late = not formed.isdisjoint(node.inputs)
            formed |= set(node.outputs) if late else set()
            (behind if late else before).append(node)
        nodes = (*before, *strips, *behind, *graph.nodes[last + 1 :])
        return Graph.formed(graph.name, {**graph.values, **known}, nodes, graph.inputs, graph.outputs)


class _Cutter:
    """Writes the nodes of a strip; their names, and those of what they form, begin with its prefix."""

    def __init__(self, graph: Graph, prefix: str, needed: Mapping[str, Part]) -> None:
        self.graph = graph
        self.prefix = prefix
        self.needed = needed
        self.nodes: list[Node] = []
        self._there: dict[tuple[str, Part], str] = {}

    def cut(self, node: Node) -> None:
        """Write what forms the part that is needed of what a node forms."""
        graph, formed = self.graph, self.graph[node.output]
        part = self.needed[formed.name]
        inputs = []
        for place, name in enumerate(node.inputs):
            read = None if graph.constant(name) else _read_of(node.op, graph[name], formed, part, place)
            inputs.append(name if read is None else self._read(name, read))
        op = _op_of(node.op, graph[node.inputs[0]], formed, part)
        self.nodes.append(Node(self.prefix + node.name, op, tuple(inputs), (self.prefix + formed.name,)))
        self._there[formed.name, part] = self.prefix + formed.name

    def _read(self, name: str, part: Part) -> str:
        """Name of a part of a value, sliced from what there is of it."""
        if (name, part) not in self._there:
            inside = (name, self.needed[name]) in self._there
            there = self.needed[name] if inside else Part.whole(self.graph[name])
            last = self._there[name, there] if inside else name
            for axis, (of, whole) in enumerate(zip(part, there, strict=True)):
                if of != whole:
                    start = of.start - whole.start
                    sliced = f"{last if inside or axis else self.prefix + last}.{start}_{start + len(of)}"
                    self.nodes.append(Node(sliced, Slice(axis, start, start + len(of)), (last,), (sliced,)))
                    last = sliced
            self._there[name, part] = last
        return self._there[name, part]


def needed_by(graph: Graph, nodes: Sequence[Node], formed: dict[str, Part]) -> dict[str, Part] | None:
    """Parts of all values that nodes need to form others; constants are read whole. None if that can't be told."""
    needed = dict(formed)
    for node in reversed(nodes):
        part = needed.get(node.output)
        if part is None:
            continue
        if len(node.outputs) > 1 or not graph[node.output].shape:
            return None
        for place, name in enumerate(node.inputs):
            if graph.constant(name):
                continue
            read = _read_of(node.op, graph[name], graph[node.output], part, place)
            if read is None:
                return None
            needed[name] = read.union(needed[name]) if name in needed else read
    return needed


def _read_of(op: Op, given: Value, formed: Value, part: Part, place: int) -> Part | None:
    """Part of a value that an operator reads to form a part of another one; None if that can't be told."""
    if not given.shape or given.shape[0] != formed.shape[0]:
        return None
    lines = range(lines_of(given))
    match op:
        case Conv(window) | MaxPool(window) | AveragePool(window) if place == 0:
            low = max(0, part.lines.start * window.stride[0] - window.padding[0])
            high = (part.lines.stop - 1) * window.stride[0] - window.padding[0] + window.reach[0]
            lines = range(low, min(high, len(lines)))
            return Part(part.images, lines) if lines else None
        case GlobalAveragePool() | Reshape():
            return Part(part.images, lines) if len(part.lines) == lines_of(formed) else None
        case MatMul() if place in {0, 2}:
            return part if given.shape[:-1] == formed.shape[:-1] else None
        case _ if isinstance(op, _POINTWISE):
            if given.shape[:-1] == formed.shape[:-1]:
                return part
            return Part(part.images, lines) if len(lines) == 1 else None
    return None


def _op_of(op: Op, given: Value, formed: Value, part: Part) -> Op:
    """The operator for a part of what it forms: of windows, padding where they reach beyond the image alone."""
    match op:
        case Conv(window) | MaxPool(window) | AveragePool(window):
            top, left, bottom, right = window.padding
            end = (part.lines.stop - 1) * window.stride[0] - top + window.reach[0]
            top = max(0, top - part.lines.start * window.stride[0])
            bottom = max(0, end - lines_of(given))
            return replace(op, window=replace(window, padding=(top, left, bottom, right)))  # type: ignore[call-arg]
        case Reshape():
            return Reshape((len(part.images), *formed.shape[1:]))
    return op


def _pixels(value: Value) -> int:
    """Rows of a line."""
    return value.samples // (value.shape[0] * lines_of(value))


def _rows_are_one(part: Part, value: Value) -> bool:
    """Whether the lines of a part follow each other: those of one image, or all of several ones."""
    return len(part.images) == 1 or len(part.lines) == lines_of(value)


def _first(part: Part, value: Value) -> int:
    """Number of the first line of a part, counted over all images."""
    return part.images.start * lines_of(value) + part.lines.start


def _joined(name: str, parts: Sequence[tuple[Part, str]]) -> list[Node]:
    """Nodes that join parts of a value, one behind the other: lines to images, and images to all of it."""
    by_image: dict[range, list[str]] = {}
    for part, piece in parts:
        by_image.setdefault(part.images, []).append(piece)
    nodes, images = list[Node](), list[str]()
    for number, pieces in enumerate(by_image.values()):
        if len(pieces) > 1:
            joined = name if len(by_image) == 1 else f"join{number}.{name}"
            nodes.append(Node(f"join{number}.{name}", Concat(1), tuple(pieces), (joined,)))
            pieces = [joined]
        images += pieces
    if len(images) > 1:
        nodes.append(Node(f"join.{name}", Concat(0), tuple(images), (name,)))
    return nodes
