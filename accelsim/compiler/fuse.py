"""Pass 1: nodes to fusions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import IntegerPart, Product, Results
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DefectError
from accelsim.graph.element import Float, Integer, Signs
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer, layers
from accelsim.graph.ops.cast import Cast, DynamicQuantize
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.matmul import ScaledMatMul
from accelsim.graph.ops.slice import Slice
from accelsim.graph.value import Value, without_numbers

#: M 2^shift of a sum that stays as it is: 2^30 times 2^(1 - 31).
_ONE = (2**30, 1)


def fuse(lowering: Lowering, machine: Machine) -> Lowering:
    """Form a fusion of each product with a constant factor and what follows it.

    Raises
    ------
    CompileError
        If nodes are left that no unit of the machine executes.
    """
    graph = lowering.graph
    fusions = tuple(_fusion(graph, layer) for layer in layers(graph))
    held = {node.name for fusion in fusions for node in fusion.nodes}
    left = [node for node in graph.nodes if node.name not in held]
    if left:
        raise CompileError(
            *(f"node {node.name}: {type(node.op).__name__} must be what {machine.name} has a unit for" for node in left)
        )
    return dataclasses.replace(lowering, fusions=fusions)


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001 - one signature for all passes
    """Each value is formed before it is read, each output is formed, and no node is in two fusions."""
    graph = lowering.graph
    for name, x in zip(graph.inputs, lowering.inputs, strict=True):
        if x.shape != graph[name].shape:
            raise DefectError(f"input {name}: must have shape {graph[name].shape}, not {x.shape}")
    there, held = set(graph.inputs), set[str]()
    for fusion in lowering.fusions:
        for name in fusion.sources:
            if name not in there:
                raise DefectError(f"fusion {fusion.name} reads {name}, which is not there yet")
        there.add(fusion.target)
        for node in fusion.nodes:
            if not isinstance(node.op, Slice | Concat) and node.name in held:
                raise DefectError(f"node {node.name} is in two fusions")
            held.add(node.name)
    missing = set(graph.outputs) - there
    if missing:
        raise DefectError(f"outputs are formed by no fusion: {', '.join(sorted(missing))}")


def _fusion(graph: Graph, layer: Layer) -> Fusion:
    """A layer and the nodes before it that only say where its inputs lie, or round them."""
    before: list[Node] = []
    pieces: list[_Piece] = []
    for product in layer.products:
        for piece in _pieces(graph, product.inputs[0], before):
            if pieces and pieces[-1].value == piece.value and pieces[-1].stop == piece.start:
                pieces[-1] = pieces[-1]._replace(stop=piece.stop)
            elif piece not in pieces:
                pieces.append(piece)
    sources = [graph[piece.value] for piece in pieces]
    for piece, source in zip(pieces, sources, strict=True):
        if (piece.start, piece.stop) != (0, source.features):
            raise CompileError(
                f"layer {layer.name}: features of {source.name} must be read whole and in order, not from "
                f"{piece.start} to {piece.stop} of {source.features}"
            )
    nodes = (*dict.fromkeys(before), *layer.nodes)
    names = tuple(source.name for source in sources)
    return Fusion(layer.name, nodes, names, layer.output.name, _product(graph, layer, sources))


class _Piece(NamedTuple):
    """Features of a value from `start` to below `stop`."""

    value: str
    start: int
    stop: int


def _pieces(graph: Graph, name: str, before: list[Node]) -> list[_Piece]:
    """Features, side by side, that a product reads; nodes that say so are added to `before`."""
    node = graph.producer(name)
    if node is None or not isinstance(node.op, DynamicQuantize | Slice | Concat):
        return [_Piece(name, 0, graph[name].features)]
    pieces = [piece for given in node.inputs for piece in _pieces(graph, given, before)]
    before.append(node)
    if isinstance(node.op, Slice):
        (piece,) = pieces
        pieces = [_Piece(piece.value, piece.start + node.op.start, piece.start + node.op.stop)]
    return pieces


def _product(graph: Graph, layer: Layer, sources: Sequence[Value]) -> Product:
    """The product of all inputs of a layer, and its results."""
    m, k, n = sources[0].samples, sum(source.features for source in sources), layer.weight.features
    integers, weight = None, graph[layer.products[-1].inputs[1]]
    if isinstance(layer.head.op, ScaledMatMul):
        _, _, few, scales = graph.given(layer.head)
        assert isinstance(few.element, Integer)  # noqa: S101 - as the operator has it
        integers = IntegerPart(few.element.bits, layer.head.op.group, few.numbers, scales.numbers)
        if not layer.more:
            weight = dataclasses.replace(few, name=f"{few.name}.none", data=np.zeros((0, n), np.float32))
            weight = dataclasses.replace(weight, element=sources[0].element, shape=(0, n))
    read = (integers.inputs if integers else 0) + weight.shape[0]
    if read != k or len(layer.more) > (1 if integers else 0):
        raise CompileError(
            f"layer {layer.name}: its products must read all of {', '.join(source.name for source in sources)}, "
            f"integers before floats"
        )
    return Product(
        layer.name, m, k, n, weight, integers, _results(layer, weight), sources[0].element, layer.output.element
    )


def _results(layer: Layer, weight: Value) -> Results:
    """Bias, scale and clamp of a layer's sums."""
    cast = next((node for node in layer.epilogue if isinstance(node.op, Cast)), None)
    if cast is None:
        raise CompileError(f"layer {layer.name}: sums must become a type that can be stored")
    assert isinstance(cast.op, Cast)  # noqa: S101 - it was looked for
    n, given, result = weight.shape[1], layer.input.element, cast.op.to
    bias = layer.bias.numbers if layer.bias else None
    if isinstance(result, Float):
        return Results(np.zeros(n, np.float32) if bias is None else bias, None, None, "", layer.relu)
    folded = np.zeros(n, np.int64) if bias is None else bias
    kind = np.int64 if given.operand == "int16" else np.int32
    if not weight.outlined:
        folded = folded - given.zero_point * weight.numbers.sum(axis=0, dtype=np.int64)
    if isinstance(result, Signs):  # the sign of s + b is the clamped 0 or 1 of s + b + 1
        multiplier, shift = (np.full(n, part, kind_) for part, kind_ in zip(_ONE, (np.int32, np.int8), strict=True))
        return Results((folded + 1).astype(kind), multiplier, shift, "tflite_single_round", relu=False)
    multipliers, shifts = (layer.graph[name].numbers for name in cast.inputs[1:])
    if weight.outlined:
        folded = without_numbers(kind, (n,))
    return Results(folded.astype(kind, copy=False), multipliers, shifts, cast.op.rounding, layer.relu)
