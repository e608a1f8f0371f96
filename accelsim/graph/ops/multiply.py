"""Products of two tensors, number by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, broadcast, products_element
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Mul(Op):
    """Products of numbers, zero points taken off, as sums of products have them."""

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers at the product of both scales, or floats."""
        a, b = given
        return (Type(broadcast(a, b), products_element(a.element, b.element)),)
