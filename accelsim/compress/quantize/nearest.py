"""Networks with float32 scales on machines that multiply by M 2^shift alone: the nearest of those, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.between import LIFT, ROUNDING
from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.config.arch import Machine
from accelsim.golden import exact
from accelsim.golden.exact.rounding import FLOAT_ROUNDING
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.value import Value

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Numbers of a value that are not those of the network as it came.

    Parameters
    ----------
    different, numbers
        How many of how many.
    largest
        Largest difference (steps of the integers).
    """

    different: int
    numbers: int
    largest: int


def for_machine(graph: Graph, machine: Machine) -> Graph:
    """The graph as a machine can compute it: as it is, or with the nearest M 2^shift where it has float32 scales."""
    return graph if machine.vector.float32_scale else nearest(graph)


def nearest(graph: Graph) -> Graph:
    """The graph with the nearest M 2^shift, rounded once with ties up, in the place of float32 scales.

    Sums of two tensors become TFLite's: both brought to a common scale, added, and brought to the result's.
    """
    known: dict[str, Value] = dict(graph.values)
    nodes: list[Node] = []
    for node in graph.nodes:
        match node.op:
            case Cast(rounding=rounding) if rounding in FLOAT_ROUNDING:
                multiplier, shift = (graph[name].numbers.astype(np.float64) for name in node.inputs[1:])
                constants = _factors(node.output, multiplier / np.exp2(shift))
                known |= {value.name: value for value in constants}
                inputs = (node.inputs[0], *(value.name for value in constants))
                nodes.append(Node(node.name, Cast(node.op.to, ROUNDING), inputs, node.outputs))
            case ScaledAdd():
                fresh, constants = _sum(graph, node)
                known |= {value.name: value for value in constants}
                nodes += fresh
            case _:
                nodes.append(node)
    return Graph.formed(graph.name, known, nodes, graph.inputs, graph.outputs, graph.states)


def differences(
    graph: Graph, expected: Mapping[str, NDArray[np.generic]], found: Mapping[str, NDArray[np.generic]]
) -> dict[str, Difference]:
    """What of the integers of 8 bits that both graphs form is different, by name: what came before included.

    Parameters
    ----------
    graph
        The network as it came.
    expected, found
        Numbers of its values, and of those of `nearest`, by name.
    """
    counted = {}
    for node in graph.nodes:
        name = node.output
        element = graph[name].element
        if isinstance(element, Integer) and element.bits <= 8 and name in found:
            counted[name] = _difference(expected[name], found[name])
    return counted


def own_differences(graph: Graph, expected: Mapping[str, NDArray[np.generic]]) -> dict[str, Difference]:
    """What each conversion and sum alone makes different, all before it as in the network as it came, by its value."""
    counted = {}
    for node in graph.nodes:
        if not (isinstance(node.op, ScaledAdd) or (isinstance(node.op, Cast) and node.op.rounding in FLOAT_ROUNDING)):
            continue
        given = [name for name in node.inputs if not graph.constant(name)]
        known = {name: graph[name] for name in node.inputs}
        alone = nearest(Graph.formed(node.name, known, [node], given, node.outputs))
        found = exact.evaluate(alone, [expected[name] for name in given], 1)
        counted[node.output] = _difference(expected[node.output], found[node.output])
    return counted


def _difference(expected: NDArray[np.generic], found: NDArray[np.generic]) -> Difference:
    apart = np.abs(expected.astype(np.int64) - found.astype(np.int64))
    return Difference(int(np.count_nonzero(apart)), apart.size, int(apart.max(initial=0)))


def _sum(graph: Graph, node: Node) -> tuple[list[Node], list[Value]]:
    """A sum of two tensors at twice the larger of their scales, 2^20 times finer."""
    op = node.op
    assert isinstance(op, ScaledAdd)  # noqa: S101 - as the caller has it
    *parts, _ = node.inputs
    scales = [float(graph[part].element.scale) for part in parts]
    common = 2 * max(scales)
    wide = Integer(common / 2**LIFT, 0, signed=True, bits=32)
    nodes, constants, operands = [], [], []
    for number, (part, scale) in enumerate(zip(parts, scales, strict=True)):
        name = f"{node.name}.operand{number}"
        factors = _factors(name, np.array([scale / common]))
        nodes.append(Node(f"{name}.cast", Cast(wide, ROUNDING, LIFT), (part, *(f.name for f in factors)), (name,)))
        constants += factors
        operands.append(name)
    nodes.append(Node(node.name, Add(), tuple(operands), (f"{node.name}.sums",)))
    assert isinstance(op.to, Integer)  # noqa: S101 - as the operator has it
    factors = _factors(node.output, np.array([common / 2**LIFT / float(op.to.scale)]))
    inputs = (f"{node.name}.sums", *(value.name for value in factors))
    nodes.append(Node(f"{node.output}.cast", Cast(op.to, ROUNDING), inputs, node.outputs))
    return nodes, constants + factors


def _factors(name: str, factor: Float64) -> list[Value]:
    """Multiplier and shift of real factors, of which some may be 0."""
    multiplier, shift = quantize_multiplier(np.where(factor > 0, factor, 1.0))
    multiplier = np.where(factor > 0, multiplier, 0).astype(np.int32)
    return [
        Value(f"{name}.{part}", data.shape, Integer(1.0, 0, signed=True, bits=8 * data.dtype.itemsize), data)
        for part, data in (("multiplier", multiplier), ("shift", shift))
    ]
