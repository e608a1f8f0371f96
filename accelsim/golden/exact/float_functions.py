"""Functions of single floats, of float32 operations alone, so that every processor gives the same bits.

Inputs are fp16, bf16 or fp32. Every sum, product and quotient is a float32, to nearest even, in the order in which it
is written here; the last one is rounded once to the result's type. A NaN that is formed is the one of sign 0 and no
payload.

The exponential is that of the Cephes library (S. L. Moshier, netlib.org/cephes, single/expf.c): with n = floor(x log2 e
+ 1/2) and r = x - n ln 2, in two steps whose first product is exact, exp(x) = 2^n (1 + r + r^2 P(r)). Every result is a
normal number: it is 0 below -87, and infinity above 128 ln 2.

===================  =================================================================================================
sigmoid              1 / (1 + exp(-x))
silu                 x / (1 + exp(-x)); NaN of minus infinity
tanh                 x + x x^2 Q(x^2) below 0.625 in magnitude (Cephes, single/tanhf.c), else the sign of x times
                     1 - 2 / (exp(2 |x|) + 1)
gelu                 x times 1 - h, or h of a negative x; h = exp(-u^2) R(t) / 2 with u = |x| / sqrt(2) and
                     t = 1 / (1 + 0.3275911 u), which is half the complement of the error function within 8e-8
                     (Abramowitz and Stegun 1964, 7.1.26)
gelu_tanh            x / (1 + exp(-v)) with v = 2 sqrt(2 / pi) (x + 0.044715 x^3), which is the same as by tanh
===================  =================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.exact import host
from accelsim.golden.interpreter import Array
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function, FunctionName

Float32 = NDArray[np.float32]

#: Types of floats that the vector unit computes with.
TYPES = ("fp16", "bf16", "fp32")
#: Least and largest x whose exponential is computed.
LEAST, MOST = np.float32(-87), np.float32(128 * math.log(2))
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.44269504088896341), np.float32(0.693359375), np.float32(-2.12194440e-4)
#: P, Q and R, the coefficient of the highest power first; R without its factor t.
P = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
Q = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
R = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
#: Magnitude from which tanh is taken from the exponential.
SMALL = np.float32(0.625)
ONE, TWO, HALF = np.float32(1), np.float32(2), np.float32(0.5)


def horner(x: Float32, coefficients: Sequence[float]) -> Float32:
    """Polynomial of float32 coefficients, the highest power first: a product and a sum for each of the others."""
    first, *rest = (np.float32(c) for c in coefficients)
    return reduce(lambda so_far, c: so_far * x + c, rest, np.full_like(x, first))


def exponential(x: Float32) -> Float32:
    """exp(x)."""
    inside = np.clip(x, LEAST, MOST)
    n = np.floor(inside * LOG2E + HALF)
    r = inside - n * LN2_HIGH - n * LN2_LOW
    y = horner(r, P) * (r * r) + r + ONE
    found = np.ldexp(y, np.nan_to_num(n).astype(np.int32))
    return np.where(x < LEAST, np.float32(0), np.where(x > MOST, np.float32(np.inf), found))


def sigmoid(x: Float32) -> Float32:
    """1 / (1 + exp(-x))."""
    return ONE / (ONE + exponential(-x))


def silu(x: Float32) -> Float32:
    """X times its sigmoid, as one quotient."""
    return x / (ONE + exponential(-x))


def tanh(x: Float32) -> Float32:
    """Hyperbolic tangent."""
    square = x * x
    near = horner(square, Q) * square * x + x
    far = ONE - TWO / (exponential(TWO * np.abs(x)) + ONE)
    return np.where(np.abs(x) < SMALL, near, np.copysign(far, x))


def gelu(x: Float32) -> Float32:
    """X times the share of a normal distribution below it."""
    u = np.abs(x) * np.float32(math.sqrt(0.5))
    t = ONE / (np.float32(0.3275911) * u + ONE)
    above = horner(t, R) * t * exponential(-(u * u)) * HALF
    return x * np.where(x < 0, above, ONE - above)


def gelu_tanh(x: Float32) -> Float32:
    """GELU by a hyperbolic tangent."""
    v = (x * x * x * np.float32(0.044715) + x) * np.float32(2 * math.sqrt(2 / math.pi))
    return x / (exponential(-v) + ONE)


FUNCTIONS: dict[FunctionName, Callable[[Float32], Float32]] = {
    "exponential": exponential,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "silu": silu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
}


def of_floats(graph: Graph, node: Node) -> bool:
    """Whether a node makes floats that the vector unit has of such."""
    elements = (graph[name].element for name in (node.inputs[0], node.output))
    return all(isinstance(element, Float) and element.operand in TYPES for element in elements)


def result(graph: Graph, node: Node, values: Float32) -> tuple[Array]:
    """What a node forms of float32."""
    return (graph[node.output].element.quantize(np.where(np.isnan(values), np.float32(np.nan), values)),)


def function(graph: Graph, node: Node, given: Sequence[Array]) -> tuple[Array, ...]:
    """A function that is known here, of floats; others are the host's."""
    op = node.op
    assert isinstance(op, Function)  # noqa: S101 - as the table has it
    if op.name not in FUNCTIONS or not of_floats(graph, node):
        return host.compute(graph, node, given)
    return result(graph, node, FUNCTIONS[op.name](given[0].astype(np.float32)))
