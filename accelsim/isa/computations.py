"""What the host computes: nodes of a graph between tensors in its memory; a table of the program.

The host's memory is addressed as the DRAM is. What a program's image holds stands in both from the start: inputs come
from the host, and it knows the constants.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from accelsim.config.model import NAME, Frozen, quantity
from accelsim.errors import AccelSimError
from accelsim.formats.operands import pack_rows, unpack_rows
from accelsim.graph.element import Element, Integer, Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.gather_elements import GatherElements
from accelsim.graph.ops.gather_nd import GatherNd
from accelsim.graph.ops.op import count
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Value
from accelsim.isa.operators import ElementInfo, OpField
from accelsim.memory.region import Region, view

#: Largest side of a tensor, and axes that it has at most.
MAX_SIDE, MAX_AXES = 2**31 - 1, 8
#: What gives numbers other places; in another shape they stay where they are.
MOVES = (Concat, Expand, Gather, GatherElements, GatherNd, Pad, Slice, Transpose)
#: Operations of a multiplication whose product is summed.
OPS_PER_MAC = 2
#: What unfit attributes make numpy and the operators raise.
UNFIT = (AccelSimError, ArithmeticError, IndexError, MemoryError, TypeError, ValueError)


class TensorInfo(Frozen):
    """A tensor in the host's memory: a matrix of samples by features, as it lies in DRAM."""

    name: str = quantity("name", "Name of the value", pattern=NAME)
    shape: list[Annotated[int, Field(ge=1, le=MAX_SIDE)]] = quantity(
        "numbers", "Samples first, features last", max_length=MAX_AXES
    )
    element: ElementInfo
    address: int = quantity("bytes", "First byte", ge=0, le=2**48)
    pitch: int = quantity("bytes", "From row to row", ge=1, le=MAX_SIDE)
    feature_major: bool = quantity(
        "flag", "Whether the samples of a feature lie side by side, and not the features of a sample", default=False
    )

    @property
    def value(self) -> Value:
        """The value of a graph, without numbers."""
        return Value(self.name, tuple(self.shape), self.element.element)

    @property
    def region(self) -> Region:
        """Its bytes."""
        rows, elements = self._rows
        return Region(self.address, self.pitch, rows, -(-elements * self.element.element.memory_bits // 8))

    @property
    def _rows(self) -> tuple[int, int]:
        """Rows in memory, and elements of a row."""
        features, samples = (self.shape or [1])[-1], int(np.prod(self.shape[:-1], dtype=object))
        return (features, samples) if self.feature_major else (samples, features)

    def read(self, memory: NDArray[np.uint8]) -> NDArray[Any]:
        """Numbers that stand in memory, as the element holds them."""
        _, elements = self._rows
        values = unpacked(view(memory, self.region), elements, self.element.element)
        return (values.T if self.feature_major else values).reshape(tuple(self.shape))

    def write(self, memory: NDArray[np.uint8], numbers: NDArray[Any]) -> None:
        """Put numbers of the shape into memory."""
        matrix = numbers.reshape(-1, (self.shape or [1])[-1])
        view(memory, self.region)[:] = packed(matrix.T if self.feature_major else matrix, self.element.element)


class NodeInfo(Frozen):
    """An operator between values."""

    name: str = quantity("name", "Name of the node", pattern=NAME)
    op: OpField = quantity("operator", "What it does: an object with its kind and its attributes")
    inputs: list[str] = quantity("names", "Values that it reads", max_length=2**16)
    output: str = quantity("name", "Value that it forms", pattern=NAME)


class Computation(Frozen):
    """Nodes that the host computes one after the other, with what is between them nowhere in memory.

    Each means what `golden.exact` says; their operations are those of their work, a multiplication and its sum two.
    """

    given: list[TensorInfo] = quantity("tensors", "What they read: activations and constants")
    nodes: list[NodeInfo] = quantity("nodes", "What is computed, in order", min_length=1)
    result: TensorInfo

    @cached_property
    def graph(self) -> Graph:
        """The nodes as a graph whose inputs are what is given; one of `UNFIT` is raised if they do not fit."""
        known = {tensor.name: tensor.value for tensor in self.given}
        nodes = [Node(node.name, node.op, tuple(node.inputs), (node.output,)) for node in self.nodes]
        return Graph.formed("computation", known, nodes, known, (self.result.name,))

    @cached_property
    def operations(self) -> int:
        """Operations that it takes, at least one; a number that only gets another place takes one, too."""
        work = [self.graph.work(node) for node in self.graph.nodes]
        moved = sum(count(self.graph[node.output].shape) for node in self.graph.nodes if isinstance(node.op, MOVES))
        return max(1, moved + sum(OPS_PER_MAC * part.macs + part.vector for part in work))

    @property
    def tensors(self) -> list[TensorInfo]:
        """What is read, and the result."""
        return [*self.given, self.result]


def faults(table: tuple[Computation, ...], dram_bytes: int) -> list[tuple[int, str]]:
    """Computations that no host can do, by number, and what is wrong with them."""
    found: list[tuple[int, str]] = []
    for number, computation in enumerate(table):
        for tensor in computation.tensors:
            region = tensor.region
            if region.end > dram_bytes:
                found.append((number, f"{tensor.name} must end at or below dram_bytes, not at {region.end}"))
            elif region.rows > 1 and region.stride < region.row_bytes:
                rows = f"{region.row_bytes} bytes every {region.stride}"
                found.append((number, f"rows of {tensor.name} must not overlap, but are {rows}"))
        misfit = _misfit(computation)
        if misfit:
            found.append((number, misfit))
    return found


def _misfit(computation: Computation) -> str | None:
    """What does not fit between the nodes and the tensors."""
    given = [tensor.name for tensor in computation.given]
    if len({*given}) < len(given):
        return "what is given must have different names"
    try:
        formed = computation.graph[computation.result.name]
        operations = computation.operations
    except UNFIT as error:
        return str(error) or f"must fit its tensors, but numpy says {type(error).__name__}"
    result = computation.result.value
    if (formed.shape, formed.element) != (result.shape, result.element):
        return f"{result.name} must be {formed.shape} {formed.element}, not {result.shape} {result.element}"
    if operations >= 2**48:
        return f"operations must be below 2^48, not {operations}"
    return None


def packed(matrix: NDArray[Any], element: Element) -> NDArray[np.uint8]:
    """Bytes of rows of an element's numbers, uint8, shape (rows, row_bytes)."""
    if not _wide(element):
        return pack_rows(matrix, element.operand)
    rows = np.ascontiguousarray(matrix.astype(element.dtype.newbyteorder("<")))
    return rows.view(np.uint8).reshape(len(rows), -1)


def unpacked(data: NDArray[np.uint8], elements: int, element: Element) -> NDArray[Any]:
    """Numbers of an element that rows of bytes hold, shape (rows, elements)."""
    if not _wide(element):
        return unpack_rows(data, elements, element.operand, signed=element.signed)
    return np.ascontiguousarray(data).view(element.dtype.newbyteorder("<"))


def _wide(element: Element) -> bool:
    """Whether numbers are none that an operand of a multiplier is."""
    return isinstance(element, Plain) or (isinstance(element, Integer) and element.bits > 16)
