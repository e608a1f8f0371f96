"""Energy = counters x table, nothing hidden."""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.config.tech import Component, Counters, Operation, Technology
from accelsim.results import Bytes, CounterRow, EnergyPj

#: Entry of the energy breakdown that a component's joules go to.
_CATEGORY = {
    Component.MAC: "mac",
    Component.REGISTER_FILE: "register_file",
    Component.ACTIVATION: "sram",
    Component.WEIGHT: "sram",
    Component.OUTPUT: "sram",
    Component.ACCUMULATOR: "sram",
    Component.DRAM: "dram",
    Component.REQUANTIZE: "requantize",
    Component.DECODE: "decode",
    Component.VECTOR: "vector",
    Component.HOST: "host",
}
CATEGORIES = ("mac", "register_file", "sram", "dram", "requantize", "decode", "vector", "host", "static")


def price(counters: Counters, technology: Technology) -> list[CounterRow]:
    """Each counter with the energy of one event, sorted by component, operation and width."""
    return [
        CounterRow(
            component=event.component,
            operation=event.operation,
            bits=event.bits,
            by=event.by,
            count=times,
            each_pj=technology.energy_pj(event),
        )
        for event, times in sorted(counters.items())
    ]


def breakdown(rows: Iterable[CounterRow]) -> EnergyPj:
    """Sum of count x energy by category, in picojoules."""
    sums = dict.fromkeys(CATEGORIES, 0.0)
    for row in rows:
        sums[_CATEGORY[Component(row.component)]] += row.count * row.each_pj
    return EnergyPj(total=sum(sums.values()), **sums)


def total(parts: Iterable[EnergyPj]) -> EnergyPj:
    """Sum of breakdowns, category by category."""
    parts = list(parts)
    sums = {name: sum(getattr(part, name) for part in parts) for name in CATEGORIES}
    return EnergyPj(total=sum(sums.values()), **sums)


def moved(counters: Counters) -> Bytes:
    """Bytes that DRAM and on-chip memories moved: accesses times their width."""

    def of(operation: Operation) -> int:
        return sum(times * event.bits // 8 for event, times in counters.items() if event.operation == operation)

    return Bytes(
        dram_read=of(Operation.DRAM_READ),
        dram_write=of(Operation.DRAM_WRITE),
        sram_read=of(Operation.SRAM_READ),
        sram_write=of(Operation.SRAM_WRITE),
    )


def products(counters: Counters) -> int:
    """Products that the array's multipliers formed."""
    operations = {Operation.INT_MULTIPLY, Operation.FLOAT_MULTIPLY, Operation.XNOR}
    return sum(n for e, n in counters.items() if e.component == Component.MAC and e.operation in operations)
