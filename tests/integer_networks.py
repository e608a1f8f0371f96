"""Layers of integers as arrays, the graph that they are, and what they compute: an oracle that knows no graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.formats.storage import Storage
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.isa.program import Program

Inputs = NDArray[Any] | Sequence[NDArray[Any]]


@dataclass(frozen=True)
class IntegerLayer:
    """q = clamp(round((x @ weight + bias) * M * 2^(shift - 31)) + zero point).

    The input's zero point is folded into the bias: what the machine adds to sums of x @ weight. A layer with a pattern
    has shapes alone: of every M weights along the inputs at most N are taken to be nonzero.
    """

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    rounding: str
    relu: bool
    input: Integer
    output: Integer
    storage: Storage | None = None
    pattern: tuple[int, int] | None = None

    @property
    def inputs(self) -> int:
        return int(self.weight.shape[0])

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1])

    def forward(self, x: NDArray[Any]) -> NDArray[Any]:
        """Outputs, shape (M, N), of inputs of shape (M, K)."""
        # |sum| <= K * 2^16 * 2^15 stays below 2^53 for every K < 2^22, so float64 products are exact
        products = x.astype(np.float64) @ self.weight.astype(np.float64)
        total = products.astype(np.int64) + self.bias.astype(np.int64)
        scaled = ROUNDING[self.rounding](total, self.multiplier.astype(np.int64), self.shift.astype(np.int64))
        low = max(self.output.qmin, self.output.zero_point) if self.relu else self.output.qmin
        return np.clip(scaled + self.output.zero_point, low, self.output.qmax).astype(self.output.dtype)


@dataclass(frozen=True)
class IntegerNetwork:
    """A chain of layers, or layers that are independent of each other."""

    name: str
    layers: tuple[IntegerLayer, ...]
    independent: bool = False

    @property
    def input(self) -> Integer:
        return self.layers[0].input

    def graph(self, *rows: int) -> Graph:
        """The graph for batches of so many rows: of the chain, or of each independent layer."""
        build, last, outputs = Builder(self.name), "", []
        for i, layer in enumerate(self.layers):
            if self.independent or not i:
                last = build.input(
                    f"{layer.name}.input" if self.independent else "input", (rows[i], layer.inputs), layer.input
                )
            last = _add(build, layer, last)
            outputs.append(last)
        return build.graph(tuple(outputs if self.independent else outputs[-1:]))

    def forward(self, x: Inputs) -> list[NDArray[Any]]:
        """Outputs of every layer."""
        outputs: list[NDArray[Any]] = []
        for i, layer in enumerate(self.layers):
            outputs.append(layer.forward(each(x)[i] if self.independent or not i else outputs[-1]))
        return outputs

    def compile(self, x: Inputs, on: Machine, **options: Any) -> Program:
        """Program for inputs."""
        given = each(x)
        return compile_graph(self.graph(*map(len, given)), given, on, **options)


def each(x: Inputs) -> tuple[NDArray[Any], ...]:
    """Inputs one by one."""
    return (x,) if isinstance(x, np.ndarray) else tuple(x)


def read(graph: Graph) -> IntegerNetwork:
    """The layers of a typed graph of integers, as arrays; each input's zero point is folded into the bias."""
    found = []
    for layer in layers(graph):
        name, weight, given, result = layer.name, layer.weight.numbers, layer.input.element, layer.output.element
        assert isinstance(given, Integer)
        assert isinstance(result, Integer)
        bias = graph[f"{name}.bias"].numbers - given.zero_point * weight.sum(axis=0, dtype=np.int64)
        multiplier, shift = (graph[f"{name}.{part}"].numbers for part in ("multiplier", "shift"))
        (cast,) = (node.op for node in layer.epilogue if isinstance(node.op, Cast))
        storage = layer.weight.storage
        found.append(
            IntegerLayer(name, weight, bias, multiplier, shift, cast.rounding, layer.relu, given, result, storage)
        )
    return IntegerNetwork(graph.name, tuple(found), independent=len(graph.inputs) > 1)


def _add(build: Builder, layer: IntegerLayer, x: str) -> str:
    """Put a layer behind its input; the bias is that of the graph, whose products take the zero point off."""
    name, outlined = layer.name, layer.pattern is not None
    weight = build.constant(
        f"{name}.weight",
        layer.weight,
        Integer(1.0, 0, signed=True, bits=layer.input.bits),
        storage=layer.storage,
        outlined=outlined,
        pattern=layer.pattern or (1, 1),
    )
    bits = 64 if layer.input.bits == 16 else 32
    whole = layer.bias.astype(np.int64) + layer.input.zero_point * layer.weight.sum(axis=0, dtype=np.int64)
    one = {b: Integer(1.0, 0, signed=True, bits=b) for b in (8, 32)}
    sums_type = Integer(layer.input.scale, 0, signed=True, bits=bits)
    bias = build.constant(f"{name}.bias", whole, sums_type, outlined=outlined)
    multiplier = build.constant(f"{name}.multiplier", layer.multiplier, one[32], outlined=outlined)
    shift = build.constant(f"{name}.shift", layer.shift, one[8], outlined=outlined)
    products = build.node(name, MatMul(), x, weight, output=f"{name}.products")
    sums = build.node(f"{name}.add", Add(), products, bias, output=f"{name}.sums")
    cast = Cast(layer.output, layer.rounding)
    if not layer.relu:
        return build.node(f"{name}.cast", cast, sums, multiplier, shift, output=f"{name}.output")
    last = build.node(f"{name}.cast", cast, sums, multiplier, shift, output=f"{name}.requantized")
    return build.node(f"{name}.relu", Relu(), last, output=f"{name}.output")
