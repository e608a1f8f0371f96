"""Fields of config.json that families share, and those that say nothing of what a network computes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from accelsim.config.load import Document
from accelsim.config.model import Frozen, quantity
from accelsim.errors import WorkloadError, unknown_name
from accelsim.graph.ops.function import FunctionName
from accelsim.workload.importers.json_text import checked
from accelsim.workload.importers.transformer import Float32

#: Fields of any configuration about training, generation, files and names; those that begin with an underscore, and
#: those that are null, say nothing either.
SAY_NOTHING = frozenset({
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "initializer_range",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id", "unk_token_id",
    "decoder_start_token_id", "bos_token", "eos_token", "pad_token", "name_or_path", "id2label", "label2id",
    "num_labels", "problem_type", "finetuning_task", "task_specific_params", "tokenizer_class", "prefix", "return_dict",
    "output_attentions", "output_hidden_states", "torchscript", "gradient_checkpointing", "keys_to_ignore_at_inference",
    "attention_dropout", "attention_probs_dropout_prob", "hidden_dropout", "hidden_dropout_prob", "attn_pdrop",
    "embd_pdrop", "resid_pdrop", "classifier_dropout", "pretraining_tp", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "max_length", "min_length", "do_sample", "num_beams",
    "temperature", "top_k", "top_p", "repetition_penalty", "transformers.js_config", "is_llama_config", "n_ctx",
    "unsloth_version", "unsloth_fixed", "reorder_and_upcast_attn", "chunk_size_feed_forward", "language",
    "directionality", "use_bfloat16", "suppress_tokens", "exponential_decay_length_penalty", "length_penalty",
    "attn_implementation",
})  # fmt: skip
#: Fields that must be false, empty or null, whatever the family.
OFF = frozenset({
    "is_encoder_decoder", "is_decoder", "add_cross_attention", "tie_encoder_decoder", "cross_attention_hidden_size",
    "pruned_heads", "rope_interleaved", "quantization_config", "sparsity_config", "auto_map",
})  # fmt: skip

#: Functions by transformers' names.
FUNCTIONS: dict[str, FunctionName] = {
    "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "silu": "silu", "swish": "silu",
    "tanh": "tanh", "sigmoid": "sigmoid",
}  # fmt: skip


def meaning(document: Document) -> dict[str, Any]:
    """Fields that a family must know.

    Raises
    ------
    WorkloadError
        If one is set that no family may have.
    """
    data: Mapping[str, Any] = document.data
    for name in sorted(OFF & data.keys()):
        if data[name]:
            raise WorkloadError(document.fault((name,), "must be false or absent: networks with it are not read"))
    silent = SAY_NOTHING | OFF
    return {
        name: value
        for name, value in data.items()
        if name not in silent and not name.startswith("_") and value is not None
    }


def function(document: Document, key: str, name: str) -> FunctionName:
    """An activation by its name.

    Raises
    ------
    WorkloadError
        If it is none that is known.
    """
    if name not in FUNCTIONS:
        raise WorkloadError(document.fault((key,), unknown_name("function", name, FUNCTIONS)))
    return FUNCTIONS[name]


class Scaling(Frozen):
    """How rotary frequencies are scaled (`rope_scaling`)."""

    rope_type: Literal["default", "linear", "llama3"] = quantity("name", "Kind of scaling")
    rope_theta: float | None = quantity("factor", "Base of the frequencies", default=None, gt=0)
    factor: float = quantity("factor", "By which positions become longer", default=1.0, gt=0)
    low_freq_factor: float = quantity("count", "Turns below which a frequency is divided", default=1.0, gt=0)
    high_freq_factor: float = quantity("count", "Turns above which a frequency stays", default=4.0, gt=0)
    original_max_position_embeddings: int = quantity("tokens", "Texts before scaling", default=8192, gt=0)


def frequencies(document: Document, pairs: int, base: float) -> Float32:
    """Rotary frequencies by `rope_theta` and `rope_scaling`, or by `rope_parameters`, shape (pairs,).

    base^(-i / pairs), as transformers' `modeling_rope_utils` scales it: divided by a factor (linear), or, of llama3,
    where a frequency turns less than `low_freq_factor` times in a text of the original length, and in part between
    that and `high_freq_factor` times.

    Raises
    ------
    WorkloadError
        If the scaling is of another kind.
    """
    key = "rope_parameters" if document.data.get("rope_parameters") else "rope_scaling"
    given = document.data.get(key) or {"rope_type": "default"}
    if not isinstance(given, dict):
        raise WorkloadError(document.fault((key,), "must be an object"))
    fields = {"rope_type": given.get("type"), **given}
    fields.pop("type", None)
    inside = Document(document.file, fields, {(name,): document.marks.get((key,), (1, 1)) for name in fields})
    scaling = checked(inside, fields, Scaling)
    plain = (scaling.rope_theta or base) ** (-np.arange(pairs) / pairs)
    if scaling.rope_type == "linear":
        plain = plain / scaling.factor
    elif scaling.rope_type == "llama3":
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        if high <= low:
            raise WorkloadError(document.fault((key,), f"high_freq_factor must be more than {low}, not {high}"))
        turns = scaling.original_max_position_embeddings * plain / (2 * math.pi)
        kept = np.clip((turns - low) / (high - low), 0, 1)
        plain = (1 - kept) * plain / scaling.factor + kept * plain
    return plain.astype(np.float32)
