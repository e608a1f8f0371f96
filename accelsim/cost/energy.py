"""Energy = counters x table, nothing hidden."""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.config.arch import BankedDram, Machine
from accelsim.config.datapaths import PACKED_BITS
from accelsim.config.tech import DRAM, OF_HOST, SRAM, STATIC, Component, Counters, Event, Operation, Technology
from accelsim.cost import static
from accelsim.errors import ConfigError
from accelsim.results import Bytes, CounterRow, EnergyPj

#: Entry of the energy breakdown that a component's joules go to, leakage and clock apart.
_CATEGORY = {
    Component.MAC: "mac",
    Component.REGISTER_FILE: "register_file",
    Component.ACTIVATION: "sram",
    Component.WEIGHT: "sram",
    Component.OUTPUT: "sram",
    Component.ACCUMULATOR: "sram",
    Component.L2: "sram",
    Component.DRAM: "dram",
    Component.REQUANTIZE: "requantize",
    Component.DECODE: "decode",
    Component.VECTOR: "vector",
    Component.HOST: "host",
}
CATEGORIES = ("mac", "register_file", "sram", "dram", "requantize", "decode", "vector", "host", "static")


def check(technology: Technology, machine: Machine) -> None:
    """Refuse a table that can't price a machine; to be called before it simulates.

    Raises
    ------
    ConfigError
        If the table charges DRAM by currents that the machine's DRAM does not have, or holds for another part.
    """
    part = machine.dram.part if isinstance(machine.dram, BankedDram) else None
    name = part.name if part else f"{machine.dram.kind} DRAM"
    if technology.dram_part not in {None, part.name if part else None}:
        raise ConfigError(
            f"technology {technology.name} must price a machine with the DRAM part {technology.dram_part}, "
            f"not {machine.name}, which has {name}"
        )
    if technology.dram_energy == "currents" and (part is None or part.energy is None):
        raise ConfigError(
            f"technology {technology.name} must price a machine whose DRAM part has currents, "
            f"not {machine.name}, which has {name}"
        )


def each_pj(event: Event, technology: Technology, machine: Machine) -> float:
    """Energy of one event on a machine, in picojoules.

    An SRAM access is charged for one bank of the memory that the event names. One that is narrower than the port is
    of a slice of the bank that a lane reads by itself, and is charged for that share of the bank.

    Raises
    ------
    ConfigError
        If `check` refuses the table for the machine.
    """
    if event.operation in STATIC:
        return static.each_pj(event, technology, machine)
    if event.operation in OF_HOST:
        return machine.host.operation_pj
    if event.operation in DRAM and technology.dram_energy == "currents":
        return _command_pj(event.operation, technology, machine)
    if event.operation in SRAM:
        sram = static.srams(machine)[event.component]
        share = min(1.0, event.bits / sram.width_bits)
        return technology.energy_pj(event, share * sram.bank_bytes / 1024)
    return technology.energy_pj(event)


def _command_pj(operation: Operation, technology: Technology, machine: Machine) -> float:
    """Energy of one command, or of one clock of one rank, from the currents of the machine's DRAM."""
    check(technology, machine)
    energy = machine.dram.part.energy if isinstance(machine.dram, BankedDram) else None
    assert energy is not None  # noqa: S101 - `check` has refused it
    return {
        Operation.DRAM_ACTIVATE: energy.activate,
        Operation.DRAM_READ: energy.read,
        Operation.DRAM_WRITE: energy.write,
        Operation.DRAM_REFRESH: energy.refresh,
        Operation.DRAM_ACTIVE_CLOCK: energy.active_clock,
        Operation.DRAM_PRECHARGED_CLOCK: energy.precharged_clock,
    }[operation]


class Prices(dict[Event, float]):
    """Energy of one event of each kind on a machine, in picojoules, each worked out once."""

    def __init__(self, technology: Technology, machine: Machine) -> None:
        self.technology = technology
        self.machine = machine

    def __missing__(self, event: Event) -> float:
        self[event] = each_pj(event, self.technology, self.machine)
        return self[event]


def price(counters: Counters, prices: Prices) -> list[CounterRow]:
    """Each counter with the energy of one event, sorted by component, operation and width."""
    return [
        CounterRow(
            component=event.component,
            operation=event.operation,
            bits=event.bits,
            by=event.by,
            count=times,
            each_pj=prices[event],
        )
        for event, times in sorted(counters.items())
    ]


def breakdown(rows: Iterable[CounterRow]) -> EnergyPj:
    """Sum of count x energy by category, in picojoules."""
    sums = dict.fromkeys(CATEGORIES, 0.0)
    for row in rows:
        category = "static" if row.operation in STATIC else _CATEGORY[Component(row.component)]
        sums[category] += row.count * row.each_pj
    return EnergyPj(total=sum(sums.values()), **sums)


def total(parts: Iterable[EnergyPj]) -> EnergyPj:
    """Sum of breakdowns, category by category."""
    parts = list(parts)
    sums = {name: sum(getattr(part, name) for part in parts) for name in CATEGORIES}
    return EnergyPj(total=sum(sums.values()), **sums)


def moved(counters: Counters) -> Bytes:
    """Bytes that DRAM and on-chip memories moved: accesses times their width."""

    def of(operation: Operation, component: Component | None = None) -> int:
        return sum(
            times * event.bits // 8
            for event, times in counters.items()
            if event.operation == operation and component in {None, event.component}
        )

    return Bytes(
        dram_read=of(Operation.DRAM_READ),
        dram_write=of(Operation.DRAM_WRITE),
        sram_read=of(Operation.SRAM_READ),
        sram_write=of(Operation.SRAM_WRITE),
        l2_read=of(Operation.SRAM_READ, Component.L2),
        l2_write=of(Operation.SRAM_WRITE, Component.L2),
        io=of(Operation.LINK),
    )


def host_operations(counters: Counters) -> int:
    """Operations that the host computed."""
    return sum(times for event, times in counters.items() if event.operation in OF_HOST)


#: Products of the array's multipliers.
_PRODUCTS = {Operation.INT_MULTIPLY, Operation.FLOAT_MULTIPLY, Operation.XNOR, Operation.LOOK_UP}


def products(counters: Counters) -> int:
    """Products that the array's multipliers formed."""
    return sum(n for e, n in counters.items() if e.component == Component.MAC and e.operation in _PRODUCTS)


def pairs(counters: Counters, machine: Machine) -> float:
    """Pairs of operands that a multiplier took at once, on average over its cycles: 1 but for packed integers."""
    packed = machine.matrix.integer_widths
    formed, cycles = 0, 0.0
    for event, n in counters.items():
        if event.component == Component.MAC and event.operation in _PRODUCTS:
            formed += n
            several = event.operation == Operation.INT_MULTIPLY and event.bits in packed
            cycles += n * event.bits / PACKED_BITS if several else n
    return formed / cycles if cycles else 1.0
