"""What of a machine is allowed and yet seldom meant: each holds up its array without a word in any result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from accelsim.config import datapaths
from accelsim.config.arch import BankedDram, Machine
from accelsim.config.dram import FIELDS, Part


class Trap(NamedTuple):
    """A figure that seldom is meant: its key in the machine's description, and what follows from it."""

    key: tuple[str, ...]
    message: str


def traps(machine: Machine) -> list[Trap]:
    """Traps of a machine, none of which is a fault."""
    found = [*_narrow_ports(machine), *_vector(machine), *_single_buffers(machine), *_channels(machine)]
    return list(dict.fromkeys(found))


def _fed(machine: Machine) -> Iterator[tuple[str, str, int, int]]:
    """What an array moves in a cycle: a memory, of what, how many, and bits of each."""
    bits, sums = machine.operand.bits, machine.operand.sum_bits
    match machine.matrix:
        case datapaths.InputStationary(rows=rows, columns=columns):
            yield "weight", "rows", rows, bits
            yield "activation", "columns", columns, bits
            yield "accumulator", "columns", columns, sums
        case datapaths.OuterProduct(rows=rows, columns=columns):
            yield "activation", "rows", rows, bits
            yield "weight", "columns", columns, bits
        case datapaths.StructuredSparse(rows=rows, columns=columns, kept=kept, group=group):
            yield (
                "activation",
                "inputs of 2:4 weights" if (kept, group) == (2, 4) else "inputs",
                rows * group // kept,
                bits,
            )
            yield "weight", "columns", columns, bits
            yield "accumulator", "columns", columns, sums
        case (
            datapaths.WeightStationary(rows=rows, columns=columns)
            | datapaths.OutputStationary(rows=rows, columns=columns)
        ):
            yield "activation", "rows", rows, bits
            yield "weight", "columns", columns, bits
            yield "accumulator", "columns", columns, sums


def _narrow_ports(machine: Machine) -> Iterator[Trap]:
    for memory, of, count, bits in _fed(machine):
        sram = getattr(machine, memory)
        name = "activation" if memory in machine.shared else memory
        if not sram.ideal and sram.width_bits < count * bits:
            yield Trap(
                (name, "width_bits"),
                f"feeds {sram.width_bits // bits} of the array's {count} {of} a cycle; {count * bits} would feed all",
            )


def _vector(machine: Machine) -> Iterator[Trap]:
    columns, lanes = getattr(machine.matrix, "columns", 0), machine.vector.lanes
    if lanes < columns:
        yield Trap(
            ("vector", "lanes"),
            f"finish {lanes} results a cycle, and the array forms {columns} sums: layers of few inputs wait for them",
        )


def _single_buffers(machine: Machine) -> Iterator[Trap]:
    match machine.matrix:
        case datapaths.WeightStationary(rows=rows, columns=columns):
            memory = "weight"
        case datapaths.InputStationary(rows=rows, columns=columns):
            memory = "activation"
        case _:
            return
    sram = getattr(machine, memory)
    name = "activation" if memory in machine.shared else memory
    fold = rows * columns * machine.operand.bits // 8
    if sram.capacity_bytes < 2 * fold:
        yield Trap(
            (name, "capacity_bytes"),
            f"holds no two folds of the array, {fold} bytes each: the next one is loaded only when one is read",
        )
    elif sram.ports == 1 and sram.ranges == 1 and not sram.ideal:
        yield Trap((name, "banks"), "is one with one port: nothing is loaded while the array reads")


def _channels(machine: Machine) -> Iterator[Trap]:
    if not isinstance(machine.dram, BankedDram) or machine.dram.part.system.channels == 1:
        return
    part, outstanding = machine.dram.part, machine.dma.outstanding_bursts
    stretch = _stretch_bytes(part)
    if stretch > outstanding * part.burst_bytes:
        mapping = part.system.address_mapping
        yield Trap(
            ("dram", "part"),
            f"keeps {stretch} bytes in a row in one of {part.system.channels} channels (address_mapping {mapping}), "
            f"and a DMA has {outstanding} bursts of {part.burst_bytes} bytes under way: a stream has the bandwidth of "
            f"one channel; {mapping.replace('ch', '')}ch spreads it",
        )


def _stretch_bytes(part: Part) -> int:
    """Consecutive bytes that lie in one channel."""
    structure = part.dram_structure
    counts = {
        "ra": part.ranks,
        "bg": structure.bankgroups,
        "ba": structure.banks_per_group,
        "ro": structure.rows,
        "co": part.row_bytes // part.burst_bytes,
    }
    mapping = part.system.address_mapping
    fields = [mapping[i : i + 2] for i in range(0, 2 * len(FIELDS), 2)]
    stretch = part.burst_bytes
    for field in fields[fields.index("ch") + 1 :]:
        stretch *= counts[field]
    return stretch
