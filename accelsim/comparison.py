"""Runs of one network side by side: over a baseline, and which of them no other one beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.config.model import Frozen, quantity
from accelsim.files import Files, write_all
from accelsim.results import Summary

if TYPE_CHECKING:
    import pandas as pd


class Relative(Frozen):
    """A row over the first recipe that was named."""

    energy: float = quantity("ratio", "Energy")
    cycles: float = quantity("ratio", "Cycles")
    seconds: float = quantity("ratio", "Simulated time; machines may differ in their clocks")
    dram_bytes: float | None = quantity("ratio", "DRAM bytes read and written; null if the first moves none")
    stored_bits: float = quantity("ratio", "Bits that the weights take")


class Row(Summary):
    """A run of one recipe, and how it stands among the others."""

    relative: Relative | None = quantity("section", "Over the first recipe named; null if that one was refused")
    pareto: bool = quantity(
        "flag",
        "Whether no other row costs less energy and loses no more: of accuracy, or of SQNR where there is no task",
    )


class Refused(Frozen):
    """A recipe that can't be executed on its machine."""

    recipe: str = quantity("name", "Compression recipe")
    arch: str = quantity("name", "Machine")
    reason: str = quantity("text", "Why it can't")
    machines: list[str] = quantity("names", "Shipped machines that can")


class Comparison(Frozen):
    """The JSON object of a comparison."""

    rows: list[Row] = quantity("rows", "Runs, by ascending energy")
    refused: list[Refused] = quantity("recipes", "Those that can't be executed, in the order in which they were named")

    @classmethod
    def of(cls, found: Sequence[Summary], baseline: Summary | None, refused: list[Refused]) -> Comparison:
        """Compare runs with each other, and with one of them."""
        by_energy = sorted(found, key=lambda summary: summary.energy_pj.total)
        rows = [
            Row(**dict(summary), relative=_relative(summary, baseline), pareto=_is_best(summary, found))
            for summary in by_energy
        ]
        return cls(rows=rows, refused=refused)

    def to_json(self) -> str:
        """The comparison as one JSON object."""
        return self.model_dump_json(indent=2)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a recipe; nested figures as columns such as energy_pj.dram."""
        import pandas as pd

        left_out = {"counters", "layers", "provenance"}
        return pd.json_normalize([row.model_dump(exclude=left_out) for row in self.rows])

    def save(self, folder: Path, also: Files | None = None) -> list[Path]:
        """Write compare.json and compare.parquet, and what else is given; all or none.

        Raises
        ------
        AccelSimError
            If the folder can't be written.
        """
        return write_all(
            folder,
            {
                "compare.json": lambda path: path.write_text(self.to_json() + "\n"),
                "compare.parquet": lambda path: self.frame.to_parquet(path, index=False),
                **(also or {}),
            },
        )


def _relative(summary: Summary, baseline: Summary | None) -> Relative | None:
    if baseline is None:
        return None
    moved, before = (s.bytes.dram_read + s.bytes.dram_write for s in (summary, baseline))
    return Relative(
        energy=summary.energy_pj.total / baseline.energy_pj.total,
        cycles=summary.cycles / baseline.cycles,
        seconds=summary.seconds / baseline.seconds,
        dram_bytes=moved / before if before else None,
        stored_bits=summary.compression.stored_bits / baseline.compression.stored_bits,
    )


def _is_best(summary: Summary, all_: Sequence[Summary]) -> bool:
    """Whether no other one is at least as good in both energy and quality, and better in one."""
    mine = (-summary.energy_pj.total, quality(summary))
    for other in all_:
        theirs = (-other.energy_pj.total, quality(other))
        if theirs != mine and theirs[0] >= mine[0] and theirs[1] >= mine[1]:
            return False
    return True


def quality(summary: Summary) -> float:
    """What a run is judged by: its task, or SQNR where there is no task; without noise infinite, unknown the least."""
    found = summary.quality
    if found is None:
        return -math.inf
    if found.task:
        return found.task.score
    return math.inf if found.sqnr_db is None else found.sqnr_db
