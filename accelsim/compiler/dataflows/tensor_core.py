"""Blocks of samples by outputs for many 4 x 4 x 4 cores, with 2:4 weights where a layer and the cores have them."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles
from accelsim.compiler.instructions import Instructions
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import WeightTile, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import TensorCore
from accelsim.datapath.tensor_core import GROUP, KEPT
from accelsim.datapath.tensor_core import TensorCore as Unit
from accelsim.formats import nm
from accelsim.isa.opcodes import MULTIPLY


class TensorCoreFlow(Dataflow):
    """A weight tile is its weights output by output, k of each; or 2:4 weights as `formats.nm` stores them."""

    def __init__(self, product: Product, machine: Machine, config: TensorCore) -> None:
        self.unit = Unit.of(config)
        self.sparse = config.sparse_2_4 and product.is_nm(KEPT, GROUP)
        # a row of tiles fills all workers, so that only the last row of a wave's tiles can leave some idle
        columns = config.tile_columns * self.unit.workers
        super().__init__(
            product, machine, grain=self.unit.step_inputs(sparse=self.sparse), columns=columns, block=product.m
        )

    @property
    def streamed_inputs(self) -> tuple[int, int]:
        """All of a tile of weights, in whole steps of the cores."""
        return 0, self.unit.step_inputs(sparse=self.sparse)

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """One byte a weight, or values and indices."""
        if self.sparse:
            return nm.stored_bytes(weight_tile.k.size, weight_tile.n.size, KEPT, GROUP)
        return weight_tile.k.size * weight_tile.n.size

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Output by output, or compressed."""
        weights = self.weights(weight_tile)
        if self.sparse:
            return np.frombuffer(nm.compress(weights, KEPT, GROUP).to_bytes(), np.uint8)
        return weights.T.reshape(-1).view(np.uint8)

    def products(self, tiles: Tiles) -> Instructions:
        """One instruction: the cores share the block among them."""
        stride, packed = (0, 1) if self.sparse else (tiles.k, 0)
        return self.samples_times_weight_tile(
            MULTIPLY, tiles, cuts(tiles.m, tiles.m), weights_stride=stride, packed=packed
        )

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Cycles of the block: of its issues, or of reading an operand from its port as often as the cores share it."""
        sizes = np.stack([size.ravel() for size in np.broadcast_arrays(m, k, n)], axis=1)
        different, places = np.unique(sizes, axis=0, return_inverse=True)
        # a side of nothing is a part that a tiling does not have
        cycles = [self._block_cycles(*size) if min(size) else 0 for size in different.tolist()]
        return np.array(cycles, np.float64)[places].reshape(np.broadcast_shapes(m.shape, k.shape, n.shape))

    def _block_cycles(self, m: int, k: int, n: int) -> int:
        """Cycles of one block, both operands in banks of their own."""
        rows, columns = self.unit.operand_reads(m, n)
        weight_bytes = nm.stored_bytes(k, n, KEPT, GROUP) / n if self.sparse else k
        reads = [
            passes * math.ceil(size / sram.width_bytes)
            for passes, size, sram in ((rows, k, self.machine.activation), (columns, weight_bytes, self.machine.weight))
            if not sram.ideal
        ]
        return max(self.unit.issue_cycles(m, k, n, sparse=self.sparse), *reads, 0)

    @property
    def likeness(self) -> Hashable:
        """Whether weights are 2:4, too."""
        return super().likeness, self.sparse
