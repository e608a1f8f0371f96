"""A scan of layers as text."""

from __future__ import annotations

from accelsim.compress.prune.nm import PruneGroups
from accelsim.report.tables import Table, judged_by
from accelsim.sensitivity import Row, Sensitivity, words


def headline(found: Sensitivity) -> str:
    """What the rows are held against."""
    return f"{found.workload} as {found.recipe}: {words(found.baseline)}; {found.scheme} of one layer at a time"


def layers(found: Sensitivity) -> Table:
    """One row a layer and value: what goes, and what the network's outputs lose; each layer's budget has a star."""
    task = judged_by(row.quality for row in found.rows)
    lost = "lost %" if task.endswith("%") else "lost"
    columns = ("layer", _dial(found), "removed", "saved kbit", task, lost, "SQNR dB")
    order = ("layer", _dial(found), "saved kbit", task, "budget", "within", lost, "SQNR dB", "removed")
    rows = [_row(row) for row in found.rows]
    if found.budgets is None:
        return Table("", columns, rows, order=order).known
    steps = found.budgets.recipe.steps
    marks = [("yes" if row.within else "", "*" if row.step in steps else "") for row in found.rows]
    marked = [(*row, *mark) for row, mark in zip(rows, marks, strict=True)]
    return Table("", (*columns, "within", "budget"), marked, frozenset({0, len(columns), len(columns) + 1}), order)


def _dial(found: Sensitivity) -> str:
    """What the values are."""
    return {"prune_nm": "pattern", "weight_bits": "weight bits"}.get(found.scheme, "sparsity")


def _row(row: Row) -> tuple[str, ...]:
    quality = row.quality
    return (
        row.layer,
        "{}:{}".format(*row.step.pattern) if isinstance(row.step, PruneGroups) else f"{row.value:g}",
        f"{row.removed:,}",
        f"{row.saved_bits / 1e3:,.1f}",
        f"{quality.task.in_unit:.{1 if quality.task.fraction else 4}f}" if quality.task else "-",
        "-" if row.lost is None else f"{(100 if quality.task and quality.task.fraction else 1) * row.lost:.1f}",
        "-" if quality.sqnr_db is None else f"{quality.sqnr_db:.1f}",
    )


def budgets(found: Sensitivity) -> str:
    """What all budgets do together."""
    together = found.budgets
    if together is None:
        return ""
    saved = f"{together.removed:,} weights removed, {together.saved_bits / 1e3:,.1f} kbit saved"
    lost = "" if together.lost is None else f", {100 * together.lost:.1f} % lost"
    return f"all budgets together: {words(together.quality)}{lost}; {saved}"
