"""What the compiler decided before it formed an instruction: tiles, what stays on chip, and the DRAM bytes of it."""

from __future__ import annotations

from typing import Literal

from accelsim.config.model import Frozen, quantity


class Room(Frozen):
    """A part of an on-chip memory."""

    memory: str = quantity("name", "Memory")
    low: int = quantity("bytes", "First byte")
    end: int = quantity("bytes", "One past the last byte")


class Use(Frozen):
    """A value that a fusion reads or forms."""

    name: str = quantity("name", "Value; of a product's constants, those of all of them")
    does: Literal["read", "form"] = quantity("name", "Whether the fusion reads or forms it")
    constant: bool = quantity("flag", "Whether it is weights or other constants")
    room: Room | None = quantity("section", "Where it stays on chip, padding included; null if it lies in DRAM")
    formed_by: str | None = quantity("name", "Fusion that forms it; null for inputs and constants")
    last_read_by: str | None = quantity("name", "Last fusion that reads it; null if none does")


class Tile(Frozen):
    """How a fusion is cut."""

    m: int = quantity("rows", "Rows of a tile")
    k: int = quantity("features", "Inputs of a weight tile; of windows their pixels")
    n: int = quantity("features", "Outputs of a tile")
    loops: str = quantity("text", "Order of the loops over tiles, outermost first")


class FusionPlan(Frozen):
    """What is planned for one fusion."""

    name: str = quantity("name", "Fusion")
    layer: str = quantity("name", "What a run calls it; strips of the same nodes are one layer")
    nodes: list[str] = quantity("names", "Nodes of the network's graph that it computes, in order")
    unit: str = quantity("name", "What computes it: the kind of matrix unit, vector or host")
    tile: Tile | None = quantity("section", "How it is cut; null for the host's")
    rooms: list[Room] = quantity("sections", "Where its tiles take turns; empty for the host's")
    values: list[Use] = quantity("values", "What it reads, and last what it forms")
    dram_read: int = quantity("bytes", "Whole bursts that it asks the DRAM for")
    dram_write: int = quantity("bytes", "Whole bursts that it writes to DRAM")


class Plan(Frozen):
    """The JSON object of a plan.

    Bytes are those of all bursts that the DMA units and the host request. A run on a DRAM of constant rate moves just
    these. A banked DRAM may serve several requests of one burst by one command: of it they are a run's `accepted`.
    """

    workload: str = quantity("name", "Network")
    arch: str = quantity("name", "Machine")
    recipe: str = quantity("name", "Compression recipe")
    residency: bool = quantity("flag", "Whether values might stay on chip between fusions")
    least: Literal["time", "energy"] = quantity("name", "What was to be least")
    burst: int = quantity("bytes", "A DRAM burst")
    fusions: list[FusionPlan] = quantity("fusions", "All fusions, in order")
    dram_read: int = quantity("bytes", "Whole bursts that all of them ask the DRAM for")
    dram_write: int = quantity("bytes", "Whole bursts that all of them write to DRAM")
    compulsory: int = quantity("bytes", "Each constant as stored, each input, output and state, once")
    ratio: float | None = quantity("ratio", "DRAM traffic over what is compulsory; null if nothing is")

    def to_json(self) -> str:
        """The plan as one JSON object."""
        return self.model_dump_json(indent=2)
