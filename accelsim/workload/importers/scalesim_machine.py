"""SCALE-Sim's configuration files as machines, read as SCALE-Sim 3.0.0 reads them (scalesim/scale_config.py).

With `InterfaceBandwidth: CALC`, SCALE-Sim asks which bandwidth an array that never waits would need. The machine is
that array: its folds do not overlap, memories take no time, scratchpads and accumulators hold the whole of every layer,
and host and vector unit are as quick as they can be described. An output-stationary array's sums leave without a cycle
of the array (`drain: direct`). A layer's array cycles are then SCALE-Sim's `total_cycles` plus one, because that counts
cycles from 0.

With `USER`, SCALE-Sim has three ports to memory, each of the bandwidth, and fills each scratchpad with a stream of
words in the order of their first use. Here one DRAM is shared by all, so it has three times the bandwidth; scratchpads
have the configuration's sizes and hold tiles; and partial sums stay on chip, where SCALE-Sim writes each to memory. So
cycles differ, in both directions, and are not to be compared as those of CALC are: of four runs of SCALE-Sim 3.0.0 on
32 x 32 at 10 and 100 words a cycle, whole cycles here are 0.76 to 1.15 times its cycles; at 10 words on 128 x 128 with
weights that stay, where its partial sums alone fill the port, 0.11 times.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from accelsim.config.model import NAME
from accelsim.errors import Fault, WorkloadError
from accelsim.workload.importers.text import Faults, read_text, shown, yaml_string
from accelsim.workload.layer import Shape

MAX_ARRAY_SIDE = 4096
MAX_SRAM_BYTES = 2**32
#: Bytes of a channel's constants: int32 bias and multiplier, int8 shift.
CONSTANT_BYTES = 9

_DATAFLOWS = {
    "ws": ("weight_stationary", "double_buffered_weights: false  # folds do not overlap"),
    "is": ("input_stationary", "double_buffered_inputs: false  # folds do not overlap"),
    "os": ("output_stationary", "drain: direct  # SCALE-Sim's sums leave without a cycle of the array"),
}


class Configuration(NamedTuple):
    """What a configuration says of a machine.

    Parameters
    ----------
    sram_kb
        Sizes of the ifmap, filter and ofmap scratchpads (kB), where the bandwidth is the user's.
    bandwidth
        Words of a byte a cycle of each port to memory; None if memory never holds up the array.
    sparse
        Whether the topology's N:M count.
    notes
        What of the file counts for nothing here.
    """

    file: str
    name: str
    rows: int
    columns: int
    dataflow: str
    sram_kb: tuple[int, int, int]
    bandwidth: int | None
    sparse: bool
    notes: list[str]


class _Values:
    """Values by section and key, and where each stands."""

    def __init__(self, path: Path) -> None:
        text = read_text(path)
        self.faults = Faults(str(path))
        self._parser = configparser.ConfigParser(interpolation=None)
        try:
            self._parser.read_string(text, str(path))
        except (configparser.MissingSectionHeaderError, configparser.DuplicateSectionError) as error:
            what = "must begin with a [section]" if hasattr(error, "line") else "must have each section once"
            raise WorkloadError(Fault(what, str(path), error.lineno or 1, 1)) from None
        except configparser.DuplicateOptionError as error:
            raise WorkloadError(Fault("must be given once", str(path), error.lineno or 1, 1, error.option)) from None
        except configparser.ParsingError as error:
            lines = [number for number, _ in error.errors]
            raise WorkloadError(
                *(Fault("must be a key, a colon and a value", str(path), n, 1) for n in lines)
            ) from None
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        section = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if found := re.match(r"\[(.+)\]", line):
                section = found[1]
            elif found := re.match(r"\s*([^:=]+?)\s*[:=]\s*", line):
                self._places.setdefault((section, found[1].lower()), (number, found.end() + 1))

    def text(self, section: str, key: str) -> str | None:
        """A value, or None if the file has none."""
        value = self._parser.get(section, key, fallback=None)
        return None if value is None else value.strip()

    def fault(self, message: str, section: str, key: str) -> None:
        """Note what is wrong with a value, at its place or at its section's."""
        self.faults.add(message, *self._places.get((section, key.lower()), (1, 1)), f"{section}.{key}")

    def integer(self, section: str, key: str, high: int) -> int:
        """Positive integer."""
        return self.integers(section, key, high)[0]

    def integers(self, section: str, key: str, high: int) -> list[int]:
        """Positive integers with commas between them."""
        value = self.text(section, key)
        if value is None:
            self.fault("must be given, but is missing", section, key)
            return [1]
        place = self._places.get((section, key.lower()), (1, 1))
        return [self.faults.integer(part.strip(), 1, high, *place, f"{section}.{key}") for part in value.split(",")]

    def choice(self, section: str, key: str, known: Sequence[str], default: str | None = None) -> str:
        """One of some words, whatever their case."""
        value = self.text(section, key) or default
        if value is None:
            self.fault(f"must be {' or '.join(known)}, but is missing", section, key)
            return known[0]
        for word in known:
            if value.lower() == word.lower():
                return word
        self.fault(f"must be {' or '.join(known)}, not {shown(value)}", section, key)
        return known[0]


def read_configuration(path: Path) -> Configuration:
    """Read a configuration file.

    Raises
    ------
    WorkloadError
        With every fault of the file.
    """
    values = _Values(path)
    array, run, sparsity = "architecture_presets", "run_presets", "sparsity"
    rows, columns = (values.integer(array, key, MAX_ARRAY_SIDE) for key in ("ArrayHeight", "ArrayWidth"))
    dataflow = values.choice(array, "Dataflow", tuple(_DATAFLOWS))
    user = values.choice(run, "InterfaceBandwidth", ("CALC", "USER")) == "USER"
    sizes, bandwidth = (0, 0, 0), None
    if user:
        most = MAX_SRAM_BYTES // 1024
        ifmap, filters, ofmap = (values.integer(array, f"{x}SramSzkB", most) for x in ("Ifmap", "Filter", "Ofmap"))
        sizes = (ifmap, filters, ofmap)
        bandwidth = _bandwidth(values, array)
    sparse = values.choice(sparsity, "SparsitySupport", ("true", "false"), "false") == "true"
    if sparse and values.choice(sparsity, "OptimizedMapping", ("true", "false"), "false") == "true":
        message = "must be false: patterns that SCALE-Sim draws row by row are no layers of fixed sizes"
        values.fault(message, sparsity, "OptimizedMapping")
    name = values.text("general", "run_name") or f"scale-sim-{rows}x{columns}-{dataflow}"
    if not re.fullmatch(NAME, name) or not name.isprintable():
        values.fault(f"must be a name without control characters, not {shown(name)}", "general", "run_name")
    values.faults.check()
    return Configuration(path.name, name, rows, columns, dataflow, sizes, bandwidth, sparse, _notes(values))


def _bandwidth(values: _Values, section: str) -> int:
    """One bandwidth, given once or for each port alike."""
    numbers = values.integers(section, "Bandwidth", 10**6)
    if min(numbers) != max(numbers):
        given = ", ".join(map(str, numbers))
        values.fault(f"must be one number, or equal ones, not {given}", section, "Bandwidth")
    return numbers[0]


def _notes(values: _Values) -> list[str]:
    """Switches that are on, and change nothing here."""
    notes = []
    for key, what in (
        ("IfmapCustomLayout", "how the input lies in the banks"),
        ("FilterCustomLayout", "how weights lie in the banks"),
        ("UseRamulatorTrace", "latencies of a Ramulator trace"),
    ):
        sections = ("architecture_presets", "layout", "run_presets")
        if any((values.text(section, key) or "").lower() == "true" for section in sections):
            notes.append(f"{key} is left out: {what}")
    return notes


def machine_text(configuration: Configuration, shapes: Sequence[Shape]) -> str:
    """Machine file of a configuration, for a topology's products."""
    c = configuration
    kind, switch = _DATAFLOWS[c.dataflow]
    mode = "memory never holds it up" if c.bandwidth is None else f"{c.bandwidth} bytes a cycle from memory"
    described = f"{c.rows} x {c.columns} {kind.replace('_', '-')} array of the SCALE-Sim configuration {c.file}; {mode}"
    memories = _unbounded(c, shapes) if c.bandwidth is None else _given(c)
    return f"""\
kind: arch
name: {yaml_string(c.name)}
description: {yaml_string(described)}
clock_hz: 1e9  # assumption: SCALE-Sim counts cycles, whatever they last
tech: han2015-45nm  # assumption: SCALE-Sim has no energies of its own
default_recipe: int8  # SCALE-Sim's words have a byte

host:  # SCALE-Sim has none
  issue_interval_cycles: 0
  queue_depth: 64

dma:
  outstanding_bursts: 64  # only a banked DRAM asks for it

matrix:
  kind: {kind}  # Dataflow: {c.dataflow}
  rows: {c.rows}  # ArrayHeight
  columns: {c.columns}  # ArrayWidth
  {switch}

vector:  # SCALE-Sim has none
  lanes: 65536
  latency_cycles: 1

{memories}"""


def _unbounded(c: Configuration, shapes: Sequence[Shape]) -> str:
    """Memories that take no time and hold the largest layer more than twice, in the words that SCALE-Sim counts."""
    sides = (
        max(s.m * s.k, (max(s.k, c.rows) + CONSTANT_BYTES) * max(s.n, c.columns), 4 * s.m * max(s.n, c.columns))
        for s in shapes
    )
    # four of the largest chunks are prefetched
    capacity = min(MAX_SRAM_BYTES, 1 << (4 * max(sides) - 1).bit_length())
    held = "CALC has no limit; these hold every layer whole, with room for the next tiles"
    parts = [
        f"{name}:{f'  # {held}' if not number else ''}\n  capacity_bytes: {capacity}\n{_port(width)}"
        for number, (name, width) in enumerate((("activation", 8), ("weight", 8), ("output", 8), ("accumulator", 32)))
    ]
    dram = "dram:\n  kind: ideal\n  capacity_bytes: 70368744177664\n  burst_bytes: 64  # assumption: a cache line\n"
    return "\n".join([*parts, dram])


def _given(c: Configuration) -> str:
    """Memories of the configuration's sizes; their ports take no time, as SCALE-Sim's."""
    ifmap, filters, ofmap = c.sram_kb
    assert c.bandwidth is not None  # noqa: S101 - the caller asked
    parts = [
        f"{name}:\n  capacity_bytes: {1024 * kb}  # {source}\n{_port(width)}"
        for name, kb, width, source in (
            ("activation", ifmap, 8, "IfmapSramSzkB"),
            ("weight", filters, 8, "FilterSramSzkB"),
            ("output", ofmap, 8, "OfmapSramSzkB"),
            (
                "accumulator",
                min(4 * ofmap, MAX_SRAM_BYTES // 1024),
                32,
                "assumption: as many int32 sums as bytes there",
            ),
        )
    ]
    rate = 3 * c.bandwidth
    dram = (
        "dram:\n  kind: simple\n  capacity_bytes: 70368744177664\n  burst_bytes: 64  # assumption: a cache line\n"
        f"  bandwidth_bytes_per_s: {rate}e9  # three ports of Bandwidth = {c.bandwidth} bytes a cycle, shared\n"
        "  latency_s: 0  # SCALE-Sim's requests are prefetched\n"
    )
    return "\n".join([*parts, dram])


def _port(width: int) -> str:
    words = "a sum, so that words are SCALE-Sim's" if width == 32 else "an operand, so that words are SCALE-Sim's"
    return f"  banks: 1\n  width_bits: {width}  # {words}\n  ports: 1\n  ideal: true  # takes no time\n"
