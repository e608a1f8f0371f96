"""A comparison as tables of text."""

from __future__ import annotations

from accelsim.comparison import Comparison, Row
from accelsim.report.tables import EXACT, Table, judged_by, number
from accelsim.units import si

#: Columns of the schemes from the most important to the least: those behind go first where there is little room.
ORDER = ("energy", "time", "pareto", "relative", "bound", "energy-delay", "J/sample", "samples/s", "use %", "cycles",
         "DRAM", "stored", "ratio", "OPS/W", "SQNR dB", "exact", "tech")  # fmt: skip


def schemes(comparison: Comparison) -> Table:
    """One row a recipe: what it costs, and what the network's outputs lose; best ones have a star."""
    rows = comparison.rows
    task = judged_by(row.quality for row in rows)
    columns = ("recipe", "arch", "tech", "energy", "relative", "time", "bound", "use %", "energy-delay", "J/sample",
               "samples/s", "OPS/W", "cycles", "DRAM", "stored", "ratio", task, "SQNR dB", "pareto",
               "exact")  # fmt: skip
    first = [name for name, wanted in (
        ("exact", any(row.bit_exact is False for row in rows)), ("tech", len({row.tech for row in rows}) > 1)
    ) if wanted]  # fmt: skip
    judged = task if any(row.quality and row.quality.task for row in rows) else "SQNR dB"
    order = tuple(dict.fromkeys(("recipe", "arch", "energy", *first, "time", judged, *ORDER)))
    names = {"recipe", "arch", "tech", "bound", "pareto", "exact"}
    table = Table("Schemes", columns, [_row(row) for row in rows], _at(columns, names), order)
    return table.known


def _at(columns: tuple[str, ...], names: set[str]) -> frozenset[int]:
    return frozenset(i for i, column in enumerate(columns) if column in names)


def _row(row: Row) -> tuple[str, ...]:
    quality = row.quality
    joules, moved = row.energy_pj.total * 1e-12, row.bytes.dram_read + row.bytes.dram_write
    return (
        row.recipe,
        row.arch,
        row.tech,
        si(joules, "J"),
        f"{row.relative.energy:.3f}" if row.relative else "-",
        si(row.seconds, "s"),
        row.roofline.bound,
        f"{100 * row.utilization:.1f}",
        si(row.energy_delay_js, "J s"),
        si(None if row.energy_per_sample_pj is None else row.energy_per_sample_pj * 1e-12, "J"),
        si(row.samples_per_s, "/s"),
        si(2 * row.macs.dense / joules if joules else None, "OPS/W"),
        f"{row.cycles:,}",
        si(moved, "B"),
        si(row.compression.stored_bits, "bit"),
        f"{row.compression.ratio:.1f}",
        f"{quality.task.in_unit:.{1 if quality.task.fraction else 4}f}" if quality and quality.task else "-",
        number(quality.sqnr_db if quality else None, 1),
        {True: "*", False: "", None: "-"}[row.pareto],
        EXACT[row.bit_exact],
    )


def energy(comparison: Comparison) -> Table:
    """Energy of each recipe by component; components that none uses are left out."""
    parts = [row.energy_pj.model_dump() for row in comparison.rows]
    names = [name for name in (parts[0] if parts else {}) if any(part[name] for part in parts)]
    rows = [
        (row.recipe, row.arch, *(si(part[name] * 1e-12, "J") for name in names))
        for row, part in zip(comparison.rows, parts, strict=True)
    ]
    most = sorted(names, key=lambda name: -sum(part[name] for part in parts))
    return Table("Energy", ("recipe", "arch", *names), rows, frozenset({0, 1}), ("recipe", "arch", *most))


def told(comparison: Comparison) -> str:
    """What a star says, or why there is none."""
    if all(row.pareto is None for row in comparison.rows):
        return "no stars: what energy tables price differs"
    return f"* no other row is at least as good in {', '.join(comparison.objectives)}, and better in one"
