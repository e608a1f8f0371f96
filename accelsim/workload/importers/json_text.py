"""JSON files that other tools wrote: hostile until they are read here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from accelsim.config.load import Document, validate
from accelsim.errors import ConfigError, Fault, WorkloadError
from accelsim.workload.importers.text import read_text, shown

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_object(path: Path) -> Document:
    """A JSON object of a file of bounded size, with the places of its keys.

    A key's place is where the text first has it in quotes before a colon; of those inside other values none is noted.

    Raises
    ------
    WorkloadError
        If it can't be read, is no JSON, has a key twice, or holds something else than an object.
    """
    text = read_text(path)
    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise WorkloadError(Fault(f"must be JSON: {error.msg}", str(path), error.lineno, error.colno)) from None
    except (ValueError, RecursionError) as error:
        problem = "values inside each other are too many" if isinstance(error, RecursionError) else str(error)
        raise WorkloadError(Fault(f"must be JSON: {problem}", str(path))) from None
    if not isinstance(data, dict):
        raise WorkloadError(Fault(f"must be a JSON object, not {type(data).__name__}", str(path)))
    marks: dict[tuple[int | str, ...], tuple[int, int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for match in re.finditer(r'"([^"\\]+)"\s*:', line):
            if match[1] in data:
                marks.setdefault((match[1],), (number, match.start() + 1))
    return Document(str(path), data, marks)


def checked(document: Document, data: Mapping[str, Any], model: type[ModelT]) -> ModelT:
    """Some of a document's values as a model.

    Raises
    ------
    WorkloadError
        With every fault, each with its place.
    """
    try:
        return validate(Document(document.file, dict(data), document.marks), model)
    except ConfigError as error:
        raise WorkloadError(*error.faults) from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {shown(name)} is there more than once")
        found[name] = value
    return found


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
