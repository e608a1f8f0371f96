"""Layers of floats as arrays, the network that a chain of them is, and what it computes; recipes by their steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.apply import quantize, rewritten
from accelsim.compress.recipe import Recipe
from accelsim.graph.build import Builder
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import without_numbers
from accelsim.workload.network import Network

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """y = activation(x @ weight + bias); shapes (K, N) and (N,)."""

    name: str
    weight: Float32
    bias: Float32
    relu: bool
    weight_step: Float32 | None = None

    @property
    def inputs(self) -> int:
        return int(self.weight.shape[0])

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1])

    def forward(self, x: Float64) -> Float64:
        """Outputs in float64, shape (M, N)."""
        y = x @ self.weight.astype(np.float64) + self.bias
        return np.maximum(y, 0) if self.relu else y


def chain(layers: Sequence[Linear], x: NDArray[Any], calibration: NDArray[Any] | None = None) -> Network:
    """The network of layers that follow each other; the inputs calibrate it if nothing else does."""
    given = x.astype(np.float32)
    build = Builder("random")
    last = build.input("input", given.shape)
    for layer in layers:
        weight = build.constant(f"{layer.name}.weight", layer.weight, step=layer.weight_step)
        bias = build.constant(f"{layer.name}.bias", layer.bias)
        last = build.linear(layer.name, last, weight, bias, relu=layer.relu)
    ranges = given if calibration is None else calibration.astype(np.float32)
    return Network(build.graph((last,)), (given,), np.zeros(len(given), np.int64), (ranges,), {})


def linears(network: Network) -> list[Linear]:
    """The layers of a network as arrays."""
    found = []
    for layer in layers(network.graph):
        weight = layer.weight
        bias = layer.bias.numbers if layer.bias else np.zeros(weight.features, np.float32)
        found.append(Linear(layer.name, weight.numbers, bias, layer.relu, weight.step))
    return found


def forward(network: Network, x: NDArray[Any]) -> list[Float64]:
    """Outputs of every layer of a chain in float64."""
    outputs = [x.astype(np.float64)]
    for layer in linears(network):
        outputs.append(layer.forward(outputs[-1]))
    return outputs[1:]


def network(rng: np.random.Generator, sizes: list[int], batch: int) -> Network:
    """Normal weights whose outputs are about as large as their inputs, ReLU between layers; inputs calibrate it."""
    found = [
        Linear(
            f"fc{i}",
            rng.normal(size=(k, n)).astype(np.float32) / np.float32(np.sqrt(k)),
            rng.normal(size=n).astype(np.float32) / 10,
            relu=i < len(sizes) - 2,
        )
        for i, (k, n) in enumerate(itertools.pairwise(sizes))
    ]
    return chain(found, rng.normal(size=(batch, sizes[0])))


def recipe(*steps: dict[str, Any], **fields: Any) -> Recipe:
    """A recipe of these steps, called r."""
    return Recipe.model_validate({"kind": "recipe", "name": "r", "description": "", "steps": list(steps), **fields})


def quantized(graph: Graph, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """Inputs of a typed graph in its types; those of one without numbers have none either."""
    elements = [graph[name].element for name in graph.inputs]
    if not graph.has_numbers:
        return tuple(without_numbers(e.dtype, x.shape) for e, x in zip(elements, inputs, strict=True))
    return tuple(e.quantize(x) for e, x in zip(elements, inputs, strict=True))


def typed(network: Network, by: Recipe) -> tuple[Graph, tuple[NDArray[Any], ...]]:
    """The typed graph that a recipe makes of a network, and its inputs."""
    wrote = rewritten(network, by)
    graph = quantize(wrote, by)
    return graph, quantized(graph, wrote.inputs)


def attention_network(rng: np.random.Generator, samples: int, tokens: int, heads: int, width: int) -> Network:
    """Attention without its softmax, and a constant that mixes tokens, in real numbers."""
    build, features = Builder("attention"), heads * width
    x = build.input("x", (samples, tokens, features))
    shape, parts = (0, tokens, heads, width), {}
    for name in "qkv":
        weight = build.constant(f"{name}.w", (rng.normal(size=(features, features)) / 4).astype(np.float32))
        bias = build.constant(f"{name}.b", (rng.normal(size=features) / 8).astype(np.float32))
        layer = build.linear(name, x, weight, bias, relu=False)
        parts[name] = build.node(
            f"{name}.heads", Transpose((0, 2, 1, 3)), build.node(f"{name}.split", Reshape(shape), layer)
        )
    turned = build.node("turned", Transpose((0, 1, 3, 2)), parts["k"])
    scores = build.chain(
        "scores", build.node("scores", MatMul(), parts["q"], turned, output="scores.sums"), [(Relu(), ())]
    )
    bias = build.constant("mixed.b", (rng.normal(size=width)).astype(np.float32))
    mixed = build.chain(
        "mixed", build.node("mixed", MatMul(), scores, parts["v"], output="mixed.sums"), [(Add(), (bias,))]
    )
    joined = build.node("joined", Reshape((0, tokens, features)), build.node("rows", Transpose((0, 2, 1, 3)), mixed))
    inputs = (rng.normal(size=(samples, tokens, features)).astype(np.float32),)
    return Network(build.graph((joined,)), inputs, None, inputs, {})
