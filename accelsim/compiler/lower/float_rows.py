"""Softmax and normalizations of rows of floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.lower.work import FloatRows, VectorWork, element_type, float_bits, places_of, range_of
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.datapath.vector.fixed_point import MAX_CHANNELS
from accelsim.errors import CompileError
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.mask import EVERYTHING
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.softmax import Softmax
from accelsim.isa import constants, row_constants
from accelsim.isa.constants import Places
from accelsim.isa.functions import Function, Operation


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One instruction a tile of whole rows, a ReLU behind it included; constants stand in the weight scratchpad."""
    op, (source, *parts) = group.head.op, group.head.inputs
    types = require_floats(graph, group)
    value = graph[source]
    if value.features > MAX_CHANNELS:
        raise CompileError(f"node {group.name}: a row must have at most {MAX_CHANNELS} numbers, not {value.features}")
    queries = 0
    match op:
        case RmsNorm(epsilon):
            operation, parameter, block = Operation.RMS_NORM, epsilon, _affine(graph, group, parts, 1)
        case LayerNorm(epsilon):
            operation, parameter, block = Operation.LAYER_NORM, epsilon, _affine(graph, group, parts, 2)
        case L2Norm(epsilon):
            operation, parameter, block = Operation.L2_NORM, epsilon, b""
        case Softmax() | MaskedSoftmax():
            mask = _mask(op, value.shape, group.name)
            operation, parameter, block = Operation.SOFTMAX, _scale(op), constants.pack_mask(mask)
            queries = mask.queries if mask.step else 0
        case _:
            raise CompileError(f"node {group.name}: {op.kind} must be a function of rows that the vector unit has")
    low, high = range_of(group.output.element, group.epilogue)
    function = Function(
        operation, source=types[0], result=types[1], multiplier=float_bits(parameter), low=low, high=high
    )
    table = np.frombuffer(block, np.uint8) if block else None
    return VectorWork((source,), group.nodes, group.output.name, FloatRows(function, queries), table)


def require_floats(graph: Graph, group: Layer) -> tuple[ElementType, ElementType]:
    """Types of what a group reads and forms; what is fused behind its first node changes no type.

    Raises
    ------
    CompileError
        If they are no floats that the vector unit has, or are converted behind the first node.
    """
    first = graph[group.head.output].element
    elements = graph[group.head.inputs[0]].element, first
    source, result = (element_type(group.name, element) for element in elements)
    if not (source.is_float and result.is_float):
        raise CompileError(
            f"node {group.name}: {group.head.op.kind} must be of floats, not {elements[1]} of {elements[0]}"
        )
    if any(graph[node.output].element != first for node in group.epilogue):
        raise CompileError(f"node {group.name}: {group.head.op.kind} must form {group.output.element} itself")
    return source, result


def _affine(graph: Graph, group: Layer, parts: list[str], most: int) -> bytes:
    """Block of gamma, and beta where there may be one, zeros if there is none."""
    features = group.output.features
    if not all(graph.constant(part) and graph[part].shape == (features,) for part in parts):
        raise CompileError(f"node {group.name}: gamma and beta must be constants of {features} numbers")
    numbers: list[NDArray[np.float32]] = [graph[part].numbers.astype(np.float32) for part in parts]
    numbers += [np.zeros(features, np.float32)] * (most - len(numbers))
    return row_constants.pack_affine(*numbers)


def _scale(op: Softmax | MaskedSoftmax) -> float:
    return op.scale if isinstance(op, MaskedSoftmax) else 1.0


def _mask(op: Softmax | MaskedSoftmax, shape: tuple[int, ...], name: str) -> Places:
    """What rows see; of no mask, all of them all columns.

    Raises
    ------
    CompileError
        If tokens are padding: which they are is known at run time alone.
    """
    keys = shape[-1]
    if isinstance(op, MaskedSoftmax) and op.pad is not None:
        raise CompileError(f"node {name}: keys must all be tokens on the vector unit, not padding by their ids")
    if isinstance(op, Softmax):
        return places_of(EVERYTHING, 1, keys)
    return places_of(op.mask, shape[-2], keys)
