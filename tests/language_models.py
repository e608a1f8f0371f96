"""Small language models with random weights: their tensors by transformers' names, and what they compute, in plain
numpy, a token and a head at a time; it knows nothing of graphs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.special import erf

Float64 = NDArray[np.float64]
Tensors = dict[str, NDArray[np.float32]]

FUNCTIONS = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


@dataclass
class Model:
    """A configuration as config.json has it, and random tensors that fit it."""

    config: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)

    def save(self, folder: Path, **files: Tensors) -> Path:
        """Write a directory; `files` are shards by their names, in place of one file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config, indent=2))
        if files:
            places = {name: f"{file}.safetensors" for file, part in files.items() for name in part}
            (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
        for file, part in (files or {"model": self.tensors}).items():
            save_file({name: np.ascontiguousarray(data) for name, data in part.items()}, folder / f"{file}.safetensors")
        return folder


def _random(rng: np.random.Generator, **shapes: tuple[int, ...]) -> Tensors:
    """Weights that keep numbers near one, factors of norms near one, small biases."""
    found = {}
    for name, shape in shapes.items():
        numbers = rng.normal(size=shape) / (math.sqrt(shape[-1]) if len(shape) > 1 else 4)
        is_factor = "norm" in name.lower() or "ln_" in name
        found[name] = (numbers + (1 if is_factor and name.endswith("weight") else 0)).astype(np.float32)
    return found


def llama(
    architecture: str = "LlamaForCausalLM", *, seed: int = 0, width: int = 24, ffn: int = 40, layers: int = 2,
    heads: int = 4, key_heads: int = 2, head: int | None = None, tokens: int = 50, **config: Any,
) -> Model:  # fmt: skip
    """Llama, Mistral, Qwen2 or Qwen3."""
    size = head or width // heads
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (tokens, width), "model.norm.weight": (width,)}
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (tokens, width)
    biased = architecture == "Qwen2ForCausalLM" or config.get("attention_bias", False)
    for i in range(layers):
        at, mlp = f"model.layers.{i}.self_attn", f"model.layers.{i}.mlp"
        sides = {"q_proj": (heads * size, width), "k_proj": (key_heads * size, width),
                 "v_proj": (key_heads * size, width), "o_proj": (width, heads * size)}  # fmt: skip
        for name, shape in sides.items():
            shapes[f"{at}.{name}.weight"] = shape
            if biased and (name != "o_proj" or config.get("attention_bias")):
                shapes[f"{at}.{name}.bias"] = shape[:1]
        for name, shape in (("gate_proj", (ffn, width)), ("up_proj", (ffn, width)), ("down_proj", (width, ffn))):
            shapes[f"{mlp}.{name}.weight"] = shape
            if config.get("mlp_bias"):
                shapes[f"{mlp}.{name}.bias"] = shape[:1]
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{i}.{name}.weight"] = (width,)
        if architecture == "Qwen3ForCausalLM":
            shapes |= {f"{at}.q_norm.weight": (size,), f"{at}.k_norm.weight": (size,)}
    full = {
        "architectures": [architecture], "model_type": "llama", "hidden_size": width, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": key_heads,
        "vocab_size": tokens, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "torch_dtype": "float32", "use_cache": True, "_name_or_path": "nowhere",
        **({"head_dim": head} if head else {}), **config,
    }  # fmt: skip
    return Model(full, _random(np.random.default_rng(seed), **shapes))


def gpt2(*, seed: int = 0, width: int = 24, layers: int = 2, heads: int = 3, tokens: int = 50, **config: Any) -> Model:
    """GPT-2."""
    ffn = config.get("n_inner") or 4 * width
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (tokens, width), "wpe.weight": (32, width),
                                          "ln_f.weight": (width,), "ln_f.bias": (width,)}  # fmt: skip
    for i in range(layers):
        sides = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width), "mlp.c_fc": (width, ffn),
                 "mlp.c_proj": (ffn, width)}  # fmt: skip
        shapes |= {f"h.{i}.{name}.weight": shape for name, shape in sides.items()}
        shapes |= {f"h.{i}.{name}.bias": shape[1:] for name, shape in sides.items()}
        shapes |= {f"h.{i}.{name}.{part}": (width,) for name in ("ln_1", "ln_2") for part in ("weight", "bias")}
        shapes[f"h.{i}.attn.bias"] = (1, 1, 32, 32)
    full = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": width, "n_layer": layers,
        "n_head": heads, "n_positions": 32, "n_ctx": 32, "vocab_size": tokens, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "attn_pdrop": 0.1, **config,
    }  # fmt: skip
    return Model(full, _random(np.random.default_rng(seed), **shapes))


def bert(*, seed: int = 0, width: int = 24, layers: int = 2, heads: int = 3, tokens: int = 50, **config: Any) -> Model:
    """BERT."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (tokens, width), "embeddings.position_embeddings.weight": (32, width),
        "embeddings.token_type_embeddings.weight": (2, width), "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,), "pooler.dense.weight": (width, width), "pooler.dense.bias": (width,),
    }  # fmt: skip
    for i in range(layers):
        sides = {**{f"attention.self.{name}": (width, width) for name in ("query", "key", "value")},
                 "attention.output.dense": (width, width), "intermediate.dense": (40, width),
                 "output.dense": (width, 40)}  # fmt: skip
        for name, shape in sides.items():
            shapes |= {f"encoder.layer.{i}.{name}.weight": shape, f"encoder.layer.{i}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"encoder.layer.{i}.{name}.{part}": (width,) for part in ("weight", "bias")}
    full = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": width, "intermediate_size": 40,
        "num_hidden_layers": layers, "num_attention_heads": heads, "max_position_embeddings": 32,
        "type_vocab_size": 2, "vocab_size": tokens, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "position_embedding_type": "absolute", **config,
    }  # fmt: skip
    return Model(full, _random(np.random.default_rng(seed), **shapes))


def logits(model: Model, ids: list[int]) -> Float64:
    """What follows each of a text's tokens, shape (tokens of the text, tokens)."""
    is_gpt2 = model.config["architectures"] == ["GPT2LMHeadModel"]
    return _gpt2(model, ids) if is_gpt2 else _llama(model, ids)


def hidden(model: Model, ids: list[int]) -> Float64:
    """What BERT's last layer forms of a text."""
    t, config, epsilon = model.tensors, model.config, model.config["layer_norm_eps"]
    act, heads = FUNCTIONS[config["hidden_act"]], config["num_attention_heads"]
    x = np.array([t["embeddings.word_embeddings.weight"][token].astype(np.float64)
                  + t["embeddings.position_embeddings.weight"][i] + t["embeddings.token_type_embeddings.weight"][0]
                  for i, token in enumerate(ids)])  # fmt: skip
    seen = [[j for j, other in enumerate(ids) if other != config["pad_token_id"]] for _ in ids]
    x = _norm(x, t, "embeddings.LayerNorm", epsilon)
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}"
        q, k, v = (_linear(x, t, f"{at}.attention.self.{name}") for name in ("query", "key", "value"))
        mixed = _attend(q, k, v, heads, heads, seen)
        x = _norm(x + _linear(mixed, t, f"{at}.attention.output.dense"), t, f"{at}.attention.output.LayerNorm", epsilon)
        ffn = _linear(act(_linear(x, t, f"{at}.intermediate.dense")), t, f"{at}.output.dense")
        x = _norm(x + ffn, t, f"{at}.output.LayerNorm", epsilon)
    return x


def _linear(x: Float64, t: Tensors, name: str) -> Float64:
    """Weights output by output."""
    return x @ t[f"{name}.weight"].astype(np.float64).T + t.get(f"{name}.bias", np.zeros(1))


def _norm(x: Float64, t: Tensors, name: str, epsilon: float) -> Float64:
    """With a mean where there is a bias."""
    rows = []
    for row in x:
        bias = t.get(f"{name}.bias")
        centred = row if bias is None else row - row.mean()
        normal = centred / math.sqrt(float(centred @ centred) / len(row) + epsilon) * t[f"{name}.weight"]
        rows.append(normal if bias is None else normal + bias)
    return np.array(rows)


def _attend(q: Float64, k: Float64, v: Float64, heads: int, key_heads: int, seen: list[list[int]], scale: float = 0.0,
            ) -> Float64:  # fmt: skip
    """Each head of each query over the keys that it sees."""
    head = q.shape[1] // heads
    out = np.zeros_like(q)
    for h in range(heads):
        own, shared = slice(h * head, (h + 1) * head), h // (heads // key_heads)
        keys, values = (x[:, shared * head : (shared + 1) * head] for x in (k, v))
        for i, see in enumerate(seen):
            scores = np.array([float(q[i, own] @ keys[j]) for j in see]) * (scale or 1 / math.sqrt(head))
            shares = np.exp(scores - scores.max())
            out[i, own] = (shares / shares.sum()) @ values[see]
    return out


def _angle(config: dict[str, Any], pair: int, head: int) -> float:
    """Radians a position of a pair, after Llama 3's or linear scaling."""
    scaling = config.get("rope_scaling") or {}
    angle = float(config["rope_theta"]) ** (-2 * pair / head)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "linear":
        return angle / scaling["factor"]
    if kind == "llama3":
        wave, whole = 2 * math.pi / angle, scaling["original_max_position_embeddings"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        if wave > whole / low:
            return angle / scaling["factor"]
        if wave < whole / high:
            return angle
        smooth = (whole / wave - low) / (high - low)
        return (1 - smooth) * angle / scaling["factor"] + smooth * angle
    return angle


def _rotated(x: Float64, heads: int, config: dict[str, Any]) -> Float64:
    """Pairs of each head, halves apart."""
    head = x.shape[1] // heads
    out = x.copy()
    for position in range(len(x)):
        for h in range(heads):
            for i in range(head // 2):
                a, b = h * head + i, h * head + head // 2 + i
                angle = position * _angle(config, i, head)
                out[position, a] = x[position, a] * math.cos(angle) - x[position, b] * math.sin(angle)
                out[position, b] = x[position, b] * math.cos(angle) + x[position, a] * math.sin(angle)
    return out


def _window(config: dict[str, Any], layer: int) -> int:
    """Keys that a layer's queries see; 0 for all."""
    window = config.get("sliding_window") or 0
    if config["architectures"] == ["MistralForCausalLM"]:
        return int(window)
    return int(window) if config.get("use_sliding_window") and layer >= config["max_window_layers"] else 0


def _llama(model: Model, ids: list[int]) -> Float64:
    t, config, epsilon = model.tensors, model.config, model.config["rms_norm_eps"]
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    x = t["model.embed_tokens.weight"].astype(np.float64)[ids]
    for i in range(config["num_hidden_layers"]):
        at, mlp = f"model.layers.{i}.self_attn", f"model.layers.{i}.mlp"
        h = _norm(x, t, f"model.layers.{i}.input_layernorm", epsilon)
        q, k, v = (_linear(h, t, f"{at}.{name}_proj") for name in "qkv")
        if f"{at}.q_norm.weight" in t:
            size = t[f"{at}.q_norm.weight"].size
            q = _norm(q.reshape(-1, size), t, f"{at}.q_norm", epsilon).reshape(q.shape)
            k = _norm(k.reshape(-1, size), t, f"{at}.k_norm", epsilon).reshape(k.shape)
        q, k = _rotated(q, heads, config), _rotated(k, key_heads, config)
        window = _window(config, i) or len(ids)
        seen = [list(range(max(0, j + 1 - window), j + 1)) for j in range(len(ids))]
        x = x + _linear(_attend(q, k, v, heads, key_heads, seen), t, f"{at}.o_proj")
        h = _norm(x, t, f"model.layers.{i}.post_attention_layernorm", epsilon)
        gate, up = _linear(h, t, f"{mlp}.gate_proj"), _linear(h, t, f"{mlp}.up_proj")
        x = x + _linear(FUNCTIONS["silu"](gate) * up, t, f"{mlp}.down_proj")
    head = t.get("lm_head.weight", t["model.embed_tokens.weight"])
    return _norm(x, t, "model.norm", epsilon) @ head.astype(np.float64).T


def _gpt2(model: Model, ids: list[int]) -> Float64:
    t, config, epsilon = model.tensors, model.config, model.config["layer_norm_epsilon"]
    heads, width = config["n_head"], config["n_embd"]
    act = FUNCTIONS[config["activation_function"]]

    def columns(x: Float64, name: str) -> Float64:
        return x @ t[f"{name}.weight"].astype(np.float64) + t[f"{name}.bias"]

    x = t["wte.weight"].astype(np.float64)[ids] + t["wpe.weight"][: len(ids)]
    seen = [list(range(i + 1)) for i in range(len(ids))]
    for i in range(config["n_layer"]):
        both = columns(_norm(x, t, f"h.{i}.ln_1", epsilon), f"h.{i}.attn.c_attn")
        q, k, v = both[:, :width], both[:, width : 2 * width], both[:, 2 * width :]
        scale = 1 / math.sqrt(width // heads) / (i + 1 if config.get("scale_attn_by_inverse_layer_idx") else 1)
        x = x + columns(_attend(q, k, v, heads, heads, seen, scale), f"h.{i}.attn.c_proj")
        h = act(columns(_norm(x, t, f"h.{i}.ln_2", epsilon), f"h.{i}.mlp.c_fc"))
        x = x + columns(h, f"h.{i}.mlp.c_proj")
    return _norm(x, t, "ln_f", epsilon) @ t["wte.weight"].astype(np.float64).T
