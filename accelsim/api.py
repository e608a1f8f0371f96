"""The flow, top to bottom: load, compress, compile, simulate, summarize."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim import provenance
from accelsim.compiler import alike
from accelsim.compiler.lowering import Least
from accelsim.compiler.pipeline import can_execute, compile_graph, planned
from accelsim.compiler.plan import told
from accelsim.compress.apply import quantize, rewritten
from accelsim.compress.compact import compact, surviving
from accelsim.compress.prune.nm import PruneGroups
from accelsim.compress.quantize.nearest import differences, for_machine
from accelsim.compress.recipe import STORED, Recipe, load_recipe
from accelsim.config import shipped
from accelsim.config.arch import BankedDram, Machine, SimpleDram
from accelsim.config.load import load_machine, load_technology
from accelsim.config.tech import Technology
from accelsim.cost import energy
from accelsim.errors import AccelSimError, DoesNotFitError, ProgramError, UnsteadyError
from accelsim.evaluation import Evaluated, Evaluation
from accelsim.fields import NOTHING, by_root, load
from accelsim.golden import exact, real
from accelsim.golden.task import Language
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.value import without_numbers
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.kernels import ahead
from accelsim.outputs import arrays
from accelsim.plan import Plan
from accelsim.report import perfetto
from accelsim.results import Execution, RunResult
from accelsim.sim import critical_path as paths
from accelsim.sim import fast, reference, reuse, spans
from accelsim.summary import Origin, Reference, judged, summarize
from accelsim.workload.network import Network
from accelsim.workload.source import Source, load_network

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
#: Numbers of a graph's inputs, in order.
Inputs = tuple[NDArray[Any], ...]
DEFAULT_WORKLOAD = "digits-mlp"
DEFAULT_ARCH = "edge-ws"
#: Engines by name; both give the same execution.
ENGINES = {"fast": fast.execute, "reference": reference.execute}
DEFAULT_ENGINE = "fast"


def run(
    workload: str | Source = DEFAULT_WORKLOAD,
    arch: str = DEFAULT_ARCH,
    recipe: str | None = None,
    *,
    tech: str | None = None,
    fields: Mapping[str, Any] = NOTHING,
    engine: str = DEFAULT_ENGINE,
    timing_only: bool = False,
    reuse_blocks: bool = False,
    residency: bool = True,
    least: Least = "time",
    trace: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Compress a network, compile it, execute it bit for bit and cycle for cycle, and report.

    Parameters
    ----------
    workload, arch, recipe
        Shipped names or paths; without a recipe the machine's default one is taken.
    tech
        Energy table, a shipped name or a path; the machine's if absent.
    fields
        What is other than the files say: values by the paths that sweeps use, such as arch.matrix.rows.
    engine
        Name of the engine that simulates.
    timing_only
        Whether cycles, traffic and energy are asked for, and no outputs. Synthetic weights and inputs are then not even
        drawn where no time depends on their values.
    reuse_blocks
        Whether of blocks of layers that repeat only some are simulated, and the others are copied from those; for
        timing-only runs, all of whose values go through DRAM. `summary.reuse` says what was copied, and how far cycles
        may be off.
    residency
        Whether values may stay on chip between layers; else all of them go through DRAM, for comparison.
    least
        What the plan looks for first, time or energy; see `compiler.pipeline.compile_graph`.
    trace
        File for a trace that Perfetto opens, see `report.perfetto`; not with `reuse_blocks`.
    progress
        Called now and then with what is going on, how much is done, and of how much: of 0 if that is not known.

    Raises
    ------
    AccelSimError
        If any input is not valid; the faults say what and where.
    """
    if reuse_blocks and not timing_only:
        raise AccelSimError(
            "reuse of blocks must go with timing only, because layers that are not executed have no outputs"
        )
    if reuse_blocks and trace:
        raise AccelSimError("a trace must go without reuse of blocks: copied layers have no instructions")
    machine, technology, chosen = read(arch, recipe, tech, fields)
    source = with_workload(workload, fields)
    compile_kernels([machine], engine=engine, timing_only=timing_only, progress=progress)
    _tell(progress, "loading")
    network = load_network(source, values=needs_values(machine, chosen, timing_only=timing_only))
    if not recipe:
        chosen = stored_or(chosen, network)
    begun = load_network(source, chosen.weights) if chosen.weights else network
    _tell(progress, compressing(chosen))
    prepared = prepare(network, begun, chosen)
    with _of_machine(arch):
        return simulate(
            prepared,
            machine,
            technology,
            engine=engine,
            timing_only=timing_only,
            reuse_blocks=reuse_blocks,
            residency=residency,
            least=least,
            trace=trace,
            progress=progress,
        )


@contextmanager
def _of_machine(arch: str) -> Iterator[None]:
    """Have what does not fit a machine name its file, if it is none that is shipped."""
    try:
        yield
    except DoesNotFitError as error:
        if not shipped.is_path(arch):
            raise
        raise DoesNotFitError(*(replace(fault, file=fault.file or arch) for fault in error.faults)) from None


class Asked(NamedTuple):
    """What a run names, read and checked."""

    machine: Machine
    technology: Technology
    recipe: Recipe


def read(arch: str, recipe: str | None = None, tech: str | None = None, fields: Mapping[str, Any] = NOTHING) -> Asked:
    """Read a machine, its recipe and its energy table, unless others are asked for; arguments and errors as for `run`.

    Fields of a workload are left to `with_workload`.
    """
    given = by_root(fields)
    machine: Machine = load("arch", arch, given["arch"]) if given["arch"] else load_machine(arch)
    prices = ("tech", tech, given["tech"]) if tech else ("tech", machine.tech, given["tech"], arch)
    technology: Technology = load(*prices)
    energy.check(technology, machine)
    compressed = (
        ("recipe", recipe, given["recipe"]) if recipe else ("recipe", machine.default_recipe, given["recipe"], arch)
    )
    return Asked(machine, technology, load(*compressed))


def with_workload(workload: str | Source, fields: Mapping[str, Any]) -> str | Source:
    """A network as it is asked for, with the fields that are those of its file."""
    given = by_root(fields)["workload"]
    if not given:
        return workload
    return replace(workload if isinstance(workload, Source) else Source(workload), fields=given)


def compressing(recipe: Recipe) -> str:
    """What compressing a network by a recipe is called."""
    searches = any(isinstance(step, PruneGroups) and step.permute for step in recipe.steps)
    return "searching an order of inputs" if searches else "compressing"


def compile_kernels(
    machines: Iterable[Machine],
    *,
    engine: str = DEFAULT_ENGINE,
    timing_only: bool = False,
    progress: Progress | None = None,
) -> None:
    """Have the kernels compiled that simulations on machines need, on all cores, unless the cache has them.

    They are compiled when they are called, too, but then one after the other; parameters as for `run`.
    """
    drams = [(machine.dram, machine.l2) for machine in machines] if engine == DEFAULT_ENGINE else []
    needs = ahead.Needs(
        simple=any(isinstance(dram, SimpleDram) for dram, _ in drams),
        banked=any(isinstance(dram, BankedDram) and not level for dram, level in drams),
        second_level=any(isinstance(dram, BankedDram) and level is not None for dram, level in drams),
        data=bool(drams) and not timing_only,
    )
    ahead.compile_ahead(needs, (lambda: progress("compiling kernels, once", 0, 0)) if progress else None)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A typed graph and its inputs, as they go to the compiler."""

    graph: Graph
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network as a recipe has compressed it, for any machine.

    Parameters
    ----------
    network, rewrote
        As it was trained, and what the recipe begins with and rewrites, in real numbers.
    typed
        In the types that the recipe chose.
    executed
        The same, compacted if the recipe says so: what is compiled.
    origin_sha256
        SHA-256 of each file, by name.
    """

    recipe: Recipe
    network: Network
    rewrote: Network
    typed: Compiled
    executed: Compiled
    origin_sha256: dict[str, str]

    def fitting(self, machine: Machine) -> Prepared:
        """The same for a machine: where it has no float32 scales, the nearest M 2^shift of the network's file's."""
        typed, executed = (_fitting(compiled, machine) for compiled in (self.typed, self.executed))
        return self if typed is self.typed else replace(self, typed=typed, executed=executed)


def _fitting(compiled: Compiled, machine: Machine) -> Compiled:
    graph = for_machine(compiled.graph, machine)
    return compiled if graph is compiled.graph else replace(compiled, graph=graph)


def needs_values(machine: Machine, recipe: Recipe, *, timing_only: bool) -> bool:
    """Whether the values of weights decide what takes time: where zeros are skipped, or weights removed or encoded."""
    return not (timing_only and recipe.sets_types_alone and not machine.matrix.skips_zeros)


def prepare(network: Network, begun: Network, recipe: Recipe) -> Prepared:
    """Compress a network; `begun` has the weights of the variant that the recipe begins with.

    Raises
    ------
    AccelSimError
        If the recipe does not fit the network.
    """
    rewrote = rewritten(begun, recipe)
    typed = _typed(rewrote, recipe)
    return Prepared(recipe, network, rewrote, typed, _compacted(typed, recipe), network.sha256 | begun.sha256)


def simulate(
    prepared: Prepared,
    machine: Machine,
    technology: Technology,
    *,
    engine: str = DEFAULT_ENGINE,
    timing_only: bool = False,
    reuse_blocks: bool = False,
    residency: bool = True,
    least: Least = "time",
    trace: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Compile a compressed network, execute it and report; parameters and errors as for `run`."""
    prepared = prepared.fitting(machine)
    if reuse_blocks:
        program, execution = _reuse(prepared, machine, engine, progress, least=least)
    else:
        program, execution = _simulate(
            prepared, machine, engine, progress, timing_only=timing_only, residency=residency, least=least
        )
    if not timing_only:
        _tell(progress, "computing the reference")
    golden = None if timing_only else _reference(prepared, machine)
    network = prepared.network
    samples = len(network.inputs[0])
    origin = Origin(prepared.origin_sha256, network.seed, timing_only, network.calibrated_on, samples)
    result = summarize(program, execution, machine, technology, golden, prepared.recipe, origin)
    if trace:
        _write_trace(trace, program, machine, execution, progress)
    return result


def timed(
    prepared: Prepared,
    machine: Machine,
    *,
    engine: str = DEFAULT_ENGINE,
    residency: bool = True,
    least: Least = "time",
) -> tuple[Program, Execution]:
    """Compile a compressed network and execute it for its times alone."""
    return _simulate(
        prepared.fitting(machine), machine, engine, None, timing_only=True, residency=residency, least=least
    )


def critical_path(program: Program, machine: Machine, execution: Execution) -> dict[tuple[str, str, str], int]:
    """Cycles of the critical path by layer, unit and what the unit does, in order of layers."""
    found: dict[tuple[int, str, str], int] = {}
    for link in paths.of(program, machine, execution):
        key = (link.layer, link.unit, link.what)
        found[key] = found.get(key, 0) + link.end - link.start
    names = execution.layer_names
    return {(names[layer], unit, what): found[layer, unit, what] for layer, unit, what in sorted(found)}


def compile_workload(
    workload: str | Source,
    arch: str,
    recipe: str | None = None,
    *,
    residency: bool = True,
    least: Least = "time",
    progress: Progress | None = None,
) -> Program:
    """Compile a network for a machine and verify the program; arguments and errors as for `run`."""
    machine = load_machine(arch)
    chosen = load_recipe(recipe) if recipe else load_recipe(machine.default_recipe, arch)
    compile_kernels([], progress=progress)
    _tell(progress, "loading")
    executed = _fitting(_executed(workload, chosen, given=bool(recipe)), machine)
    named = _named(progress, "compiling")
    with _of_machine(arch):
        program = compile_graph(
            executed.graph, executed.inputs, machine, chosen.name, named, residency=residency, least=least
        )
    verify(program, machine)
    return program


def plan(
    workload: str | Source,
    arch: str = DEFAULT_ARCH,
    recipe: str | None = None,
    *,
    tech: str | None = None,
    fields: Mapping[str, Any] = NOTHING,
    residency: bool = True,
    least: Least = "time",
    progress: Progress | None = None,
) -> Plan:
    """What the compiler decides about a network on a machine: tiles, what stays on chip, and the DRAM bytes of it.

    No instruction is formed. Arguments and errors as for `run`.
    """
    machine, _, chosen = read(arch, recipe, tech, fields)
    values = needs_values(machine, chosen, timing_only=True)
    _tell(progress, "loading")
    source = with_workload(workload, fields)
    executed = _fitting(_executed(source, chosen, given=bool(recipe), values=values), machine)
    named = _named(progress, "planning")
    given = executed.graph, executed.inputs, machine, chosen.name, named
    with _of_machine(arch):
        lowering = planned(*given, residency=residency, least=least)
    return told(lowering, machine)


def graph(workload: str | Source, recipe: str | None = None) -> Graph:
    """Graph of a network in real numbers, or as a recipe types it; arguments and errors as for `run`."""
    if recipe is None:
        return load_network(workload, values=False).graph
    return _executed(workload, load_recipe(recipe)).graph


def evaluate(
    workload: str | Source = DEFAULT_WORKLOAD, recipe: str | None = None, *, progress: Progress | None = None
) -> Evaluation:
    """What a network's outputs are worth, by the golden interpreter: no machine, no cycles.

    Parameters
    ----------
    recipe
        Shipped name or path; without one the network is evaluated in real numbers, or as it is if it comes quantized.
        Sums of floats are folded as the machine does that the recipe is meant for.

    Raises
    ------
    AccelSimError
        If any input is not valid.
    """
    chosen = load_recipe(recipe) if recipe else None
    _tell(progress, "loading")
    network = load_network(workload)
    if chosen is None and network.is_typed:
        chosen = load_recipe(STORED)
    outputs, real_outputs = network.graph.outputs, None
    if not network.is_typed:
        _tell(progress, "computing in real numbers")
        # texts take long; what is rounded there is far below what tokens differ by
        precision: real.Precision = "float32" if isinstance(network.task, Language) else "float64"
        real_outputs = real.evaluate(network.graph, network.inputs, outputs, precision=precision)
    if chosen is None:
        assert real_outputs is not None  # noqa: S101 - the network is in real numbers
        graph, numbers = network.graph, real_outputs
    else:
        begun = load_network(workload, chosen.weights) if chosen.weights else network
        _tell(progress, compressing(chosen))
        typed = prepare(network, begun, chosen).typed
        _tell(progress, "computing as the machine does")
        fold_inputs = load_machine(chosen.arch or DEFAULT_ARCH).fold_inputs
        graph, numbers = typed.graph, exact.evaluate(typed.graph, typed.inputs, fold_inputs)
    first = graph.outputs[0]
    given = graph[first].element.dequantize(numbers[first])
    wanted = real_outputs[outputs[0]].astype(np.float64) if real_outputs and chosen else None
    summary = Evaluated(
        workload=network.name,
        recipe=chosen.name if chosen else None,
        samples=len(network.inputs[0]),
        quality=judged(network.task, wanted, given),
        provenance={
            "versions": provenance.versions(),
            "inputs_sha256": dict(network.sha256),
            "calibration": network.calibrated_on,
            "recipe": chosen.model_dump(mode="json") if chosen else None,
            "seed": network.seed,
        },
    )
    return Evaluation(summary, arrays(graph, numbers, network.orders))


def machines_for(workload: str | Source, recipe: str) -> list[str]:
    """Shipped machines that can execute a network as a recipe compresses it; arguments and errors as for `run`."""
    executed = _executed(workload, load_recipe(recipe))
    names = shipped.names("arch")
    machines = {name: load_machine(name) for name in names}
    return [name for name, on in machines.items() if can_execute(for_machine(executed.graph, on), executed.inputs, on)]


def execute(
    program: Program,
    arch: str | None = None,
    *,
    engine: str = DEFAULT_ENGINE,
    trace: Path | None = None,
    progress: Progress | None = None,
    file: str = "",
) -> RunResult:
    """Verify and execute a program on a machine; quality is not known then.

    Parameters
    ----------
    arch
        Shipped name or path; None for the shipped machine that the program was compiled for.
    engine
        Name of the engine that simulates.
    trace
        File for a trace that Perfetto opens, see `report.perfetto`.
    file
        Name of the program's file for the text of faults, if it has one.

    Raises
    ------
    AccelSimError
        If the machine is not valid, or `verify` rejects the program for it.
    """
    machine = load_machine(arch) if arch else compiled_for(program)
    technology = load_prices(machine, arch or "")
    compile_kernels([machine], engine=engine, progress=progress)
    execution = ENGINES[engine](program, machine, _named(progress, "simulating"), file)
    result = summarize(program, execution, machine, technology, None, None, Origin({"program": program.digest}))
    if trace:
        _write_trace(trace, program, machine, execution, progress)
    return result


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


def stored_or(recipe: Recipe, network: Network) -> Recipe:
    """A machine's recipe, or that of networks that are quantized already."""
    return load_recipe(STORED) if network.is_typed else recipe


def _executed(workload: str | Source, recipe: Recipe, *, given: bool = True, values: bool = True) -> Compiled:
    """What is compiled of a workload by a recipe; synthetic weights are drawn if their values matter.

    Parameters
    ----------
    given
        Whether the recipe was asked for; else a network that is quantized already has its own types.
    """
    network = load_network(workload, recipe.weights, values=values)
    if not given:
        recipe = stored_or(recipe, network)
    return _compacted(_typed(rewritten(network, recipe), recipe), recipe)


def _typed(network: Network, recipe: Recipe) -> Compiled:
    """A rewritten network in a recipe's types; inputs of a network without numbers have none either."""
    graph = quantize(network, recipe)
    pairs = zip((graph[name].element for name in graph.inputs), network.inputs, strict=True)
    if not graph.has_numbers:
        return Compiled(graph, tuple(without_numbers(element.dtype, x.shape) for element, x in pairs))
    # integers of an input that is quantized already are what they are
    return Compiled(graph, tuple(x if x.dtype.kind in "iu" else element.quantize(x) for element, x in pairs))


def _compacted(typed: Compiled, recipe: Recipe) -> Compiled:
    """What is compiled of a typed graph; of a compacted one the host leaves in DRAM what survives of the inputs."""
    if not recipe.compact:
        return typed
    smaller = compact(typed.graph)
    return Compiled(smaller, surviving(smaller, typed.inputs))


def _simulate(
    prepared: Prepared,
    machine: Machine,
    engine: str,
    progress: Progress | None,
    left_out: range = range(0),
    *,
    timing_only: bool,
    residency: bool,
    least: Least = "time",
) -> tuple[Program, Execution]:
    """Compile a graph and execute it, some fusions left out."""
    graph, inputs, recipe = prepared.executed.graph, prepared.executed.inputs, prepared.recipe.name
    program = compile_graph(
        graph, inputs, machine, recipe, _named(progress, "compiling"), left_out, residency=residency, least=least
    )
    return program, ENGINES[engine](program, machine, _named(progress, "simulating"), timing_only=timing_only)


def _reuse(
    prepared: Prepared, machine: Machine, engine: str, progress: Progress | None, *, least: Least
) -> tuple[Program, Execution]:
    """Simulate some of the blocks of a network that repeat and copy the others; all if they can't be copied.

    All values go through DRAM, so that no block differs from another one by what stays on chip.

    Returns
    -------
    The program that was executed, and the execution of all layers.
    """
    graph = prepared.executed.graph
    blocks = alike.find(graph, prepared.executed.inputs, machine, reuse.SIMULATED)
    if blocks:
        left_out = blocks.left_out(reuse.SIMULATED)
        program, execution = _simulate(
            prepared, machine, engine, progress, left_out, timing_only=True, residency=False, least=least
        )
        try:
            return program, reuse.extend(execution, program, machine, blocks, [layer.name for layer in layers(graph)])
        except UnsteadyError as error:
            logger.warning("all %d blocks are simulated: %s", blocks.repeats, error)
    program, execution = _simulate(prepared, machine, engine, progress, timing_only=True, residency=False, least=least)
    return program, reuse.none(execution, blocks)


def _reference(prepared: Prepared, machine: Machine) -> Reference:
    """What numpy computes, in the graph's types and in real numbers.

    Hidden values are held against what the recipe begins with and rewrites, the outputs against the network as it was
    trained without any compression.
    """
    network, rewrote, typed = prepared.network, prepared.rewrote, prepared.typed
    expected = exact.evaluate(typed.graph, typed.inputs, machine.fold_inputs)
    if network.is_typed:
        graph, different = network.graph, None
        if graph is not typed.graph:
            different = differences(graph, exact.evaluate(graph, typed.inputs, machine.fold_inputs), expected)
        return Reference(network, typed.graph, expected, {}, different)
    found = dict(real.evaluate(rewrote.graph, rewrote.inputs))
    if rewrote is not network:
        found |= real.evaluate(network.graph, network.inputs, network.graph.outputs)
    return Reference(network, typed.graph, expected, found)


def _write_trace(
    trace: Path, program: Program, machine: Machine, execution: Execution, progress: Progress | None
) -> None:
    """Write what each unit did for Perfetto."""
    found = spans.of_units(program, machine, execution)
    perfetto.write(trace, program, machine, execution, found, _named(progress, "writing the trace"))


def _tell(progress: Progress | None, what: str) -> None:
    """Say what begins, of which nobody knows the amount."""
    if progress:
        progress(what, 0, 0)


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, of: progress(what, done, of)) if progress else None
