"""Sums of two tensors: a bias, or a residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Float
from accelsim.graph.ops.op import Op, broadcast
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Add(Op):
    """Numbers of one element are added; a constant that is broadcast along all axes but the last is a bias."""

    arity: ClassVar[tuple[int, int]] = (2, 2)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers as the first ones are, or floats of 32 bits."""
        a, b = given
        element = Float("fp32") if isinstance(a.element, Float) else a.element
        return (Type(broadcast(a, b), element),)
