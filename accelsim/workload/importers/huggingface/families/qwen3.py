"""Qwen3: Llama whose heads of queries and keys are normalized before they are rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.config.load import Document
from accelsim.config.model import quantity
from accelsim.graph.graph import Graph
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.families.llama_like import UNREAD, Switches, decoder
from accelsim.workload.importers.huggingface.families.qwen import QwenFields, windows
from accelsim.workload.importers.json_text import checked


class Fields(QwenFields):
    """Those of Qwen3."""

    attention_bias: bool = quantity("flag", "Whether all layers of attention have biases", default=False)
    head_dim: int | None = quantity("features", "Width of a head", default=128, gt=0, le=2**16)


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields = checked(document, data, Fields)
    biased = fields.attention_bias
    switches = Switches(biased, biased, normed=True, window=windows(document, fields))
    return decoder(document, fields, tensors, request, switches)


FAMILY = Family("", UNREAD, _build)
