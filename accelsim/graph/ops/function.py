"""Functions of single numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.ops.op import Op
from accelsim.graph.value import Type, Value

FunctionName = Literal[
    "sigmoid", "tanh", "gelu", "silu", "hard_swish",
    "absolute", "negative", "reciprocal", "square_root", "exponential", "logarithm", "error_function", "sign",
    "floor", "ceiling", "round", "softplus", "softsign", "mish", "gelu_tanh",
    "sine", "cosine", "tangent", "arc_sine", "arc_cosine", "arc_tangent",
    "hyperbolic_sine", "hyperbolic_cosine", "area_sine", "area_cosine", "area_tangent",
    "float16", "bfloat16",
    "leaky_relu", "elu", "celu", "selu", "thresholded_relu", "hard_sigmoid", "shrink", "clip", "power", "swish",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function(Op):
    """A function by its name; `golden.real.functions` says what each is.

    Parameters
    ----------
    alpha, beta
        Its parameters, in ONNX's order, where it has any.
    """

    name: FunctionName
    alpha: float = 0.0
    beta: float = 0.0

    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)
