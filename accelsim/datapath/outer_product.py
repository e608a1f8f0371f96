"""The outer-product unit: R x C accumulators to which one k adds R activations times C weights, both broadcast.

Timing, measured on the SystemVerilog of tests/rtl for R and C that differ too. Pipeline: select k | broadcast registers
| multiply and accumulate, so the sums of n_k surviving k are complete max(1, n_k) + 2 edges after the start.

Skipping is decided one beat ahead: while the operands of one k are read, the next one is found. Two masks of a bit a
k, the weights' known at compile time, the activations' from zero detectors on their scratchpad's write port, are joined
by AND into a register of pending k; a priority encoder over all its bits names the lowest, which is then cleared, every
cycle. So a run of skipped k of any length makes no bubble, at the price of an encoder as wide as the mask (log2 levels
deep). A tile without a surviving k takes one cycle, in which its sums are cleared.

A multiply-accumulate element holds two sum registers if double-buffered. A tile that computes `compute` cycles from
`start` hands its sums over at free = max(start + compute, end of the previous drain) and drains until free + drain;
with single sums free = start + compute + drain. What follows the selection lags by the 2 cycles of `latency`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.datapaths import OuterProduct as Config
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.multiplier import latched

OPERAND_BITS = 8
SUM_BITS = 32

_MULTIPLY = Event(Component.MAC, Operation.INT_MULTIPLY, OPERAND_BITS, OPERAND_BITS)
_ADD = Event(Component.MAC, Operation.INT_ADD, SUM_BITS)
_GATED = Event(Component.MAC, Operation.PE_GATED, SUM_BITS)
_LATCH_OPERAND = latched(OPERAND_BITS)
_LATCH_SUM = latched(SUM_BITS)
_LATCH_MASKS = latched(2)
_MASK_GATE = Event(Component.MAC, Operation.LOGIC, 1)
_ZERO_DETECTOR = Event(Component.ACTIVATION, Operation.LOGIC, OPERAND_BITS)


@dataclass(frozen=True, slots=True)
class OuterProduct:
    """Cycles, arithmetic and events of one unit."""

    rows: int
    columns: int
    double_buffered: bool
    skip: bool

    @classmethod
    def of(cls, config: Config) -> OuterProduct:
        """Unit that a machine describes."""
        return cls(config.rows, config.columns, config.double_buffered_sums, config.skip_zero_columns)

    @property
    def latency(self) -> int:
        """Cycles by which the last accumulation lags behind its selection: broadcast, and multiply and accumulate."""
        return 2

    def survivors(self, x: NDArray[np.generic], w: NDArray[np.generic]) -> int:
        """The k of a tile that take a cycle.

        Parameters
        ----------
        x, w
            Operands, feature-major: activations (k, m) and weights (k, n).
        """
        if not self.skip:
            return len(x)
        return int(((x != 0).any(axis=1) & (w != 0).any(axis=1)).sum())

    @staticmethod
    def compute_cycles(survivors: int, words: int) -> int:
        """Cycles in which a tile's k are selected; `words` are the accesses of the busiest port, one a cycle."""
        return max(1, survivors, words)

    @staticmethod
    def drain_cycles(words: int) -> int:
        """Cycles in which a tile's sums leave through the accumulator's port, `words` accesses."""
        return max(1, words)

    def retire(self, start: int, compute: int, drain: int, drained: int) -> tuple[int, int, int]:
        """Cycles at which the unit is free, the drain is over, and the results are visible.

        Parameters
        ----------
        start
            Cycle in which the tile's first k is selected.
        compute, drain
            Cycles of its selections and of its drain.
        drained
            Cycle at which the drain of the tile before is over.
        """
        if self.double_buffered:
            free = max(start + compute, drained)
            return free, free + drain, free + drain + self.latency
        free = start + compute + drain
        return free, free, free + self.latency

    @staticmethod
    def multiply(x: NDArray[np.generic], w: NDArray[np.generic]) -> NDArray[np.int64]:
        """Sums (n, m) of activations (k, m) and weights (k, n) of 8 bits, exact: float64 holds 2^37 such products."""
        return (w.astype(np.float64).T @ x.astype(np.float64)).astype(np.int64)

    @staticmethod
    def mask(operand: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Which k hold a nonzero, of an operand (k, c): bit k of the mask is bit k modulo 8 of byte k // 8."""
        return np.packbits((operand != 0).any(axis=1), bitorder="little")

    def events(self, counters: Counters, k: int, survivors: int, m: int, n: int, *, accumulate: bool) -> None:
        """Count a tile of k inputs of which `survivors` are selected, for m x n active elements.

        Per surviving k: m + n broadcast registers latch an operand, and each active element forms a product and a sum,
        and latches the sum; a tile without a surviving k clears its sums. Elements beyond m x n are gated. Adding to
        the accumulator memory is one more sum. The wires of a broadcast are left out.

        With skipping, both masks are latched once; a gate joins each pair of bits; a selection is charged for a node a
        bit of the tile's mask, though only the nodes above the old and the new lowest bit switch.
        """
        selections = max(1, survivors)
        active = survivors * m * n
        count(counters, _MULTIPLY, active)
        count(counters, _ADD, active + (m * n if accumulate else 0))
        count(counters, _GATED, selections * self.rows * self.columns - active)
        count(counters, _LATCH_OPERAND, survivors * (m + n))
        count(counters, _LATCH_SUM, selections * m * n)
        if self.skip:
            count(counters, _LATCH_MASKS, k)
            count(counters, _MASK_GATE, k * (1 + selections))

    def detect_events(self, counters: Counters, values: int) -> None:
        """Count the zero detectors that `values` activations pass on their way into the scratchpad."""
        count(counters, _ZERO_DETECTOR, values if self.skip else 0)
