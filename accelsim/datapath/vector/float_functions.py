"""Functions of single floats: exponential, sigmoid, hyperbolic tangent, SiLU and GELU, of float32 operations alone.

The exponential is that of Cephes (S. L. Moshier, single/expf.c): range reduction by ln 2 in two parts, a polynomial of
degree 7, and an addition to the exponent. It errs by less than one unit in the last place between -87, below which it
is 0, and 128 ln 2, above which it is infinity. The hyperbolic tangent is Cephes's polynomial (single/tanhf.c) below
0.625, GELU is by the complement of the error function of Abramowitz and Stegun (1964), 7.1.26.

Lanes have a float multiplier and an adder for each step of these pipelines; a quotient takes a divider of radix 2, a
stage for each bit of a float32's 24. Every operation rounds to nearest even.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector.fixed_point import VectorPass

Float32 = NDArray[np.float32]

LEAST, MOST = np.float32(-87.0), np.float32(88.72284)
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
#: Coefficients, that of the highest power last.
EXPONENTIAL = np.array(
    (5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4), np.float32
)
TANGENT = np.array(
    (-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3), np.float32
)
COMPLEMENT = np.array((0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429), np.float32)
NEAR = np.float32(0.625)
ONE, HALF = np.float32(1), np.float32(0.5)
#: Bits of a float32's fraction, and what its exponent is held higher by.
FRACTION_BITS, BIAS = 23, 127
#: Bits of a quotient or a root of float32, each a stage of a divider, or an iteration.
QUOTIENT_BITS = 24


class Name(StrEnum):
    """A function."""

    EXPONENTIAL = "exponential"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    SILU = "silu"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


def _polynomial(x: Float32, coefficients: Float32) -> Float32:
    """Horner's scheme."""
    y = np.broadcast_to(coefficients[-1], x.shape)
    for coefficient in coefficients[-2::-1]:
        y = y * x + coefficient
    return y


def _power_of_two(exponent: NDArray[np.int32]) -> Float32:
    """2^exponent of a normal float32, by its bits."""
    return ((exponent + BIAS) << FRACTION_BITS).astype(np.int32).view(np.float32)


def exponential(x: Float32) -> Float32:
    """exp(x), 0 and infinity outside [-87, 128 ln 2]; NaN of NaN."""
    number = ~np.isnan(x)
    inside = np.where(number, np.minimum(np.maximum(x, LEAST), MOST), np.float32(0))
    halvings = np.floor(inside * LOG2E + HALF)
    rest = inside - halvings * LN2_HIGH
    rest = rest - halvings * LN2_LOW
    y = _polynomial(rest, EXPONENTIAL) * (rest * rest)
    y = y + rest
    y = y + ONE
    n = halvings.astype(np.int32)
    half = n >> 1  # a product of two factors, as 2^128 is no float32
    y = y * _power_of_two(half) * _power_of_two(n - half)
    y = np.where(x < LEAST, np.float32(0), y)
    y = np.where(x > MOST, np.float32(np.inf), y)
    return np.where(number, y, np.float32(np.nan))


def _sigmoid(x: Float32) -> Float32:
    y: Float32 = np.divide(ONE, exponential(np.negative(x)) + ONE)
    return y


def _silu(x: Float32) -> Float32:
    y: Float32 = np.divide(x, exponential(np.negative(x)) + ONE)
    return y


def _tanh(x: Float32) -> Float32:
    magnitude = np.abs(x)
    square = np.square(x)
    near = _polynomial(square, TANGENT) * square
    near = near * x + x
    far = ONE - np.divide(np.float32(2), exponential(magnitude + magnitude) + ONE)
    return np.where(magnitude < NEAR, near, np.where(np.signbit(x), -far, far))


def _gelu(x: Float32) -> Float32:
    u = np.abs(x) * np.float32(np.sqrt(0.5))
    t = np.divide(ONE, u * np.float32(0.3275911) + ONE)
    half = _polynomial(t, COMPLEMENT) * t
    half = half * exponential(np.negative(np.square(u)))
    half = half * HALF
    y: Float32 = x * np.where(x < 0, half, ONE - half)
    return y


def _gelu_tanh(x: Float32) -> Float32:
    cubic = np.square(x) * x * np.float32(0.044715)
    v = (cubic + x) * np.float32(np.sqrt(8 / np.pi))
    y: Float32 = np.divide(x, exponential(np.negative(v)) + ONE)
    return y


_COMPUTE: dict[Name, Callable[[Float32], Float32]] = {
    Name.EXPONENTIAL: exponential,
    Name.SIGMOID: _sigmoid,
    Name.TANH: _tanh,
    Name.SILU: _silu,
    Name.GELU: _gelu,
    Name.GELU_TANH: _gelu_tanh,
}


def compute(name: Name, x: Float32) -> Float32:
    """Results of a function; every NaN is the same."""
    with np.errstate(all="ignore"):  # IEEE's results are the unit's
        return quiet(_COMPUTE[name](x))


def quiet(x: Float32) -> Float32:
    """The same numbers, every NaN of sign 0 and without payload."""
    found: Float32 = np.where(np.isnan(x), np.float32(np.nan), x)
    return found


class Steps(NamedTuple):
    """What a number passes in a lane: products, sums, comparisons and quotients of float32; stages in its pipeline."""

    products: int
    sums: int
    comparisons: int
    quotients: int
    stages: tuple[str, ...]


_HORNER = ("multiply", "add")
_DIVIDE = ("divide",) * QUOTIENT_BITS
EXP_STAGES = (
    "times log2 e", "add half", "floor", "times ln 2", "subtract", "times rest of ln 2", "subtract", "square",
    *_HORNER * 5, "times square", "add", "add one", "add to exponent",
)  # fmt: skip
#: What the exponential takes; the addition of n to the exponent and the floor are counted beside.
_EXP = Steps(10, 10, 2, 0, EXP_STAGES)
#: What each function takes beside its exponential, and the stages of all of it: the longer of two paths.
_BESIDE = {
    Name.EXPONENTIAL: Steps(0, 0, 0, 0, EXP_STAGES),
    Name.SIGMOID: Steps(0, 1, 0, 1, (*EXP_STAGES, "add one", *_DIVIDE)),
    Name.SILU: Steps(0, 1, 0, 1, (*EXP_STAGES, "add one", *_DIVIDE)),
    Name.TANH: Steps(7, 8, 1, 1, ("double", *EXP_STAGES, "add one", *_DIVIDE, "subtract", "choose")),
    Name.GELU: Steps(
        11, 6, 1, 1,
        ("scale", "multiply", "add one", *_DIVIDE, *_HORNER * 4, *("multiply",) * 3, "subtract", "choose", "multiply"),
    ),
    Name.GELU_TANH: Steps(
        4, 2, 0, 1, ("square", "cube", "scale", "add", "scale", *EXP_STAGES, "add one", *_DIVIDE)
    ),
}  # fmt: skip

_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_ROUND = Event(Component.VECTOR, Operation.INT_ADD, 32)
_EXPONENT = Event(Component.VECTOR, Operation.INT_ADD, 9)
_FLOOR = Event(Component.VECTOR, Operation.INT_SHIFT, 32)
_QUOTIENT_BIT = Event(Component.VECTOR, Operation.INT_ADD, QUOTIENT_BITS + 1)


def work(name: Name) -> VectorPass:
    """The pass of a function, its result clamped and rounded."""
    return VectorPass(name.value, (*_BESIDE[name].stages, "clamp", "round"))


def events(counters: Counters, name: Name, values: int) -> None:
    """Count the operations of so many numbers, and the two comparisons and the increment of what clamps and rounds."""
    exponential_events(counters, values)
    beside = _BESIDE[name]
    count(counters, _MULTIPLY, beside.products * values)
    count(counters, _ADD, beside.sums * values)
    count(counters, _COMPARE, beside.comparisons * values)
    quotient_events(counters, beside.quotients * values)
    round_events(counters, values)


def exponential_events(counters: Counters, values: int) -> None:
    """Count what exponentials take."""
    count(counters, _MULTIPLY, _EXP.products * values)
    count(counters, _ADD, _EXP.sums * values)
    count(counters, _COMPARE, _EXP.comparisons * values)
    count(counters, _FLOOR, values)
    count(counters, _EXPONENT, values)


def quotient_events(counters: Counters, quotients: int) -> None:
    """Count a trial subtraction for each bit."""
    count(counters, _QUOTIENT_BIT, QUOTIENT_BITS * quotients)


def round_events(counters: Counters, values: int) -> None:
    """Count two comparisons of the clamp, and the increment of rounding."""
    count(counters, _COMPARE, 2 * values)
    count(counters, _ROUND, values)
