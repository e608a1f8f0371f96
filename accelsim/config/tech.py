"""The technology: what one event costs in energy, each figure with its source."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import model_validator

from accelsim.config.macro import Curve, access_pj
from accelsim.config.model import NAME, Frozen, Integer, quantity


class Operation(StrEnum):
    """What can be charged; the rows of an energy table."""

    INT_ADD = "int_add"
    INT_MULTIPLY = "int_multiply"
    INT_SHIFT = "int_shift"
    INT_COMPARE = "int_compare"
    LOGIC = "logic"
    XNOR = "xnor"
    LOOK_UP = "look_up"
    FLOAT_ADD = "float_add"
    FLOAT_MULTIPLY = "float_multiply"
    REGISTER_READ = "register_read"
    REGISTER_WRITE = "register_write"
    LATCH = "latch"
    PE_GATED = "pe_gated"
    SRAM_READ = "sram_read"
    SRAM_WRITE = "sram_write"
    DRAM_READ = "dram_read"
    DRAM_WRITE = "dram_write"
    DRAM_ACTIVATE = "dram_activate"
    DRAM_REFRESH = "dram_refresh"
    DRAM_ACTIVE_CLOCK = "dram_active_clock"
    DRAM_PRECHARGED_CLOCK = "dram_precharged_clock"
    LINK = "link"
    ISSUE = "issue"
    HOST_OPERATION = "host_operation"
    LEAKAGE = "leakage"
    CLOCK = "clock"


SRAM = frozenset({Operation.SRAM_READ, Operation.SRAM_WRITE})
#: What a part's currents give the energy of.
DRAM = frozenset(
    {
        Operation.DRAM_READ,
        Operation.DRAM_WRITE,
        Operation.DRAM_ACTIVATE,
        Operation.DRAM_REFRESH,
        Operation.DRAM_ACTIVE_CLOCK,
        Operation.DRAM_PRECHARGED_CLOCK,
    }
)
#: What goes on in every cycle, with figures in `leakage` and `clock`.
STATIC = frozenset({Operation.LEAKAGE, Operation.CLOCK})
#: What the machine's description gives the energy of, as hosts are of no one technology.
OF_HOST = frozenset({Operation.HOST_OPERATION})


class Component(StrEnum):
    """Where an event happens."""

    MAC = "mac"
    REGISTER_FILE = "register_file"
    ACTIVATION = "activation"
    WEIGHT = "weight"
    OUTPUT = "output"
    ACCUMULATOR = "accumulator"
    L2 = "l2"
    DRAM = "dram"
    REQUANTIZE = "requantize"
    DECODE = "decode"
    VECTOR = "vector"
    HOST = "host"


class Event(NamedTuple):
    """One kind of event, counted by the simulator in integers.

    `bits` is the width of the operand or of the access, or what a component stores where it leaks or is clocked; `by`
    the width of a multiplier's second operand, else 0.
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
    capacity_kib: float | None = quantity(
        "2^10 bytes", "Capacity of the SRAM macro that the figure holds for; null for any", default=None, gt=0, le=2**20
    )
    exponent: float | None = quantity(
        "power of the capacity",
        "How the figure grows with capacity, where a fit and no list of capacities is given",
        default=None,
        ge=0,
        le=1,
    )
    bound: Literal["lower", "upper"] | None = quantity(
        "name", "Which end of a range it is, where the source gives one", default=None
    )
    energy_pj: float = quantity("picojoules", "Energy of one operation or access", ge=0)
    source: str = quantity("text", "Where the figure stands", min_length=1)
    assumption: str = quantity("text", "What had to be assumed to use it", default="")

    @model_validator(mode="after")
    def _sized(self) -> Entry:
        if self.capacity_kib is not None and (self.operation not in SRAM or self.energy_pj == 0):
            raise ValueError(
                f"capacity_kib must be of an sram_read or sram_write above 0 pJ, not of {self.operation} "
                f"with {self.energy_pj} pJ"
            )
        if self.exponent is not None and self.capacity_kib is None:
            raise ValueError(f"exponent must come with the capacity_kib that the figure holds for, not {self.exponent}")
        return self


class Leakage(Frozen):
    """Power that a structure draws whether it works or not."""

    of: Literal["sram", "multiplier", "adder", "register"] = quantity("name", "What leaks")
    bits: Integer = quantity("bits", "Storage or operand width that the figure holds for", ge=1, le=2**40)
    power_mw: float = quantity("milliwatts", "Leakage", ge=0)
    source: str = quantity("text", "Where the figure stands", min_length=1)
    assumption: str = quantity("text", "What had to be assumed to use it", default="")


class Clock(Frozen):
    """Energy that registers take from the clock in each cycle, whether they change or not."""

    of: Literal["register"] = quantity("name", "What is clocked")
    bits: Integer = quantity("bits", "Registers that the figure holds for", ge=1, le=2**40)
    energy_pj: float = quantity("picojoules a cycle", "Energy of the clock", ge=0)
    source: str = quantity("text", "Where the figure stands", min_length=1)
    assumption: str = quantity("text", "What had to be assumed to use it", default="")


class Technology(Frozen):
    """An energy table; `energy_pj` finds or derives the figure for any width and capacity.

    A width that is listed wins. Otherwise the widest listed entry is scaled: multiplications by b1 b2 / w^2, as the
    array of partial products grows, everything else linearly in bits (640 pJ for 32 bits of DRAM is 20 pJ a bit).
    SRAM entries with a capacity follow `macro.access_pj` instead.
    """

    kind: Literal["tech"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the table", pattern=NAME)
    description: str = quantity("text", "What the table stands for")
    node_nm: Integer = quantity("nanometres", "Process node", ge=1, le=1000)
    base: str | None = quantity(
        "name",
        "Table whose entries hold for the operations that this one does not list, a shipped name or a path",
        default=None,
    )
    dram_energy: Literal["flat", "currents"] = quantity(
        "name",
        "Whether DRAM costs what the entries say, or what the currents of the machine's part give for each command",
        default="flat",
    )
    dram_part: str | None = quantity("name", "DRAM part that the table holds for; any if absent", default=None)
    dram_bound: Literal["lower", "upper"] = quantity(
        "name", "End that is charged where entries give a range", default="lower"
    )
    entries: list[Entry] = quantity("rows", "The table, without what the base gives", default=[])
    leakage: list[Leakage] = quantity("rows", "Leakage; none is charged for what is not listed", default=[])
    clock: list[Clock] = quantity("rows", "Clock energy; none is charged for what is not listed", default=[])

    @model_validator(mode="after")
    def _complete(self) -> Technology:
        seen: set[tuple[object, ...]] = set()
        for entry in self.entries:
            key = (entry.operation, entry.bits, entry.capacity_kib, entry.bound)
            if key in seen:
                raise ValueError(
                    f"entries must name each operation, width, capacity and bound once, not {entry.operation} twice"
                )
            seen.add(key)
        needed = frozenset(Operation) - STATIC - OF_HOST - (DRAM if self.dram_energy == "currents" else frozenset())
        listed = {entry.operation for entry in self.entries}
        missing = [operation for operation in Operation if operation in needed - listed]
        if missing:
            raise ValueError(f"entries must include every operation, but {', '.join(missing)} are missing")
        other = [operation for operation in Operation if operation in listed - needed]
        if other:
            where = "leakage and clock" if other[0] in STATIC else "the part's currents"
            where = "the machine's host" if other[0] in OF_HOST else where
            raise ValueError(f"entries must leave {', '.join(other)} to {where}")
        return self

    @model_validator(mode="after")
    def _both_bounds(self) -> Technology:
        for operation in Operation:
            bounds = {entry.bound for entry in self.entries if entry.operation == operation}
            if bounds not in (set(), {None}, {"lower", "upper"}):
                raise ValueError(f"entries of {operation} must give both a lower and an upper bound, or none of them")
        return self

    @model_validator(mode="after")
    def _grows_with_capacity(self) -> Technology:
        for operation in sorted(SRAM):
            rows = [entry for entry in self.entries if entry.operation == operation]
            sized = [entry for entry in rows if entry.capacity_kib is not None]
            if sized and len(sized) < len(rows):
                raise ValueError(f"entries of {operation} must all have a capacity_kib, or none of them")
            for width, curve in _curves(sized).items():
                where = f"entries of {operation} with {width} bits"
                fits = [entry for entry in sized if entry.bits == width and entry.exponent is not None]
                if bool(fits) == (len(curve.kib) > 1):
                    raise ValueError(f"{where} must give either one capacity and an exponent, or several capacities")
                for low, high in pairwise(zip(curve.kib, curve.pj, strict=True)):
                    if not 1 <= high[1] / low[1] <= high[0] / low[0]:
                        raise ValueError(
                            f"{where} must grow with capacity, at most in proportion to it, not from {low[1]} pJ at "
                            f"{low[0]} KiB to {high[1]} pJ at {high[0]} KiB"
                        )
        return self

    @model_validator(mode="after")
    def _static_rows_once(self) -> Technology:
        for key, rows in (("leakage", self.leakage), ("clock", self.clock)):
            of = [row.of for row in rows]
            twice = [name for name in of if of.count(name) > 1]
            if twice:
                raise ValueError(f"{key} must name each structure once, not {twice[0]} twice")
        return self

    @property
    def scope(self) -> str:
        """What the table prices: totals of tables of other scope are no fair rivals."""
        priced = {"leakage": self.leakage, "clock": self.clock, "DRAM standby": self.dram_energy == "currents"}
        return ", ".join(["events", *(name for name, there in priced.items() if there)])

    def energy_pj(self, event: Event, bank_kib: float | None = None) -> float:
        """Energy of one event in picojoules; neither DRAM by currents nor what `leakage` and `clock` say.

        Parameters
        ----------
        bank_kib
            Capacity, in 2^10 bytes, of the bank that an SRAM event reaches; needed if entries depend on it.
        """
        rows = [e for e in self.entries if e.operation == event.operation and e.bound in {None, self.dram_bound}]
        if rows[0].capacity_kib is not None:
            if bank_kib is None:
                raise ValueError(f"{self.name} needs the capacity of a bank to price {event.operation}")
            return access_pj(_curves(rows), event.bits, bank_kib)
        table = {row.bits: row.energy_pj for row in rows}
        if event.bits in table and event.by in {0, event.bits}:
            return table[event.bits]
        widest = max(table)
        if event.by:
            return table[widest] * event.bits * event.by / widest**2
        return table[widest] * event.bits / widest


def _curves(entries: list[Entry]) -> dict[int, Curve]:
    """Energy over capacity by width, of entries of one operation that have a capacity."""
    curves = {}
    for width in {entry.bits for entry in entries}:
        points = sorted((e.capacity_kib or 0.0, e.energy_pj, e.exponent or 0.0) for e in entries if e.bits == width)
        kib, pj, exponents = zip(*points, strict=True)
        curves[width] = Curve(kib, pj, exponents[0])
    return curves
