"""Roofs of a machine: what its multipliers and its memories do in a second at most."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelsim.config.arch import Machine
from accelsim.config.datapaths import PACKED_BITS, StructuredSparse, TensorCore
from accelsim.config.model import NAME, Frozen, quantity
from accelsim.results import OPS_PER_MAC

Work = Literal["executed", "dense"]
Level = Literal["dram", "l2", "sram"]

LEVELS: dict[Level, str] = {"dram": "DRAM", "l2": "L2", "sram": "scratchpads"}

#: Rates that charts have room for.
LEAST, MOST = 1e-6, 1e30

Name = Annotated[str, Field(max_length=64, pattern=NAME)]
Rate = Annotated[float, Field(ge=LEAST, le=MOST)]


class Roofs(Frozen):
    """Limits of a machine, as a sweep keeps them of each point."""

    ops_per_s: dict[Name, Rate] = quantity(
        "operations a second", "Products of each datatype in every cycle, times two", min_length=1, max_length=8
    )
    as_dense_ops_per_s: dict[Name, Rate] = quantity(
        "operations a second", "Those of structured sparsity as what they stand for", max_length=8
    )
    bytes_per_s: dict[Level, Rate] = quantity(
        "bytes a second", "What a level moves at most; levels that have no limit, or that there are not, are left out"
    )

    @classmethod
    def of(cls, machine: Machine) -> Roofs:
        """Roofs of a machine."""
        matrix = machine.matrix
        own = OPS_PER_MAC * matrix.multipliers * machine.clock_hz
        dense: dict[str, float] = {}
        if isinstance(matrix, StructuredSparse):
            dense[f"{matrix.operands}, {matrix.kept}:{matrix.group} as dense"] = own * matrix.group / matrix.kept
        if isinstance(matrix, TensorCore) and matrix.sparse_2_4:
            dense[f"{matrix.operands}, 2:4 as dense"] = 2 * own
        moved = {level: _moved(machine, level) for level in LEVELS}
        return cls(
            ops_per_s={str(matrix.operands): own}
            | {f"int{bits}": own * PACKED_BITS / bits for bits in matrix.integer_widths},
            as_dense_ops_per_s=dense,
            bytes_per_s={level: rate for level, rate in moved.items() if rate and rate >= LEAST},
        )

    def compute(self, work: Work) -> dict[str, float]:
        """Operations a second by datatype; where dense work is asked for, those that stand for more of it too."""
        return self.ops_per_s if work == "executed" else self.ops_per_s | self.as_dense_ops_per_s

    @property
    def key(self) -> tuple[tuple[tuple[str, float], ...], ...]:
        """What equal roofs have in common."""
        return tuple(tuple(found.items()) for found in (self.ops_per_s, self.as_dense_ops_per_s, self.bytes_per_s))


def _moved(machine: Machine, level: Level) -> float | None:
    """Bytes a second that a level moves at most; None without a limit, or without the level."""
    clock = machine.clock_hz
    if level == "dram":
        return machine.dram.bandwidth_bytes_per_s
    if level == "l2":
        l2 = machine.l2
        return l2.banks * l2.ports * l2.width_bits / 8 * clock if l2 else None
    pads = (*machine.scratchpads.values(), machine.accumulator)
    if any(pad.ideal for pad in pads):
        return None
    return sum(pad.banks * pad.ports * pad.width_bytes for pad in pads) * clock
