"""An evaluation as text."""

from __future__ import annotations

from accelsim.evaluation import Evaluated
from accelsim.report.tables import Table


def headline(found: Evaluated) -> str:
    """The evaluation in one sentence."""
    quality = found.quality
    how = f"as {found.recipe}" if found.recipe else "in real numbers"
    noise = "" if quality.sqnr_db is None else f"; SQNR {quality.sqnr_db:.1f} dB to the float network"
    task = "" if quality.task else "; no task: --data names labels or targets"
    samples = "1 sample" if found.samples == 1 else f"{found.samples:,} samples"
    return f"{found.workload} {how}, {samples}{noise}{task}"


def measures(found: Evaluated) -> Table:
    """What the task measures, and of the float network beside it."""
    quality = found.quality
    all_ = [*([quality.task] if quality.task else []), *quality.measures]
    rows: list[tuple[str, ...]] = [(each.name, each.shown(each.value), each.shown(each.reference)) for each in all_]
    return Table("", ("measure", "value", "float"), rows, frozenset({0}))
