"""Activations stay in the array, a fold of R inputs by C samples at a time; the outputs' weights stream through."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles, tabulate
from accelsim.compiler.instructions import Instructions, in_turn, issue
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import WeightTile, cut, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import InputStationary
from accelsim.datapath.input_stationary import InputStationary as Unit
from accelsim.isa.opcodes import MATMUL, PRELOAD
from accelsim.units import align_up, ceil_div


class InputStationaryFlow(Dataflow):
    """A weight tile is its folds one after the other without gaps, each n rows of R weights, the outputs that stream.

    That of a factor that is formed at run time is n rows of all its inputs.
    """

    def __init__(self, product: Product, machine: Machine, config: InputStationary) -> None:
        # as many outputs stream past a fold as two of its tiles, blocks of sums and blocks of results let on chip;
        # where they are encoded, as many bytes again are for those on their way to the decode unit
        samples = min(config.columns, product.m)
        weight_tiles = 4 if product.storage else 2
        weights = machine.weight.capacity_bytes // weight_tiles // (config.rows + machine.constant_bytes)
        sums = machine.accumulator.capacity_bytes // 2 // (machine.operand.sum_bytes * samples)
        results = machine.output.capacity_bytes // 2 // align_up(samples, machine.output.width_bytes)
        columns = max(1, min(product.n, weights, sums, results))
        super().__init__(product, machine, grain=config.rows, columns=columns, block=config.columns)
        self.rows = config.rows
        self.unit = Unit.of(config)

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """One byte a weight."""
        return weight_tile.k.size * weight_tile.n.size

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Fold by fold, output by output."""
        weights = self.weights(weight_tile)
        folds = [weights[f.low : f.high].T.reshape(-1) for f in cut(weight_tile.k.size, self.rows)]
        return np.concatenate(folds).view(np.uint8)

    def products(self, tiles: Tiles) -> Instructions:
        """For each block of samples, preload and matmul of each fold."""
        folds, blocks = cuts(tiles.k, self.rows), cuts(tiles.m, self.block)
        times = len(blocks.low) * len(folds.low)
        low, depth = np.tile(folds.low, len(blocks.low)), np.tile(folds.size, len(blocks.low))
        sample, samples = np.repeat(blocks.low, len(folds.low)), np.repeat(blocks.size, len(folds.low))
        preload = issue(
            PRELOAD,
            tiles.steps,
            times,
            address=tiles.x.at(sample, low),
            stride=tiles.x.layout.pitch,
            depth=depth,
            columns=samples,
            packed=0,
            integer_bits=0,
            table=0,
        )
        matmul = issue(
            MATMUL,
            tiles.steps,
            times,
            address=tiles.w + low * (1 if self.product.factor else tiles.n),
            stride=tiles.k if self.product.factor else depth,
            rows=tiles.n,
            depth=depth,
            columns=samples,
            sums=tiles.sums.at(sample, np.zeros_like(sample)),
            sums_stride=tiles.sums.layout.pitch,
            accumulate=np.where(low > 0, 1, tiles.adds),
            signed=self.signed,
            integer_bits=0,
        )
        return in_turn(preload, matmul)

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Folds times the interval between two."""
        return ceil_div(m, self.block) * ceil_div(k, self.rows) * tabulate(self.unit.array.interval_cycles, n)
