"""The structured-sparse unit: C dot products of R multipliers, each behind a multiplexer that an index steers.

Of every `group` (M) weights along K, `kept` (N) are held with their positions. Multiplier r of a column holds kept
weight r modulo N of group r // N, and its multiplexer picks from that group's M activations. A fold spans R M / N
inputs, so a row of activations is M / N times as wide as the row of R that dense weights take on the same multipliers,
whose multiplexers then pass activation r straight through.

Timing, measured on the SystemVerilog of tests/rtl for R and C that differ too. Pipeline: select | multiply | sum and
accumulate: latency 3, a row of activations a cycle for all columns at once. Weights and indices have shadow registers,
which a load writes one row a cycle by its address. Nothing is systolic: the whole fold is taken over in the cycle in
which its first row enters, and the next load may start in that cycle. So folds are max(m, R) cycles apart, or more if a
port needs more accesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.datapaths import StructuredSparse as Config
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.multiplier import latched
from accelsim.formats import nm

OPERAND_BITS = 8
PRODUCT_BITS = 16  # int8 by int8 or uint8
SUM_BITS = 32

_MULTIPLY = Event(Component.MAC, Operation.INT_MULTIPLY, OPERAND_BITS, OPERAND_BITS)
_ADD = Event(Component.MAC, Operation.INT_ADD, SUM_BITS)
_GATED = Event(Component.MAC, Operation.PE_GATED, SUM_BITS)
_MULTIPLEX = Event(Component.MAC, Operation.LOGIC, OPERAND_BITS)
_LATCH_OPERAND = latched(OPERAND_BITS)
_LATCH_PRODUCT = latched(PRODUCT_BITS)
_LATCH_SUM = latched(SUM_BITS)


def tree_events(counters: Counters, inputs: int, bits: int, times: int) -> None:
    """Count the adders of a tree that sums `inputs` numbers of `bits` bits; each level's operands are a bit wider."""
    while inputs > 1:
        count(counters, Event(Component.MAC, Operation.INT_ADD, bits), inputs // 2 * times)
        inputs -= inputs // 2
        bits += 1


@dataclass(frozen=True, slots=True)
class StructuredSparse:
    """Cycles, arithmetic and events of one unit."""

    rows: int
    columns: int
    kept: int
    group: int

    @classmethod
    def of(cls, config: Config) -> StructuredSparse:
        """Unit that a machine describes."""
        return cls(config.rows, config.columns, config.kept, config.group)

    @property
    def index_bits(self) -> int:
        """Bits of the index that picks an activation from its group."""
        return nm.index_bits(self.group)

    @property
    def latency(self) -> int:
        """Edges from a row of activations to its sums: select, multiply, sum and accumulate."""
        return 3

    def fold_inputs(self, *, sparse: bool) -> int:
        """Inputs (K) that a fold spans."""
        return self.rows * self.group // self.kept if sparse else self.rows

    def preload_cycles(self, words: int) -> int:
        """Cycles to load a fold that takes `words` accesses of the weight port, values and indices together."""
        return max(self.rows, words)

    def matmul_cycles(self, m: int, words: int) -> tuple[int, int]:
        """Cycles from the first row to when the unit takes the next tile, and to the last result.

        Parameters
        ----------
        m
            Rows of activations.
        words
            Accesses of the busiest port, at most one a cycle.
        """
        free = max(m, words)
        return free, free + self.latency - 1

    def multiply(
        self, x: NDArray[np.generic], values: NDArray[np.int8], indices: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Products of the activations that the indices pick, summed; exact.

        Parameters
        ----------
        x
            Activations of 8 bits, shape (m, k), k at most what the weights span; what is missing is zero.
        values, indices
            Kept weights and their positions in the group, shape (rows, n), rows a multiple of `kept`.

        Returns
        -------
        int64, shape (m, n).
        """
        # picking an activation for a weight is putting the weight where the activation is: the multiplexer transposed
        weights = nm.scatter(values.astype(np.float64), indices, self.kept, self.group)
        return (x.astype(np.float64) @ weights[: x.shape[1]]).astype(np.int64)

    @staticmethod
    def multiply_dense(x: NDArray[np.generic], w: NDArray[np.int8]) -> NDArray[np.int64]:
        """Product of (m, k) and (k, n) integers of 8 bits, exact."""
        return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)

    def preload_events(self, counters: Counters, rows: int, n: int, *, sparse: bool) -> None:
        """Count a fold's `rows` x n weights: each is latched as it is loaded, and by the swap."""
        weights = rows * n
        count(counters, _LATCH_OPERAND, 2 * weights)
        count(counters, latched(self.index_bits), 2 * weights if sparse else 0)

    def matmul_events(self, counters: Counters, m: int, rows: int, n: int, *, sparse: bool, accumulate: bool) -> None:
        """Count m rows of activations through a fold of `rows` x n held weights, zeros among them included.

        Per active multiplier and row: a latch behind its multiplexer and one of its product, a product. A multiplexer
        of M activations and the straight way is M two-way ones, of which dense weights switch one. The adders are those
        of a tree of `rows` inputs, from 16 bits on a bit wider at each level. A sum is latched once; adding what the
        accumulator holds is one more sum. The other multipliers are gated.
        """
        active = m * rows * n
        count(counters, _MULTIPLY, active)
        count(counters, _GATED, m * self.rows * self.columns - active)
        count(counters, _MULTIPLEX, active * (self.group if sparse else 1))
        count(counters, _LATCH_OPERAND, active)
        count(counters, _LATCH_PRODUCT, active)
        tree_events(counters, rows, PRODUCT_BITS, m * n)
        count(counters, _ADD, m * n if accumulate else 0)
        count(counters, _LATCH_SUM, m * n)
