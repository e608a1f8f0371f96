"""Floats to integers with a scale for each row, and integer sums back to floats: what mixed types cost the vector unit.

The scale of a row is its largest magnitude over the largest integer, found when the values are there: dynamic
quantization with absmax and vector-wise scales (Dettmers et al., "LLM.int8()", NeurIPS 2022, arXiv:2208.07339, section
2.1). A tile's columns are one group of inputs, or all of them. Every operation is one of float32, to nearest even.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import VectorPass
from accelsim.units import ceil_div

Float32 = NDArray[np.float32]

#: The first pass over a tile finds its rows' largest magnitudes, the second rounds. Between them two pipelined dividers
#: of radix 2, a stage for each bit of a float32's 24, take a row a cycle.
MAGNITUDE = VectorPass("magnitude", ("compare",), reduces=True)
QUOTIENT_BITS = 24
ROUND = VectorPass("round", ("multiply", "round", "saturate"))
DEQUANTIZE_SUMS = VectorPass("dequantize sums", ("convert", "multiply", "multiply", "add"))

_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 16)
_QUOTIENT_BIT = Event(Component.VECTOR, Operation.INT_ADD, 25)
_MULTIPLY = Event(Component.VECTOR, Operation.FLOAT_MULTIPLY, 32)
_ADD = Event(Component.VECTOR, Operation.FLOAT_ADD, 32)
_ROUND = Event(Component.VECTOR, Operation.INT_ADD, 32)
_NORMALIZE = Event(Component.VECTOR, Operation.INT_SHIFT, 32)


class Rows(NamedTuple):
    """Rows of integers, int8, shape (m, k), and what a step of each row is, float32, shape (m,)."""

    integers: NDArray[np.int8]
    scales: Float32


def quantize(values: Float32, bits: int) -> Rows:
    """Round each row to integers of so many bits, from -(2^(bits - 1) - 1) on; a row of zeros has the scale 0.

    With the largest magnitude a and the largest integer q, the scale is a / q and each value is multiplied by q / a.
    """
    largest = np.float32(2 ** (bits - 1) - 1)
    magnitude = np.abs(values).max(axis=1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        factor = np.where(magnitude > 0, largest / magnitude, np.float32(0)).astype(np.float32)
        scaled = np.rint(values * factor[:, None])
        integers = np.clip(np.nan_to_num(scaled, nan=0.0), -largest, largest).astype(np.int8)
        return Rows(integers, (magnitude / largest).astype(np.float32))


def dequantize_sums(sums: NDArray[np.integer], rows: Float32, columns: Float32) -> Float32:
    """Sums (m, n) times their row's scale, then times their column's; scales of shapes (m,) and (n,)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaled: Float32 = sums.astype(np.float32) * rows[:, None] * columns
    return scaled


def quantize_cycles(rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles until the unit takes the next tile, and until the last integer of a rows x columns tile of floats.

    The second pass begins when the first row's quotients are there and the lanes are free: rows follow each other in
    both, so that the last row's come in time. `words` are the accesses of the busiest port in one pass, at most one a
    cycle.
    """
    stream = max(rows * ceil_div(columns, lanes), words)
    first = ceil_div(columns, lanes) + MAGNITUDE.latency(lanes) - 1 + QUOTIENT_BITS
    # a row of few columns leaves the first pass sooner than its quotients leave the dividers
    free = max(stream, first) + stream
    return free, free + ROUND.latency(lanes) - 1


def dequantize_cycles(rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles of a rows x columns tile of sums; see `fixed_point.cycles`."""
    return fixed_point.cycles((DEQUANTIZE_SUMS,), rows, columns, lanes, words)


def quantize_events(counters: Counters, rows: int, columns: int) -> None:
    """Count a comparison, a product and a rounding sum a value, and two quotients of 24 bits a row."""
    values = rows * columns
    count(counters, _COMPARE, values)
    count(counters, _QUOTIENT_BIT, 2 * QUOTIENT_BITS * rows)
    count(counters, _MULTIPLY, values)
    count(counters, _ROUND, values)


def dequantize_events(counters: Counters, values: int, *, accumulate: bool) -> None:
    """Count the shift to the leading one and two products a sum, and the sum that it is added to."""
    count(counters, _NORMALIZE, values)
    count(counters, _MULTIPLY, 2 * values)
    count(counters, _ADD, values if accumulate else 0)
