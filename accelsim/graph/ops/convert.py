"""Numbers of one type as those of another, by their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Float, Plain
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Convert(Op):
    """Numbers that stand for themselves in another type: fractions are cut off, integers wrap, masks are 0 and 1."""

    to: Element

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The shape in the other element."""
        (x,) = given
        if not isinstance(x.element, Float | Plain) or not isinstance(self.to, Float | Plain):
            raise UnfitError(f"{x.name} must be numbers that stand for themselves, not {x.element} to become {self.to}")
        return (Type(x.shape, self.to),)
