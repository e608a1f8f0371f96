"""How much of a scheme each layer bears alone, and what follows for all of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.compress.recipe import Recipe, Step
from accelsim.config.model import Frozen, quantity
from accelsim.files import write_all
from accelsim.results import Quality
from accelsim.shown import Shown, Told

if TYPE_CHECKING:
    import pandas as pd


class Change(Frozen):
    """What schemes do to a network beside its base recipe."""

    removed: int = quantity("weights", "Weights that become zero and were not")
    saved_bits: int = quantity(
        "bits", "What removed weights and narrower ones take less, without the indices that say where zeros are"
    )
    lost: float | None = quantity(
        "fraction", "Accuracy that the base recipe has and this has not, negative if it has more; null without a task"
    )
    quality: Quality = quantity("quality", "Of the network's outputs, held against the float network as it was trained")


class Row(Change):
    """One value of the scheme, for one layer alone."""

    layer: str = quantity("name", "Layer")
    value: float = quantity("value", "Share of the weights that the scheme makes zero, or bits of a weight")
    step: Step = quantity("step", "The step that the base recipe gets")
    within: bool | None = quantity("flag", "Whether it loses no more than is tolerated; null if nothing was said of it")


class Budgets(Change):
    """For each layer the step that saves most and alone loses no more than is tolerated, and what all of them do."""

    loss: float | None = quantity("fraction", "Accuracy that one layer may lose; null if that does not count")
    sqnr_db: float | None = quantity("decibels", "SQNR that one layer must leave; null if that does not count")
    recipe: Recipe = quantity("recipe", "The base recipe with these steps; layers that bear no value have none")


class Sensitivity(Told, Frozen):
    """The JSON object of a scan."""

    workload: str = quantity("name", "Network")
    recipe: str = quantity("name", "Base recipe, by which all layers but one are left as they are")
    scheme: str = quantity("name", "What is done to the one layer")
    baseline: Quality = quantity("quality", "Of the base recipe alone")
    rows: list[Row] = quantity("rows", "Layers in their order, and for each the values in theirs")
    budgets: Budgets | None = quantity("budgets", "What follows from a tolerated loss; null if none was said")

    @property
    def told(self) -> str:
        """The scan in a line."""
        return f"{self.workload} as {self.recipe}, {self.scheme} of one layer at a time: {len(self.rows)} values"

    @property
    def shown(self) -> Shown:
        """What each value leaves of the quality."""
        rows = [(row.layer, f"{row.value:g}", f"{row.saved_bits:,}", words(row.quality)) for row in self.rows]
        return ("layer", "value", "saved bits", "quality"), rows

    def to_json(self) -> str:
        """The scan as one JSON object."""
        return self.model_dump_json(indent=2)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a layer and value; nested figures as columns such as quality.sqnr_db."""
        import pandas as pd

        steps = [row.step.model_dump(mode="json", exclude_none=True) for row in self.rows]
        rows = [row.model_dump(mode="json", exclude={"step"}) for row in self.rows]
        first = [{"layer": row.layer, "value": row.value} for row in self.rows]
        return pd.json_normalize([{**a, **b, "step": c} for a, b, c in zip(first, rows, steps, strict=True)])

    def save(self, folder: Path) -> list[Path]:
        """Write sensitivity.json and sensitivity.parquet; both or none.

        Raises
        ------
        AccelSimError
            If the folder can't be written.
        """
        return write_all(
            folder,
            {
                "sensitivity.json": lambda path: path.write_text(self.to_json() + "\n"),
                "sensitivity.parquet": lambda path: self.frame.to_parquet(path, index=False),
            },
        )


def words(quality: Quality) -> str:
    """A quality in a few words."""
    noise = "no noise" if quality.sqnr_db is None else f"SQNR {quality.sqnr_db:.1f} dB"
    task = quality.task
    return f"{task.name} {task.shown(task.value)}, {noise}" if task else noise
