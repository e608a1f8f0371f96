"""What `rows` does: whole rows of floats in, as many out; cycles and events that follow from operands alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters
from accelsim.config.tech import Operation as Happens
from accelsim.datapath.vector import convert, float_rows
from accelsim.datapath.vector.elements import float_of, pack, unpack
from accelsim.datapath.vector.float_rows import Name
from accelsim.errors import ProgramError
from accelsim.isa import constants, opcodes, row_constants
from accelsim.isa.accesses import Tile
from accelsim.isa.functions import OF_ROWS, Function, Operation
from accelsim.isa.tables import Tables
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing

Float32 = NDArray[np.float32]


class RowUnit:
    """Executes single instructions on rows of floats.

    Constants fill registers before the first row is read. Each pass takes the words of the busiest port: tiles in one
    bank share the port that the instruction holds of it.
    """

    def __init__(self, machine: Machine, memories: Memories, tables: Tables) -> None:
        self.memories = memories
        self.lanes = machine.vector.lanes
        self.functions = [Function.read(record) for record in tables.functions]

    def move(self, p: opcodes.Rows) -> None:
        """Do what an instruction does.

        Raises
        ------
        ProgramError
            If the constants' bytes are no mask.
        """
        f = self.functions[p.function]
        source, _, result = f.types
        tile, block, made = self.memories.tiles.of(opcodes.ROWS, p)
        x = unpack(self.memories.rows(tile.memory, tile.bytes), source, p.columns).astype(np.float32)
        values = convert.clamp(self._compute(p, f, x, block), float_of(f.low), float_of(f.high))
        self.memories.bytes(made.memory, made.region)[:] = pack(values, result)

    def _compute(self, p: opcodes.Rows, f: Function, x: Float32, block: Tile) -> Float32:
        name, parameter = OF_ROWS[Operation(f.operation)], float_of(f.multiplier)
        if name == Name.L2_NORM:
            return float_rows.l2_norm(x, parameter)
        data = self.memories.rows(*block)[0].copy()
        if name == Name.SOFTMAX:
            try:
                mask = constants.read_mask(data, p.columns)
            except ValueError as error:
                raise ProgramError(f"constants: {error}") from None
            return float_rows.softmax(x, parameter, mask.seen(p.row, p.rows, p.columns))
        gamma, beta = row_constants.read_affine(data, p.columns)
        if name == Name.RMS_NORM:
            return float_rows.rms_norm(x, gamma, parameter)
        return float_rows.layer_norm(x, gamma, beta, parameter)

    def take(self, counters: Counters, p: opcodes.Rows) -> Timing:
        """Count an instruction's events and say what it takes."""
        name = OF_ROWS[Operation(self.functions[p.function].operation)]
        tile, block, made = self.memories.tiles.of(opcodes.ROWS, p)
        float_rows.events(counters, name, p.rows, p.columns)
        fill = self.memories.port(counters, *block, Happens.SRAM_READ) if block.region.row_bytes else 0
        words = self._pass(counters, [tile])
        if name in {Name.LAYER_NORM, Name.SOFTMAX}:
            self._pass(counters, [tile])
        # exponentials of softmax wait in row registers
        words = max(words, self._pass(counters, [] if name == Name.SOFTMAX else [tile], made))
        free, end = float_rows.cycles(name, p.rows, p.columns, self.lanes, words)
        return Timing(fill + free, fill + end)

    def _pass(self, counters: Counters, reads: list[Tile], made: Tile | None = None) -> int:
        """Charge what a pass reads and writes; return the words of its busiest port."""
        used = [(tile, self.memories.port(counters, *tile, Happens.SRAM_READ)) for tile in reads]
        if made:
            used.append((made, self.memories.port(counters, *made, Happens.SRAM_WRITE)))
        return self.memories.busiest(used)
