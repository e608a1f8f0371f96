"""Why a run takes as long as it does: its critical path, and what it would gain if one thing were twice as fast."""

from __future__ import annotations

from accelsim.config.model import Frozen, quantity
from accelsim.shown import Shown, Told


class Part(Frozen):
    """What a unit contributes to the critical path of a layer."""

    layer: str = quantity("name", "Layer")
    unit: str = quantity("name", "Unit; dram for writes that are still buffered at the end")
    what: str = quantity(
        "name", "busy, memory (a transfer waits for the DRAM), in flight, or port (a start that is seen a cycle later)"
    )
    cycles: int = quantity("core cycles", "Length of the path in which the unit does that for the layer")


class Gain(Frozen):
    """A machine of which one thing is twice as fast, really simulated."""

    twice: str = quantity("name", "What is twice as fast")
    changed: dict[str, float | str] = quantity("values", "Fields of the machine and what they become")
    compiled: bool = quantity(
        "flag", "Whether the network was compiled for it too, and the better one of both programs is told"
    )
    cycles: int | None = quantity("core cycles", "Time of the changed machine; null if it can't be")
    saved: float | None = quantity("fraction", "Of the cycles that are saved")
    at_most: float = quantity("fraction", "Of the cycles, the most that the critical path lets it save")
    why_not: str | None = quantity("text", "Why such a machine can't execute the program; null if it can", default=None)


class Explanation(Told, Frozen):
    """The JSON object of an explanation."""

    workload: str = quantity("name", "Network")
    arch: str = quantity("name", "Machine")
    recipe: str = quantity("name", "Compression recipe")
    cycles: int = quantity("core cycles", "Time of the run; the parts sum to it")
    path: list[Part] = quantity("parts", "Critical path by layer, unit and what the unit does, in order of layers")
    gains: list[Gain] = quantity("machines", "What would be gained, the most first")

    @property
    def told(self) -> str:
        """The run in a line."""
        return f"{self.workload} as {self.recipe} on {self.arch}: {self.cycles:,} cycles"

    @property
    def shown(self) -> Shown:
        """The critical path."""
        rows = [(part.layer, part.unit, part.what, f"{part.cycles:,}") for part in self.path]
        return ("layer", "unit", "what", "cycles"), rows

    def to_json(self) -> str:
        """The explanation as one JSON object."""
        return self.model_dump_json(indent=2)

    def of_layer(self, layer: str) -> list[Part]:
        """Parts of a layer, the longest first."""
        return sorted((part for part in self.path if part.layer == layer), key=lambda part: -part.cycles)

    @property
    def layers(self) -> list[str]:
        """Layers on the path, in order."""
        return list(dict.fromkeys(part.layer for part in self.path))
