"""What a simulation returns, and what a run reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.config.model import Frozen, quantity
from accelsim.config.tech import Counters
from accelsim.files import Files, write_all
from accelsim.memory.activity import Activity
from accelsim.outputs import write_arrays
from accelsim.shown import Shown, Told
from accelsim.units import si

if TYPE_CHECKING:
    import pandas as pd

Int64 = NDArray[np.int64]

#: Operations of a multiply-accumulate.
OPS_PER_MAC = 2
#: Files of a result in its folder.
OUTPUTS = "outputs.npz"
FILES = ("result.json", "layers.parquet", "timeline.parquet", "occupancy.parquet")


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each instruction happened; arrays of shape (n,), in program order.

    Parameters
    ----------
    unit, opcode, layer
        int64 numbers into the execution's names.
    issue, start, free, end
        int64 cycles: issued by the host, started, its unit ready for the next, its results visible. Half open: the
        instruction occupies its unit in [start, free).
    waited
        int64 cycles of [start, free) in which a transfer waited for memory; 0 for other instructions.
    """

    unit: Int64
    opcode: Int64
    layer: Int64
    issue: Int64
    start: Int64
    free: Int64
    end: Int64
    waited: Int64

    def layer_cycles(self, layers: int, total: int) -> Int64:
        """What each layer adds to the running maximum of ends; the last one carries what comes after all ends.

        Instructions of a layer that follow each other add as one; those of strips come back.
        """
        cycles = np.zeros(layers, np.int64)
        if len(self.layer):
            begins = np.flatnonzero(np.diff(self.layer, prepend=-1))
            reached = np.maximum.accumulate(np.maximum.reduceat(self.end, begins))
            np.add.at(cycles, self.layer[begins], np.diff(reached, prepend=0))
        cycles[-1:] += total - cycles.sum()
        return cycles


class Spans(NamedTuple):
    """What a unit does, one thing after the other without gaps; arrays of int64, shape (spans,), in order.

    Parameters
    ----------
    instruction
        Number in the program of what is executed, waited with, or first issued; -1 behind the last one.
    layer
        Number of the layer that the cycles are charged to.
    state
        Number into the execution's states.
    semaphore
        Number of the semaphore that is waited for, -1 if it is none.
    start, end
        Core cycles, half open.
    """

    instruction: Int64
    layer: Int64
    state: Int64
    semaphore: Int64
    start: Int64
    end: Int64


class Held(NamedTuple):
    """What an on-chip memory holds over time.

    Parameters
    ----------
    memory, capacity_bytes
        Name and size.
    cycle
        Core cycles in which the parts of the run begin, int64, shape (parts,).
    kept, tiles
        Bytes of values that stay, and of tiles in their slots, when both together are the most of that part.
    """

    memory: str
    capacity_bytes: int
    cycle: Int64
    kept: Int64
    tiles: Int64


class Readable(Protocol):
    """A value that bytes hold, as a program's header tells it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def address(self) -> int:
        """Its first byte."""

    def read(self, dram: NDArray[np.uint8], /) -> NDArray[np.generic]:
        """Its numbers."""


@dataclass(frozen=True)
class Dram:
    """The DRAM after a run, of which the first bytes may still be those of the program's image.

    Parameters
    ----------
    image
        Those bytes.
    array
        All bytes, zeros in the place of those.
    """

    image: NDArray[np.uint8]
    array: NDArray[np.uint8]

    @cached_property
    def bytes(self) -> NDArray[np.uint8]:
        """All bytes."""
        self.array[: self.image.size] = self.image
        return self.array

    def read(self, value: Readable) -> NDArray[np.generic]:
        """Numbers of a value, which no other bytes are fetched for."""
        return value.read(self.array if value.address >= self.image.size else self.bytes)


#: No bytes.
NO_DRAM = Dram(np.zeros(0, np.uint8), np.zeros(0, np.uint8))


@dataclass(frozen=True, slots=True)
class Execution:
    """What an engine returns.

    Parameters
    ----------
    cycles
        Core cycles from the first issue until the last instruction has ended and the DRAM has served all writes.
    attribution
        int64, shape (layers, units, states): cycles that a unit spent in a state for a layer's instructions. Over
        layers and states they sum to `cycles` for each unit.
    counters
        Events of each layer.
    effectual
        Products of each layer whose factors are both nonzero.
    kept
        Numbers of the values that stayed on chip, by name, when they were whole; shape (samples, features).
    memory
        The DRAM after the run; without bytes if none were moved.
    grants
        int8, shape (bursts,): number of the unit that each DRAM burst was granted to, in order.
    requested
        int64, shape (layers, 2): bursts that each layer's transfers asked to be read, and to be written.
    tail
        int64, shape (layers,): cycles that the DRAM needs at its full rate for the writes of a layer that still wait in
        its buffers when the layer's last transfer ends; for the last layer, for all dirty lines of a second level too.
    activity
        What a banked DRAM did, with layers as tags; else None.
    array_units
        Numbers of the units whose instructions make the array busy: preload and matrix.
    reuse
        Which blocks were copied; None if that was not asked for.
    sources
        int64, shape (layers,): number in the program of the layer that each layer is, or was copied from; None if the
        program has all of them.
    """

    engine: str
    cycles: int
    unit_names: tuple[str, ...]
    opcode_names: tuple[str, ...]
    layer_names: tuple[str, ...]
    states: tuple[str, ...]
    timeline: Timeline
    attribution: Int64
    counters: tuple[Counters, ...]
    effectual: tuple[int, ...]
    kept: Mapping[str, NDArray[np.generic]]
    memory: Dram
    grants: NDArray[np.int8]
    requested: Int64
    tail: Int64
    activity: Activity | None
    array_units: tuple[int, ...]
    reuse: Reuse | None = None
    sources: Int64 | None = None

    def numbers(self, value: Readable) -> NDArray[np.generic]:
        """Numbers of a value, in DRAM after the run, or on chip when it was whole; shape (samples, features)."""
        return self.kept[value.name] if value.name in self.kept else self.memory.read(value)

    @property
    def dram(self) -> NDArray[np.uint8]:
        """Bytes of the DRAM after the run; none if none were moved."""
        return self.memory.bytes

    def layer_times(self) -> LayerTimes:
        """When each layer ran, and for how long."""
        t, layers = self.timeline, len(self.layer_names)
        first, last = np.full(layers, self.cycles), np.zeros(layers, np.int64)
        np.minimum.at(first, t.layer, t.start)
        np.maximum.at(last, t.layer, t.end)
        array = np.isin(t.unit, self.array_units)
        return LayerTimes(
            cycles=t.layer_cycles(layers, self.cycles),
            active=_covered_by_layer(t.start, t.end, t.layer, layers) + self.tail,
            array=_first_covered(t.start[array], t.end[array], t.layer[array], layers),
            array_active=_covered_by_layer(t.start[array], t.end[array], t.layer[array], layers),
            first=np.minimum(first, last),
            last=last,
        )


class Reuse(Frozen):
    """Blocks of layers of which only some were simulated: of the others each is a copy of the last but one of those."""

    first_layer: str = quantity("name", "First layer of the first block")
    layers: int = quantity("count", "Layers of a block")
    repeats: int = quantity("count", "Blocks that follow each other")
    simulated: int = quantity("count", "Blocks that were simulated: all if none could be copied")
    exact: bool = quantity("flag", "Whether the result is proven to be that of a simulation of all blocks")
    bound_cycles: int = quantity(
        "core cycles", "How far the run's cycles may be from those of a simulation of all blocks; 0 if exact"
    )


class LayerTimes(NamedTuple):
    """Core cycles of each layer; int64, shape (layers,).

    Parameters
    ----------
    cycles
        What the layer adds to the running maximum of ends, so that the layers sum to the total.
    active
        Cycles with an instruction of the layer between start and end, and those that the DRAM needs for the writes that
        it buffered: all its work is done in them. Layers may share cycles.
    array
        Cycles with a preload or matrix instruction between start and end; shared ones count for the first layer.
    array_active
        The same, shared ones counted for each layer.
    first, last
        First start and last end of the layer's instructions.
    """

    cycles: Int64
    active: Int64
    array: Int64
    array_active: Int64
    first: Int64
    last: Int64


def _first_covered(start: Int64, end: Int64, layer: Int64, layers: int) -> Int64:
    """Cycles that intervals cover, each counted for the first layer that covers it."""
    edges = np.sort(np.concatenate((start, end)))
    edges = edges[np.diff(edges, prepend=-1) > 0]  # as np.unique has them, whose hash table is slower than to sort
    low, high = np.searchsorted(edges, start), np.searchsorted(edges, end)
    owner = np.repeat(np.arange(len(start)), high - low)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    lowest = np.full(max(len(edges) - 1, 0), layers)
    np.minimum.at(lowest, low[owner] + step, layer[owner])
    return np.bincount(lowest, np.diff(edges), layers + 1)[:layers].astype(np.int64)


def _covered_by_layer(start: Int64, end: Int64, layer: Int64, layers: int) -> Int64:
    """Cycles that the intervals of each layer cover together."""
    order = np.argsort(layer, kind="stable")
    bounds = np.searchsorted(layer[order], np.arange(layers + 1))
    parts = [order[low:high] for low, high in pairwise(bounds.tolist())]
    return np.array([_covered(start[part], end[part]) for part in parts], np.int64)


def _covered(start: Int64, end: Int64) -> int:
    """Number of cycles that intervals cover together."""
    if not len(start):
        return 0
    order = np.argsort(start, kind="stable")
    begin, reach = start[order], np.maximum.accumulate(end[order])
    gaps = np.maximum(begin[1:] - reach[:-1], 0)
    return int(reach[-1] - begin[0] - gaps.sum())


class EnergyPj(Frozen):
    """Energy by component."""

    total: float = quantity("picojoules", "Sum of all components")
    mac: float = quantity("picojoules", "Products and sums of the array")
    register_file: float = quantity("picojoules", "Registers of the processing elements")
    sram: float = quantity("picojoules", "Scratchpads, accumulator and second level")
    dram: float = quantity("picojoules", "DRAM bursts, over-fetch included; by currents, rows and standby too")
    requantize: float = quantity("picojoules", "Bias, scale, rounding and zero point")
    decode: float = quantity("picojoules", "Expansion of stored weights")
    vector: float = quantity("picojoules", "Other work of the vector unit")
    host: float = quantity("picojoules", "Instruction issue, the link, and what the host computes")
    static: float = quantity("picojoules", "Leakage and clock of all components; 0 if the energy table has none")


class Macs(Frozen):
    """Multiply-accumulates."""

    dense: int = quantity("count", "Products that the network needs, before compaction")
    executed: int = quantity("count", "Products that multipliers really formed")
    skipped: int = quantity(
        "count", "Dense less executed; 0 where zeros are multiplied for channels that a filter does not read"
    )
    skippable: int | None = quantity(
        "count",
        "Products with a zero factor, or removed by compaction: what an ideal unit would skip; null if operands had no "
        "values",
    )


class Bytes(Frozen):
    """Bytes that memories really moved."""

    dram_read: int = quantity("bytes", "Whole bursts read from DRAM")
    dram_write: int = quantity("bytes", "Whole bursts written to DRAM")
    sram_read: int = quantity("bytes", "Whole words read from scratchpads, accumulator and second level")
    sram_write: int = quantity("bytes", "Whole words written to scratchpads, accumulator and second level")
    l2_read: int = quantity("bytes", "Those read from the second level; 0 without one", default=0)
    l2_write: int = quantity("bytes", "Those written to the second level, fills included; 0 without one", default=0)
    io: int = quantity("bytes", "What crossed the host's link")
    requested_read: int = quantity(
        "bytes",
        "Whole bursts that the DMA units and the host asked for; `dram_read` is less where the controllers of a banked "
        "DRAM serve several requests of a burst at once, and other where a second level stands between",
        default=0,
    )
    requested_write: int = quantity("bytes", "Whole bursts that they asked to be written, as for reads", default=0)


class BytesOfAll(Bytes):
    """Bytes of a whole run, and what of them no compiler can save."""

    compulsory: int | None = quantity(
        "bytes",
        "Each constant as stored, each input, output and state, once; null if a program does not say",
        default=None,
    )

    @property
    def ratio(self) -> float | None:
        """DRAM traffic over what is compulsory."""
        return (self.dram_read + self.dram_write) / self.compulsory if self.compulsory else None


class DramFigures(Frozen):
    """What a banked DRAM did; accepted = reads + writes + merged + forwarded."""

    reads: int = quantity("count", "Read commands, each a burst")
    writes: int = quantity("count", "Write commands, each a burst")
    activates: int = quantity("count", "Rows opened")
    precharges: int = quantity("count", "Rows closed")
    refreshes: int = quantity("count", "Refreshes of a rank")
    row_hit_rate: float | None = quantity(
        "ratio", "Commands to a row that was accessed since it was opened; null without any"
    )
    accepted: int = quantity("count", "Bursts that the DMA units requested, or the second level before the DRAM")
    merged: int = quantity("count", "Requests that another one's command served")
    forwarded: int = quantity("count", "Reads that a buffered write answered")
    flush_cycles: int = quantity("core cycles", "From the last instruction's end until all writes were served")


class Roofline(Frozen):
    """Where a layer stands below its roofs; work is two operations a multiply-accumulate."""

    ops_per_byte: float | None = quantity("operations a byte", "Executed work over DRAM bytes; null without bytes")
    attained_ops_per_s: float = quantity("operations a second", "Executed work over the active time")
    dense_ops_per_s: float = quantity("operations a second", "Dense-equivalent work over the active time")
    peak_ops_per_s: float = quantity(
        "operations a second", "All multipliers in every cycle, with the mix of types that they multiplied"
    )
    peak_bytes_per_s: float | None = quantity("bytes a second", "DRAM bandwidth; null if it is infinite")
    vector_ops_per_s: float = quantity("numbers a second", "Vector work over the active time", default=0.0)
    peak_vector_ops_per_s: float = quantity("numbers a second", "All lanes of the vector unit", default=0.0)
    bound: str = quantity("name", "compute, vector, memory, latency, fill_drain, host or decode")
    balance: float | None = quantity("ratio", "Compute time over memory time at the roofs; null if no bytes move")


class Compression(Frozen):
    """Size of the weights."""

    dense_bits: int = quantity("bits", "32 bits a weight")
    stored_bits: int = quantity("bits", "What stands in memory, scales and metadata included")
    ratio: float = quantity("ratio", "Dense over stored")


class Measured(Frozen):
    """How well the network does what it is for: a figure of its task."""

    name: str = quantity("name", "Measure")
    value: float = quantity("measure", "Of the simulated outputs")
    reference: float | None = quantity(
        "measure", "Of the float network on the same inputs; null for a network that has none"
    )
    fraction: bool = quantity("flag", "Whether it is a part of 1", default=True)
    lower_is_better: bool = quantity("flag", "Whether less is better", default=False)

    @property
    def score(self) -> float:
        """The value as what is better the more it is."""
        return -self.value if self.lower_is_better else self.value

    @property
    def in_unit(self) -> float:
        """The value in the unit of `title`: parts of 1 in percent."""
        return 100 * self.value if self.fraction else self.value

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name}, %" if self.fraction else self.name

    def shown(self, value: float | None) -> str:
        """A value of the measure for a reader."""
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if self.fraction else f"{value:.4g}"


class Rounded(Frozen):
    """What of a quantized file's integers a machine makes others, because it multiplies by M 2^shift alone."""

    different: int = quantity("numbers", "That are not the file's, those included that follow from others before")
    numbers: int = quantity("numbers", "Integers of at most 8 bits that the network forms")
    largest: int = quantity("steps", "Largest difference")


class Quality(Frozen):
    """Distance of the simulated outputs from those of the float network."""

    sqnr_db: float | None = quantity("decibels", "Signal to quantization noise ratio; null without noise or signal")
    cosine: float | None = quantity("ratio", "Cosine of the angle between the two; null if one is zero")
    task: Measured | None = quantity("task", "What the outputs are judged by; null for a layer, and without a task")
    measures: list[Measured] = quantity("task", "What else the task measures", default=[])


class CounterRow(Frozen):
    """One counter and what it was charged."""

    component: str = quantity("name", "Where it happened")
    operation: str = quantity("name", "What happened, a row of the energy table")
    bits: int = quantity("bits", "Width of operand or access, or what leaks or is clocked; 1 where there is none")
    by: int = quantity("bits", "Width of a multiplier's second operand, else 0")
    count: int = quantity("count", "How often; core cycles for leakage and clock")
    each_pj: float = quantity("picojoules", "Energy of one")


class LayerTiling(Frozen):
    """How the compiler cut a layer."""

    m: int = quantity("rows", "Rows of a tile")
    k: int = quantity("features", "Inputs of a weight tile")
    n: int = quantity("features", "Outputs of a tile")
    loops: str = quantity("text", "Order of the loops, outermost first")
    slots: dict[str, int] = quantity("count", "Tiles that each on-chip memory holds at once")


class Figures(Frozen):
    """What is reported for a layer and for the whole run.

    Counts, cycles and energies of the run are the sums of the layers'; its active cycles are all cycles, and rates are
    taken over them.
    """

    cycles: int = quantity("core cycles", "Time; a layer's is what it adds to the running maximum of ends")
    seconds: float = quantity("seconds", "Simulated time")
    active_cycles: int = quantity("core cycles", "With an instruction of the layer between start and end")
    array_cycles: int = quantity("core cycles", "With a preload or matrix instruction between start and end")
    energy_pj: EnergyPj
    macs: Macs
    vector_work: int = quantity(
        "count", "Numbers that lanes of the vector unit took in: of results, and of all windows of reductions"
    )
    host_operations: int = quantity("count", "Operations that the host computed for what no unit does", default=0)
    bytes: Bytes
    utilization: float = quantity(
        "fraction", "Executed multiply-accumulates over what all multipliers form of that mix in the active cycles"
    )
    roofline: Roofline
    compression: Compression
    quality: Quality | None = quantity(
        "quality", "Against the float network; null if it is not known, and for the whole of independent layers"
    )
    bit_exact: bool | None = quantity("flag", "Whether outputs equal the numpy integer network's; null if unknown")
    units: dict[str, dict[str, int]] = quantity("core cycles", "Cycles of each unit by state, and their total")
    counters: list[CounterRow] = quantity("events", "Every event that was charged")


class LayerIdentity(Frozen):
    """Which layer it is."""

    name: str = quantity("name", "Name of the layer")
    nodes: list[str] = quantity("names", "Nodes of the network's graph that it computes, in order")
    reads: list[str] = quantity(
        "names", "Layers whose outputs it reads, in order; `input` for inputs of the network", default=[]
    )
    shape: list[int] = quantity("rows, features, features", "M, K and N of the product that was executed")
    dense_shape: list[int] = quantity("rows, features, features", "M, K and N before compaction")
    span: list[int] = quantity("core cycles", "First start and last end of the layer's instructions")
    tiling: LayerTiling
    unit: Literal["matrix", "vector", "host"] = quantity(
        "name", "What computed it: matrix unit, vector unit or host", default="matrix"
    )


class LayerResult(Figures, LayerIdentity):
    """Figures of one layer."""


class RunIdentity(Frozen):
    """What was run, on what."""

    workload: str = quantity("name", "Network")
    arch: str = quantity("name", "Machine")
    recipe: str = quantity("name", "Compression recipe")
    tech: str = quantity("name", "Energy table")
    scope: str | None = quantity(
        "names",
        "What the energy table prices: events, leakage, clock, DRAM standby; null where that was not kept",
        default=None,
    )
    engine: str = quantity("name", "Engine that simulated")
    timing_only: bool = quantity("flag", "Whether no outputs were asked for, so that quality is not known")
    instructions: int = quantity("count", "Instructions of the program, those of copied blocks included")
    samples: int | None = quantity(
        "samples", "Inputs that were computed; null of a program, which does not say", default=None
    )


class Summary(Told, Figures, RunIdentity):
    """The JSON object of a run."""

    bytes: BytesOfAll
    power_w: float | None = quantity("watts", "Energy over time; null where it was not kept", default=None)
    energy_delay_js: float | None = quantity(
        "joule seconds", "Energy times time, of all samples; null where it was not kept", default=None
    )
    energy_per_sample_pj: float | None = quantity(
        "picojoules", "Energy over samples; null if these are not known", default=None
    )
    samples_per_s: float | None = quantity(
        "samples a second", "Samples over time; null if they are not known", default=None
    )
    residency: bool = quantity("flag", "Whether values might stay on chip between layers")
    least: Literal["time", "energy"] = quantity("name", "What the plan looked for first", default="time")
    dram: DramFigures | None = quantity("section", "Commands of a banked DRAM; null for another one")
    reuse: Reuse | None = quantity("section", "Blocks that were copied; null if that was not asked for")
    rounded: Rounded | None = quantity(
        "section",
        "What differs from a quantized file's own integers; null on machines that round as it does",
        default=None,
    )
    layers: list[LayerResult] = quantity("layers", "Figures of each layer, in order")
    provenance: dict[str, Any] = quantity("text", "Versions, resolved configuration and input hashes")

    @property
    def told(self) -> str:
        """The run in a line."""
        return (
            f"{self.workload} as {self.recipe} on {self.arch}: {self.cycles:,} cycles, {si(self.seconds, 's')}, "
            f"{si(self.energy_pj.total * 1e-12, 'J')}"
        )

    @property
    def shown(self) -> Shown:
        """Time, energy and bound of each layer."""
        rows = [
            (
                x.name,
                f"{x.cycles:,}",
                si(x.energy_pj.total * 1e-12, "J"),
                f"{100 * x.utilization:.1f}",
                x.roofline.bound,
            )
            for x in self.layers
        ]
        return ("layer", "cycles", "energy", "use %", "bound"), rows


@dataclass(frozen=True, repr=False)
class RunResult(Told):
    """A run: its summary, and the execution behind it.

    Parameters
    ----------
    find_held
        Works out what on-chip memories hold, which a run that nobody keeps can do without; None where layers were
        copied, which have no instructions.
    outputs
        Arrays of the network's outputs, as `outputs.arrays` has them; none if no outputs are known.
    """

    summary: Summary
    execution: Execution
    find_held: Callable[[], tuple[Held, ...]] | None = None
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """The run in a line."""
        return self.summary.told

    @property
    def shown(self) -> Shown:
        """Time, energy and bound of each layer."""
        return self.summary.shown

    @property
    def cycles(self) -> int:
        """Core cycles of the run."""
        return self.summary.cycles

    def to_json(self) -> str:
        """The summary as one JSON object."""
        return self.summary.model_dump_json(indent=2)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row a layer; nested figures as columns such as energy_pj.dram."""
        import pandas as pd

        rows = [layer.model_dump(exclude={"counters"}) for layer in self.summary.layers]
        return pd.json_normalize(rows)

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """One row an instruction: index, layer, unit, opcode, issue, start, free, end (core cycles)."""
        import pandas as pd

        run, t = self.execution, self.execution.timeline
        return pd.DataFrame(
            {
                "layer": pd.Categorical.from_codes(t.layer, pd.Index(run.layer_names)),
                "unit": pd.Categorical.from_codes(t.unit, pd.Index(run.unit_names)),
                "opcode": pd.Categorical.from_codes(t.opcode, pd.Index(run.opcode_names)),
                "issue": t.issue,
                "start": t.start,
                "free": t.free,
                "end": t.end,
            }
        )

    @cached_property
    def occupancy(self) -> pd.DataFrame:
        """One row a part of the run and on-chip memory: memory, capacity_bytes, cycle, kept_bytes, tile_bytes."""
        import pandas as pd

        held = self.find_held() if self.find_held else ()
        columns = [
            np.concatenate([np.zeros(0, np.int64), *(np.broadcast_to(one[i], one.cycle.shape) for one in held)])
            for i in range(1, len(Held._fields))
        ]
        memory = [one.memory for one in held for _ in one.cycle]
        names = ("capacity_bytes", "cycle", "kept_bytes", "tile_bytes")
        return pd.DataFrame({"memory": memory, **dict(zip(names, columns, strict=True))})

    def save(self, folder: Path, also: Files | None = None) -> list[Path]:
        """Write the files of a result, and what else is given; all or none.

        Raises
        ------
        AccelSimError
            If the folder can't be written.
        """
        contents = (
            lambda path: path.write_text(self.to_json() + "\n"),
            lambda path: self.layers.to_parquet(path, index=False),
            lambda path: self.timeline.to_parquet(path, index=False),
            lambda path: self.occupancy.to_parquet(path, index=False),
        )
        outputs: Files = {OUTPUTS: partial(write_arrays, found=self.outputs) if self.outputs else None}
        return write_all(folder, {**dict(zip(FILES, contents, strict=True)), **outputs, **(also or {})})
