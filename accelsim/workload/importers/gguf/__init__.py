"""GGUF files: a language model in one file, its weights in ggml's blocks."""

from accelsim.workload.importers.gguf.network import load
from accelsim.workload.importers.gguf.tokenizer import tokenizer

__all__ = ["load", "tokenizer"]
