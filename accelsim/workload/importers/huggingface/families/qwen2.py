"""Qwen2 and 2.5: Llama with biases of queries, keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from accelsim.config.load import Document
from accelsim.config.model import quantity
from accelsim.graph.graph import Graph
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.families.llama_like import UNREAD, Switches, decoder
from accelsim.workload.importers.huggingface.families.qwen import QwenFields, windows
from accelsim.workload.importers.json_text import checked


class Fields(QwenFields):
    """Those of Qwen2."""

    use_mrope: Literal[False] = quantity("flag", "Whether positions have several axes", default=False)


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields = checked(document, data, Fields)
    switches = Switches(biased=True, window=windows(document, fields))
    return decoder(document, fields, tensors, request, switches)


FAMILY = Family("", UNREAD, _build)
