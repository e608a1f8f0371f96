"""What Llama and its like have in common: config.json's fields, tensors' names, and the decoder that they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from accelsim.config.load import Document
from accelsim.config.model import Frozen, quantity
from accelsim.errors import WorkloadError
from accelsim.graph.graph import Graph
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.workload.importers import limits
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Request
from accelsim.workload.importers.huggingface.fields import frequencies, function
from accelsim.workload.importers.transformer import (
    Attention,
    Embedding,
    FeedForward,
    Layer,
    Rotary,
    TransformerBuilder,
    Weight,
)

#: Tensors that older versions saved, which follow from the configuration.
UNREAD = r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq|model\.rotary_emb\.inv_freq"


class LlamaFields(Frozen):
    """Fields that mean something in all of them."""

    hidden_size: int = quantity("features", "Width of the residual path", gt=0, le=2**20)
    intermediate_size: int = quantity("features", "Width between the feed-forward layers", gt=0, le=2**24)
    num_hidden_layers: int = quantity("count", "Layers", gt=0, le=2**12)
    num_attention_heads: int = quantity("count", "Heads of queries", gt=0, le=2**16)
    num_key_value_heads: int | None = quantity("count", "Heads of keys and values", default=None, gt=0, le=2**16)
    head_dim: int | None = quantity("features", "Width of a head", default=None, gt=0, le=2**16)
    vocab_size: int = quantity("count", "Tokens", gt=0, le=2**24)
    max_position_embeddings: int = quantity("tokens", "Longest text", default=2048, gt=0)
    hidden_act: str = quantity("name", "Function between the feed-forward layers", default="silu")
    rms_norm_eps: float = quantity("value", "Added to the mean square", default=1e-6, gt=0)
    rope_theta: float = quantity("factor", "Base of the rotary frequencies", default=10000.0, gt=0)
    rope_scaling: object = quantity("object", "Scaling of the rotary frequencies", default=None)
    rope_parameters: object = quantity("object", "Base and scaling of the rotary frequencies", default=None)
    tie_word_embeddings: bool = quantity("flag", "Whether the head is the table of embeddings", default=False)


class Switches(NamedTuple):
    """In what a family, or a configuration of it, differs.

    Parameters
    ----------
    biased
        Whether queries, keys and values have biases.
    output_biased
        Whether what attention gives back has one.
    ffn_biased
        Whether feed-forward layers have.
    normed
        Whether heads of queries and keys are normalized.
    window
        Keys that a layer sees, by its number; 0 for all.
    """

    biased: bool = False
    output_biased: bool = False
    ffn_biased: bool = False
    normed: bool = False
    window: Callable[[int], int] = lambda _: 0


def decoder(document: Document, fields: LlamaFields, tensors: Checkpoint, request: Request, is_: Switches) -> Graph:
    """The network of a configuration.

    Raises
    ------
    WorkloadError
        If fields do not fit each other, or tensors do not fit them.
    """
    width, heads, ffn, epsilon = (
        fields.hidden_size, fields.num_attention_heads, fields.intermediate_size, fields.rms_norm_eps,
    )  # fmt: skip
    key_heads, head = fields.num_key_value_heads or heads, fields.head_dim or width // heads
    if heads % key_heads:
        message = f"must be a multiple of {key_heads}, the heads of keys, not {heads}"
        raise WorkloadError(document.fault(("num_attention_heads",), message))
    if fields.head_dim is None and width % heads:
        raise WorkloadError(document.fault(("hidden_size",), f"must be a multiple of {heads} heads, not {width}"))
    if head % 2:
        raise WorkloadError(document.fault(("head_dim",), f"must be even, not {head}"))
    length = limits.length_of(request.length, fields.max_position_embeddings, document.file)
    act = function(document, "hidden_act", fields.hidden_act)
    rotary = Rotary(frequencies(document, head // 2, fields.rope_theta))
    table = tensors.tensor("model.embed_tokens.weight", (fields.vocab_size, width))
    layers = []
    for i in range(fields.num_hidden_layers):
        at, mlp = f"model.layers.{i}.self_attn", f"model.layers.{i}.mlp"
        attention = Attention(
            query=tensors.linear(f"{at}.q_proj", width, heads * head, bias=is_.biased),
            key=tensors.linear(f"{at}.k_proj", width, key_heads * head, bias=is_.biased),
            value=tensors.linear(f"{at}.v_proj", width, key_heads * head, bias=is_.biased),
            output=tensors.linear(f"{at}.o_proj", heads * head, width, bias=is_.output_biased),
            heads=heads,
            key_heads=key_heads,
            head=head,
            softmax=MaskedSoftmax(1 / math.sqrt(head), Mask(causal=True, window=is_.window(i))),
            rotary=rotary,
            query_norm=tensors.norm(f"{at}.q_norm", head, epsilon, beta=False) if is_.normed else None,
            key_norm=tensors.norm(f"{at}.k_norm", head, epsilon, beta=False) if is_.normed else None,
        )
        feed_forward = FeedForward(
            up=tensors.linear(f"{mlp}.up_proj", width, ffn, bias=is_.ffn_biased),
            down=tensors.linear(f"{mlp}.down_proj", ffn, width, bias=is_.ffn_biased),
            function=act,
            gate=tensors.linear(f"{mlp}.gate_proj", width, ffn, bias=is_.ffn_biased),
        )
        layers.append(
            Layer(
                tensors.norm(f"model.layers.{i}.input_layernorm", width, epsilon, beta=False),
                attention,
                tensors.norm(f"model.layers.{i}.post_attention_layernorm", width, epsilon, beta=False),
                feed_forward,
            )
        )
    norm = tensors.norm("model.norm", width, epsilon, beta=False)
    if fields.tie_word_embeddings:
        head_weight = Weight(table.T)
        if tensors.has("lm_head.weight"):  # saved beside, though it is the same
            tensors.tensor("lm_head.weight", table.shape)
    else:
        head_weight = Weight(tensors.tensor("lm_head.weight", (fields.vocab_size, width)).T)
    build = TransformerBuilder(request.name, limits.batch_of(request.batch), length)
    return build.decoder(Embedding(table), layers, norm, head_weight)
