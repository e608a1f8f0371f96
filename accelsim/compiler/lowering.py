"""What the passes hand on: one value that each of them completes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.slots import Slots
from accelsim.compiler.tiles import Tiling
from accelsim.golden.network import IntegerLayer, IntegerNetwork
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.program import Program


@dataclass(frozen=True, slots=True)
class Gemm:
    """One matrix product of the network: (m, k) activations times (k, n) weights."""

    layer: IntegerLayer
    m: int
    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a layer's tiles live on chip, and where its data live in DRAM.

    Parameters
    ----------
    chunks
        DRAM address of each weight chunk, in the order of `Tiling.chunks`.
    source, target
        DRAM addresses of the layer's input and output, row-major without gaps.
    """

    activation: Slots
    weight: Slots
    accumulator: Slots
    output: Slots
    chunks: tuple[int, ...]
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Lowering:
    """A network on its way to a program; each pass fills the next field."""

    network: IntegerNetwork
    inputs: NDArray[np.generic]
    gemms: tuple[Gemm, ...] = ()
    tilings: tuple[Tiling, ...] = ()
    placements: tuple[Placement, ...] = ()
    image: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    dram_bytes: int = 0
    instructions: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, INSTRUCTION))
    program: Program | None = None
