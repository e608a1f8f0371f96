"""A directory as a network: which family it is of, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

from accelsim.config.load import Document
from accelsim.errors import WorkloadError
from accelsim.workload.importers import texts
from accelsim.workload.importers.huggingface.checkpoint import Checkpoint
from accelsim.workload.importers.huggingface.families import bert, gpt2, llama, mistral, qwen2, qwen3
from accelsim.workload.importers.huggingface.families.family import Family, Request
from accelsim.workload.importers.huggingface.fields import meaning
from accelsim.workload.importers.huggingface.folder import Folder
from accelsim.workload.importers.huggingface.pooling import pooling_of
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.texts import Texts

#: Families by the classes that transformers saves.
FAMILIES: dict[str, Family] = {
    "BertModel": bert.FAMILY,
    "GPT2LMHeadModel": gpt2.FAMILY,
    "LlamaForCausalLM": llama.FAMILY,
    "MistralForCausalLM": mistral.FAMILY,
    "Qwen2ForCausalLM": qwen2.FAMILY,
    "Qwen3ForCausalLM": qwen3.FAMILY,
}
CONFIG = "config.json"


def load(path: Path, *, batch: int = 1, length: int | None = None) -> Imported:
    """Read a directory: `input_ids`, int64 (batch, length), to what its architecture forms.

    A language model forms `logits`, (batch, length, tokens); an encoder `last_hidden_state`, (batch, length, features),
    or, if the directory says how to pool it, `embeddings`, (batch, features). Tokens of the encoder's padding are not
    looked at.

    Parameters
    ----------
    batch, length
        Texts, and tokens of each; as many as the model takes, 256 at most, if absent. Without a table of positions, the
        graph evaluates texts of any length.

    Raises
    ------
    WorkloadError
        If files are missing, not whole or outside the directory, or its architecture, a field or a tensor is not one
        that is understood.
    """
    folder = Folder(path)
    config = folder.object(CONFIG)
    family = _family(config)
    fields = meaning(config)
    pooling = pooling_of(folder) if family.embeds else None
    tensors = Checkpoint.open(folder, family.prefix)
    name = path.resolve().name or "network"
    graph = family.build(config, fields, tensors, Request(name, batch, length, pooling))
    tensors.check_all_read(family.unread)
    return Imported(graph, folder.sha256)


def tokenizer(path: Path) -> Texts:
    """Texts of a directory's tokenizer.json.

    Raises
    ------
    WorkloadError
        If there is none that the library reads.
    AccelSimError
        If the extra `text` is not installed.
    """
    folder = Folder(path)
    config = folder.object(CONFIG)
    pad = bert.pad_of(config) if _family(config).embeds else None
    return texts.of_file(folder.file(texts.TOKENIZER), pad)


def _family(config: Document) -> Family:
    """Family of the class that a configuration names."""
    names = config.data.get("architectures")
    if isinstance(names, list) and len(names) == 1 and isinstance(names[0], str) and names[0] in FAMILIES:
        return FAMILIES[names[0]]
    known = ", ".join(FAMILIES)
    raise WorkloadError(config.fault(("architectures",), f"must be one of {known}, not {str(names)[:80]}"))
