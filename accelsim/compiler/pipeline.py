"""The compiler: its passes in order, a check after each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from accelsim.compiler import alike, allocate, emit, fuse, layout, legalize, place, schedule, synchronize
from accelsim.compiler.lowering import Least, Lowering
from accelsim.config.arch import Machine
from accelsim.errors import CompileError
from accelsim.graph.graph import Graph
from accelsim.isa.program import Program

logger = logging.getLogger(__name__)


Inputs = Sequence[NDArray[Any]]


class Pass(NamedTuple):
    """A step of the compiler and what must hold after it."""

    name: str
    run: Callable[[Lowering, Machine], Lowering]
    check: Callable[[Lowering, Machine], None] | None


#: Passes that find whether a machine can compute the graph at all, and hold its tiles.
_DECISIVE = ("fuse", "legalize", "layout", "place")
#: Passes that decide all that a plan says, places in DRAM included.
_PLANNING = (*_DECISIVE, "allocate")

PASSES = (
    Pass("fuse", fuse.fuse, fuse.check),
    Pass("legalize", legalize.legalize, None),
    Pass("layout", layout.arrange, None),
    Pass("place", place.place, place.check),
    Pass("allocate", allocate.allocate, allocate.check),
    Pass("leave out", alike.leave_out, None),
    Pass("schedule", schedule.schedule, schedule.check),
    Pass("synchronize", synchronize.synchronize, None),  # what it must achieve is what verify checks
    Pass("emit", emit.emit, None),
)


def can_execute(graph: Graph, inputs: Inputs, machine: Machine) -> bool:
    """Whether a machine computes a graph's products and holds their tiles; parameters as of `compile_graph`."""
    lowering = Lowering(graph, graph.given_before(inputs, None), "", residency=False)  # what fits so, fits
    try:
        for step in PASSES:
            if step.name in _DECISIVE:
                lowering = step.run(lowering, machine)
    except CompileError:
        return False
    return True


def planned(
    graph: Graph,
    inputs: Inputs,
    machine: Machine,
    recipe: str = "none",
    progress: Callable[[int, int], None] | None = None,
    *,
    residency: bool = True,
    least: Least = "time",
    states: Inputs | None = None,
) -> Lowering:
    """Decide all about a graph without forming an instruction; parameters and errors as of `compile_graph`."""
    lowering = Lowering(graph, graph.given_before(inputs, states), recipe, residency=residency, least=least)
    return _run([step for step in PASSES if step.name in _PLANNING], lowering, machine, progress)


def compile_graph(
    graph: Graph,
    inputs: Inputs,
    machine: Machine,
    recipe: str = "none",
    progress: Callable[[int, int], None] | None = None,
    left_out: range = range(0),
    *,
    residency: bool = True,
    least: Least = "time",
    states: Inputs | None = None,
) -> Program:
    """Compile a typed graph for a machine and a batch of inputs.

    `verify` is left to whoever executes or keeps the program.

    Parameters
    ----------
    inputs
        Numbers of the graph's inputs, in order, of their elements' types.
    recipe
        Name of the recipe that typed the graph.
    progress
        Called after each pass with the number of passes that are done, and of all.
    left_out
        Fusions that the program does not compute, though all others lie in DRAM where they do with them.
    residency
        Whether values may stay on chip between fusions; else all of them go through DRAM.
    least
        What tiles and places are chosen for: the least time and, of what takes hardly more, the fewest DRAM bursts; or
        the fewest bursts, at whatever time.
    states
        What the graph's states hold before the step, in order, as inputs; what they begin with if absent.

    Raises
    ------
    CompileError
        If a fusion does not fit the machine, or can't be computed on it.
    """
    given = graph.given_before(inputs, states)
    lowering = Lowering(graph, given, recipe, left_out=left_out, residency=residency, least=least)
    lowering = _run(PASSES, lowering, machine, progress)
    assert lowering.program  # noqa: S101 - the last pass makes it
    return lowering.program


def _run(
    steps: Sequence[Pass], lowering: Lowering, machine: Machine, progress: Callable[[int, int], None] | None
) -> Lowering:
    """Run passes, each with its check."""
    for number, step in enumerate(steps, start=1):
        lowering = step.run(lowering, machine)
        if step.check:
            step.check(lowering, machine)
        if progress:
            progress(number, len(steps))
        logger.debug("pass %s: %d instructions", step.name, len(lowering.instructions))
    return lowering
