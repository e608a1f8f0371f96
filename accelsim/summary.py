"""From an execution to its summary: joules, roofs, and quality, for each layer and in total."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim import provenance
from accelsim.compress.quantize.nearest import Difference
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, Technology
from accelsim.cost import energy, static
from accelsim.cost.roofline import roofline
from accelsim.golden import quality
from accelsim.golden.task import Task
from accelsim.graph.graph import Graph
from accelsim.graph.ops.cast import Cast
from accelsim.isa.opcodes import DECODE
from accelsim.isa.program import LayerInfo, Program, RegionInfo
from accelsim.isa.vector_work import vector_work
from accelsim.outputs import arrays
from accelsim.results import (
    Bytes,
    BytesOfAll,
    Compression,
    DramFigures,
    Execution,
    LayerResult,
    LayerTiling,
    LayerTimes,
    Macs,
    Measured,
    Quality,
    Rounded,
    RunResult,
    Summary,
)
from accelsim.sim.occupancy import occupancy
from accelsim.workload.network import Network

#: Bits of a weight that is not compressed.
DENSE_BITS = 32

CountsT = TypeVar("CountsT", Macs, Bytes)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a run's outputs are held against.

    Parameters
    ----------
    network
        Float network, with labels and test inputs.
    typed
        Typed graph before compaction, whose elements give numbers their real values.
    exact, real
        Numbers of all values of the typed and of the float graph, by name, all features; `real` is empty for a
        network that is quantized already and has no float graph.
    different
        What of the integers of such a network a machine without float32 scales makes others; None on all others.
    """

    network: Network
    typed: Graph
    exact: Mapping[str, NDArray[np.generic]]
    real: Mapping[str, NDArray[np.float64]]
    different: Mapping[str, Difference] | None = None

    def real_of(self, name: str) -> NDArray[np.float64] | None:
        """Numbers that a typed value stands for; of a conversion that the float graph lacks, what it converts.

        What a node forms before such a conversion has a name of its own, but the node has that of the float graph's.
        None of what the float graph lacks otherwise, and a machine without addresses for it has the host form: copies
        of a rotary table.
        """
        outputs = {node.name: node.output for node in self.network.graph.nodes}
        while name not in self.real:
            node = self.typed.producer(name)
            if node is None or not (isinstance(node.op, Cast) or node.name in outputs):
                return None
            name = node.inputs[0] if isinstance(node.op, Cast) else outputs[node.name]
        return self.real[name]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run was asked to do, and from what.

    Parameters
    ----------
    sha256
        SHA-256 of each input, by name.
    seed
        Seed of a synthetic network, or None.
    timing_only
        Whether no outputs were asked for.
    calibration
        What the activations' ranges are from; None if that is not known.
    samples
        Test inputs; None of a program.
    """

    sha256: Mapping[str, str]
    seed: int | None = None
    timing_only: bool = False
    calibration: str | None = None
    samples: int | None = None


def summarize(
    program: Program,
    execution: Execution,
    machine: Machine,
    technology: Technology,
    golden: Reference | None,
    recipe: Recipe | None,
    origin: Origin,
) -> RunResult:
    """Price an execution, place it below the roofs, and hold its outputs against the references.

    Parameters
    ----------
    golden
        References, or None if they are not known.
    recipe
        Recipe that compressed the network, or None if only its name is known.
    """
    header = program.header
    times = execution.layer_times()
    charged = [
        static.with_static(part, cycles, technology, machine)
        for part, cycles in zip(execution.counters, times.cycles.tolist(), strict=True)
    ]
    prices = energy.Prices(technology, machine)
    infos = _infos(program, execution)
    moved = not header.timing_only and (not origin.timing_only or _data_decide(program, machine))
    layers = [
        _layer(i, info, charged[i], times, program, execution, machine, prices, golden, numbers, moved=moved)
        for i, (info, numbers) in enumerate(zip(infos, _vector_work(program, execution), strict=True))
    ]
    array_cycles = sum(layer.array_cycles for layer in layers)
    configuration: dict[str, Any] = {
        "machine": machine.model_dump(mode="json"),
        "technology": technology.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json") if recipe else None,
    }
    counters: Counters = {}
    for part in charged:
        for event, count in part.items():
            counters[event] = counters.get(event, 0) + count
    figures = _figures(
        machine,
        cycles=execution.cycles,
        active=execution.cycles,
        array_active=array_cycles,
        array_cycles=array_cycles,
        macs=_sum(Macs, [layer.macs for layer in layers]),
        pairs=energy.pairs(counters, machine),
        vector_work=sum(layer.vector_work for layer in layers),
        host_operations=sum(layer.host_operations for layer in layers),
        moved=_sum(Bytes, [layer.bytes for layer in layers]),
        units=_units(execution, execution.attribution.sum(axis=0)),
    )
    all_bytes = BytesOfAll(**dict(figures.pop("bytes")), compulsory=header.compulsory_bytes)
    energy_pj, seconds = energy.total(layer.energy_pj for layer in layers), figures["seconds"]
    joules = energy_pj.total * 1e-12
    summary = Summary(
        **figures,
        bytes=all_bytes,
        power_w=joules / seconds if seconds else None,
        energy_delay_js=joules * seconds,
        energy_per_sample_pj=energy_pj.total / origin.samples if origin.samples else None,
        samples_per_s=origin.samples / seconds if origin.samples and seconds else None,
        residency=header.residency,
        least=header.least,
        energy_pj=energy_pj,
        compression=_compression(infos),
        counters=energy.price(counters, prices),
        quality=_quality(golden, program, execution),
        bit_exact=all(layer.bit_exact for layer in layers) if golden else None,
        rounded=_rounded(golden),
        workload=header.workload,
        arch=machine.name,
        recipe=header.recipe,
        tech=technology.name,
        scope=technology.scope,
        engine=execution.engine,
        timing_only=origin.timing_only or header.timing_only,
        instructions=len(execution.timeline.unit),
        samples=origin.samples,
        dram=_dram(execution),
        reuse=execution.reuse,
        layers=layers,
        provenance={
            "versions": provenance.versions(),
            "inputs_sha256": dict(origin.sha256),
            "program_sha256": program.digest,
            "configuration": configuration,
            "configuration_sha256": provenance.content_hash(configuration),
            "seed": origin.seed,
            "calibration": origin.calibration,
        },
    )
    copied = execution.sources is not None
    outputs = _outputs(golden, program, execution) if golden else {}
    return RunResult(summary, execution, None if copied else partial(occupancy, program, machine, execution), outputs)


def _rounded(golden: Reference | None) -> Rounded | None:
    """What the nearest M 2^shift makes different of a file's integers, all together."""
    if golden is None or golden.different is None:
        return None
    parts = golden.different.values()
    return Rounded(
        different=sum(part.different for part in parts),
        numbers=sum(part.numbers for part in parts),
        largest=max((part.largest for part in parts), default=0),
    )


def _outputs(golden: Reference, program: Program, execution: Execution) -> dict[str, NDArray[Any]]:
    """The simulated outputs as arrays."""
    graph = golden.typed
    numbers = {}
    for name in graph.outputs:
        regions = program.header.regions_of(name)
        found = [(region, execution.numbers(region)) for region in regions]
        numbers[name] = _joined(found, golden.exact[name].shape)
    return arrays(graph, numbers, golden.network.orders)


def _infos(program: Program, execution: Execution) -> list[LayerInfo]:
    """What each layer is; a copied one is what it was copied from, under its own name.

    What a copied block reads of itself, or of the block before it, is that of its own copy; so is what the layers
    behind all copies read of the last ones.
    """
    infos, names, reuse = program.header.layers, execution.layer_names, execution.reuse
    if execution.sources is None or reuse is None:
        return infos
    numbers = {info.name: number for number, info in enumerate(infos)}
    copied = names.index(reuse.first_layer) + reuse.layers * (reuse.simulated - 2)  # first layer of the copied block
    found = []
    for number, source in enumerate(execution.sources.tolist()):
        moved, info = number - source, infos[source]
        reads = [
            names[numbers[name] + moved] if numbers.get(name, -1) >= copied - reuse.layers else name
            for name in info.reads
        ]
        own = f"{info.name}."  # nodes of a layer have its name before theirs
        nodes = [f"{names[number]}.{node.removeprefix(own)}" if node.startswith(own) else node for node in info.nodes]
        nodes = [names[number] if node == info.name else node for node in nodes]
        found.append(info.model_copy(update={"name": names[number], "nodes": nodes, "reads": reads}))
    return found


def _vector_work(program: Program, execution: Execution) -> list[int]:
    """Vector work of each layer; a copied one has that of what it was copied from."""
    work = vector_work(program)
    numbers: list[int] = (work if execution.sources is None else work[execution.sources]).tolist()
    return numbers


def _dram(execution: Execution) -> DramFigures | None:
    """What a banked DRAM did."""
    done = execution.activity
    if done is None:
        return None
    commands = int(done.reads.sum() + done.writes.sum())
    return DramFigures(
        reads=int(done.reads.sum()),
        writes=int(done.writes.sum()),
        activates=int(done.activates.sum()),
        precharges=done.precharges,
        refreshes=done.refreshes,
        row_hit_rate=int(done.read_hits.sum() + done.write_hits.sum()) / commands if commands else None,
        accepted=done.accepted_reads + done.accepted_writes,
        merged=done.merged_reads + done.merged_writes,
        forwarded=done.forwarded_reads,
        flush_cycles=execution.cycles - int(execution.timeline.end.max(initial=0)),
    )


def _data_decide(program: Program, machine: Machine) -> bool:
    """Whether what takes time depends on bytes, so that a run for its time alone moves them too."""
    return machine.matrix.skips_zeros or bool((program.instructions["opcode"] == DECODE).any())


def _layer(
    number: int,
    info: LayerInfo,
    counters: Counters,
    times: LayerTimes,
    program: Program,
    execution: Execution,
    machine: Machine,
    prices: energy.Prices,
    golden: Reference | None,
    vector_work: int,
    *,
    moved: bool,
) -> LayerResult:
    rows = energy.price(counters, prices)
    read, write = (machine.dram.burst_bytes * execution.requested[number]).tolist()
    requested = {"requested_read": read, "requested_write": write}
    executed = energy.products(counters)
    dense = info.dense_macs
    figures = _figures(
        machine,
        cycles=int(times.cycles[number]),
        active=int(times.active[number]),
        array_active=int(times.array_active[number]),
        array_cycles=int(times.array[number]),
        macs=Macs(
            dense=dense,
            executed=executed,
            skipped=max(0, dense - executed),
            skippable=max(0, dense - execution.effectual[number]) if moved else None,
        ),
        pairs=energy.pairs(counters, machine),
        vector_work=vector_work,
        host_operations=energy.host_operations(counters),
        moved=energy.moved(counters).model_copy(update=requested),
        units=_units(execution, execution.attribution[number]),
    )
    judged, exact = None, None
    if golden:
        known = golden.exact[info.output]
        regions = program.header.regions_of(info.output)
        found = [(region, execution.numbers(region)) for region in regions]
        exact = all(_identical(numbers, region.of_full(known)) for region, numbers in found)
        outputs = _joined(found, known.shape)
        real = golden.real_of(info.output) if golden.real else None
        if real is not None:
            wanted = regions[0].of_full(real) if len(regions) == 1 else real.reshape(outputs.shape)
            given = golden.typed[info.output].element.dequantize(outputs)
            judged = Quality(sqnr_db=quality.sqnr_db(wanted, given), cosine=quality.cosine(wanted, given), task=None)
    return LayerResult(
        **figures,
        energy_pj=energy.breakdown(rows),
        compression=_compression([info]),
        counters=rows,
        quality=judged,
        bit_exact=exact,
        name=info.name,
        nodes=info.nodes,
        reads=info.reads,
        unit=info.unit,
        shape=[info.m, info.k, info.n],
        dense_shape=list(info.dense_shape),
        span=[int(times.first[number]), int(times.last[number])],
        tiling=LayerTiling(m=info.m_tile, k=info.k_tile, n=info.n_tile, loops=info.loops, slots=info.slots),
    )


def _joined(found: Sequence[tuple[RegionInfo, NDArray[Any]]], shape: tuple[int, ...]) -> NDArray[Any]:
    """Numbers of a value from those of the regions that hold some of its rows or features."""
    if len(found) == 1:
        return found[0][1]
    joined = np.empty((math.prod(shape[:-1]), shape[-1]), found[0][1].dtype)
    for region, some in found:
        rows = slice(region.first_row, region.first_row + region.rows)
        joined[rows, slice(None) if region.features is None else region.features] = some
    return joined


def _identical(outputs: NDArray[np.generic], expected: NDArray[np.generic]) -> bool:
    """Whether two tensors are the same, bit for bit; one NaN is as good as another."""
    if outputs.dtype != np.float32:
        return bool(np.array_equal(outputs, expected))
    same = np.ascontiguousarray(outputs).view(np.int32) == np.ascontiguousarray(expected).view(np.int32)
    return bool((same | (np.isnan(outputs) & np.isnan(expected))).all())


def _figures(
    machine: Machine,
    *,
    cycles: int,
    active: int,
    array_active: int,
    array_cycles: int,
    macs: Macs,
    pairs: float,
    vector_work: int,
    host_operations: int,
    moved: Bytes,
    units: dict[str, dict[str, int]],
) -> dict[str, Any]:
    """Fields of `Figures` that follow from time and work.

    Layers overlap, so rates are taken over the cycles in which a layer's work is really done.
    """
    return {
        "cycles": cycles,
        "seconds": cycles / machine.clock_hz,
        "active_cycles": active,
        "array_cycles": array_cycles,
        "macs": macs,
        "vector_work": vector_work,
        "host_operations": host_operations,
        "bytes": moved,
        "utilization": macs.executed / (active * machine.matrix.multipliers * pairs) if active else 0.0,
        "roofline": roofline(machine, macs, moved, active, array_active, units, pairs, vector_work, host_operations),
        "units": units,
    }


def _units(execution: Execution, attribution: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    """Cycles of each unit by state, states that never happened left out, and their total."""
    return {
        unit: {
            **{state: int(n) for state, n in zip(execution.states, row, strict=True) if n or state == "busy"},
            "total": int(row.sum()),
        }
        for unit, row in zip(execution.unit_names, attribution, strict=True)
    }


def _compression(layers: list[LayerInfo]) -> Compression:
    dense = DENSE_BITS * sum(layer.weights for layer in layers)
    stored = sum(layer.stored_bits for layer in layers)
    return Compression(dense_bits=dense, stored_bits=stored, ratio=dense / stored if stored else 1.0)


def _quality(golden: Reference | None, program: Program, execution: Execution) -> Quality | None:
    """Quality of the network's output, and of its task, from the simulated bytes; none of several outputs."""
    if golden is None or len(golden.typed.outputs) > 1:
        return None
    (name,) = golden.typed.outputs
    outputs = execution.numbers(program.header.region(name))
    given = golden.typed[name].element.dequantize(outputs).reshape(golden.exact[name].shape)
    return judged(golden.network.task, golden.real.get(name), given)


def judged(task: Task | None, real: NDArray[np.float64] | None, given: NDArray[np.float64]) -> Quality:
    """Quality of a network's first output.

    Parameters
    ----------
    real, given
        Real numbers of the float network's output, or None if there is no such network, and of the one that is judged.
    """
    sqnr, cosine = (None, None) if real is None else (quality.sqnr_db(real, given), quality.cosine(real, given))
    found = [
        Measured(
            name=measure.name,
            value=measure.value,
            reference=measure.reference,
            fraction=measure.fraction,
            lower_is_better=measure.lower,
        )
        for measure in (quality.measures(task, given, real) if task else [])
    ]
    return Quality(sqnr_db=sqnr, cosine=cosine, task=found[0] if found else None, measures=found[1:])


def _sum(kind: type[CountsT], parts: list[CountsT]) -> CountsT:
    """Sum of models whose fields are all counts; what one part does not know, the sum does not."""
    columns = {name: [getattr(part, name) for part in parts] for name in kind.model_fields}
    sums: dict[str, Any] = {name: None if None in column else sum(column) for name, column in columns.items()}
    return kind(**sums)
