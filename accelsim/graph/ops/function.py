"""Smooth functions of single numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.ops.op import Op
from accelsim.graph.value import Type, Value

FunctionName = Literal["sigmoid", "tanh", "gelu", "silu", "hard_swish"]


@dataclass(frozen=True, slots=True)
class Function(Op):
    """Sigmoid, hyperbolic tangent, GELU (with the error function), SiLU, or hard swish, x clamp(x + 3, 0, 6) / 6."""

    name: FunctionName

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)
