"""BERT: learned positions, every token sees every other one, norms behind the blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from accelsim.config.load import Document
from accelsim.config.model import Frozen, quantity
from accelsim.errors import WorkloadError
from accelsim.graph.graph import Graph
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.workload.importers import limits
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.fields import function
from accelsim.workload.importers.json_text import checked
from accelsim.workload.importers.transformer import Attention, Embedding, FeedForward, Layer, TransformerBuilder


class Fields(Frozen):
    """Fields that mean something."""

    hidden_size: int = quantity("features", "Width of the residual path", default=768, gt=0, le=2**20)
    intermediate_size: int = quantity("features", "Width between the feed-forward layers", default=3072, gt=0, le=2**24)
    num_hidden_layers: int = quantity("count", "Layers", default=12, gt=0, le=2**12)
    num_attention_heads: int = quantity("count", "Heads", default=12, gt=0, le=2**16)
    max_position_embeddings: int = quantity("tokens", "Longest text", default=512, gt=0, le=2**24)
    type_vocab_size: int = quantity("count", "Kinds of texts; all are of the first", default=2, gt=0, le=2**16)
    vocab_size: int = quantity("count", "Tokens", default=30522, gt=0, le=2**24)
    hidden_act: str = quantity("name", "Function between the feed-forward layers", default="gelu")
    layer_norm_eps: float = quantity("value", "Added to the variance", default=1e-12, gt=0)
    position_embedding_type: Literal["absolute"] = quantity("name", "How positions are told", default="absolute")
    tie_word_embeddings: bool = quantity("flag", "Of a head, which is not read", default=True)


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields = checked(document, data, Fields)
    width, heads, epsilon = fields.hidden_size, fields.num_attention_heads, fields.layer_norm_eps
    if width % heads:
        raise WorkloadError(document.fault(("hidden_size",), f"must be a multiple of {heads} heads, not {width}"))
    length = limits.length_of(request.length, fields.max_position_embeddings, document.file)
    act, ffn = function(document, "hidden_act", fields.hidden_act), fields.intermediate_size
    softmax = MaskedSoftmax(1 / math.sqrt(width // heads), pad=pad_of(document))
    layers = []
    for i in range(fields.num_hidden_layers):
        name = f"encoder.layer.{i}"
        attention = Attention(
            query=tensors.linear(f"{name}.attention.self.query", width, width, bias=True),
            key=tensors.linear(f"{name}.attention.self.key", width, width, bias=True),
            value=tensors.linear(f"{name}.attention.self.value", width, width, bias=True),
            output=tensors.linear(f"{name}.attention.output.dense", width, width, bias=True),
            heads=heads,
            key_heads=heads,
            head=width // heads,
            softmax=softmax,
        )
        feed_forward = FeedForward(
            up=tensors.linear(f"{name}.intermediate.dense", width, ffn, bias=True),
            down=tensors.linear(f"{name}.output.dense", ffn, width, bias=True),
            function=act,
        )
        layers.append(
            Layer(
                tensors.norm(f"{name}.attention.output.LayerNorm", width, epsilon, beta=True),
                attention,
                tensors.norm(f"{name}.output.LayerNorm", width, epsilon, beta=True),
                feed_forward,
            )
        )
    positions = (fields.max_position_embeddings, width)
    embedding = Embedding(
        tensors.tensor("embeddings.word_embeddings.weight", (fields.vocab_size, width)),
        tensors.tensor("embeddings.position_embeddings.weight", positions)[:length],
    )
    kind = tensors.tensor("embeddings.token_type_embeddings.weight", (fields.type_vocab_size, width))[0]
    norm = tensors.norm("embeddings.LayerNorm", width, epsilon, beta=True)
    build = TransformerBuilder(request.name, limits.batch_of(request.batch), length)
    return build.encoder(embedding, kind, norm, layers, request.pooling)


def pad_of(document: Document) -> int | None:
    """Id of the token that nobody looks at; None if there is none.

    Raises
    ------
    WorkloadError
        If it is no id.
    """
    pad = document.data.get("pad_token_id", 0)
    if pad is not None and (type(pad) is not int or not 0 <= pad < 2**31):
        raise WorkloadError(document.fault(("pad_token_id",), f"must be an id, not {pad!r}"))
    return pad


#: Numbers of positions, and a layer behind the first token that training alone needs.
FAMILY = Family("bert.", r"embeddings\.position_ids|pooler\.dense\.(weight|bias)", _build, embeds=True)
