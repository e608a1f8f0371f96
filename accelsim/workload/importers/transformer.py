"""Graphs of transformers, block by block, from what an importer found in files.

Queries that share keys and values (grouped-query attention) stand below each other as rows of one product, so that
heads of keys are all that batches of products count. The numbers of samples and of tokens are in no attribute: where
positions have no table, a graph takes texts of any length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.ggml import BlockTensor
from accelsim.formats.storage import Storage
from accelsim.graph.build import Builder
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.rotary_embedding import RotaryEmbedding
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.token_mean import TokenMean
from accelsim.graph.ops.transpose import Transpose

Float32 = NDArray[np.float32]

#: Names of a graph's input and outputs.
IDS, LOGITS, HIDDEN, EMBEDDINGS = "input_ids", "logits", "last_hidden_state", "embeddings"


class Weight(NamedTuple):
    """A matrix of weights.

    Parameters
    ----------
    numbers
        float32, shape (inputs, outputs).
    blocks
        Quantized blocks that they were expanded from; None if there are none.
    """

    numbers: Float32
    blocks: BlockTensor | None = None


class Projection(NamedTuple):
    """A fully connected layer; the bias is float32, shape (outputs,)."""

    weight: Weight
    bias: Float32 | None = None


class Norm(NamedTuple):
    """A normalization of rows: by their mean square, or if there is a beta by mean and variance."""

    epsilon: float
    gamma: Float32
    beta: Float32 | None = None


@dataclass(frozen=True, eq=False)
class Rotary:
    """Rotated positions.

    Parameters
    ----------
    frequencies
        Radians a position, float32, shape (pairs,).
        The same in all layers.
    interleaved
        Whether pairs are neighbours; see `RotaryEmbedding`.
    """

    frequencies: Float32
    interleaved: bool = False


@dataclass(frozen=True, eq=False)
class Attention:
    """An attention block.

    Parameters
    ----------
    heads, key_heads
        Of queries, and of keys and values; the one a multiple of the other.
    head
        Features of a head.
    softmax
        With its scale and its mask.
    query_norm, key_norm
        Of each head; None if there are none.
    """

    query: Projection
    key: Projection
    value: Projection
    output: Projection
    heads: int
    key_heads: int
    head: int
    softmax: MaskedSoftmax
    rotary: Rotary | None = None
    query_norm: Norm | None = None
    key_norm: Norm | None = None


@dataclass(frozen=True, eq=False)
class FeedForward:
    """Two layers with a function between, or three, of which one gates another."""

    up: Projection
    down: Projection
    function: FunctionName
    gate: Projection | None = None


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of a transformer; its norms stand before the blocks of a decoder, and behind those of an encoder."""

    attention_norm: Norm
    attention: Attention
    feed_forward_norm: Norm
    feed_forward: FeedForward


@dataclass(frozen=True, slots=True)
class Pooling:
    """What makes an embedding of a text.

    Parameters
    ----------
    mode
        The mean of the tokens, or the first one.
    normalized
        Whether the result has length one.
    """

    mode: Literal["mean", "cls"]
    normalized: bool


@dataclass(frozen=True, eq=False)
class Embedding:
    """What tokens begin as: rows of a table, (tokens, width), and of a table of positions, (length, width)."""

    tokens: Float32
    positions: Float32 | None = None


class TransformerBuilder:
    """Puts a transformer together for texts of `length` tokens, `batch` of them."""

    def __init__(self, name: str, batch: int, length: int) -> None:
        self._build = Builder(name)
        self._ids = self._build.input(IDS, (batch, length), Plain("int64"))

    def decoder(self, embedding: Embedding, layers: Iterable[Layer], norm: Norm, head: Weight) -> Graph:
        """A language model: logits of the token that follows each one."""
        x = self._embedded(embedding)
        for number, layer in enumerate(layers):
            attention, ffn = f"layer{number}.attention", f"layer{number}.ffn"
            normal = self._normalized(f"{attention}.norm", x, layer.attention_norm)
            x = self._added(attention, x, self._attention(attention, normal, layer.attention))
            normal = self._normalized(f"{ffn}.norm", x, layer.feed_forward_norm)
            x = self._added(ffn, x, self._feed_forward(ffn, normal, layer.feed_forward))
        x = self._normalized("norm", x, norm)
        return self._build.graph((self._product("head", x, head, LOGITS),))

    def encoder(
        self, embedding: Embedding, constant: Float32, norm: Norm, layers: Sequence[Layer], pooling: Pooling | None
    ) -> Graph:
        """A model of whole texts: what its last layer makes of the tokens, or an embedding of the text.

        Parameters
        ----------
        constant
            What is added to all tokens: the embedding of texts of the first kind.
        norm
            Before the first layer.
        """
        x = self._embedded(embedding)
        x = self._build.node("embedding.kind", Add(), x, self._build.constant("embedding.kind.table", constant))
        x = self._normalized("embedding.norm", x, norm)
        for number, layer in enumerate(layers):
            attention, ffn = f"layer{number}.attention", f"layer{number}.ffn"
            last = number == len(layers) - 1
            x = self._added(attention, x, self._attention(attention, x, layer.attention))
            x = self._normalized(f"{attention}.norm", x, layer.attention_norm)
            x = self._added(ffn, x, self._feed_forward(ffn, x, layer.feed_forward))
            x = self._normalized(f"{ffn}.norm", x, layer.feed_forward_norm, HIDDEN if last else None)
        if pooling:
            x = self._pooled(x, pooling, layers[-1].attention.softmax.pad)
        return self._build.graph((x,))

    def _embedded(self, embedding: Embedding) -> str:
        build = self._build
        x = build.node("embedding", Gather(0), build.constant("embedding.table", embedding.tokens), self._ids)
        if embedding.positions is None:
            return x
        return build.node("embedding.position", Add(), x, build.constant("positions", embedding.positions))

    def _pooled(self, x: str, pooling: Pooling, pad: int | None) -> str:
        build, last = self._build, None if pooling.normalized else EMBEDDINGS
        if pooling.mode == "cls":
            first = build.node("pooling.first", Slice(1, 0, 1), x)
            x = build.node("pooling", Reshape((0, -1)), first, output=last)
        else:
            given = (x,) if pad is None else (x, self._ids)
            x = build.node("pooling", TokenMean(pad), *given, output=last)
        return build.node("length", L2Norm(1e-12), x, output=EMBEDDINGS) if pooling.normalized else x

    def _added(self, name: str, x: str, more: str) -> str:
        return self._build.node(f"{name}.sum", Add(), x, more)

    def _normalized(self, name: str, x: str, norm: Norm, output: str | None = None) -> str:
        build, gamma = self._build, self._build.constant(f"{name}.gamma", norm.gamma)
        if norm.beta is None:
            return build.node(name, RmsNorm(norm.epsilon), x, gamma, output=output)
        beta = build.constant(f"{name}.beta", norm.beta)
        return build.node(name, LayerNorm(norm.epsilon), x, gamma, beta, output=output)

    def _product(self, name: str, x: str, weight: Weight, output: str) -> str:
        storage = None if weight.blocks is None else Storage(weight.blocks.codec.name, 0, weight.blocks.codec.block)
        constant = self._build.constant(f"{name}.weight", weight.numbers, storage=storage, groups=weight.blocks)
        return self._build.node(name, MatMul(), x, constant, output=output)

    def _projected(self, name: str, x: str, projection: Projection) -> str:
        if projection.bias is None:
            return self._product(name, x, projection.weight, f"{name}.output")
        products = self._product(name, x, projection.weight, f"{name}.products")
        bias = self._build.constant(f"{name}.bias", projection.bias)
        return self._build.node(f"{name}.add", Add(), products, bias, output=f"{name}.output")

    def _feed_forward(self, name: str, x: str, ffn: FeedForward) -> str:
        build = self._build
        up = self._projected(f"{name}.up", x, ffn.up)
        gate = self._projected(f"{name}.gate", x, ffn.gate) if ffn.gate else up
        hidden = build.node(f"{name}.{ffn.function}", Function(ffn.function), gate)
        if ffn.gate:
            hidden = build.node(f"{name}.gated", Mul(), hidden, up)
        return self._projected(f"{name}.down", hidden, ffn.down)

    def _attention(self, name: str, x: str, a: Attention) -> str:
        """Heads as an axis before tokens: (samples, heads of keys, queries of a group, features)."""
        build, group = self._build, a.heads // a.key_heads
        query = self._heads(f"{name}.query", x, a.query, a, group, a.query_norm)
        key = self._heads(f"{name}.key", x, a.key, a, 1, a.key_norm)
        value = self._split(f"{name}.value", self._projected(f"{name}.value", x, a.value), a, 1)
        if group > 1:
            query = build.node(f"{name}.query.rows", Reshape((0, 0, -1, a.head)), query)
        turned = build.node(f"{name}.key.transposed", Transpose((0, 1, 3, 2)), key)
        scores = build.node(f"{name}.scores", MatMul(), query, turned)
        if group > 1:  # as many queries as keys, whose number is the last axis both before and behind
            scores = build.node(f"{name}.scores.groups", Reshape((0, 0, group, 0, -1)), scores)
        ids = () if a.softmax.pad is None else (self._ids,)
        shares = build.node(f"{name}.softmax", a.softmax, scores, *ids)
        if group > 1:
            shares = build.node(f"{name}.shares.rows", Reshape((0, 0, -1, 0)), shares)
        mixed = build.node(f"{name}.mixed", MatMul(), shares, value)
        if group > 1:
            mixed = build.node(f"{name}.mixed.groups", Reshape((0, 0, group, -1, a.head)), mixed)
        order = (0, 3, 1, 2, 4) if group > 1 else (0, 2, 1, 3)
        mixed = build.node(f"{name}.mixed.turned", Transpose(order), mixed)
        joined = build.node(f"{name}.joined", Reshape((0, 0, a.heads * a.head)), mixed)
        return self._projected(f"{name}.output", joined, a.output)

    def _heads(self, name: str, x: str, projection: Projection, a: Attention, group: int, norm: Norm | None) -> str:
        """Heads of queries or keys, normalized and rotated."""
        x = self._split(name, self._projected(name, x, projection), a, group)
        if norm:
            x = self._normalized(f"{name}.norm", x, norm)
        if a.rotary is None:
            return x
        frequencies = self._build.constant("frequencies", a.rotary.frequencies)
        return self._build.node(f"{name}.rotary", RotaryEmbedding(a.rotary.interleaved), x, frequencies)

    def _split(self, name: str, x: str, a: Attention, group: int) -> str:
        """(samples, tokens, features) as (samples, heads of keys, tokens, features of a head), perhaps with groups."""
        sizes = (a.key_heads, group, a.head) if group > 1 else (a.key_heads, a.head)
        x = self._build.node(f"{name}.heads", Reshape((0, 0, *sizes)), x)
        order = (0, 2, 3, 1, 4) if group > 1 else (0, 2, 1, 3)
        return self._build.node(f"{name}.turned", Transpose(order), x)
