"""Blocks of samples by outputs for many 4 x 4 x 4 cores, with 2:4 weights where a layer and the cores have them."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.compiler.dataflow import Dataflow, Issue, Tile
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.tiles import Chunk
from accelsim.config.arch import Machine
from accelsim.config.datapaths import TensorCore
from accelsim.datapath.tensor_core import GROUP, KEPT
from accelsim.datapath.tensor_core import TensorCore as Unit
from accelsim.formats import nm
from accelsim.isa.opcodes import MULTIPLY, Multiply


class TensorCoreFlow(Dataflow):
    """A chunk is its weights output by output, k of each; or 2:4 weights as `formats.nm` stores them."""

    def __init__(self, gemm: Gemm, machine: Machine, config: TensorCore) -> None:
        self.unit = Unit.of(config)
        self.sparse = config.sparse_2_4 and gemm.is_nm(KEPT, GROUP)
        # a row of tiles fills all workers, so that only the last row of a wave's tiles can leave some idle
        columns = config.tile_columns * self.unit.workers
        super().__init__(gemm, machine, grain=self.unit.step_inputs(sparse=self.sparse), columns=columns, block=gemm.m)

    def weights_bytes(self, chunk: Chunk) -> int:
        """One byte a weight, or values and indices."""
        if self.sparse:
            return nm.stored_bytes(chunk.k.size, chunk.n.size, KEPT, GROUP)
        return chunk.k.size * chunk.n.size

    def pack(self, chunk: Chunk) -> bytes:
        """Output by output, or compressed."""
        weights = self.weights(chunk)
        return nm.compress(weights, KEPT, GROUP).to_bytes() if self.sparse else weights.T.tobytes()

    def products(self, tile: Tile) -> Iterator[Issue]:
        """One instruction: the cores share the block among them."""
        yield (
            MULTIPLY,
            Multiply(
                address=tile.x.address,
                stride=tile.x.pitch,
                weights=tile.w,
                weights_stride=0 if self.sparse else tile.chunk.k.size,
                rows=tile.samples,
                depth=tile.chunk.k.size,
                columns=tile.chunk.n.size,
                sums=tile.sums.address,
                sums_stride=tile.sums.pitch,
                accumulate=int(not tile.begins),
                signed=self.signed,
                packed=int(self.sparse),
            ),
        )

    def cycles(self, m: int, k: int, n: int) -> float:
        """Issue cycles of the block."""
        return float(self.unit.issue_cycles(m, k, n, sparse=self.sparse))
