"""How long the banks of scratchpads are held: an instruction holds a port of each bank that it touches to its end."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.rooms import Room
from accelsim.config.arch import Machine
from accelsim.isa.accesses import held_in
from accelsim.isa.opcodes import Memory

CyclesT = TypeVar("CyclesT", float, NDArray[np.float64])


class Ports(Generic[CyclesT]):
    """Core cycles for which each bank is held, as if instructions took turns in all banks of a room, or of a value."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._busy: dict[tuple[Memory, int], CyclesT] = {}
        self._longest: dict[tuple[Memory, int], CyclesT] = {}

    def hold(self, place: Room | Held, cycles: CyclesT) -> None:
        """Hold the banks of a room, or of a value that stays, for so long altogether."""
        if isinstance(place, Held):
            memory, sram = Memory.ACTIVATION, self.machine.activation
        else:
            memory = held_in(self.machine, place.memory)
            sram = self.machine.activation if memory == Memory.ACTIVATION else place.sram
        banks = () if sram.ideal else place.banks(sram)
        for bank in banks:
            shared = cycles / len(banks) / sram.ports
            key = memory, bank
            self._busy[key] = self._busy[key] + shared if key in self._busy else shared
            self._longest[key] = np.maximum(self._longest[key], shared) if key in self._longest else shared

    @property
    def busiest(self) -> CyclesT | float:
        """Cycles of the busiest bank."""
        busiest: CyclesT | float = 0.0
        for cycles in self._busy.values():
            busiest = np.maximum(busiest, cycles)
        return busiest

    @property
    def contended(self) -> CyclesT | float:
        """Cycles for which banks are held by others than who holds each the longest, who then may have to wait."""
        contended: CyclesT | float = 0.0
        for key, cycles in self._busy.items():
            contended = contended + (cycles - self._longest[key])
        return contended
