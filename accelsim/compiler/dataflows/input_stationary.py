"""Activations stay in the array, a fold of R inputs by C samples at a time; the outputs' weights stream through."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.compiler.dataflow import Dataflow, Float64, Int64, Issue, Tile, blocks, folds, tabulate
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.tiles import Chunk
from accelsim.config.arch import Machine
from accelsim.config.datapaths import InputStationary
from accelsim.datapath.input_stationary import InputStationary as Unit
from accelsim.isa.opcodes import MATMUL, PRELOAD, Matmul, Preload
from accelsim.units import align_up, ceil_div


class InputStationaryFlow(Dataflow):
    """A chunk is its folds one after the other without gaps, each n rows of R weights, the outputs that stream."""

    def __init__(self, gemm: Gemm, machine: Machine, config: InputStationary) -> None:
        # as many outputs stream past a fold as two of its chunks, blocks of sums and blocks of results let on chip;
        # where they are encoded, as many bytes again are for those on their way to the decode unit
        samples = min(config.columns, gemm.m)
        chunks = 4 if gemm.layer.storage else 2
        weights = machine.weight.capacity_bytes // chunks // (config.rows + machine.constant_bytes)
        sums = machine.accumulator.capacity_bytes // 2 // (machine.operand.sum_bytes * samples)
        results = machine.output.capacity_bytes // 2 // align_up(samples, machine.output.width_bytes)
        columns = max(1, min(gemm.n, weights, sums, results))
        super().__init__(gemm, machine, grain=config.rows, columns=columns, block=config.columns)
        self.rows = config.rows
        self.unit = Unit.of(config)

    def weights_bytes(self, chunk: Chunk) -> int:
        """One byte a weight."""
        return chunk.k.size * chunk.n.size

    def pack(self, chunk: Chunk) -> bytes:
        """Fold by fold, output by output."""
        weights = self.weights(chunk)
        return b"".join(weights[f.low : f.high].T.tobytes() for f in folds(chunk.k, self.rows))

    def products(self, tile: Tile) -> Iterator[Issue]:
        """For each block of samples, preload and matmul of each fold."""
        n = tile.chunk.n.size
        for block in blocks(tile.samples, self.block):
            for fold in folds(tile.chunk.k, self.rows):
                yield (
                    PRELOAD,
                    Preload(tile.x.at(block.low, fold.low), tile.x.pitch, fold.size, block.size, packed=0),
                )
                yield (
                    MATMUL,
                    Matmul(
                        address=tile.w + fold.low * n,
                        stride=fold.size,
                        rows=n,
                        depth=fold.size,
                        columns=block.size,
                        sums=tile.sums.at(block.low, 0),
                        sums_stride=tile.sums.pitch,
                        accumulate=int(fold.low > 0 or not tile.begins),
                        signed=self.signed,
                    ),
                )

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Folds times the interval between two."""
        return ceil_div(m, self.block) * ceil_div(k, self.rows) * tabulate(self.unit.array.interval_cycles, n)
