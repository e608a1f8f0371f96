"""Mistral: Llama whose queries may see a window of keys alone."""

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
    """Those of Mistral."""

    sliding_window: int = quantity("tokens", "Keys that a query sees; all before it if null", default=4096, gt=0)


def _build(document: Document, data: Mapping[str, Any], tensors: Checkpoint, request: Request) -> Graph:
    fields = checked(document, data, Fields)
    # null is not the same as absent here
    window = 0 if document.data.get("sliding_window", 4096) is None else fields.sliding_window
    return decoder(document, fields, tensors, request, Switches(window=lambda _: window))


FAMILY = Family("", UNREAD, _build)
