"""The technology: what one event costs in energy, each figure with its source."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import model_validator

from accelsim.config.model import NAME, Frozen, Integer, quantity


class Operation(StrEnum):
    """What can be charged; the rows of an energy table."""

    INT_ADD = "int_add"
    INT_MULTIPLY = "int_multiply"
    INT_SHIFT = "int_shift"
    INT_COMPARE = "int_compare"
    LOGIC = "logic"
    XNOR = "xnor"
    FLOAT_ADD = "float_add"
    FLOAT_MULTIPLY = "float_multiply"
    REGISTER_READ = "register_read"
    REGISTER_WRITE = "register_write"
    PE_GATED = "pe_gated"
    SRAM_READ = "sram_read"
    SRAM_WRITE = "sram_write"
    DRAM_READ = "dram_read"
    DRAM_WRITE = "dram_write"
    ISSUE = "issue"


class Component(StrEnum):
    """Where an event happens."""

    MAC = "mac"
    REGISTER_FILE = "register_file"
    ACTIVATION = "activation"
    WEIGHT = "weight"
    OUTPUT = "output"
    ACCUMULATOR = "accumulator"
    DRAM = "dram"
    REQUANTIZE = "requantize"
    DECODE = "decode"
    VECTOR = "vector"
    HOST = "host"


class Event(NamedTuple):
    """One kind of event, counted by the simulator in integers.

    `bits` is the width of the operand or of the access; `by` the width of a multiplier's second operand, else 0.
    """

    component: Component
    operation: Operation
    bits: int
    by: int = 0


Counters = dict[Event, int]


def count(counters: Counters, event: Event, times: int) -> None:
    """Add `times` occurrences of an event; an event that never happened gets no entry."""
    if times:
        counters[event] = counters.get(event, 0) + times


class Entry(Frozen):
    """One row of an energy table."""

    operation: Operation = quantity("name", "What is charged", strict=False)
    bits: Integer = quantity("bits", "Operand or access width that the figure holds for", ge=1, le=2**20)
    energy_pj: float = quantity("picojoules", "Energy of one operation or access", ge=0)
    source: str = quantity("text", "Where the figure stands", min_length=1)
    assumption: str = quantity("text", "What had to be assumed to use it", default="")


class Technology(Frozen):
    """An energy table; `energy_pj` finds or derives the figure for any width.

    A width that is listed wins. Otherwise the widest listed entry is scaled: multiplications by b1 b2 / w^2, as the
    array of partial products grows, everything else linearly in bits (640 pJ for 32 bits of DRAM is 20 pJ a bit).
    """

    kind: Literal["tech"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the table", pattern=NAME)
    description: str = quantity("text", "What the table stands for")
    node_nm: Integer = quantity("nanometres", "Process node", ge=1, le=1000)
    entries: list[Entry] = quantity("rows", "The table", min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Technology:
        seen: set[tuple[str, int]] = set()
        for entry in self.entries:
            if (entry.operation, entry.bits) in seen:
                raise ValueError(f"entries must name each operation and width once, not {entry.operation} twice")
            seen.add((entry.operation, entry.bits))
        missing = [operation for operation in Operation if operation not in {entry.operation for entry in self.entries}]
        if missing:
            raise ValueError(f"entries must include every operation, but {', '.join(missing)} are missing")
        return self

    @property
    def _table(self) -> dict[Operation, dict[int, float]]:
        table: dict[Operation, dict[int, float]] = {}
        for entry in self.entries:
            table.setdefault(entry.operation, {})[entry.bits] = entry.energy_pj
        return table

    def energy_pj(self, event: Event) -> float:
        """Energy of one event in picojoules."""
        rows = self._table[event.operation]
        if event.bits in rows and event.by in {0, event.bits}:
            return rows[event.bits]
        widest = max(rows)
        if event.by:
            return rows[widest] * event.bits * event.by / widest**2
        return rows[widest] * event.bits / widest
