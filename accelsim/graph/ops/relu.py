"""Rectified linear units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Relu(Op):
    """Numbers below zero become zero, and those above `most` (6 in ReLU6) become `most`.

    Parameters
    ----------
    most
        Largest real value; infinite if there is none.
    """

    most: float = float("inf")

    elementwise: ClassVar[bool] = True

    @property
    def homogeneous(self) -> bool:  # type: ignore[override] # a class constant of all other operators
        """Whether a positive factor may stand before it: not where it clamps from above."""
        return self.most == float("inf")

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)
