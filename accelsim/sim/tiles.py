"""What map, reduce and move do: typed tiles in, typed tiles out, cycles and events that follow from operands alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters
from accelsim.config.tech import Operation as Happens
from accelsim.datapath import requantize
from accelsim.datapath.vector import (
    convert,
    elementwise,
    fixed_point,
    float_functions,
    float_scale,
    gelu,
    pool,
    products,
    rotate,
)
from accelsim.datapath.vector.elements import Element, float_of, pack, unpack
from accelsim.datapath.vector.elementwise import AddIntegers, Rescale
from accelsim.datapath.vector.fixed_point import VectorPass
from accelsim.isa import images, opcodes
from accelsim.isa.accesses import Tile
from accelsim.isa.functions import BINARY, OF_FLOATS, ROTATIONS, Function, Operation, adds_floats
from accelsim.isa.opcodes import Memory
from accelsim.isa.tables import Tables
from accelsim.memory.region import Runs
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Values = Int64 | Float32
Typed = opcodes.Map | opcodes.Reduce | opcodes.Move

#: A tile that is moved as it is passes the lanes in a cycle.
MOVE = VectorPass("move", ("move",))


class TileUnit:
    """Executes single instructions on typed tiles.

    A table, or a row that serves all rows, fills registers before the first row is read. Then the tile is read, passes
    the lanes and is written in one pass, which takes the words of the busiest port: tiles in one bank share the port
    that the instruction holds of it. A sum that is added to where it stands is read and written back at once.
    """

    def __init__(self, machine: Machine, memories: Memories, tables: Tables) -> None:
        self.memories = memories
        self.lanes = machine.vector.lanes
        self.functions = [Function.read(record) for record in tables.functions]

    def move(self, p: Typed) -> None:
        """Do what an instruction does."""
        f = self.functions[p.function]
        match p:
            case opcodes.Map():
                self._map(p, f)
            case opcodes.Reduce():
                self._reduce(p, f)
            case opcodes.Move():
                self._copy(p, f)

    def take(self, counters: Counters, p: Typed) -> Timing:
        """Count an instruction's events and say what it takes."""
        f = self.functions[p.function]
        match p:
            case opcodes.Map():
                return self._take_map(counters, p, f)
            case opcodes.Reduce():
                return self._take_reduce(counters, p, f)
            case opcodes.Move():
                return self._take_move(counters, p, f)

    # bytes

    def _read(self, tile: Tile, element: Element, columns: int) -> Values:
        return unpack(self.memories.rows(tile.memory, tile.bytes), element, columns)

    def _map(self, p: opcodes.Map, f: Function) -> None:
        source, other, result = f.types
        first, second, constants, made = self.memories.tiles.of(opcodes.MAP, p)
        x = self._read(first, source, p.columns)
        match f.operation:
            case Operation.LOOK_UP:
                table = self.memories.rows(*constants)[0]
                values: Values = table.view(result.dtype).astype(np.int64)[x.astype(np.int64) & 255]
            case Operation.CONVERT:
                values = _converted(f, x)
            case _ if f.operation in OF_FLOATS:
                real = float_functions.compute(OF_FLOATS[Operation(f.operation)], x.astype(np.float32))
                values = convert.clamp(real, float_of(f.low), float_of(f.high))
            case _:
                values = _combined(f, x, self._read(second, other, p.columns))
        self.memories.bytes(made.memory, made.region)[:] = pack(values, result)

    def _reduce(self, p: opcodes.Reduce, f: Function) -> None:
        source, _, result = f.types
        seen, made = _images(p, f)
        data = unpack(self.memories.rows(Memory(p.memory), seen), source, p.columns)
        windows = data.reshape(p.height * p.width, -1, p.columns)
        values: Values
        if f.operation == Operation.MAXIMUM:
            values = pool.maximum(windows)
        elif result.is_float:
            real = pool.total_float(windows.astype(np.float32), float_of(f.result_multiplier))
            values = convert.clamp(real, float_of(f.low), float_of(f.high))
        else:
            total = pool.total(windows.astype(np.int64), f.zero_point)
            values = _scaled(f, total, f.result_multiplier, f.result_shift)
        places = made.address[:, None] + np.arange(result.row_bytes(p.columns))
        self.memories.arrays[Memory(p.result_memory)][places] = pack(values, result)

    def _copy(self, p: opcodes.Move, f: Function) -> None:
        width = f.types[2].bits // 8
        source, made = self.memories.tiles.of(opcodes.MOVE, p)
        result = self.memories.bytes(made.memory, made.region)
        if f.operation == Operation.FILL:
            result[:] = f.low
            return
        elements = self.memories.rows(*source).reshape(p.rows, p.columns, width).copy()
        if f.operation == Operation.TRANSPOSE:
            elements = elements.transpose(1, 0, 2)
        result[:] = elements.reshape(result.shape)

    # cycles and events

    def _take_map(self, counters: Counters, p: opcodes.Map, f: Function) -> Timing:
        kernel = _charge(counters, f, p.rows * p.columns)
        tile, other, constants, made = self.memories.tiles.of(opcodes.MAP, p)
        reads, fill = [tile], 0
        if f.operation == Operation.LOOK_UP:
            fill = self._port(counters, constants, Happens.SRAM_READ)
        elif f.operation in BINARY and p.other_stride == 0:
            fill = self._port(counters, other, Happens.SRAM_READ)
        elif f.operation in BINARY:
            reads.append(other)
        if tile == made and tile.memory == Memory.ACCUMULATOR:  # read and written back at once
            self._port(counters, tile, Happens.SRAM_READ)
            reads.remove(tile)
        return self._work(counters, fill, kernel, p.rows, p.columns, reads, made)

    def _take_reduce(self, counters: Counters, p: opcodes.Reduce, f: Function) -> Timing:
        seen, made = _images(p, f)
        pixels, taken = p.height * p.width, len(seen.address)
        values, read = pixels * p.columns, taken * p.columns
        if f.operation == Operation.MAXIMUM:
            kernel = pool.MAXIMUM
            pool.maximum_events(counters, values, read)
        elif f.types[2].is_float:
            kernel = pool.SUM_FLOAT
            pool.sum_float_events(counters, values, read)
        else:
            kernel = pool.SUM
            pool.sum_events(counters, values, read, requantize.MODES[f.rounding])
        tiles = Tile(Memory(p.memory), seen), Tile(Memory(p.result_memory), made)
        return self._work(counters, 0, kernel, taken, p.columns, [tiles[0]], tiles[1])

    def _take_move(self, counters: Counters, p: opcodes.Move, f: Function) -> Timing:
        width = f.types[2].bits // 8
        source, made = self.memories.tiles.of(opcodes.MOVE, p)
        if f.operation == Operation.TRANSPOSE:  # each element of a row goes to a row of its own
            rows, columns = np.divmod(np.arange(p.rows * p.columns), p.columns)
            turned = Runs(p.result + columns * p.result_stride + rows * width, np.full(rows.size, width))
            made = made._replace(bytes=turned)
        reads = [] if f.operation == Operation.FILL else [source]
        return self._work(counters, 0, MOVE, p.rows, p.columns, reads, made)

    def _work(
        self, counters: Counters, fill: int, kernel: VectorPass, rows: int, columns: int, reads: list[Tile], made: Tile
    ) -> Timing:
        """Work of one pass that begins when the registers are filled."""
        used = [(tile, self._port(counters, tile, Happens.SRAM_READ)) for tile in reads]
        used.append((made, self._port(counters, made, Happens.SRAM_WRITE)))
        busiest = self.memories.busiest(used)
        free, end = fixed_point.cycles((kernel,), rows, columns, self.lanes, busiest)
        return Timing(fill + free, fill + end)

    def _port(self, counters: Counters, tile: Tile, operation: Happens) -> int:
        return self.memories.port(counters, *tile, operation)


def _images(p: opcodes.Reduce, f: Function) -> tuple[Runs, Runs]:
    """Pixels that are read, window by window, and results."""
    source, _, result = f.types
    windows = (f.window_rows, f.window_columns, f.row_step, f.column_step)
    seen = images.read(p.stride, p.line_stride, p.height, p.width, source.row_bytes(p.columns), *windows)
    made = images.written(p.result_stride, p.result_line_stride, p.height, p.width, result.row_bytes(p.columns))
    return seen.runs.moved(p.address), made.runs.moved(p.result)


def _scaled(f: Function, values: Int64, multiplier: int, shift: int) -> Int64:
    """Values at the result's scale."""
    mode = requantize.MODES[f.rounding]
    return requantize.requantize(values, multiplier, shift, f.result_zero_point, mode, qmin=f.low, qmax=f.high)


def _converted(f: Function, x: Values) -> Values:
    source, _, result = f.types
    if source.is_float and result.is_float:
        return convert.clamp(x.astype(np.float32), float_of(f.low), float_of(f.high))
    if source.is_float:
        scale = float_of(f.multiplier)
        return convert.to_integers(x.astype(np.float32), scale, f.result_zero_point, f.low, f.high)
    integers = x.astype(np.int64)
    if result.is_float:
        real = convert.to_floats(integers, f.zero_point, float_of(f.multiplier))
        return convert.clamp(real, float_of(f.low), float_of(f.high))
    return _scaled(f, integers - f.zero_point, f.multiplier, f.shift)


def _combined(f: Function, x: Values, y: Values) -> Values:
    source, other, result = f.types
    if f.operation in ROTATIONS:
        return _turned(f, x, y)
    if result.is_float:
        a, b = x.astype(np.float32), y.astype(np.float32)
        real = products.add_float(a, b) if f.operation == Operation.ADD else products.multiply_float(a, b)
        return convert.clamp(real, float_of(f.low), float_of(f.high))
    m, n = x.astype(np.int64), y.astype(np.int64)
    if f.operation == Operation.MULTIPLY:
        total = products.multiply_int8(m, n, (f.zero_point, f.other_zero_point))
        return _scaled(f, total, f.result_multiplier, f.result_shift)
    mode, factor = requantize.MODES[f.rounding], Rescale(f.other_multiplier, f.other_shift)
    if source == Element.INT32:
        if other != Element.INT32:
            n = elementwise.rescale_residual(n, f.other_zero_point, factor, mode)
        return np.clip(elementwise.add_int32(m, n), f.low, f.high)
    if adds_floats(f):
        scales = float_of(f.multiplier), float_of(f.other_multiplier), float_of(f.result_multiplier)
        return float_scale.add(m, n, scales, qmin=f.low, qmax=f.high)
    factors = Rescale(f.multiplier, f.shift), factor
    points = f.zero_point, f.other_zero_point
    left, output = elementwise.left_shift(source, other), Rescale(f.result_multiplier, f.result_shift)
    add = AddIntegers(points, factors, output, f.result_zero_point, mode, left)
    return elementwise.add_integers(m, n, add, qmin=f.low, qmax=f.high)


def _turned(f: Function, x: Values, table: Values) -> Values:
    interleaved = f.operation == Operation.ROTATE_NEIGHBOURS
    if f.types[2].is_float:
        turned = rotate.rotate(x.astype(np.float32), table.astype(np.float32), interleaved=interleaved)
        return convert.clamp(turned, float_of(f.low), float_of(f.high))
    own, factors = x.astype(np.int64) - f.zero_point, table.astype(np.int64) - f.other_zero_point
    total = rotate.rotate(own, factors, interleaved=interleaved)
    return _scaled(f, total, f.result_multiplier, f.result_shift)


def _charge(counters: Counters, f: Function, values: int) -> VectorPass:  # noqa: C901, PLR0911, PLR0912 - one a kernel
    """Count the events of a map; return its pass."""
    source, other, result = f.types
    match f.operation:
        case Operation.LOOK_UP:
            gelu.look_up_events(counters, values)
            gelu.table_events(counters)
            return gelu.LOOK_UP
        case Operation.CONVERT if source.is_float and result.is_float:
            convert.floats_events(counters, values)
            return convert.FLOATS
        case Operation.CONVERT if source.is_float:
            convert.to_integers_events(counters, values)
            return convert.TO_INTEGERS
        case Operation.CONVERT if result.is_float:
            convert.to_floats_events(counters, values)
            return convert.TO_FLOATS
        case Operation.CONVERT:
            convert.integers_events(counters, values, requantize.MODES[f.rounding])
            return convert.INTEGERS
        case Operation.ADD if result.is_float:
            products.add_float_events(counters, values)
            return products.ADD_FLOAT
        case Operation.ADD if source == Element.INT32:
            elementwise.add_int32_events(counters, values)
            if other == Element.INT32:
                return elementwise.ADD_INT32
            elementwise.rescale_events(counters, values)
            return elementwise.RESCALE_ADD
        case Operation.ADD if adds_floats(f):
            float_scale.add_events(counters, values)
            return float_scale.ADD
        case Operation.ADD:
            elementwise.add_integers_events(counters, values, (source, other))
            return elementwise.ADD_INTEGERS
        case Operation.ROTATE | Operation.ROTATE_NEIGHBOURS if result.is_float:
            rotate.floats_events(counters, values, source)
            return rotate.FLOATS
        case Operation.ROTATE | Operation.ROTATE_NEIGHBOURS:
            rotate.integers_events(counters, values, (source, other), requantize.MODES[f.rounding])
            return rotate.INTEGERS
        case _ if f.operation in OF_FLOATS:
            name = OF_FLOATS[Operation(f.operation)]
            float_functions.events(counters, name, values)
            return float_functions.work(name)
        case _ if result.is_float:
            products.multiply_float_events(counters, values)
            return products.MULTIPLY_FLOAT
    products.multiply_int8_events(counters, values, requantize.MODES[f.rounding])
    return products.MULTIPLY_INT8
