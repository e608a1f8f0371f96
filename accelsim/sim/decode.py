"""What the decode unit's instruction does: encoded bytes in, operands out, both in the weight scratchpad."""

from __future__ import annotations

import numpy as np

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, Operation
from accelsim.datapath.decode import Decoder
from accelsim.errors import DefectError, ProgramError
from accelsim.formats.storage import FORMATS, Storage
from accelsim.isa import opcodes
from accelsim.isa.opcodes import Memory
from accelsim.memory.region import Region
from accelsim.sim.memories import Memories
from accelsim.sim.work import Work


class DecodeUnit:
    """Executes single instructions of the decode queue."""

    def __init__(self, machine: Machine, memories: Memories) -> None:
        self.config = machine.decode
        self.memories = memories

    def execute(self, counters: Counters, p: opcodes.Decode) -> Work:
        """Expand a run of encoded bytes.

        Raises
        ------
        ProgramError
            If no encoder writes such bytes.
        """
        config = self.config
        if config is None:
            raise DefectError("the machine has no decode unit, which verify should refuse")
        unit = Decoder(
            config.symbols_per_cycle, config.outputs_per_cycle, config.huffman_decoders, config.latency_cycles
        )
        source, target = Region(p.address, 0, 1, p.bytes), Region(p.result, 0, 1, p.values)
        data = self.memories.bytes(Memory.WEIGHT, source).tobytes()
        codec = Storage(FORMATS[p.format], p.bits, p.group).codec(config.huffman_decoders)
        try:
            encoded = codec.from_bytes(data, (p.rows, p.values // p.rows))
        except ValueError as error:
            raise ProgramError(f"stored weights: {error}") from None
        self.memories.bytes(Memory.WEIGHT, target)[:] = encoded.decode().view(np.uint8).reshape(1, -1)
        read = self.memories.port(counters, Memory.WEIGHT, source, Operation.SRAM_READ)
        written = self.memories.port(counters, Memory.WEIGHT, target, Operation.SRAM_WRITE)
        unit.events(counters, encoded)
        free, end = unit.cycles(encoded)
        # encoded words and values pass the scratchpad's port one after the other
        free = max(free, read + written)
        return Work(free, max(end, free + config.latency_cycles - 1))
