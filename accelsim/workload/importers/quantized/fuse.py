"""What stands between Dequantize and Quantize, as operators of integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import exact
from accelsim.graph.element import Float, Integer, Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Value
from accelsim.workload.importers.quantized.emit import Emit
from accelsim.workload.importers.quantized.grid import Grid, grid_of

Int64 = NDArray[np.int64]

#: Operators that give numbers other places, or choose among them, whatever they stand for.
PLACES: tuple[type[Op], ...] = (Reshape, Transpose, Slice, Gather, Copy, MaxPool)
#: Operators of single numbers, which a table of 256 entries stands for.
SINGLE: tuple[type[Op], ...] = (Function, Relu, Elementwise, Add, Mul)
#: Scales of weights below which no sum of them counts, and one to have in their place.
_DEAD, _SOME = np.float32(1e-30), np.float32(2.0**-20)
#: Nodes that one table stands for at most.
_LONGEST = 16


def in_integers(graph: Graph) -> Graph:
    """The graph with integer operators where Quantize reads what floats between integers form.

    What is in no such pattern stays as it is, for whoever computes floats. Weights that only Dequantize reads become
    floats again where they are not used as integers. Inputs of integers whose meaning their readers know have it.
    """
    return _constants_folded(_Fusing(_retyped(graph)).graph())


class _Chain(NamedTuple):
    """Nodes between integers, each but the last one read by the next alone.

    Parameters
    ----------
    head
        Operator of one or more dequantized tensors.
    bias
        Node that adds a constant to it, or None.
    norm
        Normalization by statistics of training behind that, or None.
    relus
        ReLUs behind them.
    """

    head: Node
    bias: Node | None
    norm: Node | None
    relus: tuple[Node, ...]


class _Fusing:
    """Replaces patterns, from the first node to the last."""

    def __init__(self, graph: Graph) -> None:
        self.given = graph
        self.emit = Emit(graph)

    def graph(self) -> Graph:
        """The graph with patterns replaced."""
        known = {value.name: value for value in self.given.values.values()}
        for node in self.given.nodes:
            before = len(self.emit.nodes)
            if not (isinstance(node.op, Quantize) and self._fused(node)):
                del self.emit.nodes[before:]
                self.emit.nodes.append(node)
        known |= self.emit.known
        fused = Graph.formed(
            self.given.name, known, self.emit.nodes, self.given.inputs, self.given.outputs, self.given.states
        )
        return fused.rebuilt(nodes=_once(fused.nodes))

    def _fused(self, node: Node) -> bool:
        """Put the integer form of what a Quantize reads, if it is known."""
        assert isinstance(node.op, Quantize)  # noqa: S101 - as the caller has it
        to, formed = node.op.to, node.output
        assert isinstance(to, Integer)  # noqa: S101 - as the operator has it
        if to.bits > 8 or np.ndim(to.scale):
            return False
        return self._float(node.inputs[0], to, formed)

    def _float(self, name: str, to: Integer, formed: str) -> bool:
        """Put the integer form of a float that nobody else reads, if it is known."""
        chain = self._chain(name)
        if chain is not None and self._operator(chain, to, formed):
            return True
        return self._placed(name, to, formed) or self._looked_up(name, to, formed)

    def _chain(self, name: str) -> _Chain | None:
        """What forms a float, up to its head."""
        relus: list[Node] = []
        node = self._alone(name)
        while node is not None and isinstance(node.op, Relu):
            relus.insert(0, node)
            node = self._alone(node.inputs[0])
        bias, norm = None, None
        if node is not None and isinstance(node.op, BatchNorm) and all(map(self.given.constant, node.inputs[1:])):
            norm, node = node, self._alone(node.inputs[0])
        if node is not None and isinstance(node.op, Add) and self._is_constant(node.inputs[1]):
            before = self._alone(node.inputs[0])
            if before is not None and isinstance(before.op, Conv | MatMul):
                bias, node = node, before
        return None if node is None else _Chain(node, bias, norm, tuple(relus))

    def _alone(self, name: str) -> Node | None:
        """The node that forms a value which one node alone reads, and nobody outside; None if there is no such."""
        if name in self.given.leaving or len(self.given.readers(name)) > 1:
            return None
        return self.given.producer(name)

    def _integers(self, name: str) -> str | None:
        """The integers of 8 bits or fewer that a float was formed from, if it was by Dequantize."""
        node = self.given.producer(name)
        if node is None or not isinstance(node.op, Dequantize) or len(node.inputs) > 1:
            return None
        value = self.given[node.inputs[0]]
        element = value.element
        narrow = isinstance(element, Integer) and element.bits <= 8 and not np.ndim(element.scale)
        return value.name if narrow and value.data is None else None

    def _is_constant(self, name: str) -> bool:
        """Whether a value is a constant, or formed of constants alone."""
        return self.given.constant(name) or grid_of(self.given, name) is not None

    def _operator(self, chain: _Chain, to: Integer, formed: str) -> bool:
        """Put an operator with an integer form of its own."""
        head, emit = chain.head, self.emit
        names = [self._integers(name) for name in head.inputs]
        rounded = emit.ended(formed, chain.relus, to)
        match head.op:
            case Conv() | MatMul() if len(names) == 2 and names[0] and self._is_constant(head.inputs[1]):
                if not self._weighted(chain, names[0], to, rounded):
                    return False
            case _ if chain.norm:
                return False
            case MatMul() if len(names) == 2 and names[0] and names[1] and chain.bias is None:
                emit.of_two(head, (names[0], names[1]), to, rounded)
            case Add() | Mul() if names[0] and names[1]:
                put = emit.add if isinstance(head.op, Add) else emit.multiply
                put(head, (names[0], names[1]), to, rounded)
            case AveragePool() | GlobalAveragePool() if names[0]:
                if isinstance(head.op, AveragePool) and any(head.op.window.padding) and not head.op.padded:
                    return False
                emit.mean(head, names[0], to, rounded)
            case _:
                return False
        emit.rectify(rounded, chain.relus, to, formed)
        return True

    def _weighted(self, chain: _Chain, x: str, to: Integer, formed: str) -> bool:
        """Put a product with a constant, if that stands on integers whose scales are those of its outputs."""
        grid = grid_of(self.given, chain.head.inputs[1])
        if grid is None or grid.by_feature is None:
            return False
        grid, shift = self._normalized(chain, grid)
        if grid.by_feature is None or not (grid.by_feature > 0).all():
            return False
        bias = self._bias(chain, x, grid, shift)
        if (chain.bias or chain.norm) and bias is None:
            return False
        self.emit.weighted(chain.head, x, grid, bias, to, formed)
        return True

    def _normalized(self, chain: _Chain, grid: Grid) -> tuple[Grid, NDArray[np.float64] | None]:
        """Weights times what a normalization multiplies their sums by, and the bias that it leaves behind."""
        if chain.norm is None:
            return grid, None
        op = chain.norm.op
        assert isinstance(op, BatchNorm)  # noqa: S101 - as the chain has it
        gamma, beta, mean, variance = (self.given[name].numbers.astype(np.float64) for name in chain.norm.inputs[1:])
        factor = gamma / np.sqrt(variance + op.epsilon)
        bias = np.zeros_like(mean)
        if chain.bias:
            own = grid_of(self.given, chain.bias.inputs[1])
            held = self.given[chain.bias.inputs[1]].data if own is None else own.numbers * own.scale
            assert held is not None  # noqa: S101 - as the chain has it
            bias = held.astype(np.float64).reshape(-1)
        scale = (grid.scale * np.abs(factor)).astype(np.float32)
        dead = scale < _DEAD  # of channels that training has given up only the bias is left
        sign = np.where(factor < 0, -1, 1)
        scaled = grid._replace(numbers=np.where(dead, 0, grid.numbers * sign), scale=np.where(dead, _SOME, scale))
        return scaled, (bias - mean) * factor + beta

    def _bias(self, chain: _Chain, x: str, grid: Grid, shift: NDArray[np.float64] | None) -> Int64 | None:
        """The bias at the scale of the sums: as it is where it stands there, else the nearest."""
        if chain.bias is None and shift is None:
            return None
        scale, weight = np.float32(self.emit.element(x).scale), grid.by_feature
        assert weight is not None  # noqa: S101 - as the caller has it
        wanted = scale * weight
        if shift is not None:
            nearest = np.rint(shift / wanted)
            return nearest.astype(np.int64) if (np.abs(nearest) < 2**31).all() else None
        assert chain.bias is not None  # noqa: S101 - as above
        own = grid_of(self.given, chain.bias.inputs[1])
        features = self.given[chain.bias.output].features
        if own is not None:
            if own.numbers.size != features or own.by_feature is None:
                return None
            if np.allclose(own.by_feature, wanted, rtol=1e-5, atol=0):
                return own.numbers.reshape(features)
            numbers = own.numbers * own.scale.astype(np.float64)
        else:
            numbers = self.given[chain.bias.inputs[1]].numbers.astype(np.float64)
        if numbers.size != features:
            return None
        nearest = np.rint(numbers.reshape(features) / wanted)
        return nearest.astype(np.int64) if (np.abs(nearest) < 2**31).all() else None

    def _placed(self, name: str, to: Integer, formed: str) -> bool:
        """Put operators that give numbers other places; they choose alike among floats and among their integers."""
        last = self._alone(name)
        relus: list[Node] = []
        while last is not None and isinstance(last.op, Relu):
            relus.insert(0, last)
            last = self._alone(last.inputs[0])
        path: list[Node] = []
        while last is not None and isinstance(last.op, PLACES) and len(path) < _LONGEST:
            if not all(map(self.given.constant, last.inputs[1:])):
                return False
            path.insert(0, last)
            if self._integers(last.inputs[0]):
                break
            last = self._alone(last.inputs[0])
        rounded = self.emit.ended(formed, relus, to)
        if last is not None and isinstance(last.op, Concat) and not path:
            done = self._joined(last, to, rounded)
        else:
            done = bool(path) and self._moved(path, to, rounded)
        if done:
            self.emit.rectify(rounded, relus, to, formed)
        return done

    def _moved(self, path: Sequence[Node], to: Integer, formed: str) -> bool:
        """Put operators of places behind what forms their numbers, which are the result's integers by then."""
        given = path[0].inputs[0]
        first = self._integers(given)
        if first is None:
            first = f"{given}.integers"
            if not self._float(given, to, first):
                return False
        elif self.emit.element(first) != to:
            element, before = self.emit.element(first), first
            if element.bits != 8 or to.bits != 8:
                return False
            first = self.emit.table(f"{formed}.convert", before, self._entries(element, (), "", to), to, f"{given}.to")
        for number, part in enumerate(path):
            target = formed if number == len(path) - 1 else f"{part.output}.integers"
            first = self.emit.put(part.name, part.op, (first, *part.inputs[1:]), target)
        return True

    def _joined(self, node: Node, to: Integer, formed: str) -> bool:
        """Put tensors beside each other, those of other types by a table."""
        assert isinstance(node.op, Concat)  # noqa: S101 - as the caller has it
        names = []
        for number, part in enumerate(node.inputs):
            integers = self._integers(part)
            if integers is None:
                return False
            element = self.emit.element(integers)
            if element != to:
                if element.bits != 8:
                    return False
                own = f"{node.name}.part{number}"
                integers = self.emit.table(own, integers, self._entries(element, (), "", to), to, own)
            names.append(integers)
        self.emit.put(node.name, node.op, names, formed)
        return True

    def _looked_up(self, result: str, to: Integer, formed: str) -> bool:
        """Put a table for operators of single numbers."""
        inner: list[Node] = []
        leaves: set[str] = set()
        wanted = [result]
        while wanted:
            name = wanted.pop()
            if self._integers(name):
                leaves.add(name)
                continue
            if self._one_number(name):
                continue
            producer = self.given.producer(name)
            if producer is None or not isinstance(producer.op, SINGLE) or len(inner) == _LONGEST:
                return False
            if producer not in inner:
                inner.append(producer)
                wanted += producer.inputs
        if len(leaves) != 1:
            return False
        (leaf,) = leaves
        integers = self._integers(leaf)
        assert integers is not None  # noqa: S101 - as the loop has it
        element = self.emit.element(integers)
        if element.bits != 8 or to.bits != 8:
            return False
        order = [part for part in self.given.nodes if part in inner]
        entries = self._entries(element, order, leaf, to, result)
        name = order[-1].name if order else f"{formed}.convert"
        self.emit.table(name, integers, entries, to, formed)
        return True

    def _one_number(self, name: str) -> bool:
        """Whether a value is a constant of one number."""
        return self.given.constant(name) and self.given[name].numbers.size == 1

    def _entries(
        self, element: Integer, nodes: Sequence[Node], leaf: str, to: Integer, last: str = ""
    ) -> Int64:  # fmt: skip
        """Results of all integers of 8 bits: dequantized, what nodes form of them in float32, and quantized."""
        every = np.arange(element.qmin, element.qmax + 1).astype(element.dtype)
        start = leaf or "every"
        table = [
            Node("dequantize", Dequantize(), ("integers",), (start,)),
            *nodes,
            Node("quantize", Quantize(to), (last or start,), ("entries",)),
        ]
        known = {name: self.given[name] for node in nodes for name in node.inputs if self.given.constant(name)}
        scalars = {name: replace(value, shape=(), data=value.numbers.reshape(())) for name, value in known.items()}
        known = {"integers": Value("integers", every.shape, element), **scalars}
        graph = Graph.formed("table", known, table, ("integers",), ("entries",))
        return exact.evaluate(graph, (every,), 1)["entries"].astype(np.int64)


def _once(nodes: Sequence[Node]) -> list[Node]:
    """Nodes, of those of one name, which several patterns put, the first alone under it."""
    names: set[str] = set()
    found = []
    for node in nodes:
        name, number = node.name, 1
        while name in names:
            number += 1
            name = f"{node.name}.{number}"
        names.add(name)
        found.append(replace(node, name=name))
    return found


def _retyped(graph: Graph) -> Graph:
    """The graph without Retype where it tells nothing, and with inputs of the type that all readers take them to be."""
    values: dict[str, Value] = {}
    for name in graph.inputs:
        readers = graph.readers(name)
        if readers and all(isinstance(node.op, Retype) for node in readers) and name not in graph.outputs:
            ops = [node.op for node in readers if isinstance(node.op, Retype)]
            if isinstance(graph[name].element, Plain) and all(op == ops[0] for op in ops):
                values[name] = replace(graph[name], element=ops[0].to)
    names: dict[str, str] = {}
    nodes = []
    elements = {name: value.element for name, value in {**graph.values, **values}.items()}
    for node in graph.nodes:
        inputs = tuple(names.get(name, name) for name in node.inputs)
        same = isinstance(node.op, Retype) and elements[inputs[0]] == node.op.to
        if same and node.output not in graph.leaving:
            names[node.output] = inputs[0]
        elif same:
            nodes.append(Node(node.name, Copy(), inputs, node.outputs))
        else:
            nodes.append(replace(node, inputs=inputs))
    known = {**graph.values, **values}
    return Graph.formed(graph.name, known, nodes, graph.inputs, graph.outputs, graph.states)


def _constants_folded(graph: Graph) -> Graph:
    """The graph with floats where Dequantize reads constants alone, and what moves them."""
    known, nodes = dict(graph.values), []
    for node in graph.nodes:
        constant = all(known[name].data is not None for name in node.inputs)
        if not constant or not isinstance(node.op, (Dequantize, *PLACES)):
            nodes.append(node)
            continue
        part = Graph.formed("constants", known, [node], (), node.outputs)
        numbers = exact.evaluate(part, (), 1)[node.output]
        kind = Float("fp32") if isinstance(graph[node.output].element, Float) else graph[node.output].element
        known[node.output] = Value(node.output, numbers.shape, kind, numbers)
    return Graph.formed(graph.name, known, nodes, graph.inputs, graph.outputs, graph.states)
