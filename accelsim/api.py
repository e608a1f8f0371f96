"""The flow, top to bottom: load, compress, compile, simulate, summarize."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim import provenance
from accelsim.compiler.pipeline import compile_network
from accelsim.compress.apply import compress
from accelsim.compress.compact import compact, surviving
from accelsim.compress.recipe import Recipe, load_recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine, load_technology
from accelsim.config.tech import Technology
from accelsim.cost import energy
from accelsim.errors import ProgramError
from accelsim.golden import evaluate, float_network
from accelsim.golden.network import CompressedNetwork, IntegerNetwork
from accelsim.isa.program import Program
from accelsim.results import RunResult
from accelsim.sim import reference
from accelsim.summary import Reference, summarize
from accelsim.workload.load import load_network

Progress = Callable[[str, int, int], None]
DEFAULT_WORKLOAD = "digits-mlp"
DEFAULT_ARCH = "edge-ws"


def run(
    workload: str = DEFAULT_WORKLOAD,
    arch: str = DEFAULT_ARCH,
    recipe: str | None = None,
    *,
    progress: Progress | None = None,
) -> RunResult:
    """Compress a network, compile it, execute it bit for bit and cycle for cycle, and report.

    Parameters
    ----------
    workload, arch, recipe
        Shipped names or paths; without a recipe the machine's default one is taken.
    progress
        Called now and then with what is going on, how much is done, and of how much.

    Raises
    ------
    AccelSimError
        If any input is not valid; the faults say what and where.
    """
    machine = load_machine(arch)
    technology = load_prices(machine, arch)
    chosen = load_recipe(recipe) if recipe else load_recipe(machine.default_recipe, arch)
    network = load_network(workload)
    compressed = compress(network, chosen)
    inputs = compressed.input.quantize(network.inputs)
    program = _compile(compressed, inputs, machine, chosen, progress)
    execution = reference.execute(program, machine, _named(progress, "simulating"))
    golden = Reference(
        network,
        compressed,
        evaluate.forward(compressed, inputs, machine.fold_inputs),
        float_network.forward(network, network.inputs),
    )
    return summarize(program, execution, machine, technology, golden, chosen, network.sha256)


def compile_workload(
    workload: str, arch: str, recipe: str | None = None, *, progress: Progress | None = None
) -> Program:
    """Compile a network for a machine; arguments and errors as for `run`."""
    machine = load_machine(arch)
    chosen = load_recipe(recipe) if recipe else load_recipe(machine.default_recipe, arch)
    compressed = compress(network := load_network(workload), chosen)
    inputs = compressed.input.quantize(network.inputs)
    return _compile(compressed, inputs, machine, chosen, progress)


def execute(
    program: Program, arch: str | None = None, *, progress: Progress | None = None, file: str = ""
) -> RunResult:
    """Verify and execute a program on a machine; quality is not known then.

    Parameters
    ----------
    arch
        Shipped name or path; None for the shipped machine that the program was compiled for.
    file
        Name of the program's file for the text of faults, if it has one.

    Raises
    ------
    AccelSimError
        If the machine is not valid, or `verify` rejects the program for it.
    """
    machine = load_machine(arch) if arch else compiled_for(program)
    technology = load_prices(machine, arch or "")
    execution = reference.execute(program, machine, _named(progress, "simulating"), file)
    return summarize(program, execution, machine, technology, None, None, {"program": program.digest})


def load_prices(machine: Machine, beside: str) -> Technology:
    """Load the energy table of a machine; a relative path begins at the folder of the file `beside`.

    Raises
    ------
    ConfigError
        If the table is not valid, or can't price the machine.
    """
    technology = load_technology(machine.tech, beside)
    energy.check(technology, machine)
    return technology


def compiled_for(program: Program) -> Machine:
    """Shipped machine that a program was compiled for.

    Raises
    ------
    ProgramError
        If no shipped machine has its name and description: then the caller must say which machine is meant.
    """
    name = program.header.arch
    if name in shipped.names("arch"):
        machine = load_machine(name)
        if provenance.content_hash(machine.model_dump(mode="json")) == program.header.arch_sha256:
            return machine
    raise ProgramError(f"--arch must name the machine: no shipped one is the {name!r} that the program is for")


def _compile(
    network: CompressedNetwork,
    inputs: NDArray[np.generic],
    machine: Machine,
    recipe: Recipe,
    progress: Progress | None,
) -> Program:
    """Compile a network for its full inputs; of a compacted one the host leaves in DRAM what survives."""
    if recipe.compact and isinstance(network, IntegerNetwork):  # Recipe refuses it for floats
        network = compact(network)
        inputs = surviving(network, inputs)
    return compile_network(network, inputs, machine, _named(progress, "compiling"))


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, of: progress(what, done, of)) if progress else None
