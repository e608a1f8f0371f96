"""What makes an embedding of a text, as the library sentence-transformers saves it."""

from __future__ import annotations

import json

from accelsim.config.load import Document
from accelsim.errors import Fault, WorkloadError, unknown_name
from accelsim.workload.importers.huggingface.folder import Folder
from accelsim.workload.importers.text import read_text, shown
from accelsim.workload.importers.transformer import Pooling

_MODULES, _POOLING, _NORMALIZE = "modules.json", "1_Pooling", "2_Normalize"
_MODES = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
#: Fields that say nothing of what is pooled.
_SAY_NOTHING = {"word_embedding_dimension", "include_prompt"}


def pooling_of(folder: Folder) -> Pooling | None:
    """Pooling of a directory; None if it has none.

    Raises
    ------
    WorkloadError
        If it has modules, or a pooling, of other kinds.
    """
    if folder.has(_MODULES):
        found = _modules(folder)
        if not found:
            return None
        place, normalized = found
        return _pooling(folder.object(f"{place}/config.json"), normalized=normalized)
    if folder.has(f"{_POOLING}/config.json"):
        normalized = (folder.path / _NORMALIZE).is_dir()
        return _pooling(folder.object(f"{_POOLING}/config.json"), normalized=normalized)
    return None


def _modules(folder: Folder) -> tuple[str, bool] | None:
    """Folder of the pooling, and whether rows are normalized behind it."""
    path = folder.file(_MODULES)
    try:
        modules = json.loads(read_text(path))
        kinds = [(str(module["type"]).rpartition(".")[2], module["path"]) for module in modules]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise WorkloadError(Fault("must be a JSON list of modules, each with its type and path", str(path))) from None
    names = [name for name, _ in kinds]
    if names == ["Transformer"]:
        return None
    for name, where in kinds:
        if name not in {"Transformer", "Pooling", "Normalize"}:
            message = unknown_name("module", name, ("Transformer", "Pooling", "Normalize"))
            raise WorkloadError(Fault(message, str(path)))
        if not isinstance(where, str):
            raise WorkloadError(Fault(f"paths must be texts, not {shown(str(where))}", str(path)))
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or kinds[0][1]:
        message = f"must be a transformer in the folder itself, a pooling, and perhaps a norm, not {', '.join(names)}"
        raise WorkloadError(Fault(message, str(path)))
    return kinds[1][1], len(kinds) == 3


def _pooling(document: Document, *, normalized: bool) -> Pooling:
    on = [name for name, value in document.data.items() if value and name not in _SAY_NOTHING]
    for name in on:
        if name not in _MODES:
            raise WorkloadError(document.fault((name,), unknown_name("pooling", name, _MODES)))
    if len(on) != 1:
        raise WorkloadError(Fault(f"must have one pooling, not {len(on)}", document.file))
    return Pooling("cls" if _MODES[on[0]] == "cls" else "mean", normalized)
