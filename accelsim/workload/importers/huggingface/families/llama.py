"""Llama, and what is saved as such: SmolLM, TinyLlama, Yi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.config.load import Document
from accelsim.config.model import quantity
from accelsim.graph.graph import Graph
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.families.llama_like import UNREAD, LlamaFields, Switches, decoder
from accelsim.workload.importers.json_text import checked


class Fields(LlamaFields):
    """Those of Llama."""

    attention_bias: bool = quantity("flag", "Whether all layers of attention have biases", default=False)
    mlp_bias: bool = quantity("flag", "Whether feed-forward layers have biases", default=False)


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields = checked(document, data, Fields)
    switches = Switches(fields.attention_bias, fields.attention_bias, fields.mlp_bias)
    return decoder(document, fields, tensors, request, switches)


FAMILY = Family("", UNREAD, _build)
