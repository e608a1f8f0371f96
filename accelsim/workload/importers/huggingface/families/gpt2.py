"""GPT-2: learned positions, norms with means, weights input by input, queries, keys and values in one matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from accelsim.config.load import Document
from accelsim.config.model import Frozen, quantity
from accelsim.errors import WorkloadError
from accelsim.graph.graph import Graph
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.workload.importers import limits
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.fields import function
from accelsim.workload.importers.json_text import checked
from accelsim.workload.importers.transformer import (
    Attention,
    Embedding,
    FeedForward,
    Layer,
    Projection,
    TransformerBuilder,
    Weight,
)


class Fields(Frozen):
    """Fields that mean something."""

    n_embd: int = quantity("features", "Width of the residual path", default=768, gt=0, le=2**20)
    n_inner: int | None = quantity("features", "Width between the feed-forward layers", default=None, gt=0, le=2**24)
    n_layer: int = quantity("count", "Layers", default=12, gt=0, le=2**12)
    n_head: int = quantity("count", "Heads", default=12, gt=0, le=2**16)
    n_positions: int = quantity("tokens", "Longest text", default=1024, gt=0, le=2**24)
    vocab_size: int = quantity("count", "Tokens", default=50257, gt=0, le=2**24)
    activation_function: str = quantity("name", "Function between the feed-forward layers", default="gelu_new")
    layer_norm_epsilon: float = quantity("value", "Added to the variance", default=1e-5, gt=0)
    scale_attn_weights: bool = quantity("flag", "Whether scores are divided by the root of the width", default=True)
    scale_attn_by_inverse_layer_idx: bool = quantity(
        "flag", "Whether scores are divided by the layer's number, too", default=False
    )
    tie_word_embeddings: bool = quantity("flag", "Whether the head is the table of embeddings", default=True)


class _Columns(NamedTuple):
    """Layers whose weights stand input by input (transformers' Conv1D)."""

    tensors: Checkpoint

    def projection(self, name: str, inputs: int, outputs: int) -> Projection:
        """All of one."""
        return self.parts(name, inputs, outputs, 1)[0]

    def parts(self, name: str, inputs: int, outputs: int, count: int) -> list[Projection]:
        """Layers of one size side by side."""
        weight = self.tensors.tensor(f"{name}.weight", (inputs, count * outputs))
        bias = self.tensors.tensor(f"{name}.bias", (count * outputs,))
        pairs = zip(np.split(weight, count, axis=1), np.split(bias, count), strict=True)
        return [Projection(Weight(columns), values) for columns, values in pairs]


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields, columns = checked(document, data, Fields), _Columns(tensors)
    width, heads, epsilon = fields.n_embd, fields.n_head, fields.layer_norm_epsilon
    ffn = fields.n_inner or 4 * width
    if width % heads:
        raise WorkloadError(document.fault(("n_embd",), f"must be a multiple of {heads} heads, not {width}"))
    length = limits.length_of(request.length, fields.n_positions, document.file)
    act = function(document, "activation_function", fields.activation_function)
    table = tensors.tensor("wte.weight", (fields.vocab_size, width))
    positions = tensors.tensor("wpe.weight", (fields.n_positions, width))[:length]
    scale = 1 / math.sqrt(width // heads) if fields.scale_attn_weights else 1.0
    layers = []
    for i in range(fields.n_layer):
        divided = i + 1 if fields.scale_attn_by_inverse_layer_idx else 1
        query, key, value = columns.parts(f"h.{i}.attn.c_attn", width, width, 3)
        attention = Attention(
            query=query,
            key=key,
            value=value,
            output=columns.projection(f"h.{i}.attn.c_proj", width, width),
            heads=heads,
            key_heads=heads,
            head=width // heads,
            softmax=MaskedSoftmax(scale / divided, Mask(causal=True)),
        )
        feed_forward = FeedForward(
            up=columns.projection(f"h.{i}.mlp.c_fc", width, ffn),
            down=columns.projection(f"h.{i}.mlp.c_proj", ffn, width),
            function=act,
        )
        layers.append(
            Layer(
                tensors.norm(f"h.{i}.ln_1", width, epsilon, beta=True),
                attention,
                tensors.norm(f"h.{i}.ln_2", width, epsilon, beta=True),
                feed_forward,
            )
        )
    norm = tensors.norm("ln_f", width, epsilon, beta=True)
    head = table if fields.tie_word_embeddings else tensors.tensor("lm_head.weight", table.shape)
    build = TransformerBuilder(request.name, limits.batch_of(request.batch), length)
    return build.decoder(Embedding(table, positions), layers, norm, Weight(head.T))


#: Masks that older versions saved, and a tied head.
FAMILY = Family("transformer.", r"h\.\d+\.attn\.(masked_)?bias|lm_head\.weight", _build)
