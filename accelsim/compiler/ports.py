"""How long the banks of scratchpads are held: an instruction holds a port of each bank that it touches to its end."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.compiler.held import Held
from accelsim.compiler.rooms import Room
from accelsim.config.arch import Machine
from accelsim.isa.accesses import held_in
from accelsim.isa.opcodes import Memory


class Banks(NamedTuple):
    """Banks of a memory that are held together, each with so many ports; none if ports are without limit."""

    memory: Memory
    banks: range
    ports: int

    @classmethod
    def of(cls, machine: Machine, place: Room | Held) -> Banks:
        """Those of a room, or of a value that stays."""
        if isinstance(place, Held):
            memory, sram = Memory.ACTIVATION, machine.activation
        else:
            memory = held_in(machine, place.memory)
            sram = machine.activation if memory == Memory.ACTIVATION else place.sram
        return cls(memory, range(0) if sram.ideal else place.banks(sram), sram.ports)


class Ports:
    """Core cycles for which each bank is held, as if instructions took turns in all banks of a room, or of a value."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._busy: dict[tuple[Memory, int], float] = {}

    def hold(self, place: Room | Held, cycles: float) -> None:
        """Hold the banks of a room, or of a value that stays, for so long altogether."""
        memory, banks, ports = Banks.of(self.machine, place)
        for bank in banks:
            self._busy[memory, bank] = self._busy.get((memory, bank), 0.0) + cycles / len(banks) / ports

    @property
    def busiest(self) -> float:
        """Cycles of the busiest bank."""
        return max(self._busy.values(), default=0.0)
