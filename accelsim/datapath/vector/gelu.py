"""GELU of 8-bit integers: a table of all 256 results, or I-BERT's polynomial.

The table is exact by construction: the nearest output integer of the real function. The polynomial (Kim et al. 2021,
arXiv:2101.01321, section 3.4) takes erf(u) as sign(u) (1 - 0.2888 (min(|u|, 1.769) - 1.769)^2) and GELU errs by at most
0.0182 in real units. On a grid of 2^-10 for u = x / sqrt 2, with a = x - z and |a| <= 255:

=============================  =========  ===================================================================
u = min(round(|a| M 2^-r), b)  11         b = 1811 stands for 1.769; |a| M has 24 bits
v = u - b                      11 + sign
erf = sign(a) (c - v^2)        22 + sign  c = 3630803 stands for 1 / 0.2888; 0 <= c - v^2 <= c
a (c + erf)                    31 + sign  255 * 2 c = 1.852e9 < 2^31
=============================  =========  ===================================================================

`requantize` takes the last to the output's scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import requantize
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import Int64, VectorPass, shift_round

GRID_BITS = 10
EDGE = int(1.769 * 2**GRID_BITS)
#: The square's coefficient in I-BERT's erf, without its sign.
COEFFICIENT = 0.2888
ONE = int(2 ** (2 * GRID_BITS) / COEFFICIENT)
MULTIPLIER_BITS = 16

LOOK_UP = VectorPass("look up", ("look up",))
POLYNOMIAL = VectorPass(
    "polynomial",
    (
        "subtract zero point",
        "times scale",
        "rounding shift and clamp",
        "square",
        "add and sign",
        "times input",
        "multiply",
        "rounding shift",
        "saturate",
    ),
)

_LOOK_UP = Event(Component.VECTOR, Operation.REGISTER_READ, 8)
_ADD_INPUT = Event(Component.VECTOR, Operation.INT_ADD, 9)
_TO_GRID = Event(Component.VECTOR, Operation.INT_MULTIPLY, 9, MULTIPLIER_BITS)
_ROUND_24 = Event(Component.VECTOR, Operation.INT_ADD, 24)
_SHIFT_24 = Event(Component.VECTOR, Operation.INT_SHIFT, 24)
_CLAMP = Event(Component.VECTOR, Operation.INT_COMPARE, 24)
_ADD_11 = Event(Component.VECTOR, Operation.INT_ADD, 11)
_SQUARE = Event(Component.VECTOR, Operation.INT_MULTIPLY, 11, 11)
_ADD_23 = Event(Component.VECTOR, Operation.INT_ADD, 23)
_TIMES_INPUT = Event(Component.VECTOR, Operation.INT_MULTIPLY, 9, 23)
_REQUANTIZE = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_ROUND = Event(Component.VECTOR, Operation.INT_ADD, 64)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)


def table(
    input_scale: float, zero_point: int, output_scale: float, output_zero_point: int, *, signed: bool = True
) -> NDArray[np.int8]:
    """256 int8 results of real GELU, nearest, ties to even, indexed by the byte of the int8 or uint8 input."""
    integers = np.arange(256).astype(np.uint8)
    x = input_scale * ((integers.view(np.int8) if signed else integers).astype(np.float64) - zero_point)
    real = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    results: NDArray[np.int8] = np.clip(np.rint(real / output_scale) + output_zero_point, -128, 127).astype(np.int8)
    return results


def look_up(x: NDArray[np.int8] | NDArray[np.uint8], results: NDArray[np.int8]) -> Int64:
    """Result of each byte: any function of 8-bit integers, not GELU alone."""
    found: Int64 = results[x.view(np.uint8)].astype(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class Polynomial:
    """Static parameters of the polynomial.

    `grid_multiplier` 2^-`grid_right` is the input's scale over sqrt 2 on the grid; the rest is what `requantize` takes.
    """

    zero_point: int
    grid_multiplier: int
    grid_right: int
    multiplier: int
    shift: int
    output_zero_point: int
    mode: str


def prepare(
    input_scale: float,
    zero_point: int,
    output_scale: float,
    output_zero_point: int,
    mode: str = "tflite_single_round",
) -> Polynomial:
    """Static parameters from real scales, for a Q31 mode.

    Raises
    ------
    ValueError
        If the input's scale is not in [2^-30, 64), so that the grid's shift is to the right.
    """
    if not 2.0**-30 <= input_scale < 64:
        raise ValueError(f"a GELU input's scale must be in [2^-30, 64), not {input_scale}")
    grid, grid_shift = fixed_point.fixed_point(input_scale / math.sqrt(2) * 2**GRID_BITS, MULTIPLIER_BITS)
    unit = input_scale / 2 * COEFFICIENT * 2.0 ** (-2 * GRID_BITS)
    multiplier, shift = fixed_point.tflite_scale(unit / output_scale)
    return Polynomial(zero_point, int(grid), -int(grid_shift), int(multiplier), int(shift), output_zero_point, mode)


def polynomial(x: NDArray[np.generic], gelu: Polynomial) -> Int64:
    """GELU of 8-bit integers, any shape; int64 values of int8."""
    a = x.astype(np.int64) - gelu.zero_point
    u = np.minimum(shift_round(np.abs(a) * gelu.grid_multiplier, gelu.grid_right), EDGE)
    v = u - EDGE
    erf = np.sign(a) * (ONE - v * v)
    return requantize(a * (ONE + erf), gelu.multiplier, gelu.shift, gelu.output_zero_point, gelu.mode)


def cycles(kernel: VectorPass, rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles of `LOOK_UP` or `POLYNOMIAL` over a tile; see `fixed_point.cycles`."""
    return fixed_point.cycles((kernel,), rows, columns, lanes, words)


def look_up_events(counters: Counters, values: int) -> None:
    """Count one read of a register file of 256 bytes a value."""
    count(counters, _LOOK_UP, values)


def table_events(counters: Counters) -> None:
    """Count the writes that fill the register file."""
    count(counters, Event(Component.VECTOR, Operation.REGISTER_WRITE, 8), 256)


def polynomial_events(counters: Counters, values: int) -> None:
    """Count each stage of the polynomial and of the requantization; the sign and the saturation are wiring."""
    count(counters, _ADD_INPUT, values)
    count(counters, _TO_GRID, values)
    count(counters, _ROUND_24, values)
    count(counters, _SHIFT_24, values)
    count(counters, _CLAMP, values)
    count(counters, _ADD_11, values)
    count(counters, _SQUARE, values)
    count(counters, _ADD_23, 2 * values)  # c - v^2, and c + erf
    count(counters, _TIMES_INPUT, values)
    count(counters, _REQUANTIZE, values)
    count(counters, _ROUND, values)
    count(counters, _SHIFT, values)
    count(counters, _ADD_32, values)
