"""Texts as the numbers of their tokens, by the library `tokenizers` (the extra `text`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, needs_extra
from accelsim.files import read_bytes

if TYPE_CHECKING:
    import tokenizers

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Texts:
    """What makes ids of texts.

    Parameters
    ----------
    tokenizer
        It neither pads nor cuts.
    pad
        Id that fills up a short text, which the network does not look at; None if it has no such id.
    """

    tokenizer: tokenizers.Tokenizer
    pad: int | None = None

    def ids(self, text: str) -> Int64:
        """Ids of a text's tokens, int64, shape (tokens,); marks of its beginning and end are the tokenizer's affair."""
        return np.array(self.tokenizer.encode(text).ids, np.int64)

    def batch(self, texts: Sequence[str]) -> Int64:
        """Ids of texts, int64, shape (texts, tokens of the longest), short ones filled up behind.

        Raises
        ------
        WorkloadError
            If texts differ in length and the network has no id for that.
        """
        rows = [self.ids(text) for text in texts]
        longest = max(map(len, rows), default=0)
        if self.pad is None and any(len(row) < longest for row in rows):
            raise WorkloadError("texts must have one length, because the network has no token that fills up short ones")
        batch = np.full((len(rows), longest), self.pad or 0, np.int64)
        for row, ids in zip(batch, rows, strict=True):
            row[: len(ids)] = ids
        return batch

    def text(self, ids: Int64) -> str:
        """Text of ids, without marks."""
        found: str = self.tokenizer.decode(ids.tolist())
        return found


@contextmanager
def faults_of(file: str) -> Iterator[None]:
    """Tell what the library says of a file; its Rust part panics by an exception that is none of `Exception`."""
    try:
        yield
    except (WorkloadError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - see above
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise WorkloadError(Fault(f"must hold a tokenizer: {first}", file)) from None


#: Name of the library's files, and bytes of one at most.
TOKENIZER, MAX_TOKENIZER_BYTES = "tokenizer.json", 2**26


def of_file(path: Path, pad: int | None = None) -> Texts:
    """Texts of a file of the library's own kind.

    Raises
    ------
    WorkloadError
        If it is none that the library reads.
    AccelSimError
        If the extra `text` is not installed.
    """
    file = str(path)
    content = read_bytes(path, MAX_TOKENIZER_BYTES, WorkloadError)
    with needs_extra("text"):
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
    return of(lambda: Tokenizer.from_buffer(content), file, pad)


def of(make: Callable[[], tokenizers.Tokenizer], file: str, pad: int | None) -> Texts:
    """A tokenizer that neither pads nor cuts.

    Raises
    ------
    WorkloadError
        If the library can't make one of the file.
    """
    with faults_of(file):
        found = make()
        found.no_padding()
        found.no_truncation()
        return Texts(found, pad)
