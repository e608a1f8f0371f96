"""The request streams of DRAMsim3's golden runs, and places as addresses, from their descriptions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelsim.config.dram import Part
from accelsim.memory.trace import Trace

MASK = 2**64 - 1


def splitmix64(index: int, seed: int) -> int:
    """Draw number `index` of a stream; 64 bits."""
    z = ((index + 1) * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def field_bits(part: Part) -> dict[str, int]:
    """Bits of each address field: channel, rank, bank group, bank, row, and column in bursts."""
    structure, system = part.dram_structure, part.system
    enabled = structure.bankgroup_enable
    bursts = structure.columns * {"HBM": 2, "GDDR6": structure.bl}.get(structure.protocol, 1) // structure.bl
    counts = {
        "ch": system.channels,
        "ra": part.ranks,
        "bg": structure.bankgroups if enabled else 1,
        "ba": structure.banks_per_group * (1 if enabled else structure.bankgroups),
        "ro": structure.rows,
        "co": bursts,
    }
    return {name: count.bit_length() - 1 for name, count in counts.items()}


def lowest_bits(part: Part) -> dict[str, int]:
    """Position of each field's lowest bit in a byte address."""
    bits, mapping = field_bits(part), part.system.address_mapping
    at = (part.system.bus_width // 8 * part.dram_structure.bl).bit_length() - 1
    low = {}
    for i in range(10, -1, -2):
        low[mapping[i : i + 2]] = at
        at += bits[mapping[i : i + 2]]
    return low


def address(part: Part, **fields: int) -> int:
    """Byte address of a place; fields that are not given are 0."""
    low = lowest_bits(part)
    return sum(value << low[name] for name, value in fields.items())


def golden_trace(part: Part, case: str, count: int, seed: int) -> Trace:
    """Requests of a golden run."""
    burst = part.system.bus_width // 8 * part.dram_structure.bl
    row_low = lowest_bits(part)["ro"]
    # the capacity that the golden runs' streams wrap around at ends with the row field
    capacity = part.dram_structure.rows << row_low
    row_bytes = burst << field_bits(part)["co"]
    lines = capacity // burst

    def anywhere(i: int) -> int:
        return splitmix64(i, seed) % lines * burst

    def in_order(i: int) -> int:
        return i * burst

    def never(i: int) -> bool:
        return False

    def always(i: int) -> bool:
        return True

    def copied(i: int) -> int:
        """Sixteen lines are read, then sixteen written half the capacity and three rows further on."""
        block, k = divmod(i, 32)
        far = capacity // 2 + 3 * row_bytes
        return (block * 16 + k % 16) * burst + far * (k >= 16)

    streams: dict[str, tuple[Callable[[int], int], Callable[[int], bool]]] = {
        "stream_rd": (in_order, never),
        "stream_wr": (in_order, always),
        "stride_row": (lambda i: i << row_low, never),
        "stride_rowbytes": (lambda i: i * row_bytes, never),
        "random_rd": (anywhere, never),
        "random_mix": (anywhere, lambda i: splitmix64(i, seed + 1000) % 3 == 0),
        "copy": (copied, lambda i: i % 32 >= 16),
    }
    at, is_write = streams[case]
    return Trace(
        np.array([at(i) % capacity for i in range(count)], np.int64),
        np.array([is_write(i) for i in range(count)], np.bool_),
        np.zeros(count, np.int64),
    )


def trace_text(trace: Trace) -> str:
    """A trace as `accelsim dram` reads it."""
    rows = zip(trace.address.tolist(), trace.write.tolist(), trace.cycle.tolist(), strict=True)
    return "".join(f"{at:#x} {'WRITE' if write else 'READ'} {cycle}\n" for at, write, cycle in rows)
