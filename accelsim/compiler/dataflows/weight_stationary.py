"""Weights stay in the array, a fold of R inputs by C outputs at a time; samples stream through."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.compiler.dataflow import Dataflow, Float64, Int64, Issue, Tile, folds, tabulate
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.tiles import Chunk
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.datapath.weight_stationary import Array
from accelsim.formats.operands import pack_rows
from accelsim.isa.opcodes import MATMUL, PRELOAD, Preload
from accelsim.units import ceil_div


class WeightStationaryFlow(Dataflow):
    """A chunk is its folds, each row-major, k by n, one after the other without gaps."""

    def __init__(self, gemm: Gemm, machine: Machine, config: WeightStationary) -> None:
        super().__init__(gemm, machine, grain=config.rows, columns=config.columns, block=gemm.m)
        self.rows = config.rows
        self.array = Array.of(config)

    def weights_bytes(self, chunk: Chunk) -> int:
        """Rows of packed operands."""
        return chunk.k.size * self.machine.operand.row_bytes(chunk.n.size)

    def pack(self, chunk: Chunk) -> bytes:
        """Rows of packed operands."""
        return pack_rows(self.weights(chunk), self.machine.matrix.operands).tobytes()

    def products(self, tile: Tile) -> Iterator[Issue]:
        """Preload and matmul of each fold."""
        n = tile.chunk.n.size
        pitch = self.machine.operand.row_bytes(n)
        for fold in folds(tile.chunk.k, self.rows):
            yield PRELOAD, Preload(tile.w + fold.low * pitch, pitch, fold.size, n, packed=0)
            yield MATMUL, self.samples_times_fold(tile, fold)

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:  # noqa: ARG002 - a fold takes the same whatever its width
        """Folds times the interval between two."""
        return ceil_div(k, self.rows) * tabulate(self.array.interval_cycles, m)
