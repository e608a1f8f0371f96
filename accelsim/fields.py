"""Fields of machines, energy tables, recipes and workloads by dotted paths, such as arch.matrix.rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from accelsim.compress.recipe import Recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.fields import follow, replaced, value_of
from accelsim.config.load import Document, load_part, machine_of, read_yaml, technology_document, validate
from accelsim.config.tech import Technology
from accelsim.errors import AccelSimError, ConfigError, Fault, unknown_name
from accelsim.workload.load import Workload, WorkloadSpec, read_workload
from accelsim.workload.load import with_fields as workload_with
from accelsim.workload.model_file import ModelSpec

#: What paths can name the fields of.
ROOTS: dict[str, object] = {
    "arch": Machine, "tech": Technology, "recipe": Recipe, "workload": WorkloadSpec | ModelSpec,
}  # fmt: skip

#: No field changed.
NOTHING: Mapping[str, Any] = {}


def require_field(path: str) -> list[object]:
    """Types of the field that a dotted path names.

    Raises
    ------
    ConfigError
        If no machine, table, recipe or workload can have it; the nearest names are offered.
    """
    first, *parts = path.split(".")
    if first not in ROOTS:
        raise ConfigError(unknown_name("first part of a field's path", first, ROOTS))
    return follow([ROOTS[first]], first, parts)


def is_whole(path: str) -> bool:
    """Whether a field holds whole numbers alone."""
    kinds = require_field(path)
    return int in kinds and float not in kinds


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """Read PATH=VALUE: values by the paths of fields; a value is what YAML takes it for.

    Raises
    ------
    ConfigError
        With every fault: a path of no field, of a whole file, or that is there twice; a value that is none.
    """
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        try:
            if not equals:
                raise ConfigError("must be PATH=VALUE, such as arch.matrix.rows=64")
            if path in found:
                raise ConfigError("must be given once, but is given twice")
            if path in ROOTS:
                raise ConfigError(f"must be the path of a field, such as {path}.name: the whole is asked for by name")
            require_field(path)
            found[path] = value_of(text)
        except ConfigError as error:
            faults += [replace(fault, key=f"--set {path}") for fault in error.faults]
    if faults:
        raise ConfigError(*faults)
    return found


def _read_machine(path: Path) -> Document:
    document = read_yaml(path)
    dram = document.data.get("dram")
    if isinstance(dram, dict) and isinstance(dram.get("part"), str):
        machine_of(replace(document, data={**document.data, "dram": dict(dram)}), str(path))  # for faults of the part
    return document


#: What reads the file of each root.
READERS: dict[str, Callable[[Path], Any]] = {
    "arch": _read_machine,
    "tech": lambda path: technology_document(str(path)),
    "recipe": read_yaml,
    "workload": lambda path: read_workload(str(path)),
}


def load(root: str, name_or_path: str, given: Mapping[str, Any], beside: str = "") -> Any:
    """Load what a root names, with fields changed.

    Parameters
    ----------
    given
        Values by the paths of fields below the root.
    beside
        File that names it, whose folder a relative path begins at.

    Raises
    ------
    AccelSimError
        With every fault of the file, or of what the fields make of it.
    """
    path = shipped.path_of(root, name_or_path, beside)
    return with_fields(root, path, READERS[root](path), given)


def with_fields(root: str, path: Path, read: Any, given: Mapping[str, Any]) -> Any:
    """Check what a reader has read of a file after a change; errors as for `load`."""
    if isinstance(read, Workload):
        return workload_with(read, given)
    document: Document = read
    if given:
        data = document.data
        for dotted in sorted(given, key=lambda dotted: dotted.count(".")):
            parts = dotted.split(".")
            if parts[:2] == ["dram", "part"] and len(parts) > 2:
                data = _with_part(data, path)
            data = replaced(data, parts, given[dotted])
        document = Document("", data, {})
    try:
        match root:
            case "arch":
                return machine_of(replace(document, data=_with_part(document.data, path)), str(path))
            case "tech":
                return validate(document, Technology)
            case _:
                return validate(document, Recipe)
    except AccelSimError as error:
        faults = (replace(f, key=f"{root}.{f.key}".strip(".")) if not f.file else f for f in error.faults)
        raise type(error)(*faults) from None


def _with_part(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """A machine's fields with those of its DRAM part in the place of the part's name."""
    dram = data.get("dram")
    if not isinstance(dram, dict) or not isinstance(dram.get("part"), str):
        return data
    try:
        part = _part(dram["part"], str(path))
    except ConfigError as error:
        if shipped.is_path(dram["part"]):
            raise
        raise ConfigError(*(replace(f, key="dram.part") for f in error.faults)) from None
    return {**data, "dram": {**dram, "part": part}}


@lru_cache(64)
def _part(name: str, beside: str) -> dict[str, Any]:
    return load_part(name, beside).model_dump()


def by_root(fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values of fields below each root, the root's name left out of their paths."""
    found: dict[str, dict[str, Any]] = {root: {} for root in ROOTS}
    for path, value in fields.items():
        root, _, rest = path.partition(".")
        if rest:
            found[root][rest] = value
    return found
