"""A graph on its way: nodes that are put behind each other, constants that are folded, axes that are put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import exact, real
from accelsim.graph.element import Element, Float, Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.op import Op, UnfitError, count
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.onnx.dtypes import FLOAT32, REALS, DType, element_of
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.file import MAX_NUMBERS, shown
from accelsim.workload.importers.onnx.tensor import NEW, Tensor, channels_last, permutation

#: Bytes of all constants that are formed: so many, and so many for each byte of constants that files hold.
MAX_FOLDED_BYTES = 2**31
FOLDED_BYTES_OF_READ = 8
#: Nodes of a graph.
MAX_NODES = 2**16


@dataclass(eq=False)
class Translation:
    """Collects the nodes of a graph for the nodes of a model.

    Parameters
    ----------
    name
        Of the node that is translated: prefix of the names of what it becomes.
    nodes, known
        Of the graph: its nodes so far, and inputs and constants that they read.
    node_names, value_names
        Names that are taken, those of the model's nodes and tensors among them.
    unused
        Names of the model's nodes that no node of the graph has yet.
    room
        Bytes that constants may still take that are formed.
    """

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    known: dict[str, Value] = field(default_factory=dict)
    node_names: set[str] = field(default_factory=set)
    value_names: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    room: int = field(default_factory=lambda: MAX_FOLDED_BYTES)
    _steps: int = 0
    _producers: dict[str, Node] = field(default_factory=dict)
    _formed: dict[str, Value] = field(default_factory=dict)

    def count_step(self) -> None:
        """Count a node of the model, or of a function that it calls, against the most that there may be."""
        self._steps += 1
        if self._steps > MAX_NODES:
            raise RefusedError(f"must have at most {MAX_NODES} nodes, those of called functions among them")

    # values of the graph

    def put(self, op: Op, *given: Value, name: str = "", fold: bool = True) -> Value:
        """Form a value; of constants alone a constant.

        Parameters
        ----------
        name
            Of the node; that of the model's node and of the operator if absent.
        fold
            Whether constants become a constant.

        Raises
        ------
        RefusedError, UnfitError
            If the operator does not fit what it is given, or forms too much.
        """
        return self.put_all(op, *given, name=name, fold=fold)[0]

    def put_all(self, op: Op, *given: Value, name: str = "", fold: bool = True) -> tuple[Value, ...]:
        """Form values of an operator that forms several; else as `put`."""
        least, most = op.arity
        if not least <= len(given) <= most:
            raise UnfitError(f"must take {least} to {most} values, not {len(given)}")
        types = op.infer(*given)
        for kind in types:
            if count(kind.shape) > MAX_NUMBERS:
                raise RefusedError(f"must form at most {MAX_NUMBERS} numbers, not {shown(kind.shape)}")
        part = name or f"{self.name}.{type(op).__name__.lower()}"
        if fold and all(value.data is not None for value in given):
            return self._fold(part, op, given)
        if len(self.nodes) >= MAX_NODES:
            raise RefusedError(f"must not make the graph larger than {MAX_NODES} nodes")
        if part == self.name and part in self.unused:
            self.unused.remove(part)
        else:
            part = unique(part, self.node_names)
        endings = ("", *map(str, range(1, len(types))))
        outputs = [unique(f"{part}.output{ending}", self.value_names) for ending in endings]
        self.known |= {value.name: value for value in given if value.data is not None}
        node = Node(part, op, tuple(value.name for value in given), tuple(outputs))
        self.nodes.append(node)
        self._producers |= dict.fromkeys(outputs, node)
        formed = tuple(Value(name, *kind) for name, kind in zip(outputs, types, strict=True))
        self._formed |= {value.name: value for value in formed}
        return formed

    def producer(self, name: str) -> Node | None:
        """Node that forms a value, or None."""
        return self._producers.get(name)

    def value(self, name: str) -> Value:
        """A value that nodes read or form."""
        return self._formed[name] if name in self._formed else self.known[name]

    def _fold(self, part: str, op: Op, given: Sequence[Value]) -> tuple[Value, ...]:
        """Numbers of what an operator forms of constants, by its own meaning."""
        named = tuple(replace(value, name=f"given{i}") for i, value in enumerate(given))
        types = op.infer(*named)
        self.require_room(sum(count(kind.shape) * kind.element.dtype.itemsize for kind in types))
        formed = tuple(f"formed{i}" for i in range(len(types)))
        node = Node("folded", op, tuple(value.name for value in named), formed)
        graph = Graph.formed("constants", {value.name: value for value in named}, [node], (), formed)
        elements = [value.element for value in (*graph.values.values(),)]
        if all(isinstance(element, Float | Plain) for element in elements):
            found = real.evaluate(graph, (), formed)
            numbers = [graph[name].element.quantize(found[name]) for name in formed]
        else:
            numbers = [exact.evaluate(graph, (), 1)[name] for name in formed]
        return tuple(
            self.constant(array, name=part, element=kind.element) for array, kind in zip(numbers, types, strict=True)
        )

    def require_room(self, nbytes: int) -> None:
        """Refuse a constant of so many bytes before they are taken, if those before it leave no room for it."""
        if nbytes > self.room:
            raise RefusedError(f"must not form constants of {nbytes} bytes, as {self.room} are left")

    def constant(self, numbers: NDArray[Any], name: str = "", element: Element | None = None) -> Value:
        """A constant; its element is that of the numbers' type if absent."""
        kind = element or element_of(numbers.dtype)
        if isinstance(kind, Float):
            numbers = numbers.astype(np.float32, copy=False)
        self.require_room(numbers.nbytes)
        self.room -= numbers.nbytes
        return Value(unique(name or f"{self.name}.constant", self.value_names), numbers.shape, kind, numbers)

    def scalar(self, number: float, dtype: DType = FLOAT32) -> Value:
        """A constant of one number, without axes."""
        return self.constant(np.array(number, dtype))

    # tensors of the model

    def known_tensor(self, numbers: NDArray[Any], name: str = "", dtype: DType | None = None) -> Tensor:
        """A constant of the model."""
        value = self.constant(numbers, name)
        return Tensor(value, numbers.shape, dtype or numbers.dtype, tuple(range(numbers.ndim)))

    def tensor(self, value: Value, dtype: DType | None = None) -> Tensor:
        """A tensor that stands in the graph as the model has it."""
        kind = dtype or (FLOAT32 if isinstance(value.element, Float) else value.element.dtype)
        return Tensor(value, value.shape, kind, tuple(range(len(value.shape))))

    def imaged(self, value: Value, rank: int, dtype: DType) -> Tensor:
        """A tensor of images that stands in the graph with its channels last."""
        axes = channels_last(rank)
        shape = [0] * rank
        for place, axis in enumerate(axes):
            shape[axis] = value.shape[place]
        return Tensor(value, tuple(shape), dtype, axes)

    def unary(self, x: Tensor, op: Op, name: str = "") -> Tensor:
        """What an operator forms of each number, whatever its place."""
        value = self.put(op, x.value, name=name)
        dtype = x.dtype if value.element == x.value.element else value.element.dtype
        return replace(x, value=value, dtype=dtype)

    def plain(self, x: Tensor) -> Value:
        """The value as the model has the tensor."""
        return self.arranged(x, tuple(range(x.rank)))

    def in_order(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """The tensor with its axes in an order in the graph."""
        return replace(x, value=self.arranged(x, axes), axes=axes, block=())

    def arranged(self, x: Tensor, axes: tuple[int, ...]) -> Value:
        """The value with just these axes, `NEW` for those of one number that the tensor does not have."""
        if x.block:
            x = self._unfolded(x)
        if x.axes == axes:
            return x.value
        if x.known:
            return self._turned(x, axes)
        value, wanted = x.value, [axis for axis in axes if axis != NEW]
        if x.order(x.axes) != x.order(axes):
            rest = [axis for axis in x.axes if axis in wanted]
            before = (*rest, *(axis for axis in wanted if axis not in rest))
            value = self.reshaped(value, tuple(x.shape[axis] for axis in before))
            value = self.put(Transpose(tuple(before.index(axis) for axis in wanted)), value)
        return self.reshaped(value, tuple(1 if axis == NEW else x.shape[axis] for axis in axes))

    def _turned(self, x: Tensor, axes: tuple[int, ...]) -> Value:
        """A constant with its axes in an order."""
        wanted = [axis for axis in axes if axis != NEW]
        before = (*wanted, *(axis for axis in range(x.rank) if axis not in wanted))
        numbers = np.expand_dims(x.numbers, ()) if x.plain else self.plain(x).numbers
        numbers = np.ascontiguousarray(numbers.transpose(before))
        shape = tuple(1 if axis == NEW else x.shape[axis] for axis in axes)
        return self.constant(numbers.reshape(shape), element=x.value.element)

    def reshaped(self, value: Value, shape: Shape) -> Value:
        """Numbers in another shape, of as many samples as there are; one reshaping stands for several."""
        node = self.producer(value.name)
        if node is not None and isinstance(node.op, Reshape):
            value = self.value(node.inputs[0])
        if value.shape == shape:
            return value
        if value.data is None and value.shape and shape and value.shape[0] == shape[0]:
            shape = (0, *shape[1:])
        return self.put(Reshape(shape), value)

    def _unfolded(self, x: Tensor) -> Tensor:
        """A flattened image's numbers in the order in which the model has them."""
        samples, (channels, height, width) = x.shape[0], x.block
        value = self.reshaped(x.value, (samples, height, width, channels))
        value = self.reshaped(self.put(Transpose((0, 3, 1, 2)), value), x.shape)
        return replace(x, value=value, block=())

    def joined(self, given: Sequence[Tensor]) -> tuple[list[Value], Tensor]:
        """Values of tensors that are taken number by number, in one order of axes that most of them have already.

        Returns
        -------
        The values, and a tensor that says the shape and the axes of what is formed; its value and type are the first
        one's.

        Raises
        ------
        RefusedError
            If the shapes do not fit.
        """
        try:
            shape = np.broadcast_shapes(*(x.shape for x in given))
        except ValueError:
            text = " and ".join(shown(x.shape) for x in given[:4])
            raise RefusedError(f"shapes must fit each other, not be {text}") from None
        rank = len(shape)
        formed = [x for x in given if not x.known] or list(given)
        alone = all(x.shape in {(), (1,)} for x in given if x is not formed[0])
        lead = max(formed, key=lambda x: (x.rank == rank, x.count, not x.plain))
        if lead.block and alone:
            return [self._scalar(x) if x is not lead else x.value for x in given], lead
        axes = [axis if axis == NEW else axis + rank - lead.rank for axis in permutation_with_new(lead)]
        axes = [*range(rank - lead.rank), *axes]
        target = tuple(axes)
        values = [self._broadcastable(x, target, rank, lead) for x in given]
        return values, replace(given[0], shape=shape, axes=target, block=())

    def _scalar(self, x: Tensor) -> Value:
        return self.reshaped(x.value, ()) if x.known else x.value

    def _broadcastable(self, x: Tensor, axes: tuple[int, ...], rank: int, lead: Tensor) -> Value:
        """A value whose axes are some of a larger tensor's; of constants without leading ones, as biases are."""
        more = rank - x.rank
        own = tuple(NEW if axis < more else axis - more for axis in axes)
        value = self.arranged(x, own)
        least = len(axes) if x is lead else 0 if x.known else x.rank
        shape = value.shape
        while len(shape) > least and shape[0] == 1:
            shape = shape[1:]
        return self.reshaped(value, shape)

    def same_type(self, given: Sequence[Tensor]) -> None:
        """Refuse tensors of different types."""
        if any(x.dtype != given[0].dtype for x in given):
            raise RefusedError(f"inputs must be of one type, not {given[0].dtype} and others")

    def is_real(self, x: Tensor) -> bool:
        """Whether a tensor has floats that a graph has as real numbers."""
        return x.dtype in REALS


def permutation_with_new(x: Tensor) -> tuple[int, ...]:
    """Axes of a tensor as its value has them, missing ones added."""
    if x.block or NEW not in x.axes:
        return tuple(range(x.rank)) if x.block else permutation(x)
    missing = [axis for axis in range(x.rank) if axis not in x.axes]
    return (*x.axes[:1], *missing, *x.axes[1:])


def unique(name: str, taken: set[str]) -> str:
    """A name that nothing has, which is then taken: this one, or this one with a number."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}.{number}"
    taken.add(found)
    return found
