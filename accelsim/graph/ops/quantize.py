"""Real numbers to integers and back, where a network itself says so: ONNX's QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.element import REAL, Element, Float, Integer, Plain
from accelsim.graph.ops.op import Op, UnfitError, broadcast
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Quantize(Op):
    """Nearest integers of float32, ties to even, clamped: rint(x / scale) + zero point, the quotient in float32."""

    to: Element

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same shape."""
        (x,) = given
        if not isinstance(x.element, Float) or not isinstance(self.to, Integer):
            raise UnfitError(f"{x.name} must be floats to become integers, not {x.element} to become {self.to}")
        return (Type(x.shape, self.to),)


@dataclass(frozen=True, slots=True)
class Dequantize(Op):
    """What integers stand for, as float32: (q - zero point) times the scale, each rounded to float32.

    A second value are scales of their own, float32, which are broadcast: then the integers' scale is 1.
    """

    arity: ClassVar[tuple[int, int]] = (1, 2)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same shape."""
        x, *scales = given
        if not isinstance(x.element, Integer):
            raise UnfitError(f"{x.name} must be integers to become floats, not {x.element}")
        if scales and (broadcast(x, scales[0]) != x.shape or not isinstance(scales[0].element, Float)):
            raise UnfitError(f"{scales[0].name} must be floats, the scales of {x.name}, not {scales[0].element}")
        return (Type(x.shape, REAL),)


@dataclass(frozen=True, slots=True)
class Retype(Op):
    """The same integers, which stand for other real values from here on."""

    to: Element

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same shape."""
        (x,) = given
        if not all(isinstance(element, Integer | Plain) for element in (x.element, self.to)):
            raise UnfitError(f"{x.name} must be integers to stay such, not {x.element} to become {self.to}")
        if x.element.dtype != self.to.dtype:
            raise UnfitError(f"{x.name} must be of type {self.to.dtype} already, not {x.element.dtype}")
        return (Type(x.shape, self.to),)


#: Parts of what floats are as unsigned bytes over their own range.
RangePart = Literal["numbers", "scale", "zero_point"]


@dataclass(frozen=True, slots=True)
class QuantizeByRange(Op):
    """Floats as unsigned bytes over the range that they have, 0 included, in float32: ONNX's DynamicQuantizeLinear.

    Parameters
    ----------
    part
        The bytes, the real value of a step, or the byte that stands for zero.
    """

    part: RangePart

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Bytes that stand for themselves, as what they are follows from the data; one number of the other parts."""
        (x,) = given
        if not isinstance(x.element, Float):
            raise UnfitError(f"{x.name} must be floats to become bytes, not {x.element}")
        element = REAL if self.part == "scale" else Plain("uint8")
        return (Type(x.shape if self.part == "numbers" else (), element),)
