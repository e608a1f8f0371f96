"""Explain a result: walk its critical path, and simulate machines of which one thing is twice as fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from accelsim import api
from accelsim.compress.recipe import Recipe
from accelsim.config import datapaths
from accelsim.config.arch import BankedDram, Machine, SimpleDram
from accelsim.config.load import wording
from accelsim.config.tech import Technology
from accelsim.errors import AccelSimError, Fault
from accelsim.explanation import Explanation, Gain, Part
from accelsim.report import sources
from accelsim.results import Summary
from accelsim.workload.source import Source, load_network

#: Fields of a machine by a dotted path, and what they become.
Changes = dict[str, float]
#: The network that a result names.
OF_RESULT = Source("")


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
    machine, technology, recipe = _configuration(summary, result)
    source = replace(source, name=source.name or summary.workload)
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
    trials = {name: changes for name, changes in twice(machine).items() if changes}
    rate = machine.host.operations_per_s
    if rate and summary.host_operations:
        trials["host's work"] = {"host.operations_per_s": 2 * rate}
    steps = len(trials) + 1

    def tell(done: int) -> None:
        if progress:
            progress("explaining", done, steps)

    tell(0)
    path, cycles = api.critical_path(prepared, machine, residency=summary.residency)
    gains = []
    for number, (name, changes) in enumerate(trials.items(), start=1):
        tell(number)
        gains.append(_gain(name, changes, cycles, prepared, machine, technology, residency=summary.residency))
    tell(steps)
    gains.sort(key=lambda gain: -(gain.saved or 0.0))
    return Explanation(
        workload=summary.workload,
        arch=machine.name,
        recipe=recipe.name,
        cycles=cycles,
        path=[Part(layer=layer, unit=unit, what=what, cycles=n) for (layer, unit, what), n in path.items()],
        gains=gains,
    )


def _run_of(result: Path) -> Summary:
    runs = sources.read(result).runs
    if len(runs) != 1:
        raise AccelSimError(Fault(f"must be the result of one run, not of {len(runs)}", str(result)))
    return runs[0]


def _configuration(summary: Summary, result: Path) -> tuple[Machine, Technology, Recipe]:
    """What the run was made with, as its provenance has it."""
    try:
        found = summary.provenance["configuration"]
        return (
            Machine.model_validate(found["machine"]),
            Technology.model_validate(found["technology"]),
            Recipe.model_validate(found["recipe"]),
        )
    except (KeyError, TypeError):
        raise AccelSimError(Fault("must hold the configuration of its run, but does not", str(result))) from None
    except ValidationError as error:
        raise AccelSimError(*(Fault(wording(x), str(result)) for x in error.errors()[:5])) from None


def twice(machine: Machine) -> dict[str, Changes]:
    """Fields that make one thing twice as fast, by its name; none where the machine lacks it or it has no limit."""
    pads = (*machine.scratchpads, "accumulator")
    wide = {
        f"{pad}.width_bits": 2 * getattr(machine, pad).width_bits for pad in pads if not getattr(machine, pad).ideal
    }
    host: Changes = {"host.queue_depth": 2 * machine.host.queue_depth}
    if machine.host.issue_interval_cycles > 1:
        host["host.issue_interval_cycles"] = machine.host.issue_interval_cycles // 2
    elif machine.host.issue_interval_cycles:
        host["host.issue_interval_cycles"] = 0
    decode: Changes = {}
    if machine.decode:
        names = ("symbols_per_cycle", "outputs_per_cycle", "huffman_decoders")
        decode = {f"decode.{name}": min(255, 2 * getattr(machine.decode, name)) for name in names}
    link = machine.host.io_bandwidth_bytes_per_s
    array = _array(machine)
    return {
        "array": array,
        # an array's sums and operands need ports as wide as it is
        "array and scratchpad": array | wide if wide else {},
        "bandwidth": _bandwidth(machine),
        "scratchpad": wide,
        "vector": {"vector.lanes": 2 * machine.vector.lanes},
        "decode": decode,
        "host": host if machine.host.issue_interval_cycles else {},
        "link": {"host.io_bandwidth_bytes_per_s": 2 * link} if link else {},
    }


def _array(machine: Machine) -> Changes:
    match machine.matrix:
        case datapaths.TensorCore() as matrix:
            return {"matrix.cores": 2 * matrix.cores}
        case datapaths.SparseLanes() as matrix:
            return {"matrix.lanes": 2 * matrix.lanes}
        case matrix:
            return {"matrix.columns": 2 * matrix.columns}


def _bandwidth(machine: Machine) -> Changes:
    match machine.dram:
        case BankedDram(part=part):
            return {"dram.part.system.channels": 2 * part.system.channels}
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
    fields: dict[str, Any] = machine.model_dump()
    for path, value in changes.items():
        *above, name = path.split(".")
        section = fields
        for key in above:
            section = section[key]
        section[name] = value
    return Machine.model_validate(fields)


def _gain(
    name: str,
    changes: Changes,
    before: int,
    prepared: api.Prepared,
    machine: Machine,
    technology: Technology,
    *,
    residency: bool,
) -> Gain:
    """Simulate a changed machine."""
    try:
        other = changed(machine, changes)
        cycles = api.simulate(prepared, other, technology, timing_only=True, residency=residency).cycles
    except ValidationError as error:
        return Gain(twice=name, changed=changes, cycles=None, saved=None, why_not=wording(error.errors()[0]))
    except AccelSimError as error:
        return Gain(twice=name, changed=changes, cycles=None, saved=None, why_not=str(error.faults[0]))
    return Gain(twice=name, changed=changes, cycles=cycles, saved=1 - cycles / before)
