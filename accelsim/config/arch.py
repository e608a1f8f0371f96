"""The machine: units, memories and clocks, as DESIGN.md section 3 names them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from accelsim import units
from accelsim.config.datapaths import InputStationary, Matrix, OuterProduct, OutputStationary, WeightStationary
from accelsim.config.dram import Part
from accelsim.config.model import NAME, Frozen, Integer, quantity
from accelsim.config.operands import Operand


class Host(Frozen):
    """The processor that issues the instruction stream to the units' queues, and computes what they can't."""

    issue_interval_cycles: Integer = quantity(
        "core cycles", "Time from one issue to the next; 0 issues until a queue is full", ge=0, le=10**6
    )
    queue_depth: Integer = quantity(
        "instructions",
        "Issued instructions that a unit's queue holds, the started one not counted",
        ge=1,
        le=10**6,
    )
    io_bandwidth_bytes_per_s: float | None = quantity(
        "bytes a second",
        "Bandwidth of the link over which the network's input comes and its output goes; null if the host shares the "
        "DRAM, so that they don't have to move",
        default=None,
        gt=0,
        le=1e15,
    )
    io_latency_s: float = quantity(
        "seconds", "From when a transfer has left the link to its end", default=0, ge=0, le=1
    )
    operations_per_s: float | None = quantity(
        "operations a second",
        "Rate at which the host computes what no unit does, a multiplication and its sum two operations; null if it "
        "computes nothing",
        default=None,
        gt=0,
        le=1e18,
    )
    operation_pj: float = quantity("picojoules", "Energy of one of these operations", default=0, ge=0, le=1e9)
    operation_source: str = quantity(
        "text", "Where both figures stand, and what had to be assumed to use them", default=""
    )

    @model_validator(mode="after")
    def _figures_have_a_source(self) -> Host:
        if self.operations_per_s is not None and not self.operation_source:
            raise ValueError("operation_source must say where operations_per_s stands, not be empty")
        if self.operations_per_s is None and self.operation_pj:
            raise ValueError(f"operation_pj must be 0 where operations_per_s is null, not {self.operation_pj}")
        return self

    @property
    def computes(self) -> bool:
        """Whether it does what no unit does."""
        return self.operations_per_s is not None

    @property
    def has_link(self) -> bool:
        """Whether it has a memory of its own behind a link; else it shares the DRAM."""
        return self.io_bandwidth_bytes_per_s is not None


class Dma(Frozen):
    """What load, store and the host's link have on their way to the DRAM."""

    outstanding_bursts: Integer = quantity(
        "bursts a unit",
        "Bursts that a unit has buffers for: so many of a banked DRAM may be requested and not returned yet, and what "
        "a gather needs of those that it requested last is not requested again",
        ge=1,
        le=65536,
    )


class Vector(Frozen):
    """The unit that adds the bias, requantizes and clamps."""

    lanes: Integer = quantity("values a core cycle", "Values that start in one cycle", ge=1, le=65536)
    latency_cycles: Integer = quantity(
        "core cycles", "Edges from the value to its result: multiply, rounding shift, saturate", ge=1, le=1000
    )
    float32_scale: bool = quantity(
        "flag",
        "Whether it multiplies by float32 scales, too, as onnxruntime has them, and not by M 2^shift alone",
        default=True,
    )


class Decode(Frozen):
    """The unit that expands encoded weights in the weight scratchpad."""

    symbols_per_cycle: Integer = quantity(
        "symbols a core cycle", "Integers, entries, indices or nonzero values that it takes in", ge=1, le=4096
    )
    outputs_per_cycle: Integer = quantity("values a core cycle", "Values that it writes", ge=1, le=4096)
    huffman_decoders: Integer = quantity(
        "count", "Decoders of variable-length codes, each with a stream of its own", ge=1, le=255
    )
    latency_cycles: Integer = quantity("core cycles", "Edges from a symbol to its value", ge=1, le=1000)


class Sram(Frozen):
    """An on-chip memory.

    Bank b holds the b-th contiguous range of its bytes, so that the halves of a double buffer lie apart; or every word
    whose number leaves b when divided by the banks, so that most instructions want all banks and wait for each other.
    """

    capacity_bytes: Integer = quantity("bytes", "Capacity of all banks together", ge=1, le=2**32)
    banks: Integer = quantity("count", "Banks; each serves its own instructions", ge=1, le=1024)
    width_bits: Integer = quantity(
        "bits a core cycle", "Width of a port: what one access moves", ge=8, le=65536, multiple_of=8
    )
    ports: Integer = quantity("count a bank", "Instructions that a bank serves at once", ge=1, le=64)
    interleaving: Literal["contiguous", "words"] = quantity(
        "name",
        "Whether a bank holds a range of addresses, or words are dealt out to the banks in turn",
        default="contiguous",
    )
    ideal: bool = quantity("flag", "Whether ports and width are without limit", default=False)

    @model_validator(mode="after")
    def _whole_rows(self) -> Sram:
        row_bytes = self.banks * self.width_bytes
        if self.capacity_bytes % row_bytes:
            raise ValueError(
                f"capacity_bytes must be a multiple of one word of all banks ({row_bytes} bytes), "
                f"not {self.capacity_bytes}"
            )
        return self

    @property
    def width_bytes(self) -> int:
        """Bytes that one access moves."""
        return self.width_bits // 8

    @property
    def ranges(self) -> int:
        """Ranges of addresses that lie in banks of their own."""
        return self.banks if self.interleaving == "contiguous" else 1

    @property
    def range_bytes(self) -> int:
        """Bytes of such a range."""
        return self.capacity_bytes // self.ranges

    @property
    def bank_bytes(self) -> int:
        """Bytes of one bank."""
        return self.capacity_bytes // self.banks


class L2(Frozen):
    """A second level that all DMA units share: a cache of DRAM bursts before a banked DRAM.

    Least recently used, write-back, write-allocate. A line is a burst; its number modulo the banks names its bank.
    """

    capacity_bytes: Integer = quantity("bytes", "Capacity of all banks together", ge=1, le=2**32)
    ways: Integer = quantity("count", "Lines of a set", ge=1, le=1024)
    banks: Integer = quantity("count", "Banks", ge=1, le=1024)
    width_bits: Integer = quantity(
        "bits a core cycle", "Width of a bank's port: what one access moves", ge=8, le=65536, multiple_of=8
    )
    ports: Integer = quantity("count a bank", "Bursts that a bank serves at once", ge=1, le=64)
    latency_cycles: Integer = quantity(
        "core cycles", "From the acceptance of a hit to its data; a miss takes as much beside the DRAM", ge=1, le=1000
    )

    @property
    def bank_bytes(self) -> int:
        """Bytes of one bank."""
        return self.capacity_bytes // self.banks

    def sets(self, line_bytes: int) -> int:
        """Sets of lines of a size."""
        return self.capacity_bytes // (self.ways * line_bytes)


class BankedDram(Frozen):
    """A DRAM part behind its controllers, command by command."""

    kind: Literal["banked"] = quantity("name", "Model of the DRAM")
    part: Annotated[Part, WithJsonSchema({"type": ["string", "object"]})] = quantity(
        "name", "Part with its controller: a shipped name, the path of a .yaml file, or what such a file holds"
    )

    @property
    def capacity_bytes(self) -> int:
        """Bytes of all channels."""
        return self.part.capacity_bytes

    @property
    def burst_bytes(self) -> int:
        """Bytes of a burst."""
        return self.part.burst_bytes

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Rate of a stream of bursts that never waits for a row or a refresh."""
        return self.part.bandwidth_bytes_per_s

    @property
    def burst_period_fs(self) -> int:
        """Time between two bursts of such a stream, in femtoseconds."""
        return round(self.burst_bytes * units.FEMTOSECONDS_PER_SECOND / self.bandwidth_bytes_per_s)

    @property
    def latency_fs(self) -> int:
        """Time of a read from an idle controller with its bank closed, in femtoseconds."""
        return self.part.latency_clocks * self.part.clock_period_fs


class SimpleDram(Frozen):
    """Latency and bandwidth, for quick scans: whole bursts at a constant rate."""

    kind: Literal["simple"] = quantity("name", "Model of the DRAM")
    capacity_bytes: Integer = quantity("bytes", "Capacity", ge=1, le=2**46)
    burst_bytes: Integer = quantity("bytes", "What one access moves, aligned to its own size", ge=1, le=4096)
    bandwidth_bytes_per_s: float = quantity("bytes a second", "Rate of a stream of whole bursts", gt=0, le=1e15)
    latency_s: float = quantity("seconds", "From when a transfer's last burst has moved to its end", ge=0, le=1)

    @property
    def burst_period_fs(self) -> int:
        """Time between two bursts of a stream, in femtoseconds."""
        return max(1, round(self.burst_bytes * units.FEMTOSECONDS_PER_SECOND / self.bandwidth_bytes_per_s))

    @property
    def latency_fs(self) -> int:
        """Latency in femtoseconds."""
        return round(self.latency_s * units.FEMTOSECONDS_PER_SECOND)


class IdealDram(Frozen):
    """A DRAM without latency and with infinite bandwidth: every transfer takes one cycle, energy is paid."""

    kind: Literal["ideal"] = quantity("name", "Model of the DRAM")
    capacity_bytes: Integer = quantity("bytes", "Capacity", ge=1, le=2**46)
    burst_bytes: Integer = quantity("bytes", "What one access moves, aligned to its own size", ge=1, le=4096)

    @property
    def bandwidth_bytes_per_s(self) -> None:
        """There is no limit."""
        return None

    @property
    def burst_period_fs(self) -> int:
        """Bursts take no time."""
        return 0

    @property
    def latency_fs(self) -> int:
        """There is no latency."""
        return 0


Dram = Annotated[BankedDram | SimpleDram | IdealDram, Field(discriminator="kind")]


#: What stands for an activation scratchpad that is not valid.
_UNKNOWN = Sram(capacity_bytes=1, banks=1, width_bits=8, ports=1)
#: Scratchpads that may be the one for activations.
SHARING = ("weight", "output")


def _named(given: object, info: ValidationInfo) -> object:
    """The activation scratchpad, where its name stands in place of a memory."""
    if not isinstance(given, str):
        return given
    if given != "activation":
        raise ValueError(f"must be a memory or the name activation, not {given!r}")
    return info.data.get("activation", _UNKNOWN)  # whose faults are told where it is described


_SramOrName = Annotated[Sram, BeforeValidator(_named, json_schema_input_type=Sram | Literal["activation"])]


class Machine(Frozen):
    """An accelerator: one clock domain for the core, a host, six queued units and their memories.

    Results, and weights too, may go to the scratchpad that activations are read from: `output: activation`.
    """

    kind: Literal["arch"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the machine", pattern=NAME)
    description: str = quantity("text", "What the machine stands for")
    clock_hz: float = quantity("hertz", "Core clock", ge=1e3, le=1e12)
    tech: str = quantity("name", "Technology whose energies the machine is charged, a shipped name or a path")
    default_recipe: str = quantity("name", "Recipe of a run that names none, a shipped name or a path")
    host: Host
    dma: Dma
    matrix: Matrix
    vector: Vector
    decode: Decode | None = quantity("unit", "Unit that expands encoded weights; none if absent", default=None)
    activation: Sram
    weight: _SramOrName
    output: _SramOrName
    accumulator: Sram
    l2: L2 | None = quantity("memory", "Second level between all DMA units and the DRAM; none if absent", default=None)
    dram: Dram

    @model_serializer(mode="wrap")
    def _by_name(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return written | {name: "activation" for name in self.shared if name in written}

    @property
    def shared(self) -> tuple[str, ...]:
        """Scratchpads that are the activation scratchpad: weight, output, or both."""
        return tuple(name for name in SHARING if getattr(self, name) is self.activation)

    @property
    def scratchpads(self) -> dict[str, Sram]:
        """Memories of operands and of results, each once, by name."""
        names = ("activation", *(name for name in SHARING if name not in self.shared))
        return {name: getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _lines_of_bursts(self) -> Machine:
        if self.l2 is None:
            return self
        if self.dram.kind != "banked":
            raise ValueError(f"l2 must stand before a banked DRAM, not before one whose kind is {self.dram.kind}")
        line = self.dram.burst_bytes
        sets = self.l2.sets(line)
        if sets.bit_count() != 1 or sets * self.l2.ways * line != self.l2.capacity_bytes:
            raise ValueError(
                f"l2.capacity_bytes must be a power of two of sets, each {self.l2.ways} lines of {line} bytes, "
                f"not {self.l2.capacity_bytes}"
            )
        if sets % self.l2.banks:
            raise ValueError(f"l2.banks must be a power of two and at most the sets ({sets}), not {self.l2.banks}")
        return self

    @property
    def operand(self) -> Operand:
        """Widths of the matrix unit's operands and sums."""
        return self.matrix.operand

    @property
    def constant_bytes(self) -> int:
        """Bytes of a channel's constants: bias, int32 multiplier and int8 shift; for floats a float32 bias alone."""
        return self.operand.sum_bytes + (0 if self.operand.is_float else 5)

    @property
    def fold_inputs(self) -> int:
        """Inputs (K) that a datapath sums before its accumulator memory adds; what float sums depend on."""
        return self.matrix.rows if isinstance(self.matrix, WeightStationary) else 1

    @property
    def feature_major(self) -> bool:
        """Whether activations lie in memory with the samples of a feature side by side, as the datapath reads them."""
        return isinstance(self.matrix, OuterProduct | OutputStationary | InputStationary)

    @property
    def clock_period_fs(self) -> int:
        """Core clock period in femtoseconds."""
        return units.period_fs(self.clock_hz)

    def cycles(self, time_fs: int) -> int:
        """Core cycles that a time in femtoseconds takes, rounded up."""
        return units.ceil_div(time_fs, self.clock_period_fs)
