"""Explain a result: walk its critical path, and simulate machines of which one thing is twice as fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from accelsim import api
from accelsim.compress.recipe import Recipe
from accelsim.config import datapaths, fields
from accelsim.config.arch import BankedDram, Machine, SimpleDram
from accelsim.config.load import wording
from accelsim.errors import AccelSimError, Fault
from accelsim.explanation import Explanation, Gain, Part
from accelsim.isa.program import Program
from accelsim.report import sources
from accelsim.results import Summary
from accelsim.sim import fast
from accelsim.workload.source import Source, load_network

#: Fields of a machine by a dotted path, and what they become.
Changes = dict[str, float | str]
#: Of what a unit does, by both their names, the share of its time that goes where something is twice as fast; a name
#: alone is what any unit does. The waits for a DRAM may go whole: a transfer that waits half of the time as long as
#: its port is busy, waits no more. Where two bursts come in a cycle it is busy half as long, too.
Shares = dict[tuple[str, str] | str, float]
_DMAS = ("load", "store", "io")
_MEMORY: Shares = {
    "memory": 1.0,
    **{(unit, "in flight"): 1.0 for unit in _DMAS},
    **{(unit, "busy"): 0.5 for unit in _DMAS},
}
_PORTS: Shares = {"busy": 0.5, "in flight": 0.5}
_VECTOR: Shares = {("vector", "busy"): 0.5, ("vector", "in flight"): 0.5}
_DECODE: Shares = {("decode", "busy"): 0.5, ("decode", "in flight"): 0.5}
_ISSUE: Shares = {("host", "busy"): 1.0}
_IO: Shares = {("io", "busy"): 0.5, ("io", "in flight"): 0.5}
#: The network that a result names.
OF_RESULT = Source("")


@dataclass(frozen=True, slots=True)
class Trial:
    """Something of a machine that is twice as fast.

    Parameters
    ----------
    name, changes
        What it is, and the fields of the machine that make it so.
    shares
        What it shortens of the critical path, if the program stays as it is. Without, the network is compiled again,
        and nothing is known but that half of such an array takes at most twice the time.
    """

    name: str
    changes: Changes
    shares: Shares | None

    @property
    def compiled(self) -> bool:
        """Whether the network is compiled again."""
        return self.shares is None

    def shortens(self, part: Part) -> float:
        """The most of a part's time that it takes away, as a fraction."""
        if self.shares is None:
            return 0.5
        # a start that is seen a cycle later hangs on which other units wait
        return 1.0 if part.what == "port" else self.shares.get((part.unit, part.what), self.shares.get(part.what, 0.0))


def explain(
    result: Path, source: Source = OF_RESULT, *, progress: Callable[[str, int, int], None] | None = None
) -> Explanation:
    """Run a kept result's program again and say what its time consists of.

    Parameters
    ----------
    result
        A result.json, or the folder that holds it.
    source
        Its network, as it was asked for, if that is no shipped one; without a name that which the result names.
    progress
        Called with what is going on, how many simulations are done, and of how many.

    Raises
    ------
    AccelSimError
        If the file is not a run's result, or the workload is not the one that it was made from.
    """
    summary = _run_of(result)
    machine, recipe = _configuration(summary, result)
    source = replace(source, name=source.name or summary.workload)
    network = load_network(source)
    if source.batch is None and summary.samples not in {None, len(network.inputs[0])}:
        source = replace(source, batch=summary.samples)
        network = load_network(source)
    begun = load_network(source, recipe.weights) if recipe.weights else network
    api.compile_kernels([machine], timing_only=True, progress=progress)
    prepared = api.prepare(network, begun, recipe)
    if prepared.origin_sha256 != summary.provenance.get("inputs_sha256"):
        raise AccelSimError(
            Fault(
                f"must be a result of {source} as it is now; --workload names another",
                str(result),
            )
        )
    trials = [trial for trial in twice(machine) if trial.changes]
    rate = machine.host.operations_per_s
    if rate and summary.host_operations:
        trials.append(Trial("host's work", {"host.operations_per_s": 2 * rate}, _IO))
    steps = len(trials) + 1

    def tell(done: int) -> None:
        if progress:
            progress("explaining", done, steps)

    tell(0)
    program, execution = api.timed(prepared, machine, residency=summary.residency, least=summary.least)
    found = api.critical_path(program, machine, execution)
    path = [Part(layer=layer, unit=unit, what=what, cycles=n) for (layer, unit, what), n in found.items()]
    gains = []
    for number, trial in enumerate(trials, start=1):
        tell(number)

        def again(other: Machine) -> int:
            return api.timed(prepared, other, residency=summary.residency, least=summary.least)[1].cycles

        gains.append(_gain(trial, path, machine, program, again if trial.compiled else None))
    tell(steps)
    gains.sort(key=lambda gain: -(gain.saved or 0.0))
    return Explanation(
        workload=summary.workload,
        arch=machine.name,
        recipe=recipe.name,
        cycles=execution.cycles,
        path=path,
        gains=gains,
    )


def _run_of(result: Path) -> Summary:
    runs = sources.read(result).runs
    if len(runs) != 1:
        raise AccelSimError(Fault(f"must be the result of one run, not of {len(runs)}", str(result)))
    return runs[0]


def _configuration(summary: Summary, result: Path) -> tuple[Machine, Recipe]:
    """What the run was made with, as its provenance has it."""
    try:
        found = summary.provenance["configuration"]
        return (
            Machine.model_validate(found["machine"]),
            Recipe.model_validate(found["recipe"]),
        )
    except (KeyError, TypeError):
        raise AccelSimError(Fault("must hold the configuration of its run, but does not", str(result))) from None
    except ValidationError as error:
        raise AccelSimError(*(Fault(wording(x), str(result)) for x in error.errors()[:5])) from None


def twice(machine: Machine) -> list[Trial]:
    """What could be twice as fast; without changes where the machine lacks it or it has no limit."""
    pads = (*machine.scratchpads, "accumulator")
    wide: Changes = {
        f"{pad}.width_bits": 2 * getattr(machine, pad).width_bits for pad in pads if not getattr(machine, pad).ideal
    }
    interval = machine.host.issue_interval_cycles
    decode: Changes = {}
    if machine.decode:
        names = ("symbols_per_cycle", "outputs_per_cycle", "huffman_decoders")
        decode = {f"decode.{name}": min(255, 2 * getattr(machine.decode, name)) for name in names}
    link = machine.host.io_bandwidth_bytes_per_s
    array = _array(machine)
    return [
        Trial("array", array, None),
        # an array's sums and operands need ports as wide as it is
        Trial("array and scratchpad", array | wide if wide else {}, None),
        Trial("bandwidth", _bandwidth(machine), _MEMORY),
        Trial("scratchpad", wide, _PORTS),
        Trial("vector", {"vector.lanes": 2 * machine.vector.lanes}, _VECTOR),
        Trial("decode", decode, _DECODE),
        Trial("host", {"host.issue_interval_cycles": interval // 2} if interval else {}, _ISSUE),
        Trial("link", {"host.io_bandwidth_bytes_per_s": 2 * link} if link else {}, _IO),
    ]


def _array(machine: Machine) -> Changes:
    match machine.matrix:
        case datapaths.TensorCore() as matrix:
            return {"matrix.cores": 2 * matrix.cores}
        case datapaths.SparseLanes() as matrix:
            return {"matrix.lanes": 2 * matrix.lanes}
        case matrix:
            return {"matrix.columns": 2 * matrix.columns}


def _bandwidth(machine: Machine) -> Changes:
    """Twice the channels; bursts that follow each other are on one after the other, or a stream would stay in one."""
    match machine.dram:
        case BankedDram(part=part):
            return {
                "dram.part.system.channels": 2 * part.system.channels,
                "dram.part.system.address_mapping": part.system.address_mapping.replace("ch", "") + "ch",
            }
        case SimpleDram() as dram:
            return {"dram.bandwidth_bytes_per_s": 2 * dram.bandwidth_bytes_per_s}
        case _:
            return {}


def changed(machine: Machine, changes: Changes) -> Machine:
    """A machine with fields replaced.

    Raises
    ------
    ValidationError
        If there is no such machine.
    """
    return Machine.model_validate(fields.changed(machine.model_dump(), changes))


def _gain(
    trial: Trial, path: list[Part], machine: Machine, program: Program, again: Callable[[Machine], int] | None
) -> Gain:
    """Simulate a changed machine: the run's program on it, and where `again` is given what it compiles too."""
    before = sum(part.cycles for part in path)
    told = Gain(
        twice=trial.name,
        changed=trial.changes,
        compiled=again is not None,
        cycles=None,
        saved=None,
        at_most=sum(part.cycles * trial.shortens(part) for part in path) / before,
    )
    try:
        other = changed(machine, trial.changes)
    except ValidationError as error:
        return told.model_copy(update={"why_not": wording(error.errors()[0])})
    known: list[int] = []
    why_not = ""
    for run in (partial(_as_it_is, program), again):
        try:
            known += [run(other)] if run else []
        except AccelSimError as error:
            why_not = str(error.faults[0])
    if not known:
        return told.model_copy(update={"why_not": why_not})
    return told.model_copy(update={"cycles": min(known), "saved": 1 - min(known) / before})


def _as_it_is(program: Program, machine: Machine) -> int:
    return fast.execute(program, machine, timing_only=True).cycles
