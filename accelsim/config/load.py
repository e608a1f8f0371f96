"""YAML to models; every fault of a file at once, as file:line:column."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.dram import Part
from accelsim.config.tech import DRAM, Technology
from accelsim.errors import ConfigError, Fault, nearest, reason, unknown_name

ModelT = TypeVar("ModelT", bound=BaseModel)
Path_ = tuple[int | str, ...]

MAX_FILE_BYTES = 16 * 2**20
MAX_NODES = 10**6


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
    """Read a YAML 1.2 file; its size and its number of nodes are bounded, tags are not executed.

    Raises
    ------
    ConfigError
        If the file is missing, too large, or not YAML with a mapping at the top.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(Fault(f"must be UTF-8 text, but byte {error.start} is not", str(path))) from None
    except (OSError, ValueError) as error:
        raise ConfigError(Fault(f"must be a readable file: {reason(error)}", str(path))) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(Fault(f"must be at most {MAX_FILE_BYTES} bytes, but is larger", str(path)))
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = (error.problem or "not valid").splitlines()[0]
        raise ConfigError(Fault(f"must be valid YAML: {problem}", str(path), line, column)) from None
    except (YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # what ruamel raises for tags on values that they don't fit, beside its own errors
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(Fault(f"must be valid YAML: {problem}", str(path))) from None
    if not isinstance(tree, CommentedMap):
        given = "an empty file" if tree is None else type(tree).__name__
        raise ConfigError(Fault(f"must hold keys and values, not {given}", str(path), 1, 1))
    marks: dict[Path_, tuple[int, int]] = {}
    try:
        data = _plain(tree, (), marks)
    except (OverflowError, RecursionError):
        raise ConfigError(Fault(f"must hold at most {MAX_NODES} values, aliases counted in full", str(path))) from None
    return Document(str(path), data, marks)


def _plain(node: Any, path: Path_, marks: dict[Path_, tuple[int, int]]) -> Any:
    """Turn ruamel's nodes into plain values and note where each stands."""
    if len(marks) > MAX_NODES:
        raise OverflowError
    if isinstance(node, CommentedMap):
        for key in node:
            _note(marks, (*path, str(key)), node.lc.key, key)
        return {str(key): _plain(value, (*path, str(key)), marks) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            _note(marks, (*path, index), node.lc.item, index)
        return [_plain(value, (*path, index), marks) for index, value in enumerate(node)]
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, ScalarBoolean):
        return bool(node)
    kind = next((kind for kind in (int, float) if isinstance(node, kind)), str)
    return kind(node)


def _note(marks: dict[Path_, tuple[int, int]], path: Path_, place: Callable[[Any], Any], key: object) -> None:
    """Note where a key or item stands; ruamel does not know it for tagged nodes, which lie where their parent does."""
    try:
        line, column = place(key)
    except (TypeError, KeyError):
        marks[path] = marks.get(path[:-1], (1, 1))
    else:
        marks[path] = (line + 1, column + 1)


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
        raise ConfigError(*(_fault(document, model, detail) for detail in error.errors())) from None


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
    dram = document.data.get("dram")
    if isinstance(dram, dict) and isinstance(dram.get("part"), str):
        try:
            dram["part"] = load_part(dram["part"], name_or_path)
        except ConfigError as error:
            if shipped.is_path(dram["part"]):
                raise
            raise ConfigError(*(document.fault(("dram", "part"), fault.message) for fault in error.faults)) from None
    machine = validate(document, Machine)
    faults = []
    for key, kind, name in (("tech", "tech", machine.tech), ("default_recipe", "recipe", machine.default_recipe)):
        if shipped.is_path(name):
            target = shipped.path_of(kind, name, name_or_path)
            if not target.is_file():
                faults.append(document.fault((key,), f"must be a {kind} file that exists, not {name!r}"))
        elif not shipped.is_name(kind, name):
            what = f"{kind} or the path of a .yaml file"
            faults.append(document.fault((key,), unknown_name(what, name, shipped.names(kind))))
    if faults:
        raise ConfigError(*faults)
    return machine


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
        if target.resolve() in family:
            raise ConfigError(document.fault(("base",), f"must be a table that does not extend this one, not {base!r}"))
        _inherit(document.data, validate(_technology(target, family), Technology))
    return document


def _inherit(data: dict[str, Any], base: Technology) -> None:
    """Append the entries of a base for operations that a table does not list itself; its own keep their places."""
    entries = data.setdefault("entries", [])
    if not isinstance(entries, list):
        return
    listed = {entry.get("operation") for entry in entries if isinstance(entry, dict)}
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
