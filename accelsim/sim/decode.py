"""What the decode unit's instruction does: encoded bytes in, operands out, both in the weight scratchpad."""

from __future__ import annotations

import numpy as np

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, Operation
from accelsim.datapath.decode import Decoder
from accelsim.errors import DefectError, ProgramError
from accelsim.formats.codec import Encoded
from accelsim.formats.ggml import Ggml
from accelsim.formats.microscale import Microscale
from accelsim.formats.operands import pack_rows
from accelsim.formats.storage import FORMATS, Storage
from accelsim.graph.element import rounded
from accelsim.isa import opcodes
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing


class DecodeUnit:
    """Executes single instructions of the decode queue."""

    def __init__(self, machine: Machine, memories: Memories) -> None:
        self.unit = Decoder.of(machine.decode) if machine.decode else None
        self.memories = memories
        self.type, self.operand = machine.matrix.operands, machine.operand

    def execute(self, counters: Counters, p: opcodes.Decode) -> Timing:
        """Expand a run of encoded bytes, count its events, and say what it takes.

        Raises
        ------
        ProgramError
            If no encoder writes such bytes.
        """
        unit = self.unit
        if unit is None:
            raise DefectError("the machine has no decode unit, which verify should refuse")
        source, target = self.memories.tiles.of(opcodes.DECODE, p)
        data = self.memories.rows(*source).tobytes()
        codec = Storage(FORMATS[p.format], p.bits, p.group, p.value_bits).codec(unit.huffman_decoders)
        found: Encoded
        try:
            if isinstance(codec, Microscale | Ggml):
                blocks = codec.from_bytes(data, (p.rows, 8 * p.values // p.rows // self.operand.bits))
                found, values = blocks, pack_rows(rounded(blocks.decode(), self.type), self.type)
            else:
                found = codec.from_bytes(data, (p.rows, p.values // p.rows))
                values = found.decode().view(np.uint8)
        except ValueError as error:
            raise ProgramError(f"stored weights: {error}") from None
        self.memories.bytes(target.memory, target.region)[:] = values.reshape(1, -1)
        read = self.memories.port(counters, *source, Operation.SRAM_READ)
        written = self.memories.port(counters, *target, Operation.SRAM_WRITE)
        unit.events(counters, found)
        free, _ = unit.cycles(found)
        # in a bank that both touch, encoded words and values pass the port one after the other
        banks = (set(self.memories.banks([tile])) for tile in (source, target))
        shared = not set.isdisjoint(*banks)
        free = max(free, read + written if shared else max(read, written))
        return Timing(free, free + unit.latency_cycles - 1)
