"""Smooth functions of single numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.ops.op import Op
from accelsim.graph.value import Type, Value

FunctionName = Literal["sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "hard_swish"]


@dataclass(frozen=True, slots=True)
class Function(Op):
    """A function of each number, by its name.

    Sigmoid, hyperbolic tangent, GELU (with the error function, or with a hyperbolic tangent, as GPT-2 has it), SiLU, or
    hard swish, x clamp(x + 3, 0, 6) / 6.
    """

    name: FunctionName

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)
