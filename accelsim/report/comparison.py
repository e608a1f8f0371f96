"""A comparison as tables of text."""

from __future__ import annotations

from accelsim.comparison import Comparison, Row
from accelsim.report.tables import Table


def schemes(comparison: Comparison) -> Table:
    """One row a recipe: what it costs, and what the network's outputs lose; best ones have a star."""
    columns = ("recipe", "arch", "energy uJ", "energy", "cycles", "DRAM kB", "stored kbit", "ratio", "accuracy %",
               "SQNR dB", "pareto", "exact")  # fmt: skip
    return Table("Schemes", columns, [_row(row) for row in comparison.rows], frozenset({0, 1, 10, 11}))


def _row(row: Row) -> tuple[str, ...]:
    quality = row.quality
    return (
        row.recipe,
        row.arch,
        f"{row.energy_pj.total / 1e6:,.2f}",
        f"{row.relative.energy:.3f}" if row.relative else "-",
        f"{row.cycles:,}",
        f"{(row.bytes.dram_read + row.bytes.dram_write) / 1e3:,.1f}",
        f"{row.compression.stored_bits / 1e3:,.1f}",
        f"{row.compression.ratio:.1f}",
        f"{quality.task.in_unit:.{1 if quality.task.fraction else 4}f}" if quality and quality.task else "-",
        "-" if quality is None or quality.sqnr_db is None else f"{quality.sqnr_db:.1f}",
        "*" if row.pareto else "",
        {True: "yes", False: "NO", None: "-"}[row.bit_exact],
    )


def energy(comparison: Comparison) -> Table:
    """Energy of each recipe by component, microjoules; components that none uses are left out."""
    parts = [row.energy_pj.model_dump() for row in comparison.rows]
    names = [name for name in (parts[0] if parts else {}) if any(part[name] for part in parts)]
    rows = [
        (row.recipe, row.arch, *(f"{part[name] / 1e6:,.2f}" for name in names))
        for row, part in zip(comparison.rows, parts, strict=True)
    ]
    return Table("Energy, uJ", ("recipe", "arch", *names), rows, frozenset({0, 1}))
