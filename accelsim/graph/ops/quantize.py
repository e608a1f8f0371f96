"""Real numbers to integers and back, where a network itself says so: ONNX's QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import REAL, Element, Float, Integer
from accelsim.graph.ops.op import Op, UnfitError
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
    """What integers stand for, as float32: (q - zero point) times the scale, each rounded to float32."""

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same shape."""
        (x,) = given
        if not isinstance(x.element, Integer):
            raise UnfitError(f"{x.name} must be integers to become floats, not {x.element}")
        return (Type(x.shape, REAL),)
