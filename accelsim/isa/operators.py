"""Operators of a graph as JSON: `{"kind": "LayerNorm", "epsilon": 1e-05}`; hostile until they are read here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

from accelsim.config.load import wording
from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import PlainType
from accelsim.errors import unknown_name
from accelsim.golden import real
from accelsim.golden.exact.rounding import NAMES
from accelsim.graph.element import Element, Float, Integer, Plain, Signs
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.hosted import Hosted
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, MaxPool
from accelsim.graph.ops.quantize import Quantize, Retype
from accelsim.graph.ops.scaled_add import ScaledAdd

#: Longest name of a rounding scheme or an operator that is looked at.
_LONGEST = 64


class FloatInfo(Frozen):
    """Floats."""

    kind: Literal["float"] = quantity("name", "What numbers are", default="float")
    operand: Literal["fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2"] = quantity("name", "Type of the floats")

    @property
    def element(self) -> Float:
        """The element of a graph."""
        return Float(self.operand)


class IntegerInfo(Frozen):
    """Affine integers."""

    kind: Literal["integer"] = quantity("name", "What numbers are", default="integer")
    bits: int = quantity("bits", "Bits of an integer", ge=1, le=64)
    signed: bool = quantity("flag", "Whether integers are signed")
    scale: Annotated[float, Field(gt=0)] = quantity("real value of a step", "Scale")
    zero_point: int = quantity("integer", "Integer that stands for zero", ge=-(2**31), le=2**31 - 1)

    @property
    def element(self) -> Integer:
        """The element of a graph."""
        return Integer(self.scale, self.zero_point, self.signed, self.bits)


class SignsInfo(Frozen):
    """Signs."""

    kind: Literal["signs"] = quantity("name", "What numbers are", default="signs")
    scale: Annotated[float, Field(gt=0)] = quantity("real value of a sign", "Scale")

    @property
    def element(self) -> Signs:
        """The element of a graph."""
        return Signs(self.scale)


class PlainInfo(Frozen):
    """Numbers that stand for themselves."""

    kind: Literal["plain"] = quantity("name", "What numbers are", default="plain")
    type: PlainType = quantity("name", "numpy's name of their type")

    @property
    def element(self) -> Plain:
        """The element of a graph."""
        return Plain(self.type)


ElementInfo = Annotated[FloatInfo | IntegerInfo | SignsInfo | PlainInfo, Field(discriminator="kind")]


def element_info(element: Element) -> FloatInfo | IntegerInfo | SignsInfo | PlainInfo:
    """What a program says of an element, which has one scale.

    Raises
    ------
    ValueError
        If it has several.
    """
    match element:
        case Float():
            return FloatInfo.model_validate({"operand": element.operand})
        case Signs():
            return SignsInfo(scale=element.scale)
        case Plain():
            return PlainInfo.model_validate({"type": element.type})
        case Integer():
            if getattr(element.scale, "size", 1) != 1:
                raise ValueError(f"numbers must have one scale, not {element}")
            fields = {"bits": element.bits, "signed": element.signed, "zero_point": element.zero_point}
            return IntegerInfo.model_validate({**fields, "scale": float(element.scale)})


class _To(Frozen):
    """Attributes of a conversion, by multiplication, by a table or of a sum."""

    to: ElementInfo
    rounding: Annotated[str, Field(max_length=_LONGEST)] = ""
    lift: Annotated[int, Field(ge=0, le=31)] = 0


#: Operators whose attributes name an element.
_CONVERTING: tuple[type[Op], ...] = (Cast, Convert, Hosted, LookUp, Quantize, Retype, ScaledAdd)


def _known() -> dict[str, type[Op]]:
    """Operators that a host computes, by name."""
    operators: tuple[type[Op], ...] = (*real.MEANINGS, *_CONVERTING)
    return {op.__name__: op for op in operators}


def read_op(value: object) -> object:
    """An operator from what JSON holds.

    Raises
    ------
    ValueError
        With one sentence, if it is none that a host computes.
    """
    if isinstance(value, Op):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError("must be an operator with its kind")  # noqa: TRY004 - pydantic takes no other
    name, known = value["kind"][:_LONGEST], _known()
    if name not in known:
        raise ValueError(unknown_name("operator", name, known))
    kind, fields = known[name], {key: field for key, field in value.items() if key != "kind"}
    names = [field.name for field in dataclasses.fields(kind)]
    for key in fields:
        if key not in names:
            raise ValueError(unknown_name("attribute", str(key), names))
    try:
        op = _converts(kind, fields) if kind in _CONVERTING else TypeAdapter(kind).validate_python(fields)
    except ValidationError as error:
        detail = error.errors()[0]
        raise ValueError(f"{name}: {'.'.join(map(str, detail['loc']))}: {wording(detail)}") from None
    wrong = _misfit(op)
    if wrong:
        raise ValueError(f"{name}: {wrong}")
    return op


def _converts(kind: type[Op], fields: dict[str, object]) -> Op:
    if kind is Hosted:
        inner = read_op(fields.get("op"))
        if not isinstance(inner, Op) or isinstance(inner, Hosted):
            raise ValueError("op must be an operator of real numbers")
        return Hosted(inner, _To.model_validate({"to": fields.get("to")}).to.element)
    to = _To.model_validate(fields)
    if kind is not Cast:
        return kind(to.to.element)  # type: ignore[call-arg] # as the table has it
    if to.rounding not in {"", *NAMES}:
        raise ValueError(unknown_name("rounding", to.rounding, NAMES))
    return Cast(to.to.element, to.rounding, to.lift)


def _misfit(op: Op) -> str | None:
    """What is wrong with sizes that no shape tells."""
    match op:
        case Conv() | MaxPool() | AveragePool():
            window = op.window
            if min(*window.kernel, *window.stride, *window.dilation, getattr(op, "groups", 1)) < 1:
                return "kernel, stride, dilation and groups must be 1 or more"
            if min(window.padding) < 0 or max(window.padding) > max(window.reach):
                return f"padding must be 0 to {max(window.reach)}, what the kernel reaches, not {window.padding}"
        case Pad() if min(*op.before, *op.behind, 0) < 0:
            return f"no side may be cut, but {op.before} and {op.behind} are added"
        case _:
            pass
    return None


def write_op(op: Op) -> dict[str, Any]:
    """The JSON object that `read_op` reads; attributes that have their usual value are left out."""
    fields = {field.name: (getattr(op, field.name), field.default) for field in dataclasses.fields(op)}
    return {
        "kind": type(op).__name__,
        **{name: _plain(value) for name, (value, usual) in fields.items() if value != usual},
    }


def _plain(value: object) -> object:
    match value:
        case Integer() | Float() | Signs() | Plain():
            return element_info(value).model_dump(mode="json")
        case Op():
            return write_op(value)
        case tuple():
            return [_plain(part) for part in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            return value


#: An operator as a field of a model.
OpField = Annotated[
    InstanceOf[Op],
    BeforeValidator(read_op),
    PlainSerializer(write_op),
    WithJsonSchema({"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}),
]
