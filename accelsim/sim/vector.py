"""What the vector unit's instructions on tiles do: bytes in, bytes out, cycles and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.operands import INTEGERS
from accelsim.config.tech import Counters, Operation
from accelsim.datapath.vector import dequantize, gelu, hadamard, integers, norm, softmax
from accelsim.datapath.vector.dequantize import Fp8
from accelsim.errors import ProgramError
from accelsim.formats.operands import pack_rows, unpack_rows
from accelsim.isa import constants, opcodes
from accelsim.isa.accesses import Tile
from accelsim.isa.opcodes import ByteMeaning, Exponential, Memory, Normalization
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing

Int64 = NDArray[np.int64]
Cycles = tuple[int, int]
ReadT = TypeVar("ReadT")


#: Operands of the instructions that this unit executes.
Functions = opcodes.Normalize | opcodes.Softmax | opcodes.Gelu | opcodes.Dequantize
Tilewise = Functions | opcodes.Quantize | opcodes.DequantizeSums | opcodes.Transform
#: What a pass reads and what it writes.
VectorPass = tuple[list[Tile], list[Tile]]


class VectorUnit:
    """Executes single instructions on tiles.

    Constants fill registers before the first row is read. A pass takes the words of the busiest port: tiles in one
    bank share the port that the instruction holds of it, but a sum is read, added to and written back at once.
    """

    def __init__(self, machine: Machine, memories: Memories) -> None:
        self.machine = machine
        self.memories = memories
        self.lanes = machine.vector.lanes

    def move(self, opcode: int, p: Tilewise) -> None:
        """Do what one verified instruction does.

        Raises
        ------
        ProgramError
            If the constants' bytes hold what no kernel is sized for.
        """
        tiles = self.memories.tiles.of(opcode, p)
        match p:
            case opcodes.Quantize():
                self._quantize(p, *tiles)
            case opcodes.DequantizeSums():
                self._dequantize_sums(p, *tiles)
            case opcodes.Transform():
                source, result = tiles
                transformed = hadamard.transform(self._elements(source, 1), p.levels)
                self._write(result, hadamard.narrow(transformed, p.right).astype(np.int8))
            case opcodes.Normalize():
                source, block, result = tiles
                data = self._block(block)
                parameters = _read(lambda: constants.read_norm(data, p.columns, p.kind, p.signed))
                self._write(result, norm.normalize(self._elements(source, p.signed), parameters).astype(np.int8))
            case opcodes.Softmax():
                self._softmax(p, *tiles)
            case opcodes.Gelu():
                source, block, result = tiles
                polynomial = _read(lambda: constants.read_gelu(self._block(block), p.signed))
                self._write(result, gelu.polynomial(self._elements(source, p.signed), polynomial).astype(np.int8))
            case opcodes.Dequantize():
                self._dequantize(p, *tiles)

    def take(self, counters: Counters, opcode: int, p: Tilewise) -> Timing:
        """Count an instruction's events and say what it takes."""
        tiles = self.memories.tiles.of(opcode, p)
        match p:
            case opcodes.Quantize():
                return self._take_quantize(counters, p, *tiles)
            case opcodes.DequantizeSums():
                return self._take_dequantize_sums(counters, p, *tiles)
            case opcodes.Transform():
                return self._take_transform(counters, p, *tiles)
        return self._take_function(counters, p, *tiles)

    # bytes

    def _quantize(self, p: opcodes.Quantize, source: Tile, scales: Tile, result: Tile) -> None:
        values = unpack_rows(self.memories.rows(*source), p.columns, self.machine.matrix.operands)
        rows = integers.quantize(values.astype(np.float32), p.integer_bits)
        self._write(scales, rows.scales.astype("<f4")[None])
        self._write(result, pack_rows(rows.integers, INTEGERS[p.integer_bits]))

    def _dequantize_sums(
        self, p: opcodes.DequantizeSums, sums: Tile, rows_scales: Tile, columns_scales: Tile, _: Tile, result: Tile
    ) -> None:
        scaled = integers.dequantize_sums(
            self.memories.sums(sums.region, integers=True), self._float32(rows_scales), self._float32(columns_scales)
        )
        self.memories.add(result.region, scaled, accumulate=bool(p.accumulate))

    def _softmax(self, p: opcodes.Softmax, source: Tile, block: Tile, result: Tile) -> None:
        if source.memory == Memory.ACCUMULATOR:
            x: NDArray[np.generic] = self._int32(source)
        elif p.wide_source:
            x = np.ascontiguousarray(self.memories.rows(*source)).view("<i2")
        else:
            x = self._elements(source, p.signed)
        bits: Literal[8, 16] = 16 if p.wide else 8
        if p.kind == Exponential.TABLE:
            exponentials = _read(lambda: constants.read_exponentials(self._block(block)))
            shares = softmax.softmax_table(x, exponentials, bits)
        else:
            grid = _read(lambda: constants.read_grid(self._block(block)))
            seen = softmax.EVERYTHING
            if p.kind == Exponential.MASKED:
                places = _read(lambda: constants.read_mask(self._block(block), p.columns))
                seen = places.seen(p.row, p.rows, p.columns)
            shares = softmax.softmax(x, *grid, bits, seen)
        self._write(result, shares.astype(f"<u{bits // 8}"))

    def _dequantize(self, p: opcodes.Dequantize, source: Tile, block: Tile, result: Tile) -> None:
        data = self._block(block)
        scales, zero_points = _read(lambda: constants.read_scales(data, p.columns, p.kind, p.signed))
        if p.kind == ByteMeaning.INTEGER:
            real = dequantize.dequantize_int8(self._elements(source, p.signed), zero_points, scales)
        else:
            fp8: Fp8 = "fp8_e4m3" if p.kind == ByteMeaning.FP8_E4M3 else "fp8_e5m2"
            real = dequantize.dequantize_fp8(self.memories.rows(*source), scales, fp8)
        self._write(result, real.astype("<f4"))

    # cycles and events

    def _take_quantize(
        self, counters: Counters, p: opcodes.Quantize, source: Tile, scales: Tile, result: Tile
    ) -> Timing:
        integers.quantize_events(counters, p.rows, p.columns)
        words = self._passes(counters, ([source], []), ([source], [scales, result]))
        return _after(0, integers.quantize_cycles(p.rows, p.columns, self.lanes, words))

    def _take_dequantize_sums(
        self, counters: Counters, p: opcodes.DequantizeSums, sums: Tile, rows_scales: Tile, columns_scales: Tile,
        _: Tile, result: Tile,
    ) -> Timing:  # fmt: skip
        integers.dequantize_events(counters, p.rows * p.columns, accumulate=bool(p.accumulate))
        fill = self._fill(counters, columns_scales)
        if p.accumulate:  # a sum is read, added to and written back at once
            self.memories.port(counters, *result, Operation.SRAM_READ)
        words = self._passes(counters, ([sums, rows_scales], [result]))
        return _after(fill, integers.dequantize_cycles(p.rows, p.columns, self.lanes, words))

    def _take_transform(self, counters: Counters, p: opcodes.Transform, source: Tile, result: Tile) -> Timing:
        hadamard.events(counters, p.rows * p.columns, levels=p.levels, narrowed=True)
        # first and last pass; those between use row registers
        passes: list[VectorPass] = [([source], [result])] if p.levels == 1 else [([source], []), ([], [result])]
        words = self._passes(counters, *passes)
        return _after(0, hadamard.cycles(p.rows, p.columns, self.lanes, words, levels=p.levels, narrowed=True))

    def _take_function(self, counters: Counters, p: Functions, source: Tile, block: Tile, result: Tile) -> Timing:
        values, shape = p.rows * p.columns, (p.rows, p.columns, self.lanes)
        match p:
            case opcodes.Normalize():
                centred, weighted = p.kind == Normalization.LAYER, p.kind == Normalization.WEIGHTED
                norm.events(counters, p.rows, p.columns, centred=centred, weighted=weighted)
                words = self._passes(counters, ([source], []), ([source], [result]))
                cycles = norm.cycles(*shape, words, centred=centred, weighted=weighted)
            case opcodes.Softmax():
                table = p.kind == Exponential.TABLE
                if table:
                    softmax.table_events(counters)
                masked = p.kind == Exponential.MASKED
                softmax.events(counters, p.rows, p.columns, table=table, masked=masked)
                words = self._passes(counters, ([source], []), ([source], []), ([], [result]))
                cycles = softmax.cycles(*shape, words, table=table)
            case opcodes.Gelu():
                gelu.polynomial_events(counters, values)
                cycles = gelu.cycles(gelu.POLYNOMIAL, *shape, self._passes(counters, ([source], [result])))
            case opcodes.Dequantize():
                charge = dequantize.int8_events if p.kind == ByteMeaning.INTEGER else dequantize.fp8_events
                charge(counters, values)
                cycles = dequantize.cycles(*shape, self._passes(counters, ([source], [result])))
        return _after(self._fill(counters, block), cycles)

    def _block(self, block: Tile) -> NDArray[np.uint8]:
        """Bytes of a block of constants."""
        data: NDArray[np.uint8] = self.memories.rows(*block)[0].copy()
        return data

    def _elements(self, tile: Tile, signed: int) -> NDArray[np.generic]:
        """int8 or uint8 elements of a tile."""
        data = self.memories.rows(*tile)
        return data.view(np.int8) if signed else data

    def _int32(self, tile: Tile) -> Int64:
        """int32 elements of a tile."""
        return np.ascontiguousarray(self.memories.rows(*tile)).view("<i4").astype(np.int64)

    def _float32(self, tile: Tile) -> NDArray[np.float32]:
        """float32 values of a run."""
        values: NDArray[np.float32] = self.memories.rows(*tile)[0].copy().view("<f4")
        return values

    def _write(self, tile: Tile, values: NDArray[Any]) -> None:
        """Put values, of the width that stands in memory, into a tile."""
        self.memories.bytes(tile.memory, tile.region)[:] = np.ascontiguousarray(values).view(np.uint8)

    def _fill(self, counters: Counters, tile: Tile) -> int:
        """Charge a read of what fills registers; return the cycles that it takes, 0 for nothing."""
        return self.memories.port(counters, *tile, Operation.SRAM_READ) if tile.region.row_bytes else 0

    def _passes(self, counters: Counters, *passes: VectorPass) -> int:
        """Charge what each pass reads and writes; return the words of the busiest port in one pass."""
        busiest = 0
        for reads, writes in passes:
            used = [(tile, self.memories.port(counters, *tile, Operation.SRAM_READ)) for tile in reads]
            used += [(tile, self.memories.port(counters, *tile, Operation.SRAM_WRITE)) for tile in writes]
            busiest = max(busiest, self.memories.busiest(used))
        return busiest


def _after(fill: int, cycles: Cycles) -> Timing:
    """Work of passes that begin when the registers are filled."""
    free, end = cycles
    return Timing(fill + free, fill + end)


def _read(read: Callable[[], ReadT]) -> ReadT:
    """Constants that a program holds; a program whose constants no kernel is sized for is at fault."""
    try:
        return read()
    except ValueError as error:
        raise ProgramError(f"constants: {error}") from None
