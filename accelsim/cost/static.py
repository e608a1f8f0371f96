"""Energy of what goes on whether a machine works or not: leakage, and the clock of its registers."""

from __future__ import annotations

from typing import Literal, NamedTuple

from accelsim.config.arch import L2, Machine, Sram
from accelsim.config.tech import Component, Counters, Event, Operation, Technology, count


def srams(machine: Machine) -> dict[Component, Sram | L2]:
    """The on-chip memories of a machine."""
    pads: dict[Component, Sram | L2] = {Component(name): sram for name, sram in machine.scratchpads.items()}
    found = {**pads, Component.ACCUMULATOR: machine.accumulator}
    return found if machine.l2 is None else {**found, Component.L2: machine.l2}


class Silicon(NamedTuple):
    """What of a component leaks and is clocked.

    Parameters
    ----------
    bits
        Width of its operands, or what it stores; that of its events.
    sram, adder, register
        Bits of all its memories, adders and registers.
    multiplier
        Bits of all its partial products: b1 b2 for each multiplier.
    """

    component: Component
    bits: int
    sram: int = 0
    multiplier: int = 0
    adder: int = 0
    register: int = 0

    def amount(self, of: Literal["sram", "multiplier", "adder", "register"], bits: int) -> float:
        """How many structures of a width it is worth: multipliers go by the square of the width, the rest by it."""
        sizes = {"sram": self.sram, "multiplier": self.multiplier, "adder": self.adder, "register": self.register}
        return sizes[of] / (bits**2 if of == "multiplier" else bits)


def silicon(machine: Machine) -> tuple[Silicon, ...]:
    """What a machine has, as far as its description says.

    Each multiplier of the array has an adder of the sum's width and registers for two operands and a sum, whatever the
    datapath; each lane of the vector unit a multiplier and an adder of the sum's width and registers of that width for
    each stage. Host, DMA and decode unit are left out.
    """
    multipliers, lanes = machine.matrix.multipliers, machine.vector.lanes
    width, sums = machine.operand.bits, machine.operand.sum_bits
    registers = multipliers * (2 * width + sums)
    memories = [
        Silicon(component, 8 * sram.capacity_bytes, sram=8 * sram.capacity_bytes)
        for component, sram in srams(machine).items()
    ]
    return (
        Silicon(Component.MAC, width, multiplier=multipliers * width**2, adder=multipliers * sums),
        Silicon(Component.REGISTER_FILE, registers, register=registers),
        *memories,
        Silicon(
            Component.VECTOR,
            sums,
            multiplier=lanes * sums**2,
            adder=lanes * sums,
            register=lanes * machine.vector.latency_cycles * sums,
        ),
    )


def _power_pj(part: Silicon, operation: Operation, technology: Technology, machine: Machine) -> float:
    """Energy of a component in one core cycle, in picojoules."""
    if operation == Operation.CLOCK:
        return sum(row.energy_pj * part.amount(row.of, row.bits) for row in technology.clock)
    milliwatts = sum(row.power_mw * part.amount(row.of, row.bits) for row in technology.leakage)
    return milliwatts * 1e9 / machine.clock_hz  # mW x ns = pJ


def each_pj(event: Event, technology: Technology, machine: Machine) -> float:
    """Energy of one core cycle of a component's leakage or clock, in picojoules."""
    part = next(part for part in silicon(machine) if part.component == event.component)
    return _power_pj(part, event.operation, technology, machine)


def with_static(counters: Counters, cycles: int, technology: Technology, machine: Machine) -> Counters:
    """Counters of a time, with an event a core cycle for each component that leaks or is clocked at a cost."""
    charged = dict(counters)
    for part in silicon(machine):
        for operation in (Operation.LEAKAGE, Operation.CLOCK):
            if _power_pj(part, operation, technology, machine):
                count(charged, Event(part.component, operation, part.bits), cycles)
    return charged
