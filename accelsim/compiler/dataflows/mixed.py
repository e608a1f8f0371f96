"""The first inputs of a layer as integers, the others as floats, on an array that takes both.

Inputs of a group share scales; a weight tile of integers is a group, or part of one where a tile holds all inputs of
its rows. Activations are rounded on chip, when their tile is there, and a group's int32 sums are scaled onto float32
sums of the block before the next group's are added: both on the vector unit, once for every group. Behind each tile of
activations lie its integers, and its rows' scales in banks of their own, where there are enough: what is scaled reads
them while other rows stream. Beside the blocks of sums two of int32 take turns, so that a group's can be scaled while
the next one's are formed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from accelsim.compiler.dataflow import Bytes, Float64, Int64, Matrices, Tiles, tabulate
from accelsim.compiler.dataflows.weight_stationary import WeightStationaryFlow
from accelsim.compiler.instructions import Instructions, in_turn, issue, joined
from accelsim.compiler.product import IntegerPart, Product
from accelsim.compiler.tiles import Footprint, Place, Span, WeightTile, WeightTiles, cut, cuts, cuts_apart, whole_folds
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.config.operands import INTEGERS
from accelsim.errors import CompileError
from accelsim.formats.operands import pack_rows
from accelsim.isa.opcodes import DEQUANTIZE_SUMS, MATMUL, PRELOAD, QUANTIZE
from accelsim.units import Count, align_up, ceil_div

SCALE_BYTES = 4


class Quantized(NamedTuple):
    """How an activation tile's integers and scales lie.

    Parameters
    ----------
    integers, pitch
        First row of integers from its slot's first byte, and bytes from row to row.
    end
        One past the last integer, from the slot's first byte.
    scales_bytes
        Bytes from group to group of scales.
    inputs
        Integers of a row, at most.
    """

    integers: int
    pitch: int
    end: int
    scales_bytes: int
    inputs: int


class MixedFlow(WeightStationaryFlow):
    """A weight tile of integers is its folds, row-major and k by n as of floats, and then a float32 scale an output."""

    partial_sums = 2

    def __init__(self, product: Product, machine: Machine, config: WeightStationary, part: IntegerPart) -> None:
        if part.bits not in config.integer_widths:
            raise CompileError(
                f"layer {product.name}: integers beside {config.operands} must be of a type that {machine.name} "
                f"has ({', '.join(config.integers) or 'none'}), not int{part.bits}"
            )
        super().__init__(product, machine, config)
        self.part = part
        self.split = part.inputs
        self.group, self.fold = part.group, config.rows
        self.depth = config.fold_rows(part.bits)
        self.resident_groups = self.split <= self.group or self.group * part.bits % 8 == 0
        # parts of a group in whole folds, of which its rows have whole bytes
        parts = {part.group // n for n in range(1, 65) if not part.group % n and not part.group // n % self.depth}
        self.tiles_k = tuple(sorted({part.group, *parts}, reverse=True))

    @property
    def likeness(self) -> Hashable:
        """What the best tiling depends on: integers, too."""
        return super().likeness, self.split, self.group, self.part.bits

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """Rows of packed operands, or of packed integers and their scales."""
        if not self._of_integers(weight_tile):
            return super().weights_bytes(weight_tile)
        scales = SCALE_BYTES * weight_tile.n.size if self._ends_group(weight_tile) else 0
        return self._scales_offset(weight_tile.k.size, weight_tile.n.size) + scales

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Those bytes."""
        columns = slice(weight_tile.n.low, weight_tile.n.high)
        if not self._of_integers(weight_tile):
            rows = slice(weight_tile.k.low - self.split, weight_tile.k.high - self.split)
            return pack_rows(self.product.weights[rows, columns], self.machine.matrix.operands).reshape(-1)
        packed = pack_rows(self.part.weight[weight_tile.k.low : weight_tile.k.high, columns], INTEGERS[self.part.bits])
        data = np.zeros(self.weights_bytes(weight_tile), np.uint8)
        data[: packed.size] = packed.reshape(-1)
        if self._ends_group(weight_tile):
            scales = self.part.scale[weight_tile.k.low // self.group, columns].astype("<f4")
            data[self._scales_offset(weight_tile.k.size, weight_tile.n.size) :] = scales.view(np.uint8)
        return data

    def _of_integers(self, weight_tile: WeightTile) -> bool:
        return weight_tile.k.low < self.split

    def _ends_group(self, weight_tile: WeightTile) -> bool:
        return weight_tile.k.high % self.group == 0 or weight_tile.k.high == self.split

    def _scales_offset(self, k: int, n: int) -> int:
        return align_up(k * ceil_div(n * self.part.bits, 8), self.machine.weight.width_bytes)

    def largest_weight_tile(self, tile_k: int) -> int:
        """The larger one of the largest weight tile of integers and that of floats."""
        n = Span(0, self.width)
        low, size = cuts_apart(self.product.k, tile_k, self.split, int(whole_folds(tile_k, self.fold)))
        spans = [Span(*ends) for ends in zip(low.tolist(), (low + size).tolist(), strict=True)]
        return max(self.weights_bytes(WeightTile(span, n, last=True)) for span in spans)

    def all_weights_bytes(self, weight_tiles: WeightTiles) -> Int64:
        """`weights_bytes` of each weight tile; shape (weight tiles,)."""
        sides = (
            weight_tiles.k_low,
            weight_tiles.k_low + weight_tiles.k_size,
            weight_tiles.n_low,
            weight_tiles.n_low + weight_tiles.n_size,
        )
        return np.array(
            [
                self.weights_bytes(WeightTile(Span(k, k_end), Span(n, n_end), last=False))
                for k, k_end, n, n_end in zip(*(side.tolist() for side in sides), strict=True)
            ]
        )

    def slots_bytes(self, samples: Count, features: Count, outputs: Count, weight: Count) -> Footprint[Count]:
        """Bytes for tiles of samples by features and by outputs, and so many for weights."""
        floats = super().slots_bytes(samples, features, outputs, weight)
        words, inputs = self.machine.activation.width_bytes, np.minimum(features, self.split)
        integers = samples * align_up(ceil_div(inputs * self.part.bits, 8), words)
        return floats._replace(activation=floats.activation + integers + self.scales_bytes(samples, features))

    def scales_bytes(self, samples: Count, features: Count) -> Count:
        """Bytes of the scales of an activation tile, which are among those of its slot."""
        groups = ceil_div(np.minimum(features, self.split), self.group)
        bytes_: Count = groups * align_up(SCALE_BYTES * samples, self.machine.activation.width_bytes)
        return bytes_

    def quantized(self, samples: int, inputs: int, pitch: int) -> Quantized:
        """Where so many integers of each sample of a tile, whose floats have a pitch, lie."""
        words = self.machine.activation.width_bytes
        row = align_up(ceil_div(inputs * self.part.bits, 8), words)
        end = samples * (pitch + row)
        return Quantized(samples * pitch, row, end, align_up(SCALE_BYTES * samples, words), inputs)

    def quantize(
        self, address: Int64, scales: Int64, samples: Int64, features: Int64, pitch: int, place: Quantized
    ) -> Instructions:
        """Round tiles of floats, group by group; shape (tiles,) each."""
        low, size = cuts(place.inputs, self.group)
        columns = np.minimum(size, features[:, None] - low)
        return issue(
            QUANTIZE,
            len(address),
            len(low),
            address=address[:, None] + self.machine.operand.bits // 8 * low,
            stride=pitch,
            rows=samples[:, None],
            columns=columns,
            scales=scales[:, None] + np.arange(len(low)) * place.scales_bytes,
            result=address[:, None] + place.integers + low * self.part.bits // 8,
            result_stride=place.pitch,
            integer_bits=self.part.bits,
        )

    def integer_products(
        self, tiles: Tiles, place: Quantized, low: Int64, scales: Int64, partial: Int64, *, scaled: bool
    ) -> Instructions:
        """Products of one weight tile of integers each, and their group's sums scaled onto the float32 sums.

        Parameters
        ----------
        tiles
            As of floats.
        place
            Where integers and scales lie in the tiles of activations.
        low
            First input of each weight tile, counted from the tile's; shape (steps, 1).
        scales, partial
            Addresses of the tiles' scales and of the int32 sums; shape (steps, 1).
        scaled
            Whether the weight tiles complete their groups.
        """
        bits = self.part.bits
        first = tiles.x.address + place.integers + low * bits // 8
        x = Matrices(first, Place(0, place.pitch, feature_major=False, bits=bits))
        folds = cuts(tiles.k, self.depth)
        pitch = ceil_div(tiles.n * bits, 8)
        preload = issue(
            PRELOAD,
            tiles.steps,
            len(folds.low),
            address=tiles.w + folds.low * pitch,
            stride=pitch,
            depth=folds.size,
            columns=tiles.n,
            packed=0,
            integer_bits=bits,
            table=0,
        )
        matmul = issue(
            MATMUL,
            tiles.steps,
            len(folds.low),
            address=x.at(np.zeros_like(folds.low), folds.low),
            stride=place.pitch,
            rows=tiles.m,
            depth=folds.size,
            columns=tiles.n,
            sums=partial,
            sums_stride=tiles.sums.layout.pitch,
            accumulate=np.where(folds.low > 0, 1, low % self.group > 0),
            signed=1,
            integer_bits=bits,
        )
        if not scaled:
            return in_turn(preload, matmul)
        scale = issue(
            DEQUANTIZE_SUMS,
            tiles.steps,
            1,
            sums=partial,
            sums_stride=tiles.sums.layout.pitch,
            rows=tiles.m,
            columns=tiles.n,
            scales=scales + low // self.group * place.scales_bytes,
            constants=tiles.w + self._scales_offset(tiles.k, tiles.n),
            result=tiles.sums.address,
            result_stride=tiles.sums.layout.pitch,
            accumulate=tiles.adds,
        )
        return joined(in_turn(preload, matmul), scale)

    def compute_cycles(self, tile_m: Int64, tile_k: Int64) -> Float64:  # noqa: ARG002 - a weight tile is a group
        """Estimated cycles of all steps: of the array, or of the vector unit where it takes longer."""
        product, lanes = self.product, self.machine.vector.lanes
        groups = cut(self.split, self.group)
        folds = sum(ceil_div(group.size, self.depth) for group in groups)
        folds += ceil_div(product.k - self.split, self.rows)
        blocks = ceil_div(product.n, self.columns)
        times, rest = np.divmod(product.m, tile_m)

        def of(rows: Int64) -> Float64:
            array = folds * blocks * tabulate(self.array.interval_cycles, np.maximum(rows, 1))
            # of each block a pass a group, and one for the results
            vector = rows * (len(groups) + 1) * blocks * ceil_div(self.width, lanes)
            quantized = rows * 2 * ceil_div(self.split, lanes)
            cycles: Float64 = np.where(rows > 0, np.maximum(array, vector + quantized), 0)
            return cycles

        return times * of(tile_m) + of(rest)
