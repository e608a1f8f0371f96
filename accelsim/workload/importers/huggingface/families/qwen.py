"""Windows of Qwen's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from accelsim.config.load import Document
from accelsim.config.model import quantity
from accelsim.errors import WorkloadError
from accelsim.workload.importers.huggingface.families.llama_like import LlamaFields


class QwenFields(LlamaFields):
    """Fields that both have."""

    use_sliding_window: bool = quantity("flag", "Whether layers see a window of keys", default=False)
    sliding_window: int = quantity("tokens", "Keys of it", default=4096, ge=0)
    max_window_layers: int = quantity("count", "First layers, which see all keys", default=28, ge=0)
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = quantity(
        "names", "What each layer sees, in place of the number of first layers", default=None
    )


def windows(document: Document, fields: QwenFields) -> Callable[[int], int]:
    """Keys that a layer sees, by its number; 0 for all.

    Raises
    ------
    WorkloadError
        If the kinds of layers are more or fewer than these.
    """
    count, kinds = fields.num_hidden_layers, fields.layer_types
    if kinds is not None and len(kinds) != count:
        raise WorkloadError(document.fault(("layer_types",), f"must be of {count} layers, not of {len(kinds)}"))
    if kinds is None:
        windowed = [fields.use_sliding_window and i >= fields.max_window_layers for i in range(count)]
    else:
        windowed = [kind == "sliding_attention" for kind in kinds]
    if any(windowed) and not fields.use_sliding_window:
        message = "must not be sliding_attention where use_sliding_window is false"
        raise WorkloadError(document.fault(("layer_types",), message))
    return lambda i: fields.sliding_window if windowed[i] else 0
