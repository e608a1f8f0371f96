"""The network of a GGUF file: metadata and tensors of Llama-like architectures, by llama.cpp's names."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, unknown_name
from accelsim.files import hash_of
from accelsim.formats.ggml import LAYOUTS, Ggml
from accelsim.graph.graph import Graph
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.workload.importers import limits
from accelsim.workload.importers.gguf.container import MAX_FILE_BYTES, Gguf, Tensor
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.transformer import (
    Attention,
    Embedding,
    FeedForward,
    Float32,
    Layer,
    Norm,
    Projection,
    Rotary,
    TransformerBuilder,
    Weight,
)


class Architecture(NamedTuple):
    """What distinguishes Llama-like architectures.

    Parameters
    ----------
    interleaved
        Whether neighbours are rotated together: llama.cpp's converter reorders the rows of queries and keys of Llama
        for that, so that they stay as they are stored.
    biased
        Whether queries, keys and values must have biases.
    normed
        Whether heads of queries and keys must be normalized.
    """

    interleaved: bool
    biased: bool = False
    normed: bool = False


ARCHITECTURES = {
    "llama": Architecture(interleaved=True),
    "mistral": Architecture(interleaved=True),
    "qwen2": Architecture(interleaved=False, biased=True),
    "qwen3": Architecture(interleaved=False, normed=True),
}

#: Fields of an architecture that say nothing of what it computes, or whose tensors say it.
_SAYS_NOTHING = frozenset({"vocab_size", "rope.scaling.finetuned", "rope.scaling.original_context_length"})


def load(path: Path, *, batch: int = 1, length: int | None = None) -> Imported:
    """Read a language model: `input_ids`, int64 (batch, length), to `logits`, (batch, length, tokens).

    Weights in blocks stay stored so, and their numbers are what the blocks stand for.

    Parameters
    ----------
    batch, length
        Texts, and tokens of each; as many as the model's context has, 256 at most, if absent. The graph evaluates texts
        of any length.

    Raises
    ------
    WorkloadError
        If the file is no whole GGUF file, or its architecture, a field or a tensor is not one that is understood.
    """
    gguf = Gguf.open(path)
    architecture = gguf.metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        fault = Fault(f"must be one of {known}, not {architecture!r}", gguf.file, key="general.architecture")
        raise WorkloadError(fault)
    limits.require_memory(sum(math.prod(tensor.shape) for tensor in gguf.tensors.values()), gguf.file)
    graph = _Model(gguf, architecture).graph(path.stem, batch, length)
    return Imported(graph, {path.name: hash_of(path, MAX_FILE_BYTES, WorkloadError)})


@dataclass
class _Model:
    """Fields and tensors of an architecture, each told of when nobody asked for it."""

    gguf: Gguf
    architecture: str
    _asked: set[str] = field(default_factory=set)

    def graph(self, name: str, batch: int, length: int | None) -> Graph:
        """The whole network."""
        blocks, width = self._integer("block_count", 1, 2**12), self._integer("embedding_length", 1, 2**20)
        length = limits.length_of(length, self._integer("context_length", 1, 2**31), self.gguf.file)
        attention, ffn = self._heads(width), self._integer("feed_forward_length", 1, 2**24)
        epsilon = self._number("attention.layer_norm_rms_epsilon")
        tokens = self._shape("token_embd.weight")[0]
        table, head = self._table(tokens, width)
        layers = [
            Layer(
                attention_norm=self._norm(f"blk.{i}.attn_norm", width, epsilon),
                attention=self._attention(f"blk.{i}", width, attention, epsilon),
                feed_forward_norm=self._norm(f"blk.{i}.ffn_norm", width, epsilon),
                feed_forward=FeedForward(
                    up=self._projection(f"blk.{i}.ffn_up", width, ffn),
                    down=self._projection(f"blk.{i}.ffn_down", ffn, width),
                    function="silu",
                    gate=self._projection(f"blk.{i}.ffn_gate", width, ffn),
                ),
            )
            for i in range(blocks)
        ]
        norm = self._norm("output_norm", width, epsilon)
        self._check_all_read()
        return TransformerBuilder(name, limits.batch_of(batch), length).decoder(Embedding(table), layers, norm, head)

    def _heads(self, width: int) -> _Heads:
        heads = self._integer("attention.head_count", 1, 2**16)
        key_heads = self._integer("attention.head_count_kv", 1, heads, heads)
        head = self._integer("attention.key_length", 1, 2**16, width // heads)
        value = self._integer("attention.value_length", 1, 2**16, head)
        if heads % key_heads or value != head or ("attention.key_length" not in self._given and width % heads):
            raise self._fault("attention.head_count", f"must fit {key_heads} heads of keys, {head} and {value} wide")
        window = self._integer("attention.sliding_window", 0, 2**31, 0)
        if self._integer("expert_count", 0, 2**31, 0) or self._integer("expert_used_count", 0, 2**31, 0):
            raise self._fault("expert_count", "must be 0: mixtures of experts are not read")
        rotated = self._integer("rope.dimension_count", 2, head, head)
        if rotated % 2:
            raise self._fault("rope.dimension_count", f"must be even, not {rotated}")
        pairs = rotated // 2
        base, factor = self._number("rope.freq_base", 10000.0), 1.0
        scaling = self._text("rope.scaling.type", "none")
        if scaling == "linear":
            factor = self._number("rope.scaling.factor")
        elif scaling == "none":
            self._number("rope.scaling.factor", 1.0)
        else:
            raise self._fault("rope.scaling.type", unknown_name("scaling of positions", scaling, ("none", "linear")))
        frequencies = base ** (-np.arange(pairs) / pairs) / factor
        if "rope_freqs.weight" in self.gguf.tensors:
            frequencies /= self._vector("rope_freqs.weight", pairs)
        rotary = Rotary(frequencies.astype(np.float32), ARCHITECTURES[self.architecture].interleaved)
        softmax = MaskedSoftmax(1 / math.sqrt(head), Mask(causal=True, window=window))
        return _Heads(heads, key_heads, head, rotary, softmax)

    def _attention(self, name: str, width: int, a: _Heads, epsilon: float) -> Attention:
        kind = ARCHITECTURES[self.architecture]
        queries, keys = a.heads * a.head, a.key_heads * a.head
        return Attention(
            query=self._projection(f"{name}.attn_q", width, queries, biased=kind.biased),
            key=self._projection(f"{name}.attn_k", width, keys, biased=kind.biased),
            value=self._projection(f"{name}.attn_v", width, keys, biased=kind.biased),
            output=self._projection(f"{name}.attn_output", queries, width),
            heads=a.heads,
            key_heads=a.key_heads,
            head=a.head,
            softmax=a.softmax,
            rotary=a.rotary,
            query_norm=self._norm(f"{name}.attn_q_norm", a.head, epsilon) if kind.normed else None,
            key_norm=self._norm(f"{name}.attn_k_norm", a.head, epsilon) if kind.normed else None,
        )

    def _table(self, tokens: int, width: int) -> tuple[Float32, Weight]:
        """The embeddings, and the head: the same matrix, turned, where a file has no other."""
        table = self._weight("token_embd.weight", width, tokens)
        if "output.weight" in self.gguf.tensors:
            return table.numbers.T, self._weight("output.weight", width, tokens)
        return table.numbers.T, table

    def _projection(self, name: str, inputs: int, outputs: int, *, biased: bool = False) -> Projection:
        weight = self._weight(f"{name}.weight", inputs, outputs)
        there = biased or f"{name}.bias" in self.gguf.tensors
        return Projection(weight, self._vector(f"{name}.bias", outputs) if there else None)

    def _norm(self, name: str, width: int, epsilon: float) -> Norm:
        return Norm(epsilon, self._vector(f"{name}.weight", width))

    def _weight(self, name: str, inputs: int, outputs: int) -> Weight:
        """A matrix (inputs, outputs), whose memory is that of its transpose."""
        tensor = self._tensor(name, (outputs, inputs))
        if tensor.type not in LAYOUTS:
            return Weight(self._floats(name, tensor).T)
        codec = Ggml(tensor.type)
        data = self.gguf.bytes_of(tensor).reshape(outputs, -1, codec.layout.bytes)
        try:
            blocks = codec.of(data)
        except ValueError as error:
            raise self._tensor_fault(name, str(error)) from None
        return Weight(blocks.decode(), blocks)

    def _vector(self, name: str, size: int) -> Float32:
        tensor = self._tensor(name, (size,))
        if tensor.type in LAYOUTS:
            raise self._tensor_fault(name, f"must be floats, not {tensor.type}")
        return self._floats(name, tensor)

    def _floats(self, name: str, tensor: Tensor) -> Float32:
        """Numbers of a tensor of floats; those of bf16 are the upper halves of float32's."""
        data: NDArray[np.uint8] = self.gguf.bytes_of(tensor)
        if tensor.type == "bf16":
            numbers = (data.view("<u2").astype("<u4") << 16).view("<f4")
        else:
            numbers = data.view("<f4" if tensor.type == "f32" else "<f2").astype(np.float32)
        if not np.isfinite(numbers).all():
            raise self._tensor_fault(name, "must be finite, but some numbers are not")
        return numbers.reshape(tensor.shape)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self.gguf.tensors:
            raise WorkloadError(Fault(f"must have a tensor {name}, which is missing", self.gguf.file))
        return self.gguf.tensors[name].shape

    def _tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if self._shape(name) != shape:
            raise self._tensor_fault(name, f"must have shape {shape}, not {self._shape(name)}")
        self._asked.add(name)
        return self.gguf.tensors[name]

    def _tensor_fault(self, name: str, message: str) -> WorkloadError:
        return WorkloadError(Fault(f"tensor {name}: {message}", self.gguf.file))

    @property
    def _given(self) -> set[str]:
        """Names of the architecture's fields that the file has."""
        prefix = f"{self.architecture}."
        return {key.removeprefix(prefix) for key in self.gguf.metadata if key.startswith(prefix)}

    def _integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._field(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self._fault(key, f"must be an integer from {low} to {high}, not {value!r}")
        return value

    def _number(self, key: str, default: float | None = None) -> float:
        value = self._field(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            raise self._fault(key, f"must be a positive number, not {value!r}")
        return float(value)

    def _text(self, key: str, default: str) -> str:
        value = self._field(key, default)
        if not isinstance(value, str):
            raise self._fault(key, "must be a text")
        return value

    def _field(self, key: str, default: object) -> object:
        self._asked.add(key)
        value = self.gguf.metadata.get(f"{self.architecture}.{key}", default)
        if value is None:
            raise self._fault(key, "must be there, but is missing")
        return value

    def _fault(self, key: str, message: str) -> WorkloadError:
        return WorkloadError(Fault(message, self.gguf.file, key=f"{self.architecture}.{key}"))

    def _check_all_read(self) -> None:
        """Refuse fields and tensors that may mean something that nobody asked for."""
        fields = sorted(self._given - self._asked - _SAYS_NOTHING)
        if fields:
            raise self._fault(fields[0], f"must be a known field of {self.architecture}, but is none")
        parts = self.gguf.metadata.get("split.count", 0)
        if parts not in (0, 1):
            fault = Fault(f"must be 1: a model in {parts} files is not read", self.gguf.file, key="split.count")
            raise WorkloadError(fault)
        tensors = sorted(self.gguf.tensors.keys() - self._asked)
        if tensors:
            raise self._tensor_fault(tensors[0], f"must be one of {self.architecture}'s, but is none")


class _Heads(NamedTuple):
    """What all attention blocks have in common."""

    heads: int
    key_heads: int
    head: int
    rotary: Rotary
    softmax: MaskedSoftmax
