"""A summary, a DRAM run or energy tables as tables of text; each number has its unit beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from accelsim.config.dram import Part
from accelsim.config.tech import Entry, Technology
from accelsim.memory.trace import TraceRun
from accelsim.results import LayerResult, Quality, Summary
from accelsim.units import si

#: Layers of the host that a headline names before the rest are only counted.
NAMED = 3


class Table(NamedTuple):
    """A titled table; the first column is text, the others are numbers unless `text_columns` names them.

    Parameters
    ----------
    order
        Names of columns from the most important to the least, by which some are left out where there is little room;
        those that it leaves out come behind, as they stand.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    text_columns: frozenset[int] = frozenset({0})
    order: tuple[str, ...] = ()

    @property
    def known(self) -> Table:
        """The table without columns of which no row knows anything."""
        return self.only(
            [i for i in range(len(self.columns)) if not i or any(row[i] not in BLANK for row in self.rows)]
        )

    def only(self, numbers: list[int]) -> Table:
        """The table of some columns, by their numbers."""
        return self._replace(
            columns=tuple(self.columns[i] for i in numbers),
            rows=[tuple(row[i] for i in numbers) for row in self.rows],
            text_columns=frozenset(new for new, i in enumerate(numbers) if i in self.text_columns),
        )


#: What stands where a figure is not known.
BLANK = frozenset({"-", ""})
#: Whether outputs are those of the golden interpreter.
EXACT = {True: "yes", False: "NO", None: "-"}
#: Columns of layers from the most important to the least.
ORDER = ("layer", "cycles", "energy", "use %", "bound", "exact", "DRAM", "SQNR dB", "M x K x N", "array cycles",
         "balance", "ops/B", "skipped %", "skippable %")  # fmt: skip


def judged_by(found: Iterable[Quality | None]) -> str:
    """Name and unit of what the task measures, as the title of a column: of the first that is known."""
    tasks = [quality.task for quality in found if quality and quality.task]
    return f"{tasks[0].name}{' %' if tasks[0].fraction else ''}" if tasks else "accuracy %"


def layers(summary: Summary) -> Table:
    """One row a layer and one for the total: time, products, energy, traffic, and what binds."""
    columns = ("layer", "M x K x N", "cycles", "array cycles", "use %", "skippable %", "skipped %", "energy",
               "DRAM", "ops/B", "balance", "bound", "SQNR dB", "exact")  # fmt: skip
    rows = [_row(layer.name, " x ".join(map(str, layer.shape)), layer) for layer in summary.layers]
    rows.append(_row("total", "", summary))
    return Table("Layers", columns, rows, frozenset({0, 1, 11, 13}), ORDER).known


def _row(name: str, shape: str, figures: LayerResult | Summary) -> tuple[str, ...]:
    roofline = figures.roofline
    moved, macs = figures.bytes, figures.macs
    return (
        name,
        shape,
        f"{figures.cycles:,}",
        f"{figures.array_cycles:,}",
        f"{100 * figures.utilization:.1f}",
        number(_share(macs.skippable, macs.dense), 1),
        number(_share(macs.skipped, macs.dense), 1),
        si(figures.energy_pj.total * 1e-12, "J"),
        si(moved.dram_read + moved.dram_write, "B"),
        number(roofline.ops_per_byte if macs.dense else None, 1),
        number(roofline.balance if macs.dense else None, 2),
        roofline.bound,
        number(figures.quality.sqnr_db if figures.quality else None, 1),
        EXACT[figures.bit_exact],
    )


def _share(part: int | None, whole: int) -> float | None:
    """Per cent; None of nothing, or of what is not known."""
    return None if part is None or not whole else 100 * part / whole


def energy(summary: Summary) -> Table:
    """Energy by component, and share."""
    parts = summary.energy_pj.model_dump()
    whole = parts["total"] or 1.0
    rows: list[tuple[str, ...]] = [
        (name, si(pj * 1e-12, "J"), f"{100 * pj / whole:.1f}") for name, pj in parts.items() if pj and name != "total"
    ]
    rows.append(("total", si(parts["total"] * 1e-12, "J"), "100.0"))
    return Table("Energy", ("component", "energy", "%"), rows)


def units(summary: Summary) -> Table:
    """Where each unit's cycles went; columns of states that no unit was in are left out."""
    states = [s for s in _ordered(summary) if any(unit.get(s) for unit in summary.units.values())]
    rows = [(name, *(f"{unit.get(state, 0):,}" for state in states)) for name, unit in summary.units.items()]
    most = sorted(states, key=lambda state: -sum(unit.get(state, 0) for unit in summary.units.values()))
    order = ("unit", *(s.replace("_", " ") for s in dict.fromkeys(["busy", "total", *most])))
    return Table("Cycles of each unit", ("unit", *(s.replace("_", " ") for s in states)), rows, order=order)


def _ordered(summary: Summary) -> list[str]:
    """States in one order: busy first, drained and total last."""
    found = dict.fromkeys(state for unit in summary.units.values() for state in unit)
    middle = [s for s in found if s not in {"busy", "drained", "total"}]
    return ["busy", *middle, "drained", "total"]


def headline(summary: Summary) -> str:
    """The run in one sentence."""
    task = summary.quality.task if summary.quality else None
    beside = f" (float {task.shown(task.reference)})" if task and task.reference is not None else ""
    quality = f"; {task.name} {task.shown(task.value)}{beside}" if task else _noise(summary)
    unknown = "timing only" if summary.timing_only else "bit-exactness not known"
    exact = {True: "bit-exact", False: "NOT bit-exact", None: unknown}[summary.bit_exact]
    rounded = summary.rounded
    if rounded:
        quality += f"; {rounded.different:,} of {rounded.numbers:,} integers are not the file's (M 2^shift)"
    return (
        f"{summary.workload} as {summary.recipe} on {summary.arch}: {summary.cycles:,} cycles "
        f"({si(summary.seconds, 's')}), {si(summary.energy_pj.total * 1e-12, 'J')}, {_crossed(summary)}"
        f"{exact}{quality}{_on_host(summary)}{_reused(summary)}"
    )


def _noise(summary: Summary) -> str:
    """How far the outputs are from the float network's, where no task judges them."""
    known = summary.quality and summary.quality.sqnr_db is not None
    return f"; SQNR {summary.quality.sqnr_db:.1f} dB" if summary.quality and known else ""


def _crossed(summary: Summary) -> str:
    """How many times the bytes that must cross the DRAM's pins do."""
    ratio, off = summary.bytes.ratio, "" if summary.residency else "nothing stays on chip, "
    return f"DRAM traffic {ratio:.2f} x compulsory, {off}" if ratio else ""


def _on_host(summary: Summary) -> str:
    """Which layers the host computed, as no unit does."""
    names = [layer.name for layer in summary.layers if layer.unit == "host"]
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; on the host: {', '.join(names[:NAMED])}{more}, {summary.host_operations:,} operations"


def _reused(summary: Summary) -> str:
    """Which blocks were copied, and how far that may be off."""
    reuse = summary.reuse
    if reuse is None:
        return ""
    if reuse.simulated == reuse.repeats:
        return "; no block copied"
    off = reuse.bound_cycles
    within = "exactly" if reuse.exact else f"within {off:,} cycles ({100 * off / summary.cycles:.2g} %)"
    last, number = reuse.simulated - 1, reuse.repeats - 1
    return f"; of {reuse.repeats} blocks {last + 1} to {number} copied from block {last}, {within}"


def dram(run: TraceRun) -> list[Table]:
    """What a DRAM did with a trace: time and traffic, read latencies, commands with their energy."""
    r = run.result
    facts: list[tuple[str, ...]] = [
        ("part", r.config),
        ("requests", f"{r.n:,} of {r.req_bytes} bytes: {r.reads:,} reads, {r.writes:,} writes"),
        ("merged, forwarded", f"{r.merged_reads + r.merged_writes:,}, {r.forwarded_reads:,}"),
        ("writes left in buffers", f"{r.writes_left_in_buffer:,}"),
        ("clocks", f"{r.clk_end:,} of {r.tCK_ns} ns; last data at {r.t_last_data:,}"),
        ("bandwidth", f"{r.bw_GBps:,.3f} GB/s, {100 * r.bw_GBps / r.peak_GBps:.1f} % of {r.peak_GBps:,.3f} GB/s"),
        ("row hits", f"{100 * r.row_hit_rate:.2f} %" if r.row_hit_rate is not None else "-"),
        (
            "energy",
            ("-" if r.E_tot_pJ is None else f"{r.E_tot_pJ / 1e6:,.3f} uJ")
            + ("" if r.pJ_per_32b_total is None else f", {r.pJ_per_32b_total:,.1f} pJ a 32-bit word"),
        ),
    ]
    tables = [Table("DRAM", ("figure", "value"), facts, frozenset({0, 1}))]
    if run.read_latency.size:
        shares = (0, 10, 25, 50, 75, 90, 99, 99.9, 100)
        found = np.percentile(run.read_latency, shares, method="lower")
        rows: list[tuple[str, ...]] = [
            (f"{share:g}", f"{clocks:,}", f"{clocks * r.tCK_ns:,.1f}")
            for share, clocks in zip(shares, found, strict=True)
        ]
        rows.append(("mean", f"{run.read_latency.mean():,.1f}", f"{run.read_latency.mean() * r.tCK_ns:,.1f}"))
        tables.append(Table("Read latency", ("percentile", "clocks", "ns"), rows))
    commands = (
        ("activate", r.act_cmds, r.E_act_pJ),
        ("precharge", r.pre_cmds, None),
        ("read", r.rd_cmds, r.E_rd_pJ),
        ("write", r.wr_cmds, r.E_wr_pJ),
        ("refresh", r.ref_cmds, r.E_ref_pJ),
        ("standby (clocks of ranks)", r.active_cycles + r.idle_cycles, r.E_bg_pJ),
    )
    served: list[tuple[str, ...]] = [
        (name, f"{count:,}", "-" if pj is None else f"{pj / 1e3:,.1f}") for name, count, pj in commands
    ]
    tables.append(Table("Commands", ("command", "count", "energy nJ"), served))
    return tables


def technologies(found: Iterable[tuple[Technology, Part | None]]) -> Table:
    """Every figure of energy tables, with its source; the commands of a table by currents as its part gives them."""
    rows: list[tuple[str, ...]] = []
    for technology, part in found:
        listed: list[tuple[str, ...]] = [
            (e.operation, _where(e), _figure(e), "pJ", e.source, e.assumption) for e in technology.entries
        ]
        listed += [
            (f"leakage of {row.of}", _bits(row.bits), f"{row.power_mw:g}", "mW", row.source, row.assumption)
            for row in technology.leakage
        ]
        listed += [
            (f"clock of {row.of}", _bits(row.bits), f"{row.energy_pj:g}", "pJ a core cycle", row.source, row.assumption)
            for row in technology.clock
        ]
        if technology.dram_energy == "currents":
            listed += _commands(part)
        rows += [(technology.name, *row) for row in listed]
    columns = ("table", "operation", "width, size", "value", "unit", "source", "assumption")
    return Table("", columns, rows, frozenset(range(len(columns))) - {3})


def _where(entry: Entry) -> str:
    """Width, size and bound that an entry holds for."""
    size = f"{entry.capacity_kib:g} KiB" if entry.capacity_kib else ""
    return ", ".join(part for part in (_bits(entry.bits), size, entry.bound) if part)


def _bits(number: int) -> str:
    return f"{number} bit{'' if number == 1 else 's'}"


def _figure(entry: Entry) -> str:
    return f"{entry.energy_pj:g}" + (f" KiB^{entry.exponent:g}" if entry.exponent else "")


def _commands(part: Part | None) -> list[tuple[str, ...]]:
    """Operation, width, value, unit, source and assumption of what a part's currents give."""
    assumption = "as Micron's TN-41-01 computes it; without I/O, termination and word-line supply"
    if part is None or part.energy is None:
        return [("dram", "", "-", "pJ", "currents of the machine's part", assumption)]
    energy, burst = part.energy, _bits(8 * part.burst_bytes)
    figures = (
        ("dram_read", burst, energy.read, "pJ"),
        ("dram_write", burst, energy.write, "pJ"),
        ("dram_activate", "a row", energy.activate, "pJ"),
        ("dram_refresh", "a rank", energy.refresh, "pJ"),
        ("dram_active_clock", "a rank", energy.active_clock, "pJ a DRAM clock"),
        ("dram_precharged_clock", "a rank", energy.precharged_clock, "pJ a DRAM clock"),
    )
    source = f"currents of {part.name}, whose file names their source"
    return [(operation, where, f"{pj:g}", unit, source, assumption) for operation, where, pj, unit in figures]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point; `-` where it is not known."""
    return "-" if value is None else f"{value:,.{digits}f}"
