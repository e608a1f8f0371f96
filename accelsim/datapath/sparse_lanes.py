"""Sparse vector lanes, as EIE (Han et al., ISCA 2016, section IV): a broadcast nonzero activation times sparse weights.

Activations are scanned by a tree of leading-nonzero detectors, which finds one nonzero a cycle and passes zeros at no
cost, and are broadcast to the queues of all lanes when every queue has room. A lane takes an activation out of its
queue, reads the two pointers of its column in that cycle (two banks of pointers), and then one entry a cycle, so that
columns follow each other without a gap.

Timing, held against registers stepped cycle by cycle in the tests; what the paper leaves open is assumed so:

- a column without entries costs its lane one cycle, the one in which its pointers are read;
- a queue's slot is free in the cycle in which its activation is taken out, and a broadcast activation can be taken out
  one cycle later;
- an entry's sum is written five cycles after its activation's pointers, or the entry before, were read: matrix read,
  then the paper's four stages (decode and address, product and sum read, addition, write);
- a vector is done when the last activation has passed these stages in all lanes, and only then the next is broadcast:
  the paper's central control changes the roles of the activation registers between products. Sums are drained from,
  and activations loaded into, the registers that are not in use. A vector of zeros takes the cycle that finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.formats.relative import EncodedLanes, encode
from accelsim.kernels import sparse_lanes

Int64 = NDArray[np.int64]

OPERAND_BITS = 8
SUM_BITS = 32
#: Bits of a queue's word: the activation and the number of its column, for which 16 bits are assumed.
QUEUE_BITS = OPERAND_BITS + 16
#: Stages after the pointers' read: matrix read, decode and address, product and sum read, addition, write.
PIPELINE_CYCLES = 5

_MULTIPLY = Event(Component.MAC, Operation.INT_MULTIPLY, OPERAND_BITS, OPERAND_BITS)
_ADD = Event(Component.MAC, Operation.INT_ADD, SUM_BITS)
_GATED = Event(Component.MAC, Operation.PE_GATED, SUM_BITS)
_SCAN = Event(Component.MAC, Operation.INT_COMPARE, OPERAND_BITS)
_WRITE_QUEUE = Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, QUEUE_BITS)
_READ_QUEUE = Event(Component.REGISTER_FILE, Operation.REGISTER_READ, QUEUE_BITS)
_READ_SUM = Event(Component.REGISTER_FILE, Operation.REGISTER_READ, SUM_BITS)
_WRITE_SUM = Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, SUM_BITS)


@dataclass(frozen=True, slots=True)
class LaneWork:
    """What a product of m vectors makes the lanes do.

    Parameters
    ----------
    scanned
        Activations that were looked at, m k.
    broadcast
        Activations that were not zero.
    entries
        Entries that the lanes read and multiplied, padding included.
    padding
        Entries among them whose value is 0: executed, and not useful.
    words
        Words of entries that the lanes fetched from their slices.
    """

    scanned: int
    broadcast: int
    entries: int
    padding: int
    words: int

    @property
    def useful(self) -> int:
        """Products of two numbers that are not zero."""
        return self.entries - self.padding


@dataclass(frozen=True, slots=True)
class SparseLanes:
    """Cycles, arithmetic and events of the lanes.

    Parameters
    ----------
    fetch_bits
        Bits that a lane fetches at once from its slice of the weight memory: whole entries.
    """

    lanes: int
    fifo_depth: int
    index_bits: int
    sums_per_lane: int
    fetch_bits: int

    @classmethod
    def of(cls, config: datapaths.SparseLanes) -> SparseLanes:
        """Lanes that a machine describes."""
        return cls(config.lanes, config.fifo_depth, config.index_bits, config.sums_per_lane, config.fetch_bits)

    @property
    def outputs(self) -> int:
        """Outputs (N) of a tile, at most."""
        return self.lanes * self.sums_per_lane

    def encode(self, weights: NDArray[np.generic]) -> EncodedLanes:
        """Weights of a tile, shape (k, n), as the lanes hold them."""
        if weights.shape[1] > self.outputs:
            raise ValueError(f"{self.lanes} lanes must hold at most {self.outputs} sums, not {weights.shape[1]}")
        return encode(weights, self.lanes, self.index_bits)

    def cycles(self, nonzero: NDArray[np.bool_], counts: NDArray[np.int32]) -> Int64:
        """Cycles of each vector, from its first broadcast until its last sum is written; drain and load not included.

        Parameters
        ----------
        nonzero
            Which activations are not zero, shape (m, k).
        counts
            Entries of each input and lane, shape (k, lanes).

        Returns
        -------
        int64, shape (m,), at least 1 each.
        """
        if counts.shape != (nonzero.shape[1], self.lanes):
            raise ValueError(f"counts must have shape {(nonzero.shape[1], self.lanes)}, not {counts.shape}")
        finish, left = np.zeros(self.lanes, np.int64), np.zeros(self.fifo_depth, np.int64)
        read = np.zeros(len(nonzero), np.int64)
        sparse_lanes.cycles(nonzero, counts.astype(np.int32, copy=False), self.fifo_depth, finish, left, read)
        return np.where(read > 0, read + PIPELINE_CYCLES, 1)

    @staticmethod
    def drain_words(n: int, port_bits: int) -> int:
        """Accesses of the accumulator memory's port that the n sums of one vector take."""
        return -(-n * SUM_BITS // port_bits)

    @staticmethod
    def matmul_cycles(cycles: Int64, loaded: int, drained: int) -> tuple[int, int]:
        """Cycles of a tile until the lanes take the next one, and until its last sum is drained.

        The sums of a vector drain, and the activations of the next one arrive, while the next one computes; so a
        vector takes as long as the busiest port needs for one, if that is longer. Tiles of the same n follow each other
        without a conflict of their drains.

        Parameters
        ----------
        cycles
            Of each vector, shape (m,), from `cycles`.
        loaded, drained
            Accesses of the activation port, and of the accumulator port, for one vector; one a cycle.
        """
        free = int(np.maximum(cycles, max(loaded, drained)).sum())
        return free, free + drained

    @staticmethod
    def multiply(activations: NDArray[np.generic], weights: EncodedLanes) -> Int64:
        """Product of (m, k) integers of 8 bits with encoded weights, exact; shape (m, n)."""
        k, n = weights.matrix
        if activations.shape[1] != k:
            raise ValueError(f"activations must have {k} columns, not {activations.shape[1]}")
        out = np.zeros((len(activations), n), np.int64)
        values = weights.values.astype(np.int16)
        sparse_lanes.multiply(activations.astype(np.int64), weights.starts, values, weights.indices, out)
        return out

    def work(self, nonzero: NDArray[np.bool_], weights: EncodedLanes) -> LaneWork:
        """Count what the lanes do for vectors whose activations are not zero as `nonzero`, shape (m, k), says."""
        uses = nonzero.sum(axis=0, dtype=np.int64)
        entries = int(uses @ weights.counts.sum(axis=1, dtype=np.int64))
        padding = int(uses @ weights.padding_counts.sum(axis=1, dtype=np.int64))
        words = sparse_lanes.words(nonzero, weights.pointers, self.fetch_bits // (OPERAND_BITS + self.index_bits))
        return LaneWork(nonzero.size, int(uses.sum()), entries, padding, words)

    def events(
        self, counters: Counters, work: LaneWork, cycles: int, pointer_bits: int, *, accumulated: int = 0
    ) -> None:
        """Count a product.

        Every entry, padding too, comes in a word that its lane fetches from its slice of the weight memory, adds its
        index to the address, multiplies, and reads, adds to and writes a sum. The slices' reads are charged here, by
        word (EIE, section IV: 64 bits, so that the memory is read once in eight entries) and by pointer; drained sums
        and loaded activations are charged by the ports they pass.

        Parameters
        ----------
        work
            From `work`.
        cycles
            Cycles of all vectors; lanes that read no entry in one of them are gated.
        pointer_bits
            Width of a pointer.
        accumulated
            Sums that are added to the accumulator memory instead of written to it.
        """
        address_bits = max(1, (self.sums_per_lane - 1).bit_length())
        taken = work.broadcast * self.lanes
        count(counters, _SCAN, work.scanned)
        count(counters, _WRITE_QUEUE, taken)
        count(counters, _READ_QUEUE, taken)
        count(counters, Event(Component.WEIGHT, Operation.SRAM_READ, pointer_bits), 2 * taken)
        count(counters, Event(Component.WEIGHT, Operation.SRAM_READ, self.fetch_bits), work.words)
        count(counters, Event(Component.MAC, Operation.INT_ADD, address_bits), work.entries)
        count(counters, _MULTIPLY, work.entries)
        count(counters, _ADD, work.entries + accumulated)
        count(counters, _READ_SUM, work.entries)
        count(counters, _WRITE_SUM, work.entries)
        count(counters, _GATED, cycles * self.lanes - work.entries)
