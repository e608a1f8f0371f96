"""Conversions from one element to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Cast(Op):
    """Numbers in another element.

    Sums of integers become integers by a fixed-point multiplier and a shift for each feature, which stand as a second
    and a third value: int32 in [2^30, 2^31) or 0, and int8, positive to the left (TFLite's); then the zero point is
    added and the range clamps. Sums become signs by whether they are at least zero. Floats are rounded to nearest even.

    Parameters
    ----------
    rounding
        Scheme of the multiplication, one of `golden.exact.rounding.ROUNDING`; empty for all other conversions.
    lift
        Bits by which integers are shifted to the left before they are multiplied, so that less is lost.
    """

    to: Element
    rounding: str = ""
    lift: int = 0

    arity: ClassVar[tuple[int, int]] = (1, 3)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The shape in the other element."""
        x = given[0]
        if self.rounding:
            if len(given) != 3 or not (isinstance(x.element, Integer) and isinstance(self.to, Integer)):
                raise UnfitError(f"{x.name} must be integers with a multiplier and a shift to become {self.to}")
        elif isinstance(x.element, Float) != isinstance(self.to, Float) or len(given) != 1:
            raise UnfitError(f"{x.name} must have a scheme of rounding to become {self.to}, not be {x.element}")
        return (Type(x.shape, self.to),)


@dataclass(frozen=True, slots=True)
class DynamicQuantize(Op):
    """Rows of floats to signed integers, symmetric to 0, and a float32 scale for each row and group of features.

    A group's largest magnitude becomes the largest integer; a group of zeros has scale 0.
    """

    bits: int
    group: int

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers and scales."""
        x = given[0]
        if not isinstance(x.element, Float):
            raise UnfitError(f"{x.name} must be floats to find scales for, not {x.element}")
        groups = -(-x.shape[-1] // self.group)
        return (
            Type(x.shape, Integer(1.0, 0, signed=True, bits=self.bits)),
            Type((*x.shape[:-1], groups), Float("fp32")),
        )
