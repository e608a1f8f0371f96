"""Blocks of R samples by C outputs stay in the array; inputs stream: outer product and output stationary."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles, tabulate
from accelsim.compiler.instructions import Instructions, in_turn, issue
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import WeightTile, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import OuterProduct, OutputStationary
from accelsim.datapath.outer_product import OuterProduct as OuterProductUnit
from accelsim.datapath.output_stationary import OutputStationary as OutputStationaryUnit
from accelsim.isa.opcodes import MULTIPLY, PRELOAD_MASK
from accelsim.units import ceil_div

#: Inputs that weight tiles are multiples of: whole bytes of the skip bits.
GRAIN = 8


class _SumsStay(Dataflow):
    """A weight tile is its weights, input by input, n of each."""

    def __init__(
        self, product: Product, machine: Machine, config: OuterProduct | OutputStationary, *, most_inputs: int
    ) -> None:
        super().__init__(
            product,
            machine,
            grain=min(GRAIN, most_inputs),
            columns=config.columns,
            block=config.rows,
            most_inputs=most_inputs,
        )

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """One byte a weight."""
        return weight_tile.k.size * weight_tile.n.size

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Input by input."""
        return self.weights(weight_tile).reshape(-1).view(np.uint8)

    def drain_cycles(self, n: Int64) -> Int64:
        """Accesses of the accumulator's port for the sums of a block."""
        accumulator = self.machine.accumulator
        if accumulator.ideal:
            return np.zeros_like(n)
        return n * ceil_div(self.machine.operand.sum_bytes * self.block, accumulator.width_bytes)

    def multiply(self, tiles: Tiles) -> Instructions:
        """Product of each block of samples."""
        blocks = cuts(tiles.m, self.block)
        return self.samples_times_weight_tile(MULTIPLY, tiles, blocks, weights_stride=tiles.n, packed=0)


class OuterProductFlow(_SumsStay):
    """Behind the weights come their skip bits, one an input, if the machine skips."""

    def __init__(self, product: Product, machine: Machine, config: OuterProduct) -> None:
        self.skip = config.skip_zero_columns
        super().__init__(product, machine, config, most_inputs=config.mask_bits if self.skip else product.k)
        self.unit = OuterProductUnit.of(config)
        # inputs whose weights are not all zero
        known = self.skip and not product.factor
        self.survivors = int(np.count_nonzero(product.weights.any(axis=1))) if known else product.k

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """One byte a weight, and a bit an input."""
        return super().weights_bytes(weight_tile) + (ceil_div(weight_tile.k.size, 8) if self.skip else 0)

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Weights, then bits."""
        packed = super().pack(weight_tile)
        return np.concatenate([packed, self.unit.mask(self.weights(weight_tile))]) if self.skip else packed

    def behind_factor(self, weight_tile: WeightTile) -> Bytes:
        """Skip bits that skip nothing, as nobody knows which inputs are zeros."""
        return (
            np.packbits(np.ones(weight_tile.k.size, np.bool_), bitorder="little")
            if self.skip
            else np.zeros(0, np.uint8)
        )

    def products(self, tiles: Tiles) -> Instructions:
        """For each block of samples, its skip bits and its product."""
        multiply = self.multiply(tiles)
        if not self.skip:
            return multiply
        blocks = cuts(tiles.m, self.block)
        bits = issue(
            PRELOAD_MASK,
            tiles.steps,
            len(blocks.low),
            mask=tiles.w + tiles.k * tiles.n,
            depth=tiles.k,
            address=tiles.x.at(blocks.low, np.zeros_like(blocks.low)),
            stride=tiles.x.layout.pitch,
            rows=blocks.size,
        )
        return in_turn(bits, multiply)

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Surviving inputs of each block, at least its drain; activations are taken to be dense."""
        survivors = np.maximum(1.0, k * self.survivors / self.product.k)
        drain = self.drain_cycles(n)
        each = np.maximum(survivors, drain) if self.unit.double_buffered else survivors + drain
        return ceil_div(m, self.block) * each

    @property
    def likeness(self) -> Hashable:
        """How many inputs survive, too."""
        return super().likeness, self.survivors


class OutputStationaryFlow(_SumsStay):
    """The systolic array: operands are skewed on their way in, sums drain through the array."""

    def __init__(self, product: Product, machine: Machine, config: OutputStationary) -> None:
        super().__init__(product, machine, config, most_inputs=product.k)
        self.unit = OutputStationaryUnit.of(config)

    def products(self, tiles: Tiles) -> Instructions:
        """A product for each block of samples."""
        return self.multiply(tiles)

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Fill, inputs and drain of each block."""
        compute = tabulate(lambda inputs: self.unit.cycles(inputs, 0)[0], k)
        drain = tabulate(lambda words: self.unit.drain_cycles(self.block, words), self.drain_cycles(n))
        return ceil_div(m, self.block) * (compute + drain)
