"""What is wrong with a model, or what of it has no meaning here."""

from __future__ import annotations

from accelsim.errors import Fault, WorkloadError

#: Characters of a name from a file that a fault quotes.
_LONGEST = 80


class RefusedError(ValueError):
    """A node, or a tensor, can't be taken; one sentence says why."""


class UnknownTypeError(RefusedError):
    """A tensor has a type that is not known here; a node that reads it can't be taken."""


def require_text(*names: object) -> None:
    """Refuse names that are no text: protobuf gives what is no UTF-8 as bytes."""
    if not all(isinstance(name, str) for name in names):
        raise RefusedError("names must be UTF-8")


def short(name: str) -> str:
    """A name from a file as faults quote it."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."


def fault(file: str, message: str, key: str = "") -> WorkloadError:
    """The error of one fault of a file."""
    return WorkloadError(Fault(message, file, key=short(key)))
