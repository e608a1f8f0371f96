"""YAML to models; every fault of a file at once, as file:line:column."""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.dram import Part
from accelsim.config.tech import DRAM, Technology
from accelsim.config.tree import MalformedError, Path_, parse
from accelsim.errors import FAULTS, ConfigError, Fault, nearest
from accelsim.files import is_file, read_text

ModelT = TypeVar("ModelT", bound=BaseModel)

#: Bytes of a file at most: a character takes about 2 us.
MAX_FILE_BYTES = 4 * 2**20
#: Tables that a technology extends, one through the other.
MAX_FAMILY = 16


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain values, with the place of every key and item.

    Parameters
    ----------
    file
        Path as the user gave it.
    data
        Nested dict, list and scalars.
    marks
        Line and column, from 1, of each path into `data`.
    """

    file: str
    data: Any
    marks: dict[Path_, tuple[int, int]]

    def fault(self, path: Path_, message: str) -> Fault:
        """Fault at a path, or at the innermost part of it that the file has."""
        inner = path
        while inner and inner not in self.marks:
            inner = inner[:-1]
        line, column = self.marks.get(inner, (1, 1))
        return Fault(message, self.file, line, column, ".".join(map(str, path)))


def read_yaml(path: Path) -> Document:
    """Read a YAML 1.2 file; its size and what it asks for are bounded, tags are not executed.

    Raises
    ------
    ConfigError
        If the file is missing, too large, or not YAML with a mapping at the top.
    """
    content = read_text(path, MAX_FILE_BYTES, ConfigError)
    try:
        data, marks = parse(content)
    except MalformedError as error:
        key = ".".join(map(str, error.path))
        raise ConfigError(Fault(str(error), str(path), error.line, error.column, key)) from None
    if not isinstance(data, dict):
        given = "an empty file" if data is None else "a list" if isinstance(data, list) else "a number or text"
        raise ConfigError(Fault(f"must hold keys and values, not {given}", str(path), 1, 1))
    return Document(str(path), data, marks)


def load_model(path: Path, model: type[ModelT]) -> ModelT:
    """Read a file into a model.

    Raises
    ------
    ConfigError
        With every fault of the file, each with its place.
    """
    return validate(read_yaml(path), model)


def validate(document: Document, model: type[ModelT]) -> ModelT:
    """Check a document against a model; see `load_model`."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = error.errors()
        told = [_fault(document, model, detail) for detail in found[:FAULTS]]
        untold = [Fault(detail["msg"], document.file) for detail in found[FAULTS:]]  # are counted
        raise ConfigError(*told, *untold) from None


def load_machine(name_or_path: str) -> Machine:
    """Load a machine by its shipped name or its path.

    Raises
    ------
    ConfigError
        With every fault of the file; unknown names of a technology or recipe among them.
    """
    return machine_of(read_yaml(shipped.path_of("arch", name_or_path)), name_or_path)


def machine_of(document: Document, name_or_path: str) -> Machine:
    """Check what a machine's file says, or would say after a change; see `load_machine`."""
    faults = _unknown_names(document, name_or_path)
    dram = document.data.get("dram")
    if isinstance(dram, dict) and isinstance(dram.get("part"), str):
        try:
            dram["part"] = load_part(dram["part"], name_or_path)
        except ConfigError as error:
            if shipped.is_path(dram["part"]):
                raise
            raise ConfigError(*(document.fault(("dram", "part"), fault.message) for fault in error.faults)) from None
    try:
        machine = validate(document, Machine)
    except ConfigError as error:
        raise ConfigError(*faults, *error.faults) from None
    if faults:
        raise ConfigError(*faults)
    return machine


def _unknown_names(document: Document, name_or_path: str) -> list[Fault]:
    """Faults of the technology and recipe that a machine's file names."""
    faults = []
    for key, kind in (("tech", "tech"), ("default_recipe", "recipe")):
        name = document.data.get(key)
        if not isinstance(name, str):
            continue  # of which its model tells
        if not shipped.is_path(name):
            try:
                shipped.path_of(kind, name)
            except ConfigError as error:
                faults += [document.fault((key,), fault.message) for fault in error.faults]
        elif not is_file(shipped.path_of(kind, name, name_or_path)):
            faults.append(document.fault((key,), f"must be a {kind} file that exists, not {name!r}"))
    return faults


def load_part(name_or_path: str, beside: str = "") -> Part:
    """Load a DRAM part by its shipped name or its path, which begins at the folder of the machine `beside`."""
    return load_model(shipped.path_of("dram", name_or_path, beside), Part)


def load_technology(name_or_path: str, beside: str = "") -> Technology:
    """Load a technology by its shipped name or its path, which begins at the folder of the machine `beside`.

    Raises
    ------
    ConfigError
        With every fault of the file, or of the first table that it extends and that has one.
    """
    return validate(technology_document(name_or_path, beside), Technology)


def technology_document(name_or_path: str, beside: str = "") -> Document:
    """What the file of a technology says, with the entries that it takes from its base; see `load_technology`."""
    return _technology(shipped.path_of("tech", name_or_path, beside), ())


def _technology(path: Path, extending: tuple[Path, ...]) -> Document:
    """Read a table that others extend, with the entries that it takes from its own base."""
    document = read_yaml(path)
    base = document.data.get("base")
    if isinstance(base, str):
        try:
            target = shipped.path_of("tech", base, str(path))
        except ConfigError as error:
            raise ConfigError(*(document.fault(("base",), fault.message) for fault in error.faults)) from None
        family = (*extending, path.resolve())
        if not is_file(target):
            raise ConfigError(document.fault(("base",), f"must be a table's file that exists, not {base!r}"))
        if target.resolve() in family:
            raise ConfigError(document.fault(("base",), f"must be a table that does not extend this one, not {base!r}"))
        if len(family) > MAX_FAMILY:
            raise ConfigError(document.fault(("base",), f"must be a table that extends at most {MAX_FAMILY} others"))
        _inherit(document.data, validate(_technology(target, family), Technology))
    return document


def _inherit(data: dict[str, Any], base: Technology) -> None:
    """Append the entries of a base for operations that a table does not list itself; its own keep their places."""
    entries = data.setdefault("entries", [])
    if not isinstance(entries, list):
        return
    named = (entry.get("operation") for entry in entries if isinstance(entry, dict))
    listed = {name for name in named if isinstance(name, str)}
    if data.get("dram_energy") == "currents":
        listed |= DRAM
    entries += [entry.model_dump() for entry in base.entries if entry.operation not in listed]


def _fault(document: Document, model: type[BaseModel], detail: ErrorDetails) -> Fault:
    # a discriminated union puts its tag into the location; the file has no such level
    path = tuple(part for i, part in enumerate(detail["loc"]) if not _is_tag(model, detail["loc"][:i], part))
    if detail["type"] == "extra_forbidden":
        known = _keys(model, detail["loc"][:-1])
        near = nearest(str(path[-1]), known)
        offer = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(sorted(known))}"
        return document.fault(path, f"must be a known key, not {str(path[-1])!r}; {offer}")
    return document.fault(path, wording(detail))


def wording(detail: ErrorDetails) -> str:
    """Say what is required and what was given, for one of pydantic's errors."""
    context = detail.get("ctx", {})
    given = _shown(detail["input"])
    required = detail["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
    text = f"must be {required[0].lower()}{required[1:]}, not {given}"
    match detail["type"]:
        case "missing":
            text = "must be given, but is missing"
        case "value_error":
            text = str(context["error"])
        case "too_short" | "too_long":
            limit = "at least" if detail["type"] == "too_short" else "at most"
            count = context.get("min_length", context.get("max_length"))
            text = f"must have {limit} {count} items, not {context['actual_length']}"
        case "string_pattern_mismatch":
            text = f"must be a name without control characters, not {given}"
        case "json_invalid":
            text = f"must be valid JSON: {context['error']}"
        case "literal_error" | "enum":
            text = _choice(str(context["expected"]).replace(" or ", ", "), detail["input"])
        case "union_tag_invalid":
            text = f"{context['discriminator']} {_choice(str(context['expected_tags']), context['tag'])}"
        case "union_tag_not_found":
            text = f"must have the key {context['discriminator']}, but it is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            text = f"must hold keys and values, not {given}"
    return text.replace("'kind' ", "kind ")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a value too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


def _choice(expected: str, given: object) -> str:
    choices = [choice.strip().strip("'") for choice in expected.split(",")]
    near = difflib.get_close_matches(str(given), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near and len(choices) > 1 else ""
    return f"must be {' or '.join(choices)}, not {_shown(given)}{hint}"


def _models(annotation: object) -> list[type[BaseModel]]:
    """All models inside an annotation: itself, a union's members, a list's items."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.GenericAlias) or typing.get_origin(annotation) is not None:
        return [model for inner in typing.get_args(annotation) for model in _models(inner)]
    return []


def _at(model: type[BaseModel], loc: Path_) -> list[type[BaseModel]]:
    """Models that pydantic may have been in at a location."""
    models, is_mapping = [model], False
    for part in loc:
        if isinstance(part, int) or is_mapping:
            is_mapping = False
            continue
        tagged = [m for m in models if len(models) > 1 and _has_tag(m, part)]
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        models = tagged or [inner for annotation in fields for inner in _models(annotation)]
        is_mapping = not tagged and any(typing.get_origin(annotation) is dict for annotation in fields)
    return models


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(tag in typing.get_args(field.annotation) for field in model.model_fields.values())


def _is_tag(model: type[BaseModel], loc: Path_, part: int | str) -> bool:
    models = _at(model, loc)
    return len(models) > 1 and isinstance(part, str) and any(_has_tag(m, part) for m in models)


def _keys(model: type[BaseModel], loc: Path_) -> list[str]:
    return [key for m in _at(model, loc) for key in m.model_fields]
