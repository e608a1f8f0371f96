"""Sums of two tensors of integers at scales of their own, by float32 factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.ops.op import Op, UnfitError, broadcast
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class ScaledAdd(Op):
    """Integers a s_a + (b s_b + f), rounded to nearest even and clamped; each product and sum is rounded once.

    The third value are the float32 factors s_a, s_b, the operands' scales over the result's, and f, which stands for
    all zero points: z - (s_a z_a + s_b z_b). So onnxruntime adds on processors with fused multiply-adds.
    """

    to: Element

    arity: ClassVar[tuple[int, int]] = (3, 3)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The result's element."""
        a, b, factors = given
        for value in (a, b):
            if not isinstance(value.element, Integer) or value.element.bits > 8:
                raise UnfitError(f"{value.name} must be integers of at most 8 bits, not {value.element}")
        if not isinstance(self.to, Integer) or factors.shape != (3,) or factors.element != Float("fp32"):
            raise UnfitError(
                f"{factors.name} must be three factors of fp32 to integers, not {factors.element} of shape "
                f"{factors.shape} to {self.to}"
            )
        return (Type(broadcast(a, b), self.to),)
