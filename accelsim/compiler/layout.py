"""Pass 3: where each value lies, so that tensors that only move are addresses.

What a fusion forms lies in rows of its own unless somebody wants it elsewhere: beside what it is joined to, or in the
order that a Transpose behind it brings about, where others can read that alone. All other values are views of these.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from accelsim.compiler.dataflow import streams_outputs
from accelsim.compiler.fuse import hosted, in_order
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import Factor, Product
from accelsim.compiler.view import View, periods
from accelsim.config.arch import Machine
from accelsim.errors import CompileError
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Value


def arrange(lowering: Lowering, machine: Machine) -> Lowering:
    """Give each value its view; what no addresses bring in order is the host's to do, if it computes.

    Raises
    ------
    CompileError
        If it does not.
    """
    graph, fusions = lowering.graph, lowering.fusions
    while True:
        finder = _Finder(graph, fusions, machine)
        finder.find()
        misplaced = finder.misplaced()
        if not misplaced:
            break
        movers = {node.name: node for node in map(graph.producer, misplaced) if node and finder.moved(node.output)}
        if not machine.host.computes or not movers:
            raise CompileError(
                *(f"node {getattr(graph.producer(name), 'name', name)}: {text}" for name, text in misplaced.items())
            )
        chains = map(finder.chain, movers.values())
        fusions = in_order(graph, (*fusions, *(hosted(graph, chain, machine) for chain in chains)))
    fusions = tuple(finder.placed(fusion) for fusion in fusions)
    return dataclasses.replace(lowering, fusions=fusions, views=finder.views, storages=finder.storages)


class Tensors(NamedTuple):
    """Where a fusion's tensors lie, as it reads and forms them."""

    sources: tuple[View, ...]
    factor: View | None
    target: View


def tensors_of(fusion: Fusion, views: Mapping[str, View]) -> Tensors:
    """Views of what a fusion reads as activations, of its right factor, and of what it forms."""
    factor, target = fusion.product and fusion.product.factor, views[fusion.target]
    if not factor:
        return Tensors(tuple(views[name] for name in fusion.sources), None, target)
    left, right = (views[name] for name in fusion.sources)
    if factor.turned:
        return Tensors((right.turned,), left.turned, target.turned)
    return Tensors((left,), right, target)


@dataclass
class _Finder:
    """Finds views from the outputs back, and then forwards.

    Attributes
    ----------
    views
        Of the values so far.
    storages
        Each storage as the dense tensor that it holds.
    apart
        Values, joined or the first of several, whose parts can't lie as they must, and why.
    """

    graph: Graph
    fusions: Sequence[Fusion]
    machine: Machine
    views: dict[str, View] = field(default_factory=dict)
    storages: dict[str, View] = field(default_factory=dict)
    apart: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.forming = {fusion.target: fusion for fusion in self.fusions}
        self.readers: dict[str, list[Fusion]] = {}
        for fusion in self.fusions:
            for name in fusion.sources:
                self.readers.setdefault(name, []).append(fusion)

    def find(self) -> None:
        """Fill the views."""
        held = {node.name for fusion in self.fusions for node in fusion.nodes}
        for node in reversed(self.graph.nodes):
            if isinstance(node.op, Concat) and node.name not in held:
                self._join(node.name, node.inputs, node.op.axis, node.output)
        for fusion in self.fusions:
            if fusion.product and len(fusion.beside) > 1:
                self._join(fusion.name, fusion.beside, -1, None)
        for fusion in self.fusions:
            if fusion.target not in self.views:
                self._follow(fusion)
        self._store_others()

    def _store_others(self) -> None:
        """Give what has no place yet one of its own, and find where what only moves lies."""
        read = (name for fusion in self.fusions for name in fusion.sources)
        moved = (
            name for node in self.graph.nodes if node.op.moves for name in node.inputs if self.graph.constant(name)
        )
        for name in (*self.graph.entering, *self.forming, *read, *moved):
            if name not in self.views and not self.moved(name):
                self.views[name] = self._store(self._dense(name))
        for node in self.graph.nodes:
            if node.op.moves and node.output not in self.views:
                view = self._forward(node, self.views.get(node.inputs[0]))
                if view:
                    self.views[node.output] = view

    def moved(self, name: str) -> bool:
        """Whether a value is one that only gives others' numbers other places."""
        node = self.graph.producer(name)
        return node is not None and node.op.moves and name not in self.forming

    def chain(self, node: Node) -> tuple[Node, ...]:
        """A node that only moves numbers, and those before it that do, of which nobody else reads what they form."""
        nodes = [node]
        while len(nodes[0].inputs) == 1 and self.moved(nodes[0].inputs[0]):
            name = nodes[0].inputs[0]
            before = self.graph.producer(name)
            if before is None or len(self.graph.readers(name)) > 1 or name in self.graph.leaving:
                break
            nodes.insert(0, before)
        return tuple(nodes)

    def misplaced(self) -> dict[str, str]:
        """Values that do not lie where they must, and what they must."""
        if self.apart:
            return self.apart
        where = "addresses alone must bring its numbers to where {} them on {}, which they don't"
        faults = {
            name: where.format(f"{fusion.name} reads", self.machine.name)
            for fusion in self.fusions
            for name in fusion.sources
            if not self.readable(fusion, name, self.views.get(name))
        }
        for name in self.graph.leaving:
            if name not in self.views or (self.views[name].root != name and self.moved(name)):
                faults[name] = where.format("the network gives", self.machine.name)
        return faults

    def readable(self, fusion: Fusion, name: str, view: View | None) -> bool:
        """Whether transfers bring a value as a fusion reads it."""
        if view is None:
            return False
        as_factor = name in fusion.sources[len(fusion.beside) :]
        whole = view.shape == self.graph[name].shape
        if as_factor and not (whole and any(view.rows(last=last) for last in (False, True))):
            return False
        return name not in fusion.beside or self._fits(fusion, view)

    def _fits(self, fusion: Fusion, view: View) -> bool:
        """Whether what a fusion reads or forms may lie so: rows of a product, or of single numbers, anywhere."""
        place = view.matrix(feature_major=self.machine.feature_major)
        in_rows = not isinstance(fusion.work, HostWork) and fusion.work.image is None
        return place is not None and (in_rows or not place.leads)

    def placed(self, fusion: Fusion) -> Fusion:
        """A fusion that knows how its tensors lie: rows after which they lie elsewhere, and which factor stays."""
        product = fusion.product
        if isinstance(fusion.work, VectorWork):
            return fusion.of(dataclasses.replace(fusion.work, period=self._period(fusion)))
        if product is None:
            return fusion
        if product.factor:
            product = self._with_factor(fusion, product, product.factor)
            fusion = fusion.of(product)
        rows = self._period(fusion)
        if product.batches > 1:
            rows = math.gcd(rows, product.m // product.batches)
        return fusion.of(dataclasses.replace(product, period=rows))

    def _period(self, fusion: Fusion) -> int:
        major = self.machine.feature_major
        tensors = tensors_of(fusion, self.views)
        return periods(*(view.matrix(feature_major=major) for view in (*tensors.sources, tensors.target)))

    def _with_factor(self, fusion: Fusion, product: Product, factor: Factor) -> Product:
        """A product that knows the rows of its right factor, and which factor stays in the array.

        The left one does where it has one row, and the right one would have to be transposed on chip.
        """
        view, major = self.views[factor.value], self.machine.feature_major
        by_input, by_output = (view.rows(last=last) is not None for last in (False, True))
        turned = None if by_input or streams_outputs(self.machine) else product.turned
        if turned:
            stays = Factor(fusion.sources[0], factor.batches, by_input=True, turned=True)
            turned = dataclasses.replace(turned, factor=stays)
            left, right, target = tensors_of(fusion.of(turned), self.views)
            if right and right.rows(last=False) and all(x.matrix(feature_major=major) for x in (*left, target)):
                return turned
        return dataclasses.replace(product, factor=Factor(factor.value, factor.batches, by_input, by_output))

    def _dense(self, name: str) -> View:
        value = self.graph[name]
        bits = value.element.memory_bits
        return View.dense(name, value.shape, bits, feature_major=self.machine.feature_major)

    def _store(self, view: View) -> View:
        """Give a tensor storage of its own."""
        self.storages[view.root] = view
        return view

    def _join(self, name: str, parts: Sequence[str], axis: int, joined: str | None) -> None:
        """Have tensors lie one behind the other along an axis, as one that may have a name."""
        values = [self.graph[part] for part in parts]
        axis %= len(values[0].shape)
        ends = np.cumsum([0, *(value.shape[axis] for value in values)]).tolist()
        if joined in self.views:
            whole = self.views[joined]
        else:
            whole = self._whole(parts, axis, ends[-1]) or self._side_by_side(joined or f"{name}.sources", values, axis)
        if joined:
            self.views[joined] = whole
        for part, start, stop in zip(parts, ends, ends[1:], strict=False):
            if not self._put(part, whole.sliced(axis, start, stop)):
                self.apart[joined or parts[0]] = (
                    f"{', '.join(parts)} must stand side by side for {name}, but {part} must stand elsewhere"
                )

    def _side_by_side(self, root: str, values: Sequence[Value], axis: int) -> View:
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        bits = values[0].element.memory_bits
        return self._store(View.dense(root, tuple(shape), bits, feature_major=self.machine.feature_major))

    def _whole(self, parts: Sequence[str], axis: int, size: int) -> View | None:
        """The tensor that others lie in already, from its first to its last number."""
        first = self.views.get(parts[0])
        if first is None:
            return None
        shape = list(first.shape)
        shape[axis] = size
        whole = dataclasses.replace(first, shape=tuple(shape))
        return whole if whole == self.storages.get(first.root) else None

    def _put(self, name: str, view: View) -> bool:
        """Have a tensor lie where a view says; whether it can."""
        if name in self.views:
            return self.views[name] == view
        self.views[name] = view
        node = self.graph.producer(name)
        place = view.matrix(feature_major=self.machine.feature_major)
        in_one = place is not None and not place.leads
        if not self._suits(name, view) or (name in self.graph.leaving and not in_one):
            return False
        if node is None or not self.moved(name):
            return name not in self.forming or self._stores(self.forming[name], view)
        if isinstance(node.op, Concat):
            return True  # its parts come later
        before = self._backward(node, view)
        return before is not None and self._put(node.inputs[0], before)

    def _backward(self, node: Node, view: View) -> View | None:
        """Where what a node reads lies if what it gives lies so."""
        match node.op:
            case Reshape():
                shape = self.graph[node.inputs[0]].shape
                return view.reshaped(shape) or (view if view.shape[-1] == shape[-1] else None)
            case Transpose(order) if view.shape == self.graph[node.output].shape:
                return view.transposed(tuple(np.argsort(order).tolist()))
            case _:
                return None

    def _forward(self, node: Node, given: View | None) -> View | None:  # noqa: PLR0911 - one an operator
        """Where what a node gives lies if what it reads lies so."""
        if given is None:
            return None
        if isinstance(node.op, Reshape):
            return given.reshaped(self.graph[node.output].shape)
        if given.shape != self.graph[node.inputs[0]].shape:
            return None
        match node.op:
            case Transpose(order):
                return given.transposed(order)
            case Slice(axis, start, stop, step):
                return given.sliced(axis % len(given.shape), start, stop, step)
            case Expand(times):
                return given.expanded(times)
            case _:
                return None

    def _follow(self, fusion: Fusion) -> None:
        """Have what a fusion forms lie in the order that the nodes behind it bring about, where others need that."""
        name, chain = fusion.target, list[Node]()
        while name not in self.graph.leaving and len(self.graph.readers(name)) == 1:
            (node,) = self.graph.readers(name)
            if not isinstance(node.op, Reshape | Transpose) or node.output in self.forming or node.output in self.views:
                break
            chain.append(node)
            name = node.output
        view: View | None = self._dense(fusion.target)
        for node in chain:
            view = self._forward(node, view)
        if not chain or (name not in self.graph.leaving and self._suits(name, view)):
            return
        for end in range(len(chain), 0, -1):
            last = chain[end - 1].output
            dense = self._dense(last)
            view = dense
            for node in reversed(chain[:end]):
                view = None if view is None else self._backward(node, view)
            if view and self._stores(fusion, view) and self._suits(last, dense):
                self._put(last, self._store(dense))
                return

    def _stores(self, fusion: Fusion, view: View) -> bool:
        """Whether a fusion can store what it forms where a view says: of a product, whatever it reads."""
        if fusion.product:
            return view.matrix(feature_major=self.machine.feature_major) is not None
        return self._fits(fusion, view)

    def _suits(self, name: str, view: View | None) -> bool:
        """Whether all fusions that read a value can where it lies."""
        return all(self.readable(fusion, name, view) for fusion in self.readers.get(name, ()))
