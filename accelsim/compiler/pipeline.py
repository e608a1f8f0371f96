"""The compiler: its passes in order, a check after each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from accelsim.compiler import alike, allocate, emit, mapping, schedule, synchronize, tiling
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.errors import CompileError
from accelsim.golden.network import CompressedNetwork
from accelsim.isa.program import Program
from accelsim.workload.network import Inputs, each

logger = logging.getLogger(__name__)


class Pass(NamedTuple):
    """A step of the compiler and what must hold after it."""

    name: str
    run: Callable[[Lowering, Machine], Lowering]
    check: Callable[[Lowering, Machine], None] | None


#: Passes that find whether a machine can compute the layers at all, and hold their tiles.
_DECISIVE = ("map", "tile")

PASSES = (
    Pass("map", mapping.map_layers, mapping.check),
    Pass("tile", tiling.tile, tiling.check),
    Pass("allocate", allocate.allocate, allocate.check),
    Pass("leave out", alike.leave_out, None),
    Pass("schedule", schedule.schedule, schedule.check),
    Pass("synchronize", synchronize.synchronize, None),  # what it must achieve is what verify checks
    Pass("emit", emit.emit, None),
)


def can_execute(network: CompressedNetwork, inputs: Inputs[np.generic], machine: Machine) -> bool:
    """Whether a machine computes a network's layers and holds their tiles; parameters as of `compile_network`."""
    lowering = Lowering(network, each(inputs))
    try:
        for step in PASSES:
            if step.name in _DECISIVE:
                lowering = step.run(lowering, machine)
    except CompileError:
        return False
    return True


def compile_network(
    network: CompressedNetwork,
    inputs: Inputs[np.generic],
    machine: Machine,
    progress: Callable[[int, int], None] | None = None,
    left_out: range = range(0),
) -> Program:
    """Compile a network for a machine and a batch of inputs; `verify` is left to whoever executes or keeps the program.

    Parameters
    ----------
    inputs
        Values of the network's input type, shape (batch, inputs), or those of each independent layer, shape (M, K).
    progress
        Called after each pass with the number of passes that are done, and of all.
    left_out
        Layers that the program does not compute, though all others lie in DRAM where they do with them.

    Raises
    ------
    CompileError
        If a layer does not fit the machine, or can't be computed on it.
    """
    lowering = Lowering(network, each(inputs), left_out=left_out)
    for number, step in enumerate(PASSES, start=1):
        lowering = step.run(lowering, machine)
        if step.check:
            step.check(lowering, machine)
        if progress:
            progress(number, len(PASSES))
        logger.debug("pass %s: %d instructions", step.name, len(lowering.instructions))
    assert lowering.program  # noqa: S101 - the last pass makes it
    return lowering.program
