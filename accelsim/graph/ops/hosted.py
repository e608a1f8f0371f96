"""Operators of real numbers between numbers of other elements: a host computes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from accelsim.graph.element import REAL, Element, Plain
from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Hosted(Op):
    """What an operator forms of what numbers stand for, as the nearest numbers of another element.

    Numbers that stand for themselves, as indices and masks do, are taken and formed as they are.
    """

    op: Op
    to: Element

    arity: ClassVar[tuple[int, int]] = (1, 2**16)

    @property
    def kind(self) -> str:
        """Name of the operator that it is."""
        return self.op.kind

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The operator's shape in the element."""
        least, most = self.op.arity
        if not least <= len(given) <= most:
            raise UnfitError(f"{self.op.kind} must take {least} to {most} values, not {len(given)}")
        (formed,) = self.op.infer(*(_real(value) for value in given))
        if isinstance(formed.element, Plain) != isinstance(self.to, Plain):
            raise UnfitError(f"{self.op.kind} must form {formed.element}, not {self.to}")
        return (Type(formed.shape, self.to),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:
        """What the operator computes."""
        return self.op.work(given, formed)


def _real(value: Value) -> Value:
    """A value as real numbers, unless its numbers stand for themselves."""
    return value if isinstance(value.element, Plain) else replace(value, element=REAL)
