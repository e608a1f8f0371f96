"""Elements as files have them, JSON or YAML: `{"kind": "integer", "bits": 8, ...}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import PlainType
from accelsim.graph.element import Element, Float, Integer, Plain, Signs

Float64 = NDArray[np.float64]
#: What finds a tensor of scales by its name, or says why there is none by a ValueError.
Scales = Callable[[str], Float64]


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


class ChannelsInfo(Frozen):
    """Affine integers, each channel (last axis) of which has a scale of its own."""

    kind: Literal["channels"] = quantity("name", "What numbers are", default="channels")
    bits: int = quantity("bits", "Bits of an integer", ge=1, le=64)
    signed: bool = quantity("flag", "Whether integers are signed")
    scales: str = quantity("name", "Tensor of the scales, float64, one a channel")
    zero_point: int = quantity("integer", "Integer that stands for zero", ge=-(2**31), le=2**31 - 1)


#: Elements of one scale, whose numbers a file has all.
ElementInfo = Annotated[FloatInfo | IntegerInfo | SignsInfo | PlainInfo, Field(discriminator="kind")]
#: All elements; scales of channels are a tensor of another file.
AnyElementInfo = Annotated[FloatInfo | IntegerInfo | SignsInfo | PlainInfo | ChannelsInfo, Field(discriminator="kind")]


def element_info(element: Element) -> FloatInfo | IntegerInfo | SignsInfo | PlainInfo:
    """What a file says of an element, which has one scale.

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


def element_of(info: FloatInfo | IntegerInfo | SignsInfo | PlainInfo | ChannelsInfo, scales: Scales) -> Element:
    """The element that a file means.

    Raises
    ------
    ValueError
        If there is no such tensor of scales.
    """
    if isinstance(info, ChannelsInfo):
        return Integer(scales(info.scales), info.zero_point, info.signed, info.bits)
    return info.element
