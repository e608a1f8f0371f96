"""Fields of nested values by dotted paths: which there can be, and values with one of them replaced."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from accelsim.config.tree import MalformedError, parse
from accelsim.errors import ConfigError, Fault, unknown_name

#: Digits of the number of a list's item, fewer than these.
MOST_DIGITS = 10
#: Characters of a value on the command line.
MOST_CHARACTERS = 1000


def follow(kinds: list[object], place: str, parts: list[str]) -> list[object]:
    """Types at the end of a path.

    Parameters
    ----------
    kinds
        Types where it begins.
    place
        How that place is called.

    Raises
    ------
    ConfigError
        If none of them can have it; the nearest names are offered.
    """
    kinds = [inner for kind in kinds for inner in _members(kind)]
    for part in parts:
        inner = [member for kind in kinds for member in _inside(kind, part)]
        if not inner:
            known = sorted({name for kind in kinds for name in _names(kind)})
            if not known:
                raise ConfigError(f"must end at {place}, which has no fields, but goes on to {part!r}")
            raise ConfigError(unknown_name(f"field of {place}", part, known))
        kinds, place = inner, f"{place}.{part}"
    return kinds


def _members(annotation: object) -> list[object]:
    """Types that an annotation allows: a union's members, one by one."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in {typing.Union, types.UnionType}:
        return [member for part in typing.get_args(annotation) for member in _members(part)]
    return [annotation]


def _inside(kind: object, part: str) -> list[object]:
    """Types of what a type has under a name or a number."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return _members(arguments[0]) if part.isdecimal() and len(part) < MOST_DIGITS else []
    if origin is dict:
        return _members(arguments[1])
    if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
        return _members(kind.model_fields[part].annotation)
    return []


def _names(kind: object) -> list[str]:
    if typing.get_origin(kind) is list:
        return ["0"]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return []


def changed(data: Any, given: Mapping[str, Any]) -> Any:
    """Nested values with some replaced, by their paths, those of whole sections before those inside them."""
    for dotted in sorted(given, key=lambda dotted: dotted.count(".")):
        data = replaced(data, dotted.split("."), given[dotted])
    return data


def replaced(data: Any, parts: Sequence[str], value: Any) -> Any:
    """Nested values with one of them replaced; what is not changed is shared."""
    if not parts:
        return value
    first, *rest = parts
    if isinstance(data, list):
        number = int(first)
        if number >= len(data):
            raise ConfigError(Fault(f"must be an item of a list of {len(data)}, not {number}", key=".".join(parts)))
        return [*data[:number], replaced(data[number], rest, value), *data[number + 1 :]]
    inner = data if isinstance(data, dict) else {}
    return {**inner, first: replaced(inner.get(first), rest, value)}


def value_of(text: str) -> Any:
    """What YAML 1.2 takes a text for: a number, a flag, null, a name, or a list or mapping of these.

    Raises
    ------
    ConfigError
        If it is no YAML, or too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"must be a value of at most {MOST_CHARACTERS} characters, not of {len(text)}")
    try:
        return parse(text).data
    except MalformedError as error:
        raise ConfigError(f"must be a YAML value, not {text[:60]!r}: {error}") from None
