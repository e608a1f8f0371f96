"""C dot products of R multipliers: N:M weights where a layer has them, dense ones otherwise."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles
from accelsim.compiler.instructions import Instructions, in_turn, issue
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import WeightTile, cut, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import StructuredSparse
from accelsim.datapath.structured_sparse import StructuredSparse as Unit
from accelsim.formats import nm
from accelsim.isa.opcodes import PRELOAD
from accelsim.units import ceil_div


class StructuredSparseFlow(Dataflow):
    """A weight tile is its folds one after the other without gaps: dense weights row-major, or `formats.nm` bytes."""

    def __init__(self, product: Product, machine: Machine, config: StructuredSparse) -> None:
        self.unit = Unit.of(config)
        self.sparse = product.is_nm(config.kept, config.group)
        self.depth = self.unit.fold_inputs(sparse=self.sparse)
        super().__init__(product, machine, grain=self.depth, columns=config.columns, block=product.m)

    @property
    def streamed_inputs(self) -> tuple[int, int]:
        """Those of a fold."""
        return self.depth, self.depth

    def _fold_bytes(self, k: int, n: int) -> int:
        return nm.stored_bytes(k, n, self.unit.kept, self.unit.group) if self.sparse else k * n

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """Values and indices of each fold, or one byte a weight."""
        return sum(self._fold_bytes(fold.size, weight_tile.n.size) for fold in cut(weight_tile.k.size, self.depth))

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Fold by fold."""
        weights = self.weights(weight_tile)
        if not self.sparse:
            return weights.reshape(-1).view(np.uint8)
        whole = nm.compress(weights, self.unit.kept, self.unit.group)
        parts = (whole.part(fold.low, fold.high) for fold in cut(weight_tile.k.size, self.depth))
        return np.frombuffer(b"".join(part.to_bytes() for part in parts), np.uint8)

    def products(self, tiles: Tiles) -> Instructions:
        """Preload and matmul of each fold."""
        folds = cuts(tiles.k, self.depth)
        preload = issue(
            PRELOAD,
            tiles.steps,
            len(folds.low),
            address=tiles.w + np.arange(len(folds.low)) * self._fold_bytes(self.depth, tiles.n),
            stride=0 if self.sparse else tiles.n,
            depth=folds.size,
            columns=tiles.n,
            packed=int(self.sparse),
            integer_bits=0,
            table=0,
        )
        return in_turn(preload, self.samples_times_folds(tiles, folds))

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:  # noqa: ARG002 - a fold takes the same whatever its width
        """Folds times the larger of samples, rows, and the words that a row of activations takes."""
        port = self.machine.activation
        words = np.ones_like(k) if port.ideal else ceil_div(np.minimum(k, self.depth), port.width_bytes)
        each = np.maximum(m * np.maximum(1, words), self.unit.rows)
        return (ceil_div(k, self.depth) * each).astype(np.float64)

    @property
    def likeness(self) -> Hashable:
        """Whether weights are N:M, too."""
        return super().likeness, self.sparse
