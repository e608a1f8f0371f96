"""The Walsh-Hadamard transform of blocks of 2^p channels by butterflies: p passes of one sum or difference a value.

Entry (i, j) of the matrix is (-1)^popcount(i & j), Sylvester's order (QuaRot, arXiv:2404.00456, section 3). The first
output of a block sums 2^p values of int8 and lies in [-2^p 128, 2^p 127]; the others subtract half of the values from
the other half and lie within 2^(p-1) 255. So int16 holds all outputs up to p = 8, int32 up to p = 24.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import Int64, VectorPass, shift_round

#: Largest p whose outputs fit int16, and int32.
INT16_LEVELS, INT32_LEVELS = 8, 24


def output_bits(levels: int) -> int:
    """Width of the outputs, of the adders and of the row registers: 16 or 32."""
    return 16 if levels <= INT16_LEVELS else 32


def transform(x: NDArray[np.generic], levels: int) -> Int64:
    """Transform each block of 2^levels channels of the last axis.

    Parameters
    ----------
    x
        int8 values, shape (..., C), C a multiple of 2^levels.
    levels
        p, from 1 to 24.

    Returns
    -------
    int64 of the same shape; values of int16 up to 8 levels, of int32 beyond.

    Raises
    ------
    ValueError
        If the levels are out of range, or the channels no multiple of a block.
    """
    if not 1 <= levels <= INT32_LEVELS:
        raise ValueError(f"a Hadamard transform must have 1 to {INT32_LEVELS} levels, not {levels}")
    if x.shape[-1] % 2**levels:
        raise ValueError(f"channels must be a multiple of {2**levels}, not {x.shape[-1]}")
    y = x.astype(np.int64)
    for level in range(levels):
        upper, lower = np.moveaxis(y.reshape(*x.shape[:-1], -1, 2, 2**level), -2, 0)
        y = np.stack((upper + lower, upper - lower), axis=-2)
    return y.reshape(x.shape)


def narrow(y: Int64, right: int) -> Int64:
    """Shift right to nearest, ties up, and saturate to int8; p / 2 bits make the transform orthonormal."""
    return np.clip(shift_round(y, right), -128, 127)


def passes(levels: int, *, narrowed: bool) -> tuple[VectorPass, ...]:
    """One pass a level; only the first and the last move words through the ports, the others use row registers."""
    last = ("round and shift", "saturate") if narrowed else ()
    return tuple(
        VectorPass(
            f"butterflies of stride {2**level}",
            ("add", *(last if level == levels - 1 else ())),
            port=level in {0, levels - 1},
        )
        for level in range(levels)
    )


def cycles(rows: int, columns: int, lanes: int, words: int, *, levels: int, narrowed: bool) -> tuple[int, int]:
    """Cycles of a rows x columns tile; see `fixed_point.cycles`.

    A lane takes one value a cycle and its neighbour lane the other of the pair. A single lane forms both results of a
    pair in two cycles.
    """
    return fixed_point.cycles(passes(levels, narrowed=narrowed), rows, columns, lanes, words)


def events(counters: Counters, values: int, *, levels: int, narrowed: bool) -> None:
    """Count a sum a value and level; between levels every value is written to a row register and read from it."""
    bits = output_bits(levels)
    count(counters, Event(Component.VECTOR, Operation.INT_ADD, bits), values * (levels + narrowed))
    count(counters, Event(Component.VECTOR, Operation.REGISTER_WRITE, bits), values * (levels - 1))
    count(counters, Event(Component.VECTOR, Operation.REGISTER_READ, bits), values * (levels - 1))
    if narrowed:
        count(counters, Event(Component.VECTOR, Operation.INT_SHIFT, bits), values)
