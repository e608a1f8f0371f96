"""The tensor core: 64 multipliers that form 4 x 4 by 4 x 4 in one issue, an adder tree behind each of the 16 outputs.

Timing, measured on the SystemVerilog of tests/rtl. Pipeline: multiply | tree | accumulate: latency 3, an issue a cycle,
so n issues take n + 2 edges. An issue that adds to sums still on their way waits until they are out, 3 cycles after
their own issue; with a local accumulator, which lies in the last stage, it need not.

Two joined cores sum both their trees, A B + A' B' + C, in the same three stages, so K advances by 8; A B + C for any C
of operand width is the case A' = C, B' = I. With 2:4 weights a multiplexer before each multiplier, in the same stage,
picks one of four activations, so an issue covers twice the K with as many multipliers.

A worker, a core or a joined pair, keeps a tile of outputs in registers and issues step by step along K, each step once
through the tile's 4 x 4 blocks. Tiles are dealt row-major to the workers in waves; a wave starts when the one before
has issued all, and the last may leave workers idle. Workers of a wave that need the same rows or columns share a read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.datapaths import TensorCore as Config
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.multiplier import latched
from accelsim.datapath.structured_sparse import tree_events
from accelsim.formats import nm

SIDE = 4
OPERAND_BITS = 8
PRODUCT_BITS = 16  # int8 by int8 or uint8
TREE_BITS = 18  # the sum of four products
SUM_BITS = 32
KEPT, GROUP = 2, 4

_MULTIPLY = Event(Component.MAC, Operation.INT_MULTIPLY, OPERAND_BITS, OPERAND_BITS)
_ADD = Event(Component.MAC, Operation.INT_ADD, SUM_BITS)
_GATED = Event(Component.MAC, Operation.PE_GATED, SUM_BITS)
_MULTIPLEX = Event(Component.MAC, Operation.LOGIC, OPERAND_BITS)


def _registers(counters: Counters, bits: int, reads: int, writes: int) -> None:
    count(counters, Event(Component.REGISTER_FILE, Operation.REGISTER_READ, bits), reads)
    count(counters, Event(Component.REGISTER_FILE, Operation.REGISTER_WRITE, bits), writes)


def _blocks(length: int, side: int) -> int:
    return -(-length // side)


@dataclass(frozen=True, slots=True)
class TensorCore:
    """Cycles, arithmetic and events of all cores."""

    cores: int
    joined: int
    tile_rows: int
    tile_columns: int
    local_accumulator: bool
    sparse_2_4: bool

    @classmethod
    def of(cls, config: Config) -> TensorCore:
        """Cores that a machine describes."""
        return cls(
            config.cores,
            config.joined,
            config.tile_rows,
            config.tile_columns,
            config.local_accumulator,
            config.sparse_2_4,
        )

    @property
    def latency(self) -> int:
        """Edges from an issue to its sums: multiply, tree, accumulate."""
        return 3

    @property
    def workers(self) -> int:
        """Cores, or pairs of them, that work on a tile each."""
        return self.cores // self.joined

    def step_inputs(self, *, sparse: bool) -> int:
        """Inputs (K) that one issue covers."""
        if sparse and not self.sparse_2_4:
            raise ValueError("2:4 weights need cores with sparse_2_4")
        return SIDE * self.joined * (GROUP // KEPT if sparse else 1)

    def issues(self, m: int, k: int, n: int, *, sparse: bool) -> int:
        """Issues of all workers for a block of m x k x n."""
        return _blocks(m, SIDE) * _blocks(n, SIDE) * _blocks(k, self.step_inputs(sparse=sparse))

    def waves(self, m: int, n: int) -> int:
        """Rounds in which the tiles of m x n outputs are dealt to the workers."""
        return _blocks(self._tiles(m, n), self.workers)

    def idle(self, m: int, n: int) -> int:
        """Workers without a tile in the last wave: the tail."""
        return self.waves(m, n) * self.workers - self._tiles(m, n)

    def _tiles(self, m: int, n: int) -> int:
        return _blocks(m, self.tile_rows) * _blocks(n, self.tile_columns)

    def _tile_sides(self, m: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Outputs along each side of every tile, row-major by tile, padded to whole waves: shapes (waves, workers)."""
        down = np.minimum(m - np.arange(0, m, self.tile_rows), self.tile_rows)
        across = np.minimum(n - np.arange(0, n, self.tile_columns), self.tile_columns)
        sides = np.zeros((2, self.waves(m, n) * self.workers), np.int64)
        sides[0, : down.size * across.size] = np.repeat(down, across.size)
        sides[1, : down.size * across.size] = np.tile(across, down.size)
        return sides[0].reshape(-1, self.workers), sides[1].reshape(-1, self.workers)

    def issue_cycles(self, m: int, k: int, n: int, *, sparse: bool) -> int:
        """Cycles from the first issue to the last, both included: for each wave those of its longest tile.

        The steps of a tile are as far apart as it has 4 x 4 blocks, and at least `latency` apart without local
        accumulators; the next tile's sums depend on nothing, so after the last step there is no wait.
        """
        steps = _blocks(k, self.step_inputs(sparse=sparse))
        down, across = self._tile_sides(m, n)
        blocks = (-(-down // SIDE) * -(-across // SIDE)).max(axis=1)
        apart = blocks if self.local_accumulator else np.maximum(blocks, self.latency)
        return int(((steps - 1) * apart + blocks).sum())

    def cycles(self, m: int, k: int, n: int, words: int, *, sparse: bool) -> tuple[int, int]:
        """Cycles of a block from its first issue to when the cores take the next block, and to its last result.

        Parameters
        ----------
        m, k, n
            Activation rows, inputs and outputs of the block.
        words
            Accesses of the busiest port, at most one a cycle.
        """
        free = max(self.issue_cycles(m, k, n, sparse=sparse), words)
        return free, free + self.latency - 1

    def operand_reads(self, m: int, n: int) -> tuple[int, int]:
        """Activation rows, and weight columns, that are read from the shared memory over all waves, k inputs each."""
        tiles, across = self._tiles(m, n), _blocks(n, self.tile_columns)
        first = np.arange(0, tiles, self.workers)
        last = np.minimum(first + self.workers, tiles) - 1
        rows = np.minimum((last // across + 1) * self.tile_rows, m) - first // across * self.tile_rows
        left = first % across * self.tile_columns
        right = np.minimum((last % across + 1) * self.tile_columns, n)
        # a wave that goes on in the next row of tiles takes those from its first to the end, and those up to its last
        columns = np.where(last - first + 1 >= across, n, right - left + np.where(right <= left, n, 0))
        return int(rows.sum()), int(columns.sum())

    @staticmethod
    def multiply(x: NDArray[np.generic], w: NDArray[np.generic]) -> NDArray[np.int64]:
        """Product of (m, k) and (k, n) integers of 8 bits, exact."""
        return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)

    @staticmethod
    def multiply_sparse(
        x: NDArray[np.generic], values: NDArray[np.int8], indices: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Product of activations (m, k) and 2:4 weights: values and positions of `formats.nm`, shape (rows, n)."""
        weights = nm.scatter(values.astype(np.float64), indices, KEPT, GROUP)
        return (x.astype(np.float64) @ weights[: x.shape[1]]).astype(np.int64)

    def events(self, counters: Counters, m: int, k: int, n: int, *, sparse: bool, accumulate: bool) -> None:
        """Count a block of m x k x n; of 2:4 weights the two kept of a group work, zeros among them included.

        Operands are written to a worker's register file once a tile, and read once an issue, which multiplies each by
        four others. Products (16 bits), tree sums (18 bits, 19 if joined) and, without local accumulators, the sums
        that pass through two stages to the third each have latches. A sum of the tile is written once a step and read
        as often: by the steps behind the first, and once to leave; adding what the accumulator memory holds is one
        more sum. A 4:1 multiplexer and the straight way beside it are four two-way ones, of which dense weights switch
        one. Multipliers without a product are gated, those of waiting and idle cores included.
        """
        inputs = _blocks(k, GROUP) * KEPT if sparse else k
        steps = _blocks(k, self.step_inputs(sparse=sparse))
        active, sums = m * inputs * n, m * n * steps
        slots = self.issue_cycles(m, k, n, sparse=sparse) * self.cores * SIDE**3
        count(counters, _MULTIPLY, active)
        count(counters, _GATED, slots - active)
        if self.sparse_2_4:
            count(counters, _MULTIPLEX, active * (GROUP if sparse else 1))
        tree = TREE_BITS + self.joined - 1
        tree_events(counters, SIDE * self.joined, PRODUCT_BITS, sums)
        count(counters, _ADD, sums + (m * n if accumulate else 0))
        down, across = _blocks(m, self.tile_rows), _blocks(n, self.tile_columns)
        _registers(
            counters,
            OPERAND_BITS,
            reads=m * k * _blocks(n, SIDE) + inputs * n * _blocks(m, SIDE),
            writes=m * k * across + inputs * n * down,
        )
        if sparse:
            _registers(counters, nm.index_bits(GROUP), reads=inputs * n * _blocks(m, SIDE), writes=inputs * n * down)
        count(counters, latched(PRODUCT_BITS), active)
        count(counters, latched(tree), sums)
        count(counters, latched(SUM_BITS), 0 if self.local_accumulator else 2 * sums)
        _registers(counters, SUM_BITS, reads=sums, writes=sums)
