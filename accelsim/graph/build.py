"""Graphs in real numbers, put together layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import REAL, Element
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.state import State
from accelsim.graph.value import Shape, Value


class Builder:
    """Collects values and nodes; `graph` checks them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._known: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []
        self._states: list[State] = []
        self._notes: dict[str, dict[str, Any]] = {}

    def input(self, name: str, shape: Shape, element: Element = REAL, **fields: Any) -> str:
        """Declare an input; return its name."""
        self._known[name] = Value(name, shape, element, **fields)
        self._inputs.append(name)
        return name

    def constant(self, name: str, data: NDArray[Any], element: Element = REAL, **fields: Any) -> str:
        """Declare a constant; return its name. `fields` are those of `Value`."""
        self._known[name] = Value(name, data.shape, element, data, **fields)
        return name

    def state(self, name: str, shape: Shape, written: str, initial: NDArray[np.float32] | None = None) -> str:
        """Declare what the step before wrote; return its name.

        Parameters
        ----------
        shape
            Samples first.
        written
            Name of what a node forms and the next step reads.
        initial
            Real numbers of a sample before the first step; zeros if absent.
        """
        self._known[name] = Value(name, shape, REAL)
        self._states.append(State(name, written, np.zeros(shape[1:], np.float32) if initial is None else initial))
        return name

    def node(self, name: str, op: Op, *inputs: str, output: str | None = None) -> str:
        """Put a node behind those that there are; return the name of what it forms."""
        formed = output or f"{name}.output"
        self._nodes.append(Node(name, op, inputs, (formed,)))
        return formed

    def note(self, name: str, **fields: Any) -> None:
        """Say more of an input, or of what a node forms, as fields of `Value`."""
        self._notes[name] = fields

    def linear(self, name: str, x: str, weight: str, bias: str | None, *, relu: bool) -> str:
        """A fully connected layer, whose result is NAME.output."""
        products = self.node(name, MatMul(), x, weight, output=f"{name}.products")
        steps = [] if bias is None else [(Add(), (bias,))]
        return self.chain(name, products, [*steps, *([(Relu(), ())] if relu else [])])

    def chain(self, name: str, first: str, steps: Sequence[tuple[Op, tuple[str, ...]]]) -> str:
        """Nodes one behind the other, the last of which forms NAME.output; of none it is what is there that does.

        Parameters
        ----------
        first
            What the first one reads.
        steps
            Operators, and what they read beside the value before them.
        """
        last = first
        for number, (op, others) in enumerate(steps):
            part = type(op).__name__.lower()
            formed = f"{name}.output" if number == len(steps) - 1 else f"{name}.{part}ed"
            last = self.node(f"{name}.{part}", op, last, *others, output=formed)
        if not steps:
            node = self._nodes.pop()
            self._nodes.append(Node(node.name, node.op, node.inputs, (f"{name}.output",)))
        return f"{name}.output"

    def graph(self, outputs: tuple[str, ...]) -> Graph:
        """The graph; raises DefectError if something does not fit."""
        noted = {
            name: replace(self._known.get(name, Value(name, (), REAL)), **fields)
            for name, fields in self._notes.items()
        }
        known = {**self._known, **noted}
        return Graph.formed(self.name, known, self._nodes, self._inputs, outputs, self._states)
