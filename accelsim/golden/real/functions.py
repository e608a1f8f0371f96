"""Functions of single real numbers, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from accelsim.graph.ops.function import Function, FunctionName

Array = NDArray[Any]


def gelu(x: Array) -> Array:
    """X times the share of a normal distribution below it (arXiv:1606.08415)."""
    formed: Array = x * (1 + erf(x / math.sqrt(2))) / 2
    return formed


def gelu_tanh(x: Array) -> Array:
    """GELU by a hyperbolic tangent (arXiv:1606.08415, section 2)."""
    formed: Array = x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2
    return formed


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    formed: Array = np.logaddexp(x, 0)
    return formed


#: Functions without parameters.
PLAIN: dict[FunctionName, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: x * expit(x),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "absolute": np.abs,
    "negative": np.negative,
    "reciprocal": lambda x: 1 / x,
    "square_root": np.sqrt,
    "exponential": np.exp,
    "logarithm": np.log,
    "error_function": erf,
    "sign": np.sign,
    "floor": np.floor,
    "ceiling": np.ceil,
    "round": np.rint,
    "sine": np.sin,
    "cosine": np.cos,
    "tangent": np.tan,
    "arc_sine": np.arcsin,
    "arc_cosine": np.arccos,
    "arc_tangent": np.arctan,
    "hyperbolic_sine": np.sinh,
    "hyperbolic_cosine": np.cosh,
    "area_sine": np.arcsinh,
    "area_cosine": np.arccosh,
    "area_tangent": np.arctanh,
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": lambda x: x.astype(np.float32).astype(ml_dtypes.bfloat16),
}
#: Functions of x, alpha and beta, as ONNX has them.
PARAMETRIC: dict[FunctionName, Callable[[Array, float, float], Array]] = {
    "leaky_relu": lambda x, alpha, _: np.where(x < 0, alpha * x, x),
    "elu": lambda x, alpha, _: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "celu": lambda x, alpha, _: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x),
    "selu": lambda x, alpha, gamma: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "thresholded_relu": lambda x, alpha, _: np.where(x > alpha, x, 0),
    "hard_sigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "shrink": lambda x, bias, lambd: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)),
    "clip": np.clip,
    "power": lambda x, exponent, _: np.power(x, exponent),
    "swish": lambda x, alpha, _: x * expit(alpha * x),
}


def apply(op: Function, x: Array) -> Array:
    """What the function makes of each number."""
    if op.name in PARAMETRIC:
        return PARAMETRIC[op.name](x, op.alpha, op.beta)
    return PLAIN[op.name](x)
