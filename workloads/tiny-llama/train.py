"""Train a small Llama on the novels of Jane Austen.

    python workloads/tiny-llama/train.py               writes the model, its tokenizer and both texts beside this file
    python workloads/tiny-llama/train.py --check       holds the committed files against their texts and perplexity

Needs `rdata` and `torch` of PyPI (`pip install rdata torch`), the `text` extra, and Debian's package
r-cran-janeaustenr, as an installed folder or as what `dpkg-deb -x` unpacks; `--novels` says where it is. It holds six
novels of 1811 to 1818, which are in the public domain, as Project Gutenberg has them. Persuasion is held out: its
end is the text that judges the network (perplexity 26.6; 27.7 on the whole novel, 33.1 on its first 50 KB, which are
names and titles). The beginning of Emma, one of the five novels that are trained on, fixes the ranges of activations.

The network is that of Touvron et al., "Llama 2" (arXiv:2307.09288), in small: norms by the root mean square, rotary
embeddings, grouped queries, a gated feed-forward layer, and one table for the first and the last layer. It is trained
at the length that it is judged at, for some ten minutes of a processor. Batches and initial weights follow from one
seed; another release of torch, or number of threads, adds in another order and gives other weights of the same quality.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rdata
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

FOLDER = Path(__file__).resolve().parent
#: Where Debian puts the novels.
NOVELS = Path("/usr/lib/R/site-library/janeaustenr/data")
#: SHA-256 of the file of all novels, in release 1.0.0-1 of the package.
SHA256 = "8fb5198960d0da724b1562f96e4221e5c1b41ff455000280b02c55980c3d8f21"
TRAINED = ("sensesensibility", "prideprejudice", "mansfieldpark", "emma", "northangerabbey")
HELD_OUT, CALIBRATING = "persuasion", "emma"
#: Characters of the shipped texts, which end where a paragraph does.
TEST_CHARACTERS, CALIBRATION_CHARACTERS = 50_000, 12_000

SEED = 20261201
VOCABULARY, LENGTH = 1024, 256
WIDTH, LAYERS, HEADS, KEY_HEADS, HIDDEN = 128, 4, 4, 2, 352
HEAD = WIDTH // HEADS
THETA, EPSILON = 10_000.0, 1e-5

#: Perplexity at most, and tokens of the beginning of the novel that is held out that are watched in training.
MOST_PERPLEXITY, WATCHED = 27.0, 8192
BATCH, STEPS, WARM_UP = 8, 1600, 100
#: Learning rates of matrices (Muon) and of all else (AdamW).
MATRIX_RATE, RATE = 0.02, 1e-2
WEIGHT_DECAY = 0.05


def read_novels(folder: Path) -> dict[str, str]:
    """Novels, by name, of R's database of objects: `Rdata.rdx` says where in `Rdata.rdb` each one's zlib stream is."""
    content = (folder / "Rdata.rdb").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        sys.exit(f"{folder / 'Rdata.rdb'} must have SHA-256 {SHA256}, not {found}")
    places = rdata.read_rds(folder / "Rdata.rdx")["variables"]
    novels = {}
    for name, (start, size) in places.items():
        # four bytes say how long the object is
        stream = zlib.decompress(content[start + 4 : start + size])
        lines = rdata.conversion.convert(rdata.parser.parse_data(stream, extension=".rds"))
        novels[str(name)] = "".join(f"{line}\n" for line in lines)
    return novels


def beginning(text: str, characters: int) -> str:
    """Whole paragraphs of at most so many characters."""
    return text[: text.rindex("\n\n", 0, characters) + 1]


def end(text: str, characters: int) -> str:
    """Whole paragraphs of at most so many characters, the last ones."""
    return text[text.index("\n\n", len(text) - characters) + 2 :]


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Byte-level byte-pair encoding (Sennrich et al., arXiv:1508.07909)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Attention(nn.Module):
    """Causal attention whose heads share keys and values in groups (Ainslie et al., arXiv:2305.13245)."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, HEADS * HEAD, bias=False)
        self.k_proj = nn.Linear(WIDTH, KEY_HEADS * HEAD, bias=False)
        self.v_proj = nn.Linear(WIDTH, KEY_HEADS * HEAD, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD, WIDTH, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Each token mixed of those before it."""
        q, k, v = (p(x).unflatten(-1, (-1, HEAD)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (t * cos + torch.cat((-t[..., HEAD // 2 :], t[..., : HEAD // 2]), -1) * sin for t in (q, k))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        out: Tensor = self.o_proj(y.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Feed-forward layer with a gate (Shazeer, arXiv:2002.05202)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.up_proj = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down_proj = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Each token by itself."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention and feed-forward layer, each behind its norm and beside the residual stream."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(WIDTH, EPSILON)
        self.self_attn = Attention()
        self.post_attention_layernorm = nn.RMSNorm(WIDTH, EPSILON)
        self.mlp = FeedForward()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The residual stream behind both."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Llama(nn.Module):
    """The network; its tensors have the names that the library transformers gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, EPSILON)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                into = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * LAYERS) ** 0.5 if into else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, shape (texts, tokens, vocabulary)."""
        frequencies = THETA ** (-torch.arange(0, HEAD, 2) / HEAD)
        angles = torch.outer(torch.arange(ids.shape[1]), frequencies).repeat(1, 2)
        cos, sin = angles.cos(), angles.sin()
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return functional.linear(self.norm(x), self.embed_tokens.weight)


def loss(model: Llama, ids: Tensor) -> Tensor:
    """Mean cross entropy of the next tokens of texts."""
    return functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def perplexity(model: Llama, ids: Tensor) -> float:
    """Perplexity of a text in windows of the trained length, in each of which the first token is given."""
    windows = ids[: len(ids) // LENGTH * LENGTH].view(-1, LENGTH)
    with torch.no_grad():
        return float(loss(model, windows).exp())


def rate_at(step: int) -> float:
    """Part of the learning rate: it rises, then falls by a cosine."""
    return min((step + 1) / WARM_UP, 1.0) * 0.5 * (1 + math.cos(math.pi * step / STEPS))


def train(ids: Tensor, watched: Tensor) -> Llama:
    """Muon (Jordan et al., 2024) for matrices of layers, AdamW (Loshchilov and Hutter, arXiv:1711.05101) for all else.

    Parameters
    ----------
    ids
        Tokens of the training split, shape (tokens,).
    watched
        Tokens whose perplexity is printed now and then; nothing depends on them.
    """
    model = Llama()
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    others = [model.embed_tokens.weight, *(p for p in model.parameters() if p.ndim == 1)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, MATRIX_RATE, WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, RATE, (0.9, 0.95), weight_decay=0.0),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate_at) for optimizer in optimizers]
    order = np.random.default_rng(SEED)
    for step in range(STEPS):
        starts = order.integers(0, len(ids) - LENGTH, BATCH)
        value = loss(model, torch.stack([ids[i : i + LENGTH] for i in starts]))
        model.zero_grad()
        value.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        if step % 100 == 99:
            used = f"{time.process_time():.0f} s of the processor, step {step + 1}"
            print(f"{used}: loss {float(value.detach()):.3f}, perplexity {perplexity(model, watched):.2f}", flush=True)
    return model


#: What the library transformers calls the network.
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "head_dim": HEAD,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": LENGTH,
    "hidden_act": "silu",
    "rms_norm_eps": EPSILON,
    "rope_theta": THETA,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "torch_dtype": "float16",
}


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description="Train tiny-llama.")
    parser.add_argument("--novels", type=Path, default=NOVELS, help="folder of Rdata.rdb")
    parser.add_argument("--check", action="store_true", help="check the committed files")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    novels = read_novels(asked.novels)
    training = [novels[name] for name in TRAINED]
    tokenizer = train_tokenizer(training)
    files = {
        "config.json": json.dumps(CONFIG, indent=2) + "\n",
        "tokenizer.json": tokenizer.to_str(),
        "text.txt": end(novels[HELD_OUT], TEST_CHARACTERS),
        "calibration.txt": beginning(novels[CALIBRATING], CALIBRATION_CHARACTERS),
    }
    ids = {name: torch.tensor(tokenizer.encode(text).ids) for name, text in novels.items()}
    weights = FOLDER / "model.safetensors"
    if not asked.check:
        watched = ids[HELD_OUT][:WATCHED]
        model = train(torch.cat([ids[name] for name in TRAINED]), watched)
        tensors = {f"model.{name}": p.detach().half() for name, p in model.named_parameters()}
        save_file(tensors, weights, {"format": "pt"})
        for name, text in files.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    different = [name for name, text in files.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    model = Llama()
    model.load_state_dict({name.removeprefix("model."): t.float() for name, t in load_file(weights).items()})
    found = perplexity(model, torch.tensor(tokenizer.encode(files["text.txt"]).ids))
    print(f"perplexity {found:.2f} on text.txt; {', '.join(different) or 'no file'} differs")
    return 0 if found <= MOST_PERPLEXITY and not different else 1


if __name__ == "__main__":
    sys.exit(main())
