"""What is moved for the steps of a fusion, and before which of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.image import Image, Padding
from accelsim.compiler.instructions import Instructions, issue
from accelsim.compiler.tables import TableBuilder
from accelsim.compiler.tiles import Cuts, Place, oriented
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.isa.functions import Function, Operation
from accelsim.isa.opcodes import GATHER, LOAD, MOVE, OPCODES, OPERANDS, RECEIVE, Memory
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]


class Stored(NamedTuple):
    """What a fusion stores: the first row of each tile of rows, ascending, and the step of its last store."""

    low: Int64
    step: Int64

    def written(self, rows: Cuts) -> Int64:
        """First step before which these rows are whole."""
        first = np.searchsorted(self.low, rows.low, side="right") - 1
        last = np.searchsorted(self.low, rows.low + rows.size, side="left")
        ends = np.stack([first, last], axis=1)
        written: Int64 = np.maximum.reduceat(np.append(self.step + 1, 0), ends.ravel())[::2]
        return written

    @property
    def complete(self) -> int:
        """First step before which all rows are whole."""
        return int(self.step.max()) + 1

    @property
    def at_once(self) -> Stored:
        """The same for those who read rows in another order, and wait for all of them."""
        return Stored(np.zeros(1, np.int64), np.array([self.complete - 1]))


class Moves(NamedTuple):
    """Loads and what goes with them, each emitted before a step; of one opcode, in the order of the steps' need.

    Parameters
    ----------
    layer
        Number of the fusion.
    before, need
        Step before which it is emitted, and step that needs it; shape (moves,).
    """

    layer: int
    before: Int64
    need: Int64
    code: Instructions


def padded(layer: int, held: Held, step: int, tables: TableBuilder) -> list[Moves]:
    """Fill the padding around what stays on chip, before the step that forms its first numbers."""
    fills = [
        (0, *_filled(held.fill, tables, fill.address, fill.stride, fill.rows, fill.row_bytes)) for fill in held.fills()
    ]
    if not fills:
        return []
    at = np.full(len(fills), step)
    return [Moves(layer, at, at, _instructions(MOVE, fills).code)]


class Gathers(NamedTuple):
    """What brings some tiles: the number of each instruction's tile, shape (instructions,), and the instructions."""

    owner: Int64
    code: Instructions


def gathered(image: Image, tiles: Int64, source: Place, tile: Place, tables: TableBuilder) -> list[Gathers]:
    """Bring tiles of windows into the activation scratchpad, each by as many instructions as it has boxes.

    What is padding alone is filled by the vector unit.

    Parameters
    ----------
    tiles
        First row and rows, first input and inputs, and address of each; int64, shape (tiles, 5).
    source, tile
        Where the images lie in DRAM, and how a tile lies on chip from address 0 on.
    """
    reads: list[tuple[int, ...]] = []
    fills: list[tuple[int, ...]] = []
    for number, (row, rows, first, inputs, address) in enumerate(tiles.tolist()):
        for part in image.gathers((row, row + rows), (first, first + inputs), source, tile):
            at = address + part.address
            if isinstance(part, Padding):
                fills.append((number, *_filled(image.fill, tables, at, tile.pitch, part.rows, part.row_bytes)))
            else:
                place = tables.descriptors.number(part.descriptor)
                dram = source.address + part.dram
                reads.append((number, dram, place, Memory.ACTIVATION, at, part.row, part.column))
    both = ((GATHER, reads), (MOVE, fills))
    return [_instructions(opcode, records) for opcode, records in both if records]


def _filled(value: int, tables: TableBuilder, address: int, stride: int, rows: int, row_bytes: int) -> tuple[int, ...]:
    """Operands of a move that sets rows of bytes in the activation scratchpad to a value."""
    byte = Function(Operation.FILL, ElementType.UINT8, 0, ElementType.UINT8, low=value)
    return tables.function(byte), Memory.ACTIVATION, address, stride, rows, row_bytes, 0, 0, 0


def _instructions(opcode: int, records: list[tuple[int, ...]]) -> Gathers:
    """Instructions from the number of each one's tile and its operands."""
    table = np.array(records, np.int64)
    operands = np.zeros((len(records), 1, OPERANDS), np.int64)
    operands[:, 0, : table.shape[1] - 1] = table[:, 1:]
    return Gathers(table[:, 0], Instructions(np.full(1, opcode, np.uint8), operands))


def over_link(opcode: int, transfers: Instructions) -> Instructions:
    """Move what transfers move in DRAM between it and the host."""
    operands = transfers.operands.copy()
    operands[:, :, len(OPCODES[opcode].fields) :] = 0  # those of the scratchpad
    return Instructions(np.full_like(transfers.opcodes, opcode), operands)


def fresh(needed: Cuts) -> Cuts:
    """Of the rows that each tile needs those that the tiles before it did not; perhaps none."""
    ends = needed.low + needed.size
    low = np.maximum(needed.low, np.maximum.accumulate(np.append(0, ends[:-1])))
    return Cuts(low, np.maximum(ends - low, 0))


def received(rows: Cuts, features: int, source: Place) -> Instructions:
    """Receive whole rows of a value over the host's link, to where they lie in DRAM."""
    lines, elements = oriented(rows.size, np.full_like(rows.size, features), feature_major=source.feature_major)
    return issue(
        RECEIVE,
        len(rows.low),
        dram=source.at(rows.low, np.zeros_like(rows.low))[:, None],
        dram_stride=source.pitch,
        rows=lines[:, None],
        row_bytes=ceil_div(elements * source.bits, 8)[:, None],
    )


class Tile(NamedTuple):
    """Tiles on chip: their memory, their addresses, shape (steps, 1), and bytes from row to row."""

    memory: Memory
    address: Int64
    stride: int | Int64


def turned(
    tables: TableBuilder, element: ElementType, shape: tuple[int | Int64, int | Int64], given: Tile, formed: Tile
) -> Instructions:
    """Exchange rows and columns of tiles of a shape."""
    return issue(
        MOVE,
        len(given.address),
        function=tables.function(Function(Operation.TRANSPOSE, element, result=element)),
        result_memory=formed.memory,
        result=formed.address,
        result_stride=formed.stride,
        rows=shape[0],
        columns=shape[1],
        memory=given.memory,
        address=given.address,
        stride=given.stride,
    )


def runs(dram: Int64, address: Int64, size: Int64) -> Instructions:
    """Move runs of bytes into the weight scratchpad."""
    return issue(
        LOAD,
        len(size),
        dram=dram[:, None],
        dram_stride=size[:, None],
        rows=1,
        row_bytes=size[:, None],
        memory=Memory.WEIGHT,
        address=address[:, None],
        stride=size[:, None],
    )
