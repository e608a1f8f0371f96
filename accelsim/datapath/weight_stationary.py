"""The weight-stationary systolic array: R x C processing elements, int8 operands, int32 partial sums.

Timing, measured on the SystemVerilog of tests/rtl for rows and columns that differ too (one register a hop, row r
delayed by r, column c deskewed by C - 1 - c):

- a load shifts one row of weights in per cycle, last row first, and takes R cycles whatever the fold's size;
- M rows of activations enter in M cycles and the last sum leaves M + R + C - 2 cycles after the first entered;
- with shadow registers the swap to new weights travels with the first activation row and reaches the last
  processing element R + C - 2 cycles after that row entered, and only then may the shift chain move again. So two
  folds are max(M, 2R + C - 2) cycles apart; without shadow registers they are 2R + C + M - 2 apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import WeightStationary
from accelsim.config.tech import Component, Counters, Event, Operation, count

OPERAND_BITS = 8
SUM_BITS = 32

_MULTIPLY = Event(Component.MAC, Operation.INT_MULTIPLY, OPERAND_BITS, OPERAND_BITS)
_ADD = Event(Component.MAC, Operation.INT_ADD, SUM_BITS)
_GATED = Event(Component.MAC, Operation.PE_GATED, SUM_BITS)
_READ_OPERAND = Event(Component.REGISTER_FILE, Operation.REGISTER_READ, OPERAND_BITS)
_WRITE_OPERAND = Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, OPERAND_BITS)
_READ_SUM = Event(Component.REGISTER_FILE, Operation.REGISTER_READ, SUM_BITS)
_WRITE_SUM = Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, SUM_BITS)


@dataclass(frozen=True, slots=True)
class Array:
    """Cycles, arithmetic and events of one array."""

    rows: int
    columns: int
    double_buffered: bool

    @classmethod
    def of(cls, config: WeightStationary) -> Array:
        """Array that a machine describes."""
        return cls(config.rows, config.columns, config.double_buffered_weights)

    @property
    def skew_cycles(self) -> int:
        """Cycles by which the last processing element lags behind the first: R + C - 2."""
        return self.rows + self.columns - 2

    @property
    def swap_cycles(self) -> int:
        """Cycles after a matmul's start before the shift chain may move; 0 without shadow registers."""
        return self.skew_cycles if self.double_buffered else 0

    def preload_cycles(self, words: int) -> int:
        """Cycles to load a fold that takes `words` accesses of the weight port."""
        return max(self.rows, words)

    def matmul_cycles(self, m: int, words: int) -> tuple[int, int]:
        """Cycles from the first row to when the array takes the next tile, and to the last result.

        Parameters
        ----------
        m
            Rows of activations.
        words
            Accesses of the busiest port, at most one a cycle.
        """
        free = max(m, words)
        return free, free + self.skew_cycles

    @staticmethod
    def multiply(activations: NDArray[np.generic], weights: NDArray[np.int8]) -> NDArray[np.int64]:
        """Product of (m, k) and (k, n) integers of 8 bits, exact: float64 holds every sum of up to 2^38 products."""
        return (activations.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)

    def preload_events(self, counters: Counters, k: int, n: int) -> None:
        """Count a fold's way down the shift chain, k (k + 1) / 2 hops a column, and its later swap."""
        hops = n * k * (k + 1) // 2
        swaps = k * n if self.double_buffered else 0
        count(counters, _READ_OPERAND, hops - k * n + swaps)  # the first hop comes from the port
        count(counters, _WRITE_OPERAND, hops + swaps)

    def matmul_events(self, counters: Counters, m: int, k: int, n: int, *, accumulate: bool) -> None:
        """Count m rows through a fold of k x n weights.

        Per active processing element and row: a product and a sum; one read and one write each of activation and
        partial sum, one read of the weight. The others are gated. Adding to the accumulator is one more sum.
        """
        active = m * k * n
        count(counters, _MULTIPLY, active)
        count(counters, _ADD, active + (m * n if accumulate else 0))
        count(counters, _GATED, m * self.rows * self.columns - active)
        count(counters, _READ_OPERAND, 2 * active)
        count(counters, _WRITE_OPERAND, active)
        count(counters, _READ_SUM, active)
        count(counters, _WRITE_SUM, active)
