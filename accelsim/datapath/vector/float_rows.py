"""Softmax and normalizations of rows of floats, the last axis, of float32 operations alone.

A row's sum is a tree over its columns: neighbours in pairs, then their sums in pairs, up to one. Lanes that take groups
of a power of two columns form the lower levels of it in their own tree, and keep one sum for each level above until its
neighbour comes, so that how many they are changes no bit. Behind the last group the sums that are left are added, a
level a cycle. Means are sums times the float32 of 1 / columns, which the program's columns give.

==========  =====================================================================  =====================================
RMSNorm     i = 1 / sqrt(mean x^2 + epsilon)                                       x i gamma
LayerNorm   d = x - mean x, i = 1 / sqrt(mean d^2 + epsilon)                       d i gamma + beta
L2Norm      i = 1 / max(sqrt(sum x^2), epsilon)                                    x i
Softmax     m = max scale x of what is seen, e = exp(scale x - m), i = 1 / sum e   e i, and 0 of what is not seen
==========  =====================================================================  =====================================

A row has one root and one quotient, a bit an iteration, for which the lanes wait.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector import fixed_point, float_functions
from accelsim.datapath.vector.fixed_point import Scalar, VectorPass
from accelsim.datapath.vector.float_functions import EXP_STAGES, ONE, QUOTIENT_BITS, Float32, exponential, quiet
from accelsim.units import ceil_div


class Name(StrEnum):
    """What becomes of a row."""

    RMS_NORM = "rms_norm"
    LAYER_NORM = "layer_norm"
    L2_NORM = "l2_norm"
    SOFTMAX = "softmax"


def row_sums(values: Float32) -> Float32:
    """Sum of each row by the tree, shape (rows, 1)."""
    while values.shape[1] > 1:
        if values.shape[1] % 2:  # the neighbour of the last one is 0
            values = np.concatenate([values, np.zeros((len(values), 1), np.float32)], axis=1)
        values = np.add.reduce(values.reshape(len(values), -1, 2), axis=2, dtype=np.float32)
    return values


def _mean(values: Float32) -> Float32:
    mean: Float32 = row_sums(values) * np.divide(ONE, np.float32(values.shape[1]))
    return mean


def rms_norm(x: Float32, gamma: Float32, epsilon: np.float32) -> Float32:
    """Rows over their root mean square, shape (rows, columns), times gamma."""
    with np.errstate(all="ignore"):  # IEEE's results are the unit's
        inverse = np.reciprocal(np.sqrt(_mean(np.square(x)) + epsilon))
        return quiet(x * inverse * gamma)


def layer_norm(x: Float32, gamma: Float32, beta: Float32, epsilon: np.float32) -> Float32:
    """Rows less their mean over their standard deviation, times gamma, plus beta."""
    with np.errstate(all="ignore"):
        deviation = x - _mean(x)
        inverse = np.reciprocal(np.sqrt(_mean(np.square(deviation)) + epsilon))
        return quiet(deviation * inverse * gamma + beta)


def l2_norm(x: Float32, epsilon: np.float32) -> Float32:
    """Rows over their length."""
    with np.errstate(all="ignore"):
        return quiet(x * np.reciprocal(np.maximum(np.sqrt(row_sums(np.square(x))), epsilon)))


def softmax(x: Float32, scale: np.float32, seen: NDArray[np.bool_]) -> Float32:
    """Shares of each row; `seen` has the shape of x."""
    with np.errstate(all="ignore"):
        scores = x * scale
        largest = np.max(scores, axis=1, keepdims=True, where=seen, initial=-np.inf)
        largest[np.isneginf(largest)] = 0
        exponentials = exponential(scores - largest)
        exponentials[~seen] = 0
        sums = row_sums(exponentials)
        inverse = np.divide(ONE, sums, out=np.zeros_like(sums), where=sums != 0)
        shares = quiet(exponentials * inverse)
        shares[~seen] = 0
        return shares


_CLAMP = ("clamp", "round")


def passes(name: Name, columns: int, lanes: int) -> tuple[VectorPass | Scalar, ...]:
    """What is done to a row; all passes read the input, but softmax's last one, as exponentials wait in registers."""
    joined = (ceil_div(columns, lanes) - 1).bit_length()  # levels of the tree above the lanes' own
    join = (Scalar("join sums", joined),) if joined else ()
    root, reciprocal = Scalar("square root", QUOTIENT_BITS), Scalar("reciprocal", QUOTIENT_BITS)
    mean = Scalar("mean and epsilon", 2)
    squares, scale = VectorPass("squares", ("square",), reduces=True), ("times scale", "mask")
    match name:
        case Name.RMS_NORM:
            last = VectorPass("scale", ("times reciprocal", "times gamma", *_CLAMP))
            return squares, *join, mean, root, reciprocal, last
        case Name.LAYER_NORM:
            total = VectorPass("sum", (), reduces=True)
            squares = VectorPass("squares", ("subtract mean", "square"), reduces=True)
            last = VectorPass("scale", ("subtract mean", "times reciprocal", "times gamma", "add beta", *_CLAMP))
            return total, *join, Scalar("mean", 1), squares, *join, mean, root, reciprocal, last
        case Name.L2_NORM:
            last = VectorPass("scale", ("times reciprocal", *_CLAMP))
            return squares, *join, root, Scalar("maximum", 1), reciprocal, last
        case Name.SOFTMAX:
            largest = VectorPass("maximum", scale, reduces=True)
            stages = (*scale, "subtract maximum", *EXP_STAGES)
            exponentials = VectorPass("exponentials and their sum", stages, reduces=True)
            last = VectorPass("share", ("times reciprocal", *_CLAMP))
            return largest, exponentials, *join, reciprocal, last


def cycles(name: Name, rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles of a rows x columns tile; see `fixed_point.cycles`."""
    return fixed_point.cycles(passes(name, columns, lanes), rows, columns, lanes, words)


_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 32)
_KEY = Event(Component.VECTOR, Operation.INT_COMPARE, 16)
_ROOT_BIT = Event(Component.VECTOR, Operation.INT_ADD, QUOTIENT_BITS + 3)
_KEEP = Event(Component.VECTOR, Operation.REGISTER_WRITE, 32)
_TAKE = Event(Component.VECTOR, Operation.REGISTER_READ, 32)

#: Products and sums of float32 that each number takes, and those that each row takes.
_PRODUCTS = {Name.RMS_NORM: (3, 1), Name.LAYER_NORM: (3, 2), Name.L2_NORM: (2, 0), Name.SOFTMAX: (3, 0)}
_SUMS = {Name.RMS_NORM: (1, 1), Name.LAYER_NORM: (5, 1), Name.L2_NORM: (1, 0), Name.SOFTMAX: (2, 0)}


def events(counters: Counters, name: Name, rows: int, columns: int) -> None:
    """Count products, sums, roots and quotients; softmax scales in both of its passes over the input."""
    values = rows * columns
    for event, times in ((_MULTIPLY, _PRODUCTS[name]), (_ADD, _SUMS[name])):
        count(counters, event, times[0] * values + times[1] * rows)
    float_functions.quotient_events(counters, rows)
    float_functions.round_events(counters, values)
    if name == Name.SOFTMAX:
        float_functions.exponential_events(counters, values)
        count(counters, _COMPARE, values)  # the maximum
        count(counters, _KEY, 3 * 2 * values)  # end, window and sinks, in both passes
        count(counters, _KEEP, values)
        count(counters, _TAKE, values)
    else:
        count(counters, _ROOT_BIT, QUOTIENT_BITS * rows)
    if name == Name.L2_NORM:
        count(counters, _COMPARE, rows)
