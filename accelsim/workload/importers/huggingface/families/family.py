"""What a family's description has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.config.load import Document
from accelsim.graph.graph import Graph
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.transformer import Pooling


@dataclass(frozen=True, slots=True)
class Request:
    """What a network is asked for.

    Parameters
    ----------
    length
        Tokens of a text; None for as many as is usual.
    pooling
        What makes an embedding of a text; None for what the last layer forms.
    """

    name: str
    batch: int
    length: int | None
    pooling: Pooling | None


@dataclass(frozen=True, slots=True)
class Family:
    """A family of networks.

    Parameters
    ----------
    prefix
        What names of tensors may begin with or not.
    unread
        Pattern of names of tensors that mean nothing.
    build
        Makes the graph of a configuration, of its fields that mean something, and of tensors.
    embeds
        Whether it may be pooled, and padding tokens are not looked at.
    """

    prefix: str
    unread: str
    build: Callable[[Document, Mapping[str, Any], Checkpoint, Request], Graph]
    embeds: bool = False
