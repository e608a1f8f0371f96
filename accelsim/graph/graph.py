"""A network: nodes in an order that respects what they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import DefectError
from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.state import State
from accelsim.graph.value import Value

Numbers = tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator between named values; its name is that of a layer where it is the product of one."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def output(self) -> str:
        """Name of the only, or first, value that it forms."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Graph:
    """Values and the nodes that form them, each value once.

    Parameters
    ----------
    values
        All of them, by name.
    nodes
        In an order in which each one's values are there when it reads them.
    inputs, outputs
        Names of values.
    states
        Values that live on from step to step, each as what a step reads and what it writes.
    """

    name: str
    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...] = ()

    @classmethod
    def formed(
        cls,
        name: str,
        known: Mapping[str, Value],
        nodes: Iterable[Node],
        inputs: Iterable[str],
        outputs: Iterable[str],
        states: Iterable[State] = (),
    ) -> Graph:
        """Work out the types of all values from those of inputs and constants, and drop what nothing reads.

        Parameters
        ----------
        known
            Inputs, what states hold and constants; of other values, steps and survivors are kept.

        Raises
        ------
        DefectError
            If a node's values do not fit it, are not there yet, or are formed twice, or a state's differ.
        """
        nodes, inputs, outputs, states = tuple(nodes), tuple(inputs), tuple(outputs), tuple(states)
        entering = {*inputs, *(state.read for state in states)}
        wanted = {*outputs, *(state.written for state in states)}
        kept = []
        for node in reversed(nodes):
            if not wanted.isdisjoint(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        kept.reverse()
        made = {output for node in kept for output in node.outputs}
        values = {key: value for key, value in known.items() if key in wanted | entering and key not in made}
        for node in kept:
            try:
                given = [values[key] for key in node.inputs]
            except KeyError as error:
                raise DefectError(f"node {node.name} of {name} reads {error.args[0]!r}, which nothing formed") from None
            least, most = node.op.arity
            try:
                if not least <= len(given) <= most:
                    raise UnfitError(f"must take {least} to {most} values, not {len(given)}")
                types = node.op.infer(*given)
            except UnfitError as error:
                raise DefectError(f"node {node.name} of {name}: {error}") from None
            for key, kind in zip(node.outputs, types, strict=True):
                if key in values or key in entering:
                    raise DefectError(f"node {node.name} of {name} forms {key!r}, which is there already")
                before = known.get(key)
                values[key] = Value(
                    key,
                    kind.shape,
                    kind.element,
                    step=before.step if before else None,
                    survivors=before.survivors if before else None,
                )
        missing = [key for key in outputs if key not in values]
        if missing:
            raise DefectError(f"output {missing[0]!r} of {name} is formed by no node")
        graph = cls(name, MappingProxyType(values), tuple(kept), inputs, outputs, states)
        graph._check_states()
        return graph

    def _check_states(self) -> None:
        """Refuse states whose two values are not what they must be."""
        names = [*self.inputs, *(state.read for state in self.states)]
        for state in self.states:
            about = f"state {state.read!r} of {self.name}"
            read, written = self.values.get(state.read), self.values.get(state.written)
            if read is None:
                raise DefectError(f"{about} must have a type, but none is known")
            if read.data is not None or names.count(state.read) > 1:
                raise DefectError(f"{about} must be no input, constant or other state")
            if not self.readers(state.read):
                raise DefectError(f"{about} must be read by a node")
            if written is None or self.producer(state.written) is None:
                raise DefectError(f"{about} must be written by a node, but {state.written!r} is formed by none")
            if read.type != written.type:
                raise DefectError(
                    f"{about} must be written as it is read, {read.element} of shape {read.shape}, "
                    f"but {state.written!r} is {written.element} of shape {written.shape}"
                )
            if state.initial.shape != read.shape[1:]:
                raise DefectError(
                    f"{about} must begin with numbers of shape {read.shape[1:]}, a sample's, not {state.initial.shape}"
                )

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {output: node for node in self.nodes for output in node.outputs}

    @cached_property
    def _readers(self) -> dict[str, tuple[Node, ...]]:
        readers: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    @cached_property
    def entering(self) -> tuple[str, ...]:
        """Values that are there before a step: inputs, then what states hold."""
        return (*self.inputs, *(state.read for state in self.states))

    @cached_property
    def leaving(self) -> tuple[str, ...]:
        """Values that must be there after a step, each once: outputs, then what is written to states."""
        return tuple(dict.fromkeys((*self.outputs, *(state.written for state in self.states))))

    def initial(self, samples: int) -> tuple[NDArray[Any], ...]:
        """What states hold before the first step, as their elements hold it, for so many samples."""
        shapes = ((samples, *state.initial.shape) for state in self.states)
        held = (self.values[state.read].element.quantize(state.initial) for state in self.states)
        return tuple(np.broadcast_to(numbers, shape) for numbers, shape in zip(held, shapes, strict=True))

    def given_before(self, inputs: Sequence[NDArray[Any]], states: Sequence[NDArray[Any]] | None) -> Numbers:
        """Numbers of the values that are there before a step, in order.

        Parameters
        ----------
        inputs
            Of the inputs; as many samples as they have, states have.
        states
            What states hold, in order; what they do before the first step if absent.
        """
        if states is not None or not self.states:
            return (*inputs, *(states or ()))
        first = len(inputs[0]) if inputs else self.values[self.states[0].read].shape[0]
        return (*inputs, *self.initial(first))

    def producer(self, name: str) -> Node | None:
        """Node that forms a value; None for inputs, what states hold and constants."""
        return self._producers.get(name)

    def readers(self, name: str) -> tuple[Node, ...]:
        """Nodes that read a value."""
        return self._readers[name]

    def node(self, name: str) -> Node:
        """Node of a name; raises KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def given(self, node: Node) -> tuple[Value, ...]:
        """Values that a node reads."""
        return tuple(self.values[name] for name in node.inputs)

    def constant(self, name: str) -> bool:
        """Whether a value is a constant."""
        return self.values[name].data is not None

    @cached_property
    def constants(self) -> tuple[Value, ...]:
        """All constants."""
        return tuple(value for value in self.values.values() if value.data is not None)

    @cached_property
    def has_numbers(self) -> bool:
        """Whether constants have numbers, and not shapes alone."""
        return not any(value.outlined for value in self.constants)

    def work(self, node: Node) -> Work:
        """What a node computes."""
        return node.op.work(self.given(node), tuple(self.values[name] for name in node.outputs))

    def rebuilt(
        self,
        *changed: Value,
        nodes: Iterable[Node] | None = None,
        outputs: Iterable[str] | None = None,
        name: str | None = None,
    ) -> Graph:
        """The graph with some inputs, states or constants changed or added, and perhaps with other nodes."""
        known = {**self.values, **{value.name: value for value in changed}}
        return Graph.formed(
            name or self.name,
            known,
            self.nodes if nodes is None else nodes,
            self.inputs,
            self.outputs if outputs is None else outputs,
            self.states,
        )

    def changed(self, name: str, **fields: Any) -> Graph:
        """The graph with fields of one value replaced that no other value's type depends on: steps, survivors, data."""
        values = {**self.values, name: replace(self.values[name], **fields)}
        return replace(self, values=MappingProxyType(values))
