"""Runs of one network side by side: over a baseline, and which of them no other one beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.config.model import Frozen, quantity
from accelsim.errors import ConfigError, unknown_name
from accelsim.files import Files, write_all
from accelsim.results import Summary
from accelsim.shown import Shown, Told
from accelsim.units import si

if TYPE_CHECKING:
    import pandas as pd


#: What rows can be judged by, as costs: less is better.
OBJECTIVES: dict[str, Callable[[Summary], float]] = {
    "energy": lambda summary: _per_sample(summary, summary.energy_pj.total),
    "seconds": lambda summary: _per_sample(summary, summary.seconds),
    "accuracy": lambda summary: -quality(summary),
    "energy-delay": lambda summary: (
        _per_sample(summary, summary.energy_pj.total) * _per_sample(summary, summary.seconds)
    ),
    "power": lambda summary: summary.energy_pj.total / summary.seconds if summary.seconds else 0.0,
    "dram-bytes": lambda summary: _per_sample(summary, summary.bytes.dram_read + summary.bytes.dram_write),
    "stored-bits": lambda summary: summary.compression.stored_bits,
}
#: Those that energy tables decide.
ENERGIES = frozenset({"energy", "energy-delay", "power"})
#: Cost and speed, and what is lost for them.
DEFAULT_OBJECTIVES = ("energy", "seconds", "accuracy")


def require_objectives(names: Sequence[str], *, timing_only: bool = False) -> None:
    """Refuse names of no objective, and quality where no outputs are asked for.

    Raises
    ------
    ConfigError
        If there is such a name, or none at all.
    """
    if not names:
        raise ConfigError("objectives must be one at least, of " + ", ".join(OBJECTIVES))
    for name in names:
        if name not in OBJECTIVES:
            raise ConfigError(unknown_name("objective", name, OBJECTIVES))
    if timing_only and "accuracy" in names:
        raise ConfigError("objectives must be figures that timing alone has, not accuracy")


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
    pareto: bool | None = quantity(
        "flag",
        "Whether no other row is at least as good in all objectives and better in one; null where energy is one of "
        "them, and the rows' energy tables differ in what they price",
    )


class Refused(Frozen):
    """A recipe that can't be executed on its machine."""

    recipe: str = quantity("name", "Compression recipe")
    arch: str = quantity("name", "Machine")
    reason: str = quantity("text", "Why it can't")
    machines: list[str] = quantity("names", "Shipped machines that can")


class Comparison(Told, Frozen):
    """The JSON object of a comparison."""

    rows: list[Row] = quantity("rows", "Runs, by ascending energy")
    refused: list[Refused] = quantity("recipes", "Those that can't be executed, in the order in which they were named")
    objectives: list[str] = quantity("names", "What the best rows are best in", default=["energy", "accuracy"])
    warnings: list[str] = quantity("sentences", "Why figures of the rows are no fair rivals", default=[])

    @classmethod
    def of(
        cls,
        found: Sequence[Summary],
        baseline: Summary | None,
        refused: list[Refused],
        objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    ) -> Comparison:
        """Compare runs with each other, by some of `OBJECTIVES`, and with one of them."""
        by_energy = sorted(found, key=lambda summary: summary.energy_pj.total)
        fair = not (ENERGIES & set(objectives) and differ_in_scope(found))
        rows = [
            Row(
                **dict(summary),
                relative=_relative(summary, baseline),
                pareto=_is_best(summary, found, objectives) if fair else None,
            )
            for summary in by_energy
        ]
        return cls(rows=rows, refused=refused, objectives=list(objectives), warnings=unfair(found))

    @property
    def told(self) -> str:
        """The comparison in a line."""
        best = ", ".join(f"{row.recipe} on {row.arch}" for row in self.rows if row.pareto)
        sought = ", ".join(self.objectives)
        return f"{len(self.rows)} runs, {len(self.refused)} refused; best in {sought}: {best or 'none'}"

    @property
    def shown(self) -> Shown:
        """Energy, time and quality of each row."""
        rows = [
            (row.recipe, row.arch, row.tech, si(row.energy_pj.total * 1e-12, "J"), si(row.seconds, "s"),
             row.quality.task.shown(row.quality.task.value) if row.quality and row.quality.task else "-",
             "*" if row.pareto else "")
            for row in self.rows
        ]  # fmt: skip
        return ("recipe", "arch", "tech", "energy", "time", "quality", "best"), rows

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


def _is_best(summary: Summary, all_: Sequence[Summary], objectives: Sequence[str]) -> bool:
    """Whether no other one is at least as good in all objectives, and better in one."""

    def costs(one: Summary) -> list[float]:
        return [OBJECTIVES[name](one) for name in objectives]

    mine = costs(summary)
    others = (costs(other) for other in all_)
    return not any(all(a <= b for a, b in zip(theirs, mine, strict=True)) and theirs != mine for theirs in others)


def _per_sample(summary: Summary, value: float) -> float:
    """A figure of the whole run by its samples, so that batches don't count."""
    return value / (summary.samples or 1)


def _scopes(found: Sequence[Summary]) -> set[tuple[str, str | None]]:
    """Energy tables, and what each prices."""
    return {(one.tech, one.scope) for one in found}


def differ_in_scope(found: Sequence[Summary]) -> bool:
    """Whether energies come from tables of which one prices what another one leaves out; unknown scopes differ by name.

    Where no scope is known, as in results of before, tables of one name are taken for the same.
    """
    return len({tech if scope is None else scope for tech, scope in _scopes(found)}) > 1


def unfair(found: Sequence[Summary]) -> list[str]:
    """Why figures of some runs are no fair rivals, a sentence each."""
    said = []
    if differ_in_scope(found):
        told = "; ".join(f"{name}: {scope or 'not known'}" for name, scope in sorted(_scopes(found), key=str))
        said.append(
            f"energy tables differ in what they price ({told}), so that energies of different tables "
            "can't be compared, and none has a star for them; --tech TABLE prices all rows by one"
        )
    if differ_in_batch(found):
        said.append("batches differ: figures are of whole runs unless they say that they are of a sample")
    return said


def differ_in_batch(found: Sequence[Summary]) -> bool:
    """Whether runs computed different numbers of samples."""
    return len({one.samples for one in found}) > 1


def quality(summary: Summary) -> float:
    """What a run is judged by: its task, or SQNR where there is no task; without noise infinite, unknown the least."""
    found = summary.quality
    if found is None:
        return -math.inf
    if found.task:
        return found.task.score
    return math.inf if found.sqnr_db is None else found.sqnr_db
