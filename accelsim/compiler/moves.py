"""What is moved for the steps of a fusion, and before which of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.code import Code, issue
from accelsim.compiler.image import Descriptors, Image
from accelsim.compiler.tiles import Cuts, Place
from accelsim.isa.opcodes import GATHER, LOAD, OPCODES, OPERANDS, Memory

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
    code: Code


class Gathers(NamedTuple):
    """Gathers of some tiles: the number of each one's tile, shape (gathers,), and the instructions."""

    owner: Int64
    code: Code


def gathered(image: Image, tiles: Int64, source: Place, tile: Place, descriptors: Descriptors) -> Gathers:
    """Bring tiles of windows into the activation scratchpad, each by as many gathers as it has boxes.

    Parameters
    ----------
    tiles
        First row and rows, first input and inputs, and address of each; int64, shape (tiles, 5).
    source, tile
        Where the images lie in DRAM, and how a tile lies on chip from address 0 on.
    """
    records, owner = [], []
    for number, (row, rows, first, inputs, address) in enumerate(tiles.tolist()):
        for gather in image.gathers((row, row + rows), (first, first + inputs), source, tile):
            place = descriptors.number(gather.descriptor)
            at = (source.address + gather.dram, place, Memory.ACTIVATION, address + gather.address)
            records.append((*at, gather.row, gather.column))
            owner.append(number)
    operands = np.zeros((len(records), 1, OPERANDS), np.int64)
    operands[:, 0, : len(OPCODES[GATHER].fields)] = records
    return Gathers(np.array(owner, np.int64), Code(np.full(1, GATHER, np.uint8), operands))


def over_link(opcode: int, transfers: Code) -> Code:
    """Move what transfers move in DRAM between it and the host."""
    operands = transfers.operands.copy()
    operands[:, :, len(OPCODES[opcode].fields) :] = 0  # those of the scratchpad
    return Code(np.full_like(transfers.opcodes, opcode), operands)


def runs(dram: Int64, address: Int64, size: Int64) -> Code:
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
