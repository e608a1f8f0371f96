"""What a program's instructions do to the bytes of a machine, in program order, at the speed of the memories.

The loop ends at an instruction that it leaves to `accelsim.sim.machine.Core`, which defines what instructions do: one
that it does not know, or whose bytes it does not know how to take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels import lanes, nm, products, requantize, tiles, windows
from accelsim.kernels.borrowing import inner
from accelsim.kernels.products import Held
from accelsim.kernels.requantize import Channels

Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]

#: What the loop does for an opcode. Multiplying has three forms: by what is in the registers, of operands that both
#: stand input by input, and of operands that stand row by row and output by output.
(
    LEAVE,
    NOTHING,
    LOAD,
    STORE,
    RECEIVE,
    PRELOAD,
    MATMUL,
    MULTIPLY_INPUTS,
    MULTIPLY_ROWS,
    REQUANTIZE,
    GATHER,
    SCATTER,
    MAP,
    REDUCE,
    MOVE,
) = range(15)

#: Numbers of the scratchpads, as in `isa.opcodes.Memory`.
ACTIVATION, WEIGHT, OUTPUT = 1, 2, 3

#: Inputs that are multiplied at once, at most, where both operands come from scratchpads.
STRETCH = 1024

# the words of Matrix.state: scratchpad whose operands the registers hold; whether what they hold stands in groups too,
# for signed or unsigned activations; N:M of packed weights, and bits of a position
STATIONARY, IN_GROUPS, KEPT, GROUP, BITS, STATE_WORDS = range(6)
NOT, UNSIGNED, SIGNED = range(3)


class Stream(NamedTuple):
    """A program as the loop reads it.

    Parameters
    ----------
    action
        What the loop does for each opcode; uint8.
    rounding
        Scheme of `kernels.requantize` of each number of a rounding scheme, or -1; int64.
    opcode, layer, operands
        Fields of the records, shapes (n,), (n,) and (n, operands).
    descriptors, functions
        As `isa.descriptors` and `isa.functions` lay them out; int64, shapes (descriptors, fields), (functions, fields).
    bits
        Bits of an element of each type; int64.
    """

    action: NDArray[np.uint8]
    rounding: Int64
    opcode: NDArray[np.uint8]
    layer: NDArray[np.int32]
    operands: Int64
    descriptors: Int64
    functions: Int64
    bits: Int64


class Memories(NamedTuple):
    """Bytes of the memories, uint8.

    Parameters
    ----------
    results, sums
        The output scratchpad once more, as uint16, and the accumulator as int32.
    host
        What the host has yet to send, from address 0 of the DRAM on; if it computes, as much as the DRAM.
    image, unwritten
        First bytes of the DRAM, and how many of them are read there, because nothing writes them.
    """

    dram: Bytes
    activation: Bytes
    weight: Bytes
    output: Bytes
    results: NDArray[np.uint16]
    accumulator: Bytes
    sums: NDArray[np.int32]
    host: Bytes
    image: Bytes
    unwritten: int


class Matrix(NamedTuple):
    """The matrix unit, and room for its operands.

    Parameters
    ----------
    state
        int64, shape (STATE_WORDS,).
    registers
        The fold in the registers or dense weights, row by row, each of as many bytes as it has columns.
    turned
        An operand, rows and columns exchanged.
    """

    state: Int64
    registers: Bytes
    turned: Bytes


def run(
    first: int, until: int, code: Stream, memories: Memories, matrix: Matrix, held: Held, channels: Channels,
    effectual: Int64,
) -> int:  # fmt: skip
    """Execute instructions.

    Parameters
    ----------
    first, until
        The first one, and the one after the last.
    channels
        Room for the constants of the widest requantize: of its channels, and behind them of its columns.
    effectual
        Products of each layer whose factors are both nonzero, so far; int64, shape (layers,).

    Returns
    -------
    Number of the first instruction that was not executed.
    """
    tiled = True if len(code.functions) or len(code.descriptors) else None
    return loop(first, until, code, memories, matrix, held, channels, effectual, tiled)


@njit(cache=True)
def loop(  # noqa: PLR0911 - whatever is left to the core
    first: int, until: int, code: Stream, memories: Memories, matrix: Matrix, held: Held, channels: Channels,
    effectual: Int64, tiled: bool | None,
) -> int:  # fmt: skip
    """What `run` does; windows and typed tiles alone are left, and not compiled, if `tiled` is None."""
    for i in range(first, until):
        action, p = code.action[code.opcode[i]], code.operands[i]
        if MATMUL <= action <= MULTIPLY_ROWS:
            found = _multiply(action, p, memories, matrix, held)
            if found < 0:
                return i
            effectual[code.layer[i]] += found
        elif action == PRELOAD:
            if not _preload(p, memories, matrix):
                return i
        elif action == LOAD:
            out = _scratchpad(memories, p[4])
            if p[0] < memories.unwritten:
                copy_rows(memories.image, p[0], p[1], out, p[5], p[6], p[2], p[3])
            else:
                copy_rows(memories.dram, p[0], p[1], out, p[5], p[6], p[2], p[3])
        elif action == STORE:
            copy_rows(_scratchpad(memories, p[4]), p[5], p[6], memories.dram, p[0], p[1], p[2], p[3])
        elif GATHER <= action <= MOVE:
            if tiled is None:
                return i
            if not _tile(action, p, code, memories):
                return i
        elif action == REQUANTIZE:
            if not _requantize(p, memories, code.rounding, channels):
                return i
        elif action == RECEIVE:
            if p[0] + (p[2] - 1) * p[1] + p[3] > len(memories.host):
                return i
            copy_rows(memories.host, p[0], p[1], memories.dram, p[0], p[1], p[2], p[3])
        elif action == LEAVE:
            return i
    return until


@inner
def copy_rows(
    source: Bytes, at: int, stride: int, out: Bytes, at_out: int, stride_out: int, rows: int, row_bytes: int
) -> None:
    """Copy rows of bytes from one array to another."""
    if stride == row_bytes and stride_out == row_bytes:
        row_bytes *= rows
        rows = 1
    for row in range(rows):
        lanes.copy(source, at + row * stride, out, at_out + row * stride_out, row_bytes)


@njit(cache=True)
def _scratchpad(memories: Memories, number: int) -> Bytes:
    if number == ACTIVATION:
        return memories.activation
    if number == WEIGHT:
        return memories.weight
    if number == OUTPUT:
        return memories.output
    return memories.accumulator


@njit(cache=True)
def _tile(action: int, p: Int64, code: Stream, memories: Memories) -> bool:
    """Move a window, or do what the vector unit does to typed tiles, if it is known how."""
    if action == GATHER:
        windows.gather(
            code.descriptors[p[1]], p[4], p[5], memories.image, memories.unwritten, memories.dram, p[0],
            _scratchpad(memories, p[2]), p[3],
        )  # fmt: skip
        return True
    if action == SCATTER:
        windows.scatter(code.descriptors[p[1]], _scratchpad(memories, p[2]), p[3], memories.dram, p[0])
        return True
    f = code.functions[p[0]]
    mode = code.rounding[f[tiles.ROUNDING]]
    if action == MAP:
        source, other, out = _scratchpad(memories, p[1]), _scratchpad(memories, p[9]), _scratchpad(memories, p[6])
        return tiles.map_tile(p, f, mode, source, other, memories.weight, out)
    if action == REDUCE:
        return tiles.reduce_image(p, f, mode, _scratchpad(memories, p[1]), _scratchpad(memories, p[8]))
    source, out = _scratchpad(memories, p[6]), _scratchpad(memories, p[1])
    return tiles.move_tile(p, f, code.bits[f[tiles.SOURCE]] // 8, source, out)


@njit(cache=True)
def _preload(p: Int64, memories: Memories, matrix: Matrix) -> bool:
    """Bring a fold into the registers; whether its bytes are those of a fold."""
    address, stride, depth, columns, packed = p[0], p[1], p[2], p[3], p[4]
    state = matrix.state
    state[IN_GROUPS] = NOT
    source = _scratchpad(memories, state[STATIONARY])
    if packed:
        return nm.expand(source, address, depth, columns, state[KEPT], state[GROUP], state[BITS], matrix.registers)
    copy_rows(source, address, stride, matrix.registers, 0, columns, depth, columns)
    return True


@inner
def _turn(memory: Bytes, at: int, stride: int, rows: int, columns: int, out: Bytes) -> None:
    """Exchange rows and columns of bytes."""
    for row in range(np.uint64(rows)):
        first = np.uint64(at) + row * np.uint64(stride)
        for column in range(np.uint64(columns)):
            out[column * np.uint64(rows) + row] = memory[first + column]


@inner
def _multiply(action: int, p: Int64, memories: Memories, matrix: Matrix, held: Held) -> int:
    """Multiply a tile; return the products whose factors are both nonzero, or -1 if packed weights are none."""
    state = matrix.state
    if action == MATMUL:
        address, stride, rows, depth, columns = p[0], p[1], p[2], p[3], p[4]
        sums, sums_stride, accumulate, signed = p[5], p[6], p[7] != 0, p[8] != 0
        inner, outer_stride = p[10], p[11]
        weights_stay, length = state[STATIONARY] == WEIGHT, depth
        streaming = memories.activation if weights_stay else memories.weight
        staying, at_staying, staying_stride = matrix.registers, 0, columns
    else:
        address, stride, weights, weights_stride, rows, depth, columns = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
        sums, sums_stride, accumulate, signed = p[7], p[8], p[9] != 0, p[10] != 0
        inner, outer_stride = p[12], p[13]
        length = min(depth, STRETCH)
        state[IN_GROUPS] = NOT
        if action == MULTIPLY_INPUTS:
            # sums stand output by output, so weights stream through activations
            weights_stay, streaming = False, matrix.turned
            staying, at_staying, staying_stride = memories.activation, address, stride
            rows, columns = columns, rows
        else:
            weights_stay, streaming = True, memories.activation
            staying, at_staying, staying_stride = matrix.turned, 0, columns
            if p[11] != 0:
                staying = matrix.registers
                if not nm.expand(
                    memories.weight, weights, depth, columns, state[KEPT], state[GROUP], state[BITS], staying
                ):
                    return -1
    if inner == 0:
        inner = rows
    # weights are signed, on whichever side they are
    rows_signed, held_signed = signed or not weights_stay, signed or weights_stay
    activations = SIGNED if signed else UNSIGNED
    effectual = 0
    for k in range(0, depth, length):
        inputs = min(depth - k, length)
        at, pitch = address + k, stride
        if action == MULTIPLY_INPUTS:
            _turn(memories.weight, weights + k * weights_stride, weights_stride, inputs, rows, matrix.turned)
            at, pitch = 0, inputs
        elif action == MULTIPLY_ROWS and p[11] == 0:
            _turn(memories.weight, weights + k, weights_stride, columns, inputs, matrix.turned)
            at_staying = -k * columns
        if action != MATMUL or state[IN_GROUPS] != activations:
            first = at_staying + k * staying_stride
            products.hold(held, staying, first, staying_stride, inputs, columns, rows_signed, held_signed)
            state[IN_GROUPS] = activations
        effectual += products.stream(
            held, streaming, at, pitch, rows, inner, outer_stride, memories.accumulator, sums, sums_stride,
            accumulate or k > 0,
        )  # fmt: skip
    return effectual


@inner
def _requantize(p: Int64, memories: Memories, rounding: Int64, room: Channels) -> bool:
    """Turn sums into results; whether its sums and results are aligned, its scheme is known, its shifts are defined."""
    sums, sums_stride, rows, columns, constants, address, stride = p[0], p[1], p[2], p[3], p[4], p[5], p[6]
    zero_point, qmin, qmax, mode, by_row = p[7], p[8], p[9], rounding[p[10]], p[11] != 0
    channels = rows if by_row else columns
    wide = p[12] == 16
    if mode < 0 or sums % 4 != 0 or (rows > 1 and sums_stride % 4 != 0):
        return False
    if wide and (address % 2 != 0 or (rows > 1 and stride % 2 != 0)):
        return False
    lanes.copy(memories.weight, constants, room.bias, 0, 4 * channels)
    lanes.copy(memories.weight, constants + 4 * channels, room.multiplier, 0, 4 * channels)
    lanes.copy(memories.weight, constants + 8 * channels, room.shift, 0, channels)
    if not requantize.are_defined(mode, room.shift, channels):
        return False
    for row in range(rows):
        channel = 0
        if by_row:  # a row's constants stand behind all of them, once for each column
            channel = channels
            requantize.repeat(room, row, channel, columns)
        first, at = (sums + row * sums_stride) // 4, address + row * stride
        if wide:
            requantize.row(
                mode, memories.sums, first, room, channel, columns, zero_point, qmin, qmax, memories.results, at // 2
            )
        else:
            requantize.row(
                mode, memories.sums, first, room, channel, columns, zero_point, qmin, qmax, memories.output, at
            )
    return True
