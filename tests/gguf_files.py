"""Small GGUF files, written by the package `gguf` as llama.cpp's converter would of a model of `language_models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import language_models
import numpy as np
from language_models import Model
from numpy.typing import NDArray

from accelsim.formats.ggml import LAYOUTS

#: llama.cpp's names of transformers' tensors in a layer, and architectures of classes.
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
}  # fmt: skip
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
ARCHITECTURES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral", "Qwen2ForCausalLM": "qwen2",
                 "Qwen3ForCausalLM": "qwen3"}  # fmt: skip
#: Those whose rows of queries and keys are turned.
TURNED = ("llama", "mistral")


def write(
    path: Path, model: Model, kind: str = "F32", *, texts: bool = False, slower: float = 0.0, **fields: Any
) -> Model:
    """Write a file whose matrices have a type; the model that comes back has the numbers that they stand for.

    By `slower` all rotary frequencies are divided by a tensor. `fields` are further ones of the architecture, dots as
    underscores of two.
    """
    config = model.config
    architecture = ARCHITECTURES[config["architectures"][0]]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    for key, value in fields.items():
        key = f"{architecture}.{key.replace('__', '.')}"  # noqa: PLW2901
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_uint32(key, value)
    if texts:
        add_texts(writer)
    if slower:
        pairs = config["hidden_size"] // config["num_attention_heads"] // 2
        writer.add_tensor("rope_freqs.weight", np.full(pairs, slower, np.float32))
    stands = {}
    for name, data in model.tensors.items():
        tensor = turned(model, name, data) if architecture in TURNED else data
        blocks, numbers = quantized(tensor, kind if tensor.ndim == 2 else "F32")
        dtype = gguf.GGMLQuantizationType[kind if tensor.ndim == 2 else "F32"]
        writer.add_tensor(named(name), blocks, raw_dtype=dtype)
        stands[name] = back(model, name, numbers) if architecture in TURNED else numbers
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Model(config, stands)


def named(name: str) -> str:
    """llama.cpp's name of a tensor."""
    stem, _, part = name.rpartition(".")
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{part}"
    _, _, layer, *inner = stem.split(".")
    return f"blk.{layer}.{NAMES['.'.join(inner)]}.{part}"


def quantized(data: NDArray[np.float32], kind: str) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Blocks of a tensor, and the numbers that they stand for; random blocks where the package has no quantizer."""
    dtype = gguf.GGMLQuantizationType[kind]
    if kind in {"Q4_K", "Q5_K", "Q6_K"}:
        layout, rng = LAYOUTS[kind.lower()], np.random.default_rng(data.size)  # type: ignore[index]
        blocks = rng.integers(0, 256, (len(data), data.shape[1] // 256, layout.bytes), dtype=np.uint8)
        for at in layout.scales:
            scale = rng.normal(size=(*blocks.shape[:2], 1)) / (40 * data.shape[1])
            blocks[..., at : at + 2] = scale.astype("<f2").view(np.uint8)
        blocks = blocks.reshape(len(data), -1)
    else:
        blocks = gguf.quants.quantize(data, dtype)
    return blocks, gguf.quants.dequantize(blocks, dtype).astype(np.float32).reshape(data.shape)


def _heads(model: Model, name: str) -> int:
    """Heads of queries or keys; 0 of other tensors."""
    config = model.config
    sides = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    return next((heads for side, heads in sides.items() if f".{side}." in name), 0)


def turned(model: Model, name: str, data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of queries and keys so that pairs that rotate together are neighbours."""
    heads = _heads(model, name)
    if not heads:
        return data
    return np.ascontiguousarray(data.reshape(heads, 2, -1, *data.shape[1:]).swapaxes(1, 2)).reshape(data.shape)


def back(model: Model, name: str, data: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse."""
    heads = _heads(model, name)
    if not heads:
        return data
    return np.ascontiguousarray(data.reshape(heads, -1, 2, *data.shape[1:]).swapaxes(1, 2)).reshape(data.shape)


#: Tokens of a byte-level vocabulary, and pairs that are merged, the first ones first.
WORDS = ["<s>", "h", "e", "l", "o", "Ġ", "1", "2", "he", "ll", "hell", "hello", "Ġhello", "12", "Ġhell"]
MERGES = ["h e", "l l", "he ll", "hell o", "1 2", "Ġ hello", "Ġ hell"]


def add_texts(writer: gguf.GGUFWriter) -> None:
    """Add a tokenizer."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(WORDS)
    writer.add_token_types([3, *[1] * (len(WORDS) - 1)])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)


def small(**config: Any) -> Model:
    """A model whose rows are whole blocks of 256."""
    return language_models.llama(width=256, ffn=256, layers=1, heads=4, key_heads=2, tokens=20, **config)
