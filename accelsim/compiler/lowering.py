"""What the passes hand on: one value that each of them completes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.slots import Slots
from accelsim.compiler.tiles import Chunk, Place, Tiling
from accelsim.golden.network import CompressedNetwork
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.program import Program
from accelsim.isa.tables import Tables


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a layer's tiles live on chip, and where its data live in DRAM.

    Parameters
    ----------
    scales
        Places in the activation scratchpad for the scales of each slot's rows; none if they have none.
    staging
        Places in the weight scratchpad for encoded chunks, shared or one for each slot; none if weights are dense.
    partial
        Places in the accumulator for sums of integers that are still to be scaled; none if all of them are one type.
    parts, chunks
        The weight chunks, as `Tiling.chunks` lists them, and each one's DRAM address.
    source, target
        The layer's input and output in DRAM, rows without gaps.
    """

    activation: Slots
    scales: Slots
    weight: Slots
    staging: Slots
    accumulator: Slots
    partial: Slots
    output: Slots
    parts: list[Chunk]
    chunks: tuple[int, ...]
    source: Place
    target: Place


@dataclass(frozen=True, slots=True)
class Lowering:
    """A network on its way to a program; each pass fills the next field.

    Parameters
    ----------
    inputs
        Inputs of the chain's first layer, or of each independent layer, shapes (M, K).
    image, image_bytes
        First bytes of DRAM, and how many they are; the bytes are left out where weights have no values.
    tables
        What instructions name by number.
    left_out
        Layers that have their places in DRAM, but no instructions.
    """

    network: CompressedNetwork
    inputs: tuple[NDArray[np.generic], ...]
    flows: tuple[Dataflow, ...] = ()
    tilings: tuple[Tiling, ...] = ()
    placements: tuple[Placement, ...] = ()
    image: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    image_bytes: int = 0
    dram_bytes: int = 0
    instructions: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, INSTRUCTION))
    tables: Tables = field(default_factory=Tables)
    program: Program | None = None
    left_out: range = range(0)

    @property
    def values(self) -> bool:
        """Whether weights and inputs have values."""
        return self.network.layers[0].pattern is None
