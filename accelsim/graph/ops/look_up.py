"""Functions of 8-bit integers as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Integer
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class LookUp(Op):
    """Entry q - qmin of a table of 256 entries, the second value, for each 8-bit integer q."""

    to: Element

    arity: ClassVar[tuple[int, int]] = (2, 2)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The table's element."""
        x, table = given
        if not isinstance(x.element, Integer) or x.element.bits != 8 or table.shape != (256,):
            raise UnfitError(
                f"{x.name} must be 8-bit integers, and {table.name} 256 entries, not {x.element}, {table.shape}"
            )
        return (Type(x.shape, self.to),)
