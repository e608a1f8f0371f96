"""The first inputs of a layer as integers, the others as floats, on an array that takes both.

A chunk of integers is a group of inputs that share scales. Its activations are rounded on chip, when their tile is
there, and its int32 sums are scaled onto the float32 sums of the block before the next chunk's are added: both on the
vector unit, once for every group. Behind each tile of activations lie its integers and its rows' scales; beside the
blocks of sums two of int32 take turns, so that a group's can be scaled while the next one's are formed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from accelsim.compiler.code import Code, in_turn, issue, joined
from accelsim.compiler.dataflow import Bytes, Float64, Int64, Matrices, Tiles, tabulate
from accelsim.compiler.dataflows.weight_stationary import WeightStationaryFlow
from accelsim.compiler.gemm import Gemm
from accelsim.compiler.tiles import Chunk, Chunks, Cuts, Footprint, Place, Span, cut, cuts
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.config.operands import INTEGERS
from accelsim.errors import CompileError
from accelsim.formats.operands import pack_rows
from accelsim.golden.network import IntegerPart
from accelsim.isa.opcodes import DEQUANTIZE_SUMS, MATMUL, PRELOAD, QUANTIZE
from accelsim.units import Count, align_up, ceil_div

SCALE_BYTES = 4


class Quantized(NamedTuple):
    """Where an activation tile's integers and scales lie, from its slot's first byte."""

    integers: int
    pitch: int
    scales: int
    end: int


class MixedFlow(WeightStationaryFlow):
    """A chunk of integers is its folds, row-major and k by n as of floats, and then a float32 scale for each output."""

    partial_sums = 2

    def __init__(self, gemm: Gemm, machine: Machine, config: WeightStationary, part: IntegerPart) -> None:
        if part.bits not in config.integer_widths:
            raise CompileError(
                f"layer {gemm.layer.name}: integers beside {config.operands} must be of a type that {machine.name} "
                f"has ({', '.join(config.integers) or 'none'}), not int{part.bits}"
            )
        super().__init__(gemm, machine, config)
        self.part = part
        self.split = part.inputs
        self.tiles_k = (part.group,)
        self.depth = config.fold_rows(part.bits)

    @property
    def likeness(self) -> Hashable:
        """What the best tiling depends on: integers, too."""
        return super().likeness, self.split, self.part.group, self.part.bits

    def weights_bytes(self, chunk: Chunk) -> int:
        """Rows of packed operands, or of packed integers and their scales."""
        if not self._of_integers(chunk):
            return super().weights_bytes(chunk)
        return self._scales_offset(chunk.k.size, chunk.n.size) + SCALE_BYTES * chunk.n.size

    def pack(self, chunk: Chunk) -> Bytes:
        """Those bytes."""
        columns = slice(chunk.n.low, chunk.n.high)
        if not self._of_integers(chunk):
            rows = slice(chunk.k.low - self.split, chunk.k.high - self.split)
            return pack_rows(self.gemm.layer.weight[rows, columns], self.machine.matrix.operands).reshape(-1)
        packed = pack_rows(self.part.weight[chunk.k.low : chunk.k.high, columns], INTEGERS[self.part.bits])
        data = np.zeros(self.weights_bytes(chunk), np.uint8)
        data[: packed.size] = packed.reshape(-1)
        scales = self.part.scale[chunk.k.low // self.part.group, columns].astype("<f4")
        data[self._scales_offset(chunk.k.size, chunk.n.size) :] = scales.view(np.uint8)
        return data

    def _of_integers(self, chunk: Chunk) -> bool:
        return chunk.k.low < self.split

    def _scales_offset(self, k: int, n: int) -> int:
        return align_up(k * ceil_div(n * self.part.bits, 8), self.machine.weight.width_bytes)

    def largest_chunk(self, tile_k: int) -> int:
        """The larger one of the largest chunk of integers and that of floats."""
        n = Span(0, self.width)
        low, size = cuts(self.gemm.k, tile_k, self.split)
        spans = [Span(*ends) for ends in zip(low.tolist(), (low + size).tolist(), strict=True)]
        return max(self.weights_bytes(Chunk(span, n, last=True)) for span in spans)

    def all_weights_bytes(self, chunks: Chunks) -> Int64:
        """`weights_bytes` of each chunk; shape (chunks,)."""
        sides = (chunks.k_low, chunks.k_low + chunks.k_size, chunks.n_low, chunks.n_low + chunks.n_size)
        return np.array(
            [
                self.weights_bytes(Chunk(Span(k, k_end), Span(n, n_end), last=False))
                for k, k_end, n, n_end in zip(*(side.tolist() for side in sides), strict=True)
            ]
        )

    def slots_bytes(self, samples: Count, features: Count, outputs: Count, weight: Count) -> Footprint[Count]:
        """Bytes for tiles of samples by features and by outputs, and so many for weights."""
        floats = super().slots_bytes(samples, features, outputs, weight)
        words = self.machine.activation.width_bytes
        integers = samples * self._pitch + align_up(SCALE_BYTES * samples, words)
        return floats._replace(activation=floats.activation + integers)

    @property
    def _pitch(self) -> int:
        return align_up(ceil_div(self.part.group * self.part.bits, 8), self.machine.activation.width_bytes)

    def quantized(self, samples: int, pitch: int) -> Quantized:
        """Where the integers of a tile of so many samples, whose floats have a pitch, lie."""
        integers = samples * pitch
        scales = integers + samples * self._pitch
        return Quantized(integers, self._pitch, scales, scales + SCALE_BYTES * samples)

    def quantize(self, address: Int64, samples: Int64, features: Int64, pitch: int, place: Quantized) -> Code:
        """Round tiles of floats; shape (tiles,) each."""
        return issue(
            QUANTIZE,
            len(address),
            address=address[:, None],
            stride=pitch,
            rows=samples[:, None],
            columns=features[:, None],
            scales=address[:, None] + place.scales,
            result=address[:, None] + place.integers,
            result_stride=place.pitch,
            integer_bits=self.part.bits,
        )

    def groups(self, tiles: Tiles, place: Quantized, partial: Int64) -> Code:
        """Products of one group of integers each, and their sums scaled onto the float32 sums.

        Parameters
        ----------
        tiles
            As of floats.
        place
            Where integers and scales lie in the tiles of activations.
        partial
            Addresses of the int32 sums; shape (steps, 1).
        """
        x = Matrices(tiles.x.address + place.integers, Place(0, place.pitch, feature_major=False, bits=self.part.bits))
        folds = cuts(tiles.k, self.depth)
        pitch = ceil_div(tiles.n * self.part.bits, 8)
        preload = issue(
            PRELOAD,
            tiles.steps,
            len(folds.low),
            address=tiles.w + folds.low * pitch,
            stride=pitch,
            depth=folds.size,
            columns=tiles.n,
            packed=0,
            integer_bits=self.part.bits,
            table=0,
        )
        sums = tiles.sums._replace(address=partial)
        matmul = self._matmul(tiles._replace(x=x, sums=sums), folds)
        scale = issue(
            DEQUANTIZE_SUMS,
            tiles.steps,
            1,
            sums=partial,
            sums_stride=tiles.sums.layout.pitch,
            rows=tiles.m,
            columns=tiles.n,
            scales=tiles.x.address + place.scales,
            constants=tiles.w + self._scales_offset(tiles.k, tiles.n),
            result=tiles.sums.address,
            result_stride=tiles.sums.layout.pitch,
            accumulate=tiles.adds,
        )
        return joined(in_turn(preload, matmul), scale)

    def _matmul(self, tiles: Tiles, folds: Cuts) -> Code:
        return issue(
            MATMUL,
            tiles.steps,
            len(folds.low),
            address=tiles.x.at(np.zeros_like(folds.low), folds.low),
            stride=tiles.x.layout.pitch,
            rows=tiles.m,
            depth=folds.size,
            columns=tiles.n,
            sums=tiles.sums.address,
            sums_stride=tiles.sums.layout.pitch,
            accumulate=np.where(folds.low > 0, 1, 0),
            signed=1,
            integer_bits=self.part.bits,
        )

    def compute_cycles(self, tile_m: Int64, tile_k: Int64) -> Float64:  # noqa: ARG002 - a chunk is a group
        """Estimated cycles of all steps: of the array, or of the vector unit where it takes longer."""
        gemm, lanes = self.gemm, self.machine.vector.lanes
        groups = cut(self.split, self.part.group)
        folds = sum(ceil_div(group.size, self.depth) for group in groups)
        folds += ceil_div(gemm.k - self.split, self.rows)
        blocks = ceil_div(gemm.n, self.columns)
        times, rest = np.divmod(gemm.m, tile_m)

        def of(rows: Int64) -> Float64:
            array = folds * blocks * tabulate(self.array.interval_cycles, np.maximum(rows, 1))
            vector = rows * len(groups) * blocks * ceil_div(min(self.columns, gemm.n), lanes)
            quantized = rows * 2 * ceil_div(self.split, lanes)
            cycles: Float64 = np.where(rows > 0, np.maximum(array, vector + quantized), 0)
            return cycles

        return times * of(tile_m) + of(rest)
