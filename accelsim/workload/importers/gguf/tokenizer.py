"""The tokenizer inside a GGUF file: byte-level byte-pair encoding, from its tokens and merges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.errors import Fault, WorkloadError, needs_extra, unknown_name
from accelsim.workload.importers import texts
from accelsim.workload.importers.gguf.container import Gguf
from accelsim.workload.importers.texts import Texts

if TYPE_CHECKING:
    import tokenizers

#: Types of tokens that no text is split at: normal, unknown, unused and bytes are; marks and the user's own are not.
_CONTROL, _USER = 3, 4


class _Split(NamedTuple):
    """How text is cut before pairs are merged.

    Parameters
    ----------
    pattern
        Regular expression of a piece; that of GPT-2 if empty.
    digits
        Whether each digit is cut off first.
    begins
        Whether texts begin with a mark unless the file says otherwise.
    whole
        Whether a piece that is a token is one, whatever its pairs become.
    """

    pattern: str = ""
    digits: bool = False
    begins: bool = False
    whole: bool = False


def _words(digits: str) -> str:
    """Pieces of the models after GPT-2: contractions, words, so many digits, signs, lines and spaces."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


_SPLITS = {
    "gpt-2": _Split(),
    "smollm": _Split(digits=True),
    "llama-bpe": _Split(_words(r"\p{N}{1,3}"), begins=True, whole=True),
    "qwen2": _Split(_words(r"\p{N}")),
}


def tokenizer(path: Path) -> Texts:
    """Texts of a GGUF file's vocabulary.

    Raises
    ------
    WorkloadError
        If the file is no whole GGUF file, or its tokenizer is of another kind.
    AccelSimError
        If the extra `text` is not installed.
    """
    gguf = Gguf.open(path)
    model = gguf.metadata.get("tokenizer.ggml.model")
    if model != "gpt2":
        raise _fault(gguf, "model", f"must be gpt2, byte-level pairs, not {model!r}: other tokenizers are not read")
    pre = gguf.metadata.get("tokenizer.ggml.pre")
    if not isinstance(pre, str) or pre not in _SPLITS:
        raise _fault(gguf, "pre", unknown_name("way to cut text", str(pre), _SPLITS))
    with needs_extra("text"):
        import tokenizers  # noqa: PLC0415, F401 - an extra
    return texts.of(lambda: _made(gguf, _SPLITS[pre]), gguf.file, None)


def _fault(gguf: Gguf, key: str, message: str) -> WorkloadError:
    return WorkloadError(Fault(message, gguf.file, key=f"tokenizer.ggml.{key}"))


def _texts(gguf: Gguf, key: str) -> tuple[str, ...]:
    found = gguf.metadata.get(f"tokenizer.ggml.{key}")
    if not isinstance(found, tuple):
        raise _fault(gguf, key, "must be a list of texts")
    return found


def _made(gguf: Gguf, split: _Split) -> tokenizers.Tokenizer:
    """The library's tokenizer."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors  # noqa: PLC0415 - an extra  # noqa: PLC0415

    tokens, merges = _texts(gguf, "tokens"), _texts(gguf, "merges")
    given = gguf.metadata.get("tokenizer.ggml.token_type")
    kinds = given.tolist() if isinstance(given, np.ndarray) else []
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=split.whole))
    made.add_special_tokens([AddedToken(token, normalized=False, special=True)
                             for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL])  # fmt: skip
    made.add_tokens([AddedToken(token, normalized=False)
                     for token, kind in zip(tokens, kinds, strict=False) if kind == _USER])  # fmt: skip
    steps: list[pre_tokenizers.PreTokenizer] = []
    if split.digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if split.pattern:
        steps.append(pre_tokenizers.Split(Regex(split.pattern), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split.pattern))
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    begin = gguf.metadata.get("tokenizer.ggml.bos_token_id")
    if gguf.metadata.get("tokenizer.ggml.add_bos_token", split.begins):
        if type(begin) is not int or begin >= len(tokens):
            raise _fault(gguf, "bos_token_id", f"must be the id of a token, not {begin!r}")
        made.post_processor = processors.TemplateProcessing(
            single=f"{tokens[begin]} $A", special_tokens=[(tokens[begin], begin)]
        )
    return made
