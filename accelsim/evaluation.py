"""What a network's outputs are worth, by the golden interpreter alone: no machine, no cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from accelsim.config.model import Frozen, quantity
from accelsim.files import write_all
from accelsim.outputs import write_arrays
from accelsim.results import OUTPUTS, Quality
from accelsim.shown import Shown, Told

FILE = "evaluation.json"


class Evaluated(Frozen):
    """An evaluation as JSON."""

    workload: str = quantity("name", "Name of the network")
    recipe: str | None = quantity("name", "Recipe that compressed it; null for real numbers")
    samples: int = quantity("samples", "Test inputs")
    quality: Quality = quantity("quality", "Of the first output")
    provenance: dict[str, Any] = quantity("record", "Versions, hashes of files, calibration data")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Told):
    """An evaluation, and the outputs by their names."""

    summary: Evaluated
    outputs: Mapping[str, NDArray[Any]]

    @property
    def told(self) -> str:
        """The evaluation in a line."""
        found = self.summary
        return f"{found.workload} as {found.recipe or 'it is'}, {found.samples} samples"

    @property
    def shown(self) -> Shown:
        """What the task measures."""
        quality = self.summary.quality
        measures = [*([quality.task] if quality.task else []), *quality.measures]
        rows = [(measure.name, measure.shown(measure.value), measure.shown(measure.reference)) for measure in measures]
        return ("measure", "value", "real numbers"), rows

    def to_json(self) -> str:
        """The summary as one JSON object."""
        return self.summary.model_dump_json(indent=2)

    def save(self, folder: Path) -> list[Path]:
        """Write evaluation.json and outputs.npz, both or none.

        Raises
        ------
        AccelSimError
            If the folder can't be written.
        """
        return write_all(
            folder,
            {
                FILE: lambda path: path.write_text(self.to_json() + "\n"),
                OUTPUTS: lambda path: write_arrays(path, self.outputs),
            },
        )
