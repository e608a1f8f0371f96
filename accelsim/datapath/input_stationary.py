"""The input-stationary systolic array: activations stay, R inputs (K) by C samples (M) a fold; weights stream through.

It is the weight-stationary array with the operands' roles exchanged: what its registers hold is the transposed
activations, what streams is the transposed weights, a row an output (N), and sums leave transposed. So its timing is
that of `weight_stationary`, with N in place of M.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.tech import Counters
from accelsim.datapath.weight_stationary import Array, SramAccesses


@dataclass(frozen=True, slots=True)
class InputStationary:
    """The array with its roles exchanged; `array` is what loads (preload_*) and streams (matmul_*) are timed by."""

    array: Array

    @classmethod
    def of(cls, config: datapaths.InputStationary) -> InputStationary:
        """Array that a machine describes."""
        return cls(Array(config.rows, config.columns, config.double_buffered_inputs))

    def law_cycles(self, m: int, k: int, n: int) -> int:
        """Cycles of a whole layer of m x k activations and k x n weights, from the first load to the last sum.

        Without shadow registers, SCALE-Sim's law: ceil(K/R) ceil(M/C) (2R + C + N - 2).
        """
        return self.array.law_cycles(n, k, m)

    def sram_accesses(self, m: int, k: int, n: int) -> SramAccesses:
        """Operands and sums of a whole layer that cross the ports: all weights once for each stripe of C samples."""
        streamed, held, sums = self.array.sram_accesses(n, k, m)
        return SramAccesses(activation_reads=held, weight_reads=streamed, sum_writes=sums)

    def multiply(self, activations: NDArray[np.generic], weights: NDArray[np.generic]) -> NDArray[np.int64]:
        """Product of (m, k) and (k, n) integers of 8 bits, shape (m, n); the array delivers it transposed."""
        return self.array.multiply(weights.T, activations.T).T

    def preload_events(self, counters: Counters, m: int, k: int) -> None:
        """Count a fold of m samples by k inputs on its way into the array, and its later swap."""
        self.array.preload_events(counters, k, m)

    def matmul_events(self, counters: Counters, m: int, k: int, n: int, *, accumulate: bool) -> None:
        """Count k x n weights that stream through a fold of m x k activations."""
        self.array.matmul_events(counters, n, k, m, accumulate=accumulate)
