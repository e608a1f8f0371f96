"""Small language models of drawn weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelsim.graph.graph import Graph
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.workload.importers.transformer import (
    Attention,
    Embedding,
    FeedForward,
    Layer,
    Norm,
    Projection,
    Rotary,
    TransformerBuilder,
    Weight,
)
from accelsim.workload.network import Network


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder."""

    batch: int = 1
    tokens: int = 16
    heads: int = 4
    key_heads: int = 2
    head: int = 8
    hidden: int = 64
    vocabulary: int = 50
    layers: int = 2

    @property
    def width(self) -> int:
        return self.heads * self.head


def decoder(shape: Shape, mask: Mask, *, interleaved: bool = False, seed: int = 0) -> Graph:
    """A Llama of drawn weights."""
    rng, s = np.random.default_rng(seed), shape

    def linear(inputs: int, outputs: int) -> Projection:
        return Projection(Weight((rng.normal(size=(inputs, outputs)) / math.sqrt(inputs)).astype(np.float32)))

    def norm() -> Norm:
        return Norm(1e-5, rng.uniform(0.5, 1.5, s.width).astype(np.float32))

    frequencies = (10000.0 ** -np.linspace(0, 1, s.head // 2, endpoint=False)).astype(np.float32)
    layers = [
        Layer(
            norm(),
            Attention(
                query=linear(s.width, s.width),
                key=linear(s.width, s.key_heads * s.head),
                value=linear(s.width, s.key_heads * s.head),
                output=linear(s.width, s.width),
                heads=s.heads,
                key_heads=s.key_heads,
                head=s.head,
                softmax=MaskedSoftmax(1 / math.sqrt(s.head), mask),
                rotary=Rotary(frequencies, interleaved),
            ),
            norm(),
            FeedForward(linear(s.width, s.hidden), linear(s.hidden, s.width), "silu", linear(s.width, s.hidden)),
        )
        for _ in range(s.layers)
    ]
    embedding = Embedding(rng.normal(size=(s.vocabulary, s.width)).astype(np.float32))
    build = TransformerBuilder("decoder", s.batch, s.tokens)
    return build.decoder(embedding, layers, norm(), linear(s.width, s.vocabulary).weight)


def network(graph: Graph, vocabulary: int, seed: int = 1) -> Network:
    """A language model with drawn tokens."""
    rng, (batch, tokens) = np.random.default_rng(seed), graph[graph.inputs[0]].shape
    given, calibration = (rng.integers(0, vocabulary, (count, tokens)) for count in (batch, 4))
    return Network(graph, (given,), None, (calibration,), {})
