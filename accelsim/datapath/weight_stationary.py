"""The weight-stationary systolic array: R x C processing elements, operands and sums of any type.

Timing, measured on the SystemVerilog of tests/rtl for rows and columns that differ too (one register a hop, row r
delayed by r, column c deskewed by C - 1 - c):

- M rows of activations enter in M cycles and the last sum leaves M + R + C - 2 cycles after the first entered;
- with shadow registers the swap to new weights enters in a matmul's first cycle, reaches row r and column c of the
  array r + c cycles later, and takes what the shadow register held before that cycle's edge.

The shift chain moves every weight at once, down one row a cycle, last row first: R cycles whatever the fold's size. It
may move again R + C - 2 cycles after a matmul's start, when the swap reaches the last element, and the next matmul
waits for the whole load. So two folds are max(M, 2R + C - 2) cycles apart; without shadow registers, where a load waits
for the fold's last sum, 2R + C + M - 2.

The row-addressed load broadcasts one row a cycle to the columns, row 0 first, those beyond the fold as zeros. Row r is
written r cycles after the load's start and read r cycles after the matmul's: a matmul may start one cycle after its
load, and its swap has left row r with C - 1 more hops, so the next load may start C - 1 cycles after it. Two folds are
max(M, R, C) cycles apart, or max(M, R + C - 1) if a matmul waits for its whole load. Only a port that delivers rows
more slowly than one a cycle makes one wait longer than a cycle.

An array that broadcasts along its rows instead has no column skew: C is 1 in these laws.

An array of tables (CodeQuant's lookups of input codes by shared values of weights, in the lecture notes) has one of
16 x 16 products in the place of its multipliers, filled while a fold shifts in: one input a cycle, each of 16 products
a value more than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.datapaths import PACKED_BITS, WeightStationary
from accelsim.config.operands import INTEGERS, OperandType
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath import multiplier

#: Inputs and shared values of a table, and bits of a product of 4 bits and 8.
TABLE_STEPS, SHARED_VALUES, PRODUCT_BITS = 16, 16, 12


class SramAccesses(NamedTuple):
    """Operands (not port words) that a layer's folds read from, and partial sums that they write to, the scratchpads.

    These are the element counts of SCALE-Sim; sums that are read back to be added to are not among them.
    """

    activation_reads: int
    weight_reads: int
    sum_writes: int


@dataclass(frozen=True, slots=True)
class Array:
    """Cycles, arithmetic and events of one array."""

    rows: int
    columns: int
    double_buffered: bool
    weight_load: Literal["shift_chain", "row_addressed"] = "shift_chain"
    operand: OperandType = "int8"
    pairs: int = 1  # of operands that a multiplier takes at once, whose products it adds up
    lookup: bool = False

    @classmethod
    def of(cls, config: WeightStationary) -> Array:
        """Array that a machine describes."""
        return cls(
            config.rows,
            config.columns,
            config.double_buffered_weights,
            config.weight_load,
            config.operands,
            lookup=config.lookup,
        )

    @property
    def skew_cycles(self) -> int:
        """Cycles by which the last processing element lags behind the first: R + C - 2."""
        return self.rows + self.columns - 2

    @property
    def swap_cycles(self) -> int:
        """Cycles after a matmul's start before a load may write shadow registers again; 0 without them."""
        if not self.double_buffered:
            return 0
        return self.columns - 1 if self.weight_load == "row_addressed" else self.skew_cycles

    def preload_cycles(self, words: int, depth: int | None = None, first: int = 1) -> int:
        """Cycles to load a fold that takes `words` accesses of the weight port.

        Parameters
        ----------
        words
            Accesses of the whole fold; 0 for a port without limit.
        depth
            Rows of the fold; R unless given. Only the row-addressed load, whose rows keep their order, asks for it.
        first
            Accesses of the fold's first row alone.
        """
        if self.weight_load == "row_addressed":
            return self.rows + self._lag(words, depth, first)
        return max(self.rows, words, TABLE_STEPS if self.lookup else 0)

    def chase_cycles(self, words: int, depth: int | None = None, first: int = 1) -> int:
        """Cycles after a load's start before a matmul may start that multiplies by its fold.

        Down the shift chain, those of the whole load. A row-addressed load has written row r `r + lag` cycles after its
        start, so that 1 + lag cycles suffice: 1 if no row takes more than one access. Parameters as `preload_cycles`.
        """
        if self.weight_load == "row_addressed":
            return 1 + self._lag(words, depth, first)
        return self.preload_cycles(words)

    def _lag(self, words: int, depth: int | None, first: int) -> int:
        """Cycles by which the port's slowest row comes later than one row a cycle.

        Rows of equal length at equal distances take either at most or at least one access each, so that either the
        first row or the last is the one furthest behind.
        """
        return max(0, first - 1, words - (self.rows if depth is None else depth))

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

    def interval_cycles(self, m: int) -> int:
        """Cycles between the starts of two matmuls of m rows whose folds wait for nothing but the array."""
        free, end = self.matmul_cycles(m, m)
        reload = self.swap_cycles if self.double_buffered else end
        return max(free, self.preload_cycles(self.rows), reload + self.chase_cycles(self.rows))

    def law_cycles(self, m: int, k: int, n: int) -> int:
        """Cycles of a whole layer of m x k activations and k x n weights, from the first load to the last sum.

        Without shadow registers and down the shift chain, SCALE-Sim's law: ceil(K/R) ceil(N/C) (2R + C + M - 2).
        """
        folds = -(-k // self.rows) * -(-n // self.columns)
        return self.chase_cycles(self.rows) + (folds - 1) * self.interval_cycles(m) + m + self.skew_cycles

    def sram_accesses(self, m: int, k: int, n: int) -> SramAccesses:
        """Operands and sums of a whole layer that cross the scratchpads' ports.

        The folds of one stripe of C outputs stream all activations once, each weight is loaded once, and the folds of
        each stripe of R inputs write a partial sum of every output.
        """
        return SramAccesses(m * k * -(-n // self.columns), k * n, m * n * -(-k // self.rows))

    def of_integers(self, bits: int) -> Array:
        """The same array whose multipliers take several pairs of integers each; itself for 0 bits.

        A multiplier's place then holds as many inputs as fit its width, so that all times are those of a fold of its
        own operands: words of the same width, a row of multipliers a cycle.
        """
        return replace(self, operand=INTEGERS[bits], pairs=PACKED_BITS // bits) if bits else self

    def multiply(self, activations: NDArray[np.generic], weights: NDArray[np.generic]) -> NDArray[Any]:
        """Product of (m, k) and (k, n) operands: int64, exact, or float32, summed down the columns in order."""
        return multiplier.multiply(activations, weights, self.operand)

    def table_events(self, counters: Counters) -> None:
        """Count how a table of products is formed: each value is added to the products of the input before it."""
        products = TABLE_STEPS * SHARED_VALUES
        count(counters, Event(Component.MAC, Operation.INT_ADD, PRODUCT_BITS), products)
        count(counters, Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, PRODUCT_BITS), products)

    def preload_events(self, counters: Counters, k: int, n: int) -> None:
        """Count a fold's way into the array, and its later swap.

        Down the shift chain, k (k + 1) / 2 hops a column; by address, one latch a weight. Several pairs hop together.
        """
        e = multiplier.mac_events(self.operand)
        weights = k * n
        hops = weights if self.weight_load == "row_addressed" else weights * (-(-k // self.pairs) + 1) // 2
        swaps = weights if self.double_buffered else 0
        count(counters, e.latch_operand, hops + swaps)

    def matmul_events(self, counters: Counters, m: int, k: int, n: int, *, accumulate: bool) -> None:
        """Count m rows through a fold of k x n weights.

        Per active processing element and row: a product and a sum, a latch each of activation and partial sum. The
        others are gated. Adding to the accumulator is one more sum. An element that takes several pairs adds their
        products up, and has one partial sum. Before the array row r of activations passes r skew registers, behind it
        column c of sums C - 1 - c, so that a row of them leaves together.
        """
        e = multiplier.mac_events(self.operand)
        active = m * k * n
        rows = -(-k // self.pairs)
        elements = m * rows * n
        if self.lookup:
            count(counters, Event(Component.MAC, Operation.LOOK_UP, PRODUCT_BITS), active)
        else:
            count(counters, e.multiply, active)
        count(counters, e.add, active + (m * n if accumulate else 0))
        count(counters, e.gated, m * self.rows * self.columns - elements)
        count(counters, e.latch_operand, active + m * self.pairs * multiplier.skewed(rows))
        count(
            counters,
            e.latch_sum,
            elements + m * (multiplier.skewed(self.columns) - multiplier.skewed(self.columns - n)),
        )
