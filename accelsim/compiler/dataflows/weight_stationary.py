"""Weights stay in the array, a fold of R inputs by C outputs at a time; samples stream through."""

from __future__ import annotations

from accelsim.compiler.code import Code, in_turn, issue
from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles, tabulate
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.tiles import Chunk, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.datapath.weight_stationary import Array
from accelsim.formats.operands import pack_rows
from accelsim.isa.opcodes import PRELOAD
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

    def pack(self, chunk: Chunk) -> Bytes:
        """Rows of packed operands."""
        return pack_rows(self.weights(chunk), self.machine.matrix.operands).reshape(-1)

    def products(self, tiles: Tiles) -> Code:
        """Preload and matmul of each fold."""
        folds, pitch = cuts(tiles.k, self.rows), self.machine.operand.row_bytes(tiles.n)
        preload = issue(
            PRELOAD,
            tiles.steps,
            len(folds.low),
            address=tiles.w + folds.low * pitch,
            stride=pitch,
            depth=folds.size,
            columns=tiles.n,
            packed=0,
            integer_bits=0,
        )
        return in_turn(preload, self.samples_times_folds(tiles, folds))

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:  # noqa: ARG002 - a fold takes the same whatever its width
        """Folds times the interval between two."""
        return ceil_div(k, self.rows) * tabulate(self.array.interval_cycles, m)
