"""What is wrong with a model, or what of it has no meaning here."""

from __future__ import annotations

import re

from accelsim.config.model import NAME
from accelsim.errors import Fault, WorkloadError

#: Characters of a name from a file that a fault quotes.
_LONGEST = 80


class RefusedError(ValueError):
    """A node, or a tensor, can't be taken; one sentence says why."""


class UnknownTypeError(RefusedError):
    """A tensor has a type that is not known here; a node that reads it can't be taken."""


def require_text(*names: object) -> None:
    """Refuse names that are no text, which protobuf gives as bytes, or that hold line ends or control characters."""
    for name in names:
        if not isinstance(name, str):
            raise RefusedError("names must be UTF-8")
        if name and not re.match(NAME, name):
            raise RefusedError(f"names must have no control characters, but {short(name)!r} has")


def short(name: str) -> str:
    """A name from a file as faults quote it."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."


def fault(file: str, message: str, key: str = "") -> WorkloadError:
    """The error of one fault of a file."""
    return WorkloadError(Fault(message, file, key=short(key)))
