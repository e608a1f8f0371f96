"""Encoded columns of weights for lanes that multiply nonzero activations, sample after sample."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles, tabulate
from accelsim.compiler.instructions import Instructions
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import Span, WeightTile, WeightTiles, cut, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import SparseLanes
from accelsim.datapath.sparse_lanes import SparseLanes as Unit
from accelsim.formats import relative
from accelsim.isa.opcodes import SPMV


class SparseLanesFlow(Dataflow):
    """A weight tile is its weights as `formats.relative` encodes them for the machine's lanes."""

    def __init__(self, product: Product, machine: Machine, config: SparseLanes) -> None:
        self.unit = Unit.of(config)
        super().__init__(product, machine, grain=1, columns=self.unit.outputs, block=product.m)

    @cached_property
    def counts(self) -> dict[Span, NDArray[np.int32]]:
        """Entries of each input and lane, for each column block; they do not depend on where K is cut."""
        return {
            n: relative.entries(self.product.weights[:, n.low : n.high], self.unit.lanes, self.unit.index_bits)[0]
            for n in cut(self.product.n, self.columns)
        }

    @property
    def streamed_inputs(self) -> tuple[int, int]:
        """All of a tile of weights."""
        return 0, 1

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """Pointers, values and indices."""
        entries = self.counts[weight_tile.n][weight_tile.k.low : weight_tile.k.high].sum(axis=0, dtype=np.int64)
        return relative.stored_bytes(weight_tile.k.size, entries, self.unit.index_bits)

    def all_weights_bytes(self, weight_tiles: WeightTiles) -> Int64:
        """Those of each weight tile, whose entries differ."""
        sides = (
            weight_tiles.k_low,
            weight_tiles.k_low + weight_tiles.k_size,
            weight_tiles.n_low,
            weight_tiles.n_low + weight_tiles.n_size,
        )
        spans = zip(*(side.tolist() for side in sides), strict=True)
        return np.array([self.weights_bytes(WeightTile(Span(k, a), Span(n, b), last=False)) for k, a, n, b in spans])

    def largest_weight_tile(self, tile_k: int) -> int:
        """The largest of all weight tiles, whose entries differ."""
        return max(
            self.weights_bytes(WeightTile(k, n, last=True)) for n in self.counts for k in cut(self.product.k, tile_k)
        )

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Encode the weight tile."""
        return np.frombuffer(self.unit.encode(self.weights(weight_tile)).to_bytes(), np.uint8)

    def products(self, tiles: Tiles) -> Instructions:
        """One instruction for all samples."""
        return self.samples_times_weight_tile(SPMV, tiles, cuts(tiles.m, tiles.m), weights_bytes=tiles.w_bytes)

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Entries of the busiest lane of each input, as if every activation were nonzero, or words of sums if more."""
        busiest = np.mean([np.maximum(counts, 1).max(axis=1).mean() for counts in self.counts.values()])
        port = self.machine.accumulator
        words = 0.0 if port.ideal else tabulate(lambda outputs: self.unit.drain_words(outputs, port.width_bits), n)
        cycles: Float64 = m * np.maximum(k * float(busiest), words)
        return cycles

    @property
    def likeness(self) -> Hashable:
        """A product with other weights has other weight tiles."""
        return super().likeness, id(self.product.weight.data)
