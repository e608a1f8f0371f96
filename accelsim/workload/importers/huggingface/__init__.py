"""Directories as the library transformers keeps models in: config.json, safetensors, tokenizer.json."""

from accelsim.workload.importers.huggingface.directory import load, tokenizer

__all__ = ["load", "tokenizer"]
