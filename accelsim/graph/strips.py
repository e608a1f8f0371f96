"""Cutting nodes into strips: each computes some images, some lines of one image, or some features of all.

Windows reach lines that the strip before has formed: those are kept, and copied in front of the ones that a strip forms
itself. So every line is formed once, and what a graph means does not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.ops.slice import Slice
from accelsim.graph.value import Value

#: Operators that do the same to each pixel.
_POINTWISE = (Add, Cast, Copy, Function, LookUp, Mul, Relu, ScaledAdd)


class Part(NamedTuple):
    """Images of a value, the first axis; lines of each, the second one, one line of what is no image; and features."""

    images: range
    lines: range
    features: range

    @classmethod
    def whole(cls, value: Value) -> Part:
        """All of a value."""
        return cls(range(value.shape[0]), range(lines_of(value)), range(value.features))

    def union(self, other: Part) -> Part:
        """The smallest part that holds both."""
        pairs = zip(self, other, strict=True)
        return Part(*(range(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs))


class Strip(NamedTuple):
    """What a value of a cut graph is: rows of a value of the graph before, from the first one on, or features of it.

    Parameters
    ----------
    features
        Which; None for all.
    prefix
        What the names of the strip's nodes and values begin with.
    """

    of: str
    first: int
    features: range | None
    prefix: str


def lines_of(value: Value) -> int:
    """Lines of an image; 1 of a matrix of samples by features."""
    return value.shape[1] if len(value.shape) > 2 else 1


class Piece(NamedTuple):
    """Of a value, what is there for a strip to read, and what of that the strip forms itself, the last lines."""

    held: Part
    formed: Part


@dataclass(frozen=True, slots=True)
class Strips:
    """Nodes of a graph, and what each strip forms of the values that they form.

    Parameters
    ----------
    outputs
        Values that others read, or the network gives: strips form each line of them once.
    pieces
        Of each strip, by value.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    pieces: tuple[Mapping[str, Piece], ...]

    @classmethod
    def of(cls, graph: Graph, nodes: Sequence[Node], last: str, parts: Sequence[Part]) -> Strips | None:
        """Cut nodes so that the strips form these parts of one of their values; None if they can't be cut so.

        Parameters
        ----------
        nodes
            In the graph's order; the rest of the graph reads none of what they form before the last of them.
        last
            A value that they form.
        parts
            All lines of it, image by image, or all features; at least two.
        """
        names = {node.name for node in nodes}
        outputs = tuple(
            node.output
            for node in nodes
            if node.output in graph.leaving or any(reader.name not in names for reader in graph.readers(node.output))
        )
        if last not in outputs:
            return None
        pieces: list[Mapping[str, Piece]] = []
        for number, part in enumerate(parts):
            ahead = pieces[-1] if number and behind(parts[number - 1], part) else {}
            found = pieces_of(graph, nodes, last, part, ahead)
            if found is None:
                return None
            pieces.append(found)
        strips = cls(graph, tuple(nodes), outputs, tuple(pieces))
        return strips if all(map(strips._once, outputs)) else None

    def _once(self, name: str) -> bool:
        """Whether strips form each number of a value once, in order, and read none that others form."""
        value, next_line, next_feature = self.graph[name], 0, 0
        whole = Part.whole(value)
        for pieces in self.pieces:
            if name not in pieces:
                return False
            held, part = pieces[name]
            if held != part:
                return False
            if part.features != whole.features:
                if part[:2] != whole[:2] or part.features.start != next_feature or next_line:
                    return False
                next_feature = part.features.stop
                continue
            rows_are_one = len(part.images) == 1 or len(part.lines) == lines_of(value)
            if not rows_are_one or _first(part, value) != next_line:
                return False
            next_line += len(part.images) * len(part.lines)
        return next_feature == value.features or next_line == value.shape[0] * lines_of(value)

    def _write(self, writer: _Writer, number: int) -> list[Node]:
        """Nodes of the strips one after the other, and of what joins them; names begin with the strips' numbers."""
        before = len(writer.nodes)
        joined: dict[str, list[tuple[Part, str]]] = {name: [] for name in self.outputs}
        for offset, pieces in enumerate(self.pieces):
            later = self.pieces[offset + 1] if offset + 1 < len(self.pieces) else {}
            writer.begin(f"strip{number + offset}.", pieces, later)
            for node in self.nodes:
                if node.output in pieces:
                    formed = writer.cut(node)
                    if node.output in joined:
                        joined[node.output].append((pieces[node.output].formed, formed))
        joins = (node for name, parts in joined.items() for node in _joined(name, parts))
        return [*writer.nodes[before:], *joins]


def cut_all(graph: Graph, cuts: Sequence[Strips]) -> tuple[Graph, dict[str, Strip]]:
    """Cut nodes of a graph into their strips, each node at most once.

    Returns
    -------
    The graph, and what of the values before those of the strips are.
    """
    writer, nodes, number = _Writer(graph), graph.nodes, 0
    for strips in cuts:
        nodes = _replaced(nodes, strips.nodes, strips._write(writer, number))
        number += len(strips.pieces)
    known = {**graph.values, **writer.known}
    return Graph.formed(graph.name, known, nodes, graph.inputs, graph.outputs, graph.states), writer.strips


def _replaced(nodes: Sequence[Node], old: Sequence[Node], new: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes with others in the place of the last of some, and what reads them behind."""
    gone, formed = {node.name for node in old}, {output for node in old for output in node.outputs}
    last = max(place for place, node in enumerate(nodes) if node.name in gone)
    before, late = list[Node](), list[Node]()
    for node in nodes[: last + 1]:
        if node.name in gone:
            continue
        reads = not formed.isdisjoint(node.inputs)
        formed |= set(node.outputs) if reads else set()
        (late if reads else before).append(node)
    return (*before, *new, *late, *nodes[last + 1 :])


class _Writer:
    """Writes the nodes of strips, one strip after the other.

    Attributes
    ----------
    nodes, known, strips
        What is written; what is known of what it forms; and what of the values before that is.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.known: dict[str, Value] = {}
        self.strips: dict[str, Strip] = {}
        self._prefix = ""
        self._pieces: Mapping[str, Piece] = {}
        self._behind: Mapping[str, Piece] = {}
        self._saved: dict[str, str] = {}
        self._there: dict[tuple[str, Part], str] = {}

    def begin(self, prefix: str, pieces: Mapping[str, Piece], behind: Mapping[str, Piece]) -> None:
        """Begin with the next strip, behind which comes another; names of what it forms begin with the prefix."""
        self._prefix, self._pieces, self._behind, self._there = prefix, pieces, behind, {}

    def cut(self, node: Node) -> str:
        """Write what forms a strip of what a node forms; return the name of that."""
        graph, value = self.graph, self.graph[node.output]
        held, part = self._pieces[value.name]
        inputs = []
        for place, name in enumerate(node.inputs):
            if graph.constant(name):
                whole = isinstance(node.op, LookUp)  # a table is of all features
                inputs.append(name if whole else self._constant(name, value, part.features))
            else:
                read = _read_of(node, graph, part, place)
                assert read  # noqa: S101 - as its pieces are known
                inputs.append(self._read(name, read))
        name = formed = self._prefix + value.name
        if held != part:
            formed = f"{self._prefix}new.{value.name}"
        op = _op_of(node.op, graph[node.inputs[0]], value, part)
        self._write(node.name, op, tuple(inputs), formed, value, part)
        if held != part:
            kept = f"{self._prefix}kept.{value.name}"
            ahead = held._replace(lines=range(held.lines.start, part.lines.start))
            self._write(f"{node.name}.kept", Copy(), (self._saved[value.name],), kept, value, ahead)
            self._write(f"{node.name}.joined", Concat(1), (kept, formed), name, value, held)
        self._there[value.name, held] = name
        if value.name in self._behind:
            self._save(node, value, held)
        return name

    def _save(self, node: Node, value: Value, held: Part) -> None:
        """Copy the last lines for the strip behind, if it keeps some: what they are copied from need not stay."""
        later, formed = self._behind[value.name]
        kept = held._replace(lines=range(later.lines.start, formed.lines.start))
        if not kept.lines:
            return
        last = self._read(value.name, kept)
        self._saved[value.name] = f"{self._prefix}saved.{value.name}"
        self._write(f"{node.name}.saved", Copy(), (last,), self._saved[value.name], value, kept)

    def _constant(self, name: str, formed: Value, features: range) -> str:
        """Name of what of a constant belongs to some features of what is formed."""
        value = self.graph[name]
        if features == range(formed.features) or not value.shape or value.features == 1:
            return name
        part = f"{self._prefix}{name}"
        which = slice(features.start, features.stop)
        step = value.step if value.step is None or value.step.size == 1 else value.step[which]
        shape = (*value.shape[:-1], len(features))
        self.known[part] = replace(value, name=part, shape=shape, data=value.numbers[..., which], step=step)
        return part

    def _write(self, name: str, op: Op, inputs: tuple[str, ...], formed: str, value: Value, part: Part) -> None:
        """A node, and what its output is of a value."""
        self.nodes.append(Node(self._prefix + name, op, inputs, (formed,)))
        self.known[formed] = replace(value, name=formed)
        pixels = value.samples // (value.shape[0] * lines_of(value))
        features = None if len(part.features) == value.features else part.features
        self.strips[formed] = Strip(value.name, _first(part, value) * pixels, features, self._prefix)

    def _read(self, name: str, part: Part) -> str:
        """Name of a part of a value, sliced from what there is of it."""
        if (name, part) not in self._there:
            inside = name in self._pieces
            there = self._pieces[name].held if inside else Part.whole(self.graph[name])
            last = self._there[name, there] if inside else name
            number = len(self._there)
            for axis, of, whole in zip((0, 1, -1), part, there, strict=True):
                if of != whole:
                    start = of.start - whole.start
                    sliced = f"{self._prefix}{Part._fields[axis]}{number}.{name}"
                    self.nodes.append(Node(sliced, Slice(axis, start, start + len(of)), (last,), (sliced,)))
                    last = sliced
            self._there[name, part] = last
        return self._there[name, part]


def pieces_of(  # noqa: C901 - one line of reasoning
    graph: Graph, nodes: Sequence[Node], last: str, part: Part, ahead: Mapping[str, Piece]
) -> dict[str, Piece] | None:
    """What a strip forms of each value to form a part of one; None if that can't be told.

    Parameters
    ----------
    ahead
        The same of the strip before, of the same images; none of the first one of images.
    """
    needed, pieces = {last: part}, dict[str, Piece]()
    formed = {node.output for node in nodes}
    if part.features != range(graph[last].features) and not all(_takes_features(graph, node) for node in nodes):
        return None
    for node in reversed(nodes):
        if node.output not in needed:
            continue
        held = needed[node.output]
        if len(node.outputs) > 1 or not graph[node.output].shape:
            return None
        before = ahead[node.output].held.lines if node.output in ahead else range(0)
        lines = range(max(held.lines.start, before.stop), held.lines.stop)
        kept = lines.start > held.lines.start
        if not lines or (kept and (node.op.moves or held.lines.start < before.start)):
            return None
        new = held._replace(lines=lines)
        pieces[node.output] = Piece(held, new)
        for place, name in enumerate(node.inputs):
            if graph.constant(name):
                continue
            read = _read_of(node, graph, new, place)
            if read is None:
                return None
            if name in formed:
                if read.features != held.features and held.features != range(graph[node.output].features):
                    return None  # each strip would form all of it anew
                needed[name] = read.union(needed[name]) if name in needed else read
    return pieces


def behind(before: Part, part: Part) -> bool:
    """Whether a part is lines of the image that another one is the lines before of."""
    return before.images == part.images and before.lines.stop == part.lines.start


def _takes_features(graph: Graph, node: Node) -> bool:
    """Whether a node forms some features from constants' features, and all or the same ones of what it reads."""
    for name in filter(graph.constant, node.inputs):
        value = graph[name]
        if value.storage or value.groups or value.pattern != (1, 1):
            return False
    values = (graph[name] for name in (*node.inputs, node.output))
    whole = all(value.survivors is None for value in values)
    one_group = not isinstance(node.op, Conv) or node.op.groups == 1
    return whole and one_group and isinstance(node.op, (Conv, MatMul, MaxPool, AveragePool, *_POINTWISE))


def _read_of(  # noqa: PLR0911 - one an operator
    node: Node, graph: Graph, part: Part, place: int
) -> Part | None:
    """Part of a value that a node reads to form a part of another one; None if that can't be told."""
    op, given, formed = node.op, graph[node.inputs[place]], graph[node.output]
    if not given.shape or given.shape[0] != formed.shape[0]:
        return None
    lines, features = range(lines_of(given)), range(given.features)
    match op:
        case Conv(window) | MaxPool(window) | AveragePool(window) if place == 0:
            low = part.lines.start * window.stride[0] - window.padding[0]
            high = (part.lines.stop - 1) * window.stride[0] - window.padding[0] + max(window.reach[0], window.stride[0])
            if part.lines.stop == lines_of(formed):  # lines that no window reaches come with those before them
                high = len(lines)
            lines = range(max(0, low) if part.lines.start else 0, min(high, len(lines)))
            return Part(part.images, lines, features if isinstance(op, Conv) else part.features) if lines else None
        case GlobalAveragePool() | Reshape():
            return Part(part.images, lines, features) if len(part.lines) == lines_of(formed) else None
        case MatMul() if given.shape[:-1] == formed.shape[:-1] and graph.constant(node.inputs[1]):
            return part._replace(features=features) if place == 0 else part
        case _ if isinstance(op, _POINTWISE) and given.features == formed.features:
            if given.shape[:-1] == formed.shape[:-1]:
                return part
            return part._replace(lines=lines) if len(lines) == 1 else None
    return None


def _op_of(op: Op, given: Value, formed: Value, part: Part) -> Op:
    """The operator for a part of what it forms: of windows, padding where they reach beyond the image alone."""
    match op:
        case Conv(window) | MaxPool(window) | AveragePool(window):
            top, left, bottom, right = window.padding
            end = (part.lines.stop - 1) * window.stride[0] - top + window.reach[0]
            top = max(0, top - part.lines.start * window.stride[0])
            bottom = max(0, end - lines_of(given))
            return replace(op, window=replace(window, padding=(top, left, bottom, right)))
        case Reshape():
            return Reshape((len(part.images), *formed.shape[1:]))
    return op


def _first(part: Part, value: Value) -> int:
    """Number of the first line of a part, counted over all images."""
    return part.images.start * lines_of(value) + part.lines.start


def _joined(name: str, parts: Sequence[tuple[Part, str]]) -> list[Node]:
    """Nodes that join parts of a value, one behind the other: lines to images, images to all of it; or features."""
    if len({part.features for part, _ in parts}) > 1:
        return [Node(f"join.{name}", Concat(-1), tuple(piece for _, piece in parts), (name,))]
    by_image: dict[range, list[str]] = {}
    for part, piece in parts:
        by_image.setdefault(part.images, []).append(piece)
    nodes, images = list[Node](), list[str]()
    for number, pieces in enumerate(by_image.values()):
        if len(pieces) > 1:
            joined = name if len(by_image) == 1 else f"join{number}.{name}"
            nodes.append(Node(f"join{number}.{name}", Concat(1), tuple(pieces), (joined,)))
            images.append(joined)
        else:
            images += pieces
    if len(images) > 1:
        nodes.append(Node(f"join.{name}", Concat(0), tuple(images), (name,)))
    return nodes
