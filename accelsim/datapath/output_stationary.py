"""The output-stationary systolic array: R x C sums stay in their processing elements while K operands stream through.

Timing, measured on the SystemVerilog of tests/rtl for rows and columns that differ too (one register a hop):

- activations enter from the left, row r delayed by r, and weights from above, column c delayed by c, one k a cycle; the
  element of row r and column c multiplies k on the edge k + r + c, so a tile's last product is formed R + C + K - 2
  cycles after its first operands entered, whatever the tile's rows and columns;
- then the sums shift down and out, one row of C sums a cycle, last row first. A tile of fewer rows sits at the array's
  lower edge, so M rows take M cycles; a port that takes fewer sums a cycle holds the shift. Zeros shift in from above
  and are what the next tile adds to, so no cycle is spent on clearing.

An element has one register for its sum, and one command shifts all of them: a tile's drain overlaps neither its own
products nor the next tile's, whose operands may enter in the cycle after the last shift. Two tiles are
R + C + K - 2 + M cycles apart. SCALE-Sim's law leaves the drain out: its tiles are R + C + K - 2 apart, and its trace
lets sums leave from the (K - 1)-th cycle on, while their last products are still to come. That is the `direct` drain,
of elements with a wire each to the accumulator memory; no hardware here is built so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.tech import Counters, count
from accelsim.datapath import multiplier
from accelsim.datapath.weight_stationary import SramAccesses


@dataclass(frozen=True, slots=True)
class OutputStationary:
    """Cycles, arithmetic and events of one array."""

    rows: int
    columns: int
    drain: Literal["shifted", "direct"] = "shifted"

    @classmethod
    def of(cls, config: datapaths.OutputStationary) -> OutputStationary:
        """Array that a machine describes."""
        return cls(config.rows, config.columns, config.drain)

    @property
    def skew_cycles(self) -> int:
        """Cycles by which the last processing element lags behind the first: R + C - 2."""
        return self.rows + self.columns - 2

    def cycles(self, k: int, words: int) -> tuple[int, int]:
        """Cycles from a tile's first operands to when the last have entered, and to when the last product is formed.

        Parameters
        ----------
        k
            Products of each sum.
        words
            Accesses of the busier operand's port, at most one a cycle; operands that come late leave a bubble.
        """
        streamed = max(k, words)
        return streamed, streamed + self.skew_cycles

    def drain_cycles(self, rows: int, words: int) -> int:
        """Cycles in which a tile's rows of sums leave, through a port that takes `words` accesses for them."""
        return max(rows, words) if self.drain == "shifted" else words

    def law_cycles(self, m: int, k: int, n: int) -> int:
        """Cycles of a whole layer without its drains, as SCALE-Sim has it: ceil(M/R) ceil(N/C) (R + C + K - 2)."""
        return -(-m // self.rows) * -(-n // self.columns) * (k + self.skew_cycles)

    def drained_cycles(self, m: int, k: int, n: int) -> int:
        """Cycles of a whole layer with shifted drains: each stripe of C outputs shifts out M rows of sums."""
        return self.law_cycles(m, k, n) + m * -(-n // self.columns)

    def sram_accesses(self, m: int, k: int, n: int) -> SramAccesses:
        """Operands and sums of a whole layer that cross the scratchpads' ports.

        Each stripe of C outputs streams all activations once, each stripe of R samples all weights, and a sum is
        written once. SCALE-Sim 3.0.0 reports R + C more sums for every tile: when it has counted a tile's sums it adds
        the sum of the two sides of the tile, padded to R x C, to them.
        """
        tiles_down, tiles_across = -(-m // self.rows), -(-n // self.columns)
        return SramAccesses(m * k * tiles_across, k * n * tiles_down, m * n)

    @staticmethod
    def multiply(activations: NDArray[np.generic], weights: NDArray[np.generic]) -> NDArray[np.int64]:
        """Product of (m, k) and (k, n) integers of 8 bits, exact."""
        return multiplier.multiply(activations, weights, "int8")

    def events(self, counters: Counters, m: int, k: int, n: int, *, accumulate: bool) -> None:
        """Count a tile of m x n sums of k products each, and its drain.

        Per active processing element and k: a product and a sum, a latch each of activation, weight and partial sum.
        The others are gated. Row r of activations and column c of weights pass r and c skew registers before the array.
        The i-th row of sums from below moves i rows down, if they are shifted. Adding to the accumulator is one more
        sum.
        """
        e = multiplier.mac_events("int8")
        active = m * k * n
        moves = n * m * (m - 1) // 2 if self.drain == "shifted" else 0
        count(counters, e.multiply, active)
        count(counters, e.add, active + (m * n if accumulate else 0))
        count(counters, e.gated, k * self.rows * self.columns - active)
        count(counters, e.latch_operand, 2 * active + k * (multiplier.skewed(m) + multiplier.skewed(n)))
        count(counters, e.latch_sum, active + moves)
