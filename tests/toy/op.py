"""Squares, as graph/ops would have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, products_element
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Square(Op):
    """Numbers times themselves, zero points taken off, as sums of products have them."""

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers at the square of the scale, or floats."""
        (x,) = given
        return (Type(x.shape, products_element(x.element, x.element)),)
