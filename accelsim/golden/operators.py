"""Operators of a graph as JSON or YAML: `{"kind": "LayerNorm", "epsilon": 1e-05}`; hostile until they are read here."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

from accelsim.config.load import wording
from accelsim.errors import AccelSimError, unknown_name
from accelsim.golden import exact
from accelsim.golden.exact.rounding import NAMES
from accelsim.graph.element import Element, Float, Integer, Plain, Signs
from accelsim.graph.element_info import AnyElementInfo, ElementInfo, Scales, element_info, element_of
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, MaxPool
from accelsim.graph.ops.window import Window

#: Longest name of an operator that is looked at.
_LONGEST = 64
#: Bits by which integers may be shifted before they are multiplied.
_MOST_LIFT = 31
#: What unfit attributes make numpy and the operators raise.
UNFIT = (AccelSimError, ArithmeticError, IndexError, MemoryError, TypeError, ValueError)


@cache
def _known() -> dict[str, type[Op]]:
    """Operators by name."""
    return {op.__name__: op for op in exact.meanings(1)}


@cache
def _attributes(kind: type[Op]) -> dict[str, Any]:
    """Types of an operator's attributes, by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    """What reads an attribute of a type."""
    return TypeAdapter(hint)


def read_op(value: object, *, scales: Scales | None = None) -> Op:
    """An operator from what a file holds.

    Parameters
    ----------
    scales
        Finds tensors of scales, which elements may then name.

    Raises
    ------
    ValueError
        With one sentence, if it is none, or its attributes are not valid.
    """
    if isinstance(value, Op):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError("must be an operator with its kind")  # noqa: TRY004 - pydantic takes no other
    name, known = value["kind"][:_LONGEST], _known()
    if name not in known:
        raise ValueError(unknown_name("operator", name, known))
    kind, given = known[name], {key: field for key, field in value.items() if key != "kind"}
    attributes = _attributes(kind)
    for key in given:
        if key not in attributes:
            raise ValueError(unknown_name("attribute", str(key), attributes))
    for field in dataclasses.fields(kind):
        if field.name not in given and field.default is dataclasses.MISSING:
            raise ValueError(f"{name}: {field.name}: must be given, but is missing")
    found: dict[str, Any] = {
        key: _attribute(f"{name}: {key}", attributes[key], field, scales) for key, field in given.items()
    }
    op = kind(**found)
    wrong = _misfit(op)
    if wrong:
        raise ValueError(f"{name}: {wrong}")
    return op


def _attribute(place: str, hint: Any, value: object, scales: Scales | None) -> object:
    """An attribute of an operator."""
    if hint is Op:
        if isinstance(value, dict) and Op in _attributes(_known().get(str(value.get("kind")), Op)).values():
            raise ValueError(f"{place}: must be an operator of numbers, not {value['kind']}")
        return read_op(value, scales=scales)
    is_element = hint in (Element, Integer)
    try:
        if not is_element:
            return _adapter(hint).validate_python(value)
        info = _adapter(ElementInfo if scales is None else AnyElementInfo).validate_python(value)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(map(str, (place, *detail["loc"])))
        raise ValueError(f"{where}: {wording(detail)}") from None
    element = info.element if scales is None else element_of(info, scales)
    if hint is Integer and not isinstance(element, Integer):
        raise ValueError(f"{place}: must be integers, not {element}")
    return element


def _misfit(op: Op) -> str | None:
    """What is wrong with attributes that no shape tells."""
    match op:
        case Conv() | MaxPool() | AveragePool():
            return _window_misfit(op.window, getattr(op, "groups", 1))
        case Pad() if min(*op.before, *op.behind, 0) < 0:
            return f"no side may be cut, but {op.before} and {op.behind} are added"
        case Cast() | IntegerNorm() if op.rounding not in {*NAMES, *([""] if isinstance(op, Cast) else [])}:
            return unknown_name("rounding", op.rounding[:_LONGEST], NAMES)
        case Cast() if not 0 <= op.lift <= _MOST_LIFT:
            return f"lift must be 0 to {_MOST_LIFT}, not {op.lift}"
        case _:
            return None


def _window_misfit(window: Window, groups: int) -> str | None:
    if min(*window.kernel, *window.stride, *window.dilation, groups) < 1:
        return "kernel, stride, dilation and groups must be 1 or more"
    if min(window.padding) < 0 or max(window.padding) > max(window.reach):
        return f"padding must be 0 to {max(window.reach)}, what the kernel reaches, not {window.padding}"
    return None


def write_op(op: Op, *, element: Callable[[Element], dict[str, Any]] | None = None) -> dict[str, Any]:
    """The object that `read_op` reads; attributes that have their usual value are left out.

    Parameters
    ----------
    element
        What is written for an element; what `element_info` says if absent.
    """
    written = element or (lambda found: element_info(found).model_dump(mode="json"))
    fields = {field.name: (getattr(op, field.name), field.default) for field in dataclasses.fields(op)}
    return {
        "kind": type(op).__name__,
        **{name: _plain(value, written) for name, (value, usual) in fields.items() if value != usual},
    }


def _plain(value: object, written: Callable[[Element], dict[str, Any]]) -> object:
    match value:
        case Op():
            return write_op(value, element=written)
        case Integer() | Float() | Signs() | Plain():
            return written(value)
        case tuple():
            return [_plain(part, written) for part in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name), written) for field in dataclasses.fields(value)}
        case _:
            return value


#: An operator as a field of a model.
OpField = Annotated[
    InstanceOf[Op],
    BeforeValidator(read_op),
    PlainSerializer(write_op),
    WithJsonSchema({"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}),
]
