"""Hazards: the analysis under `verify` and under the compiler's synchronize pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import accesses, opcodes
from accelsim.isa.opcodes import MOMENTS, UNITS, Memory, Unit
from accelsim.kernels import hazards as kernel
from accelsim.kernels import strides

Int64 = NDArray[np.int64]

#: Buckets of a memory, at most.
MAX_BUCKETS = 4096
#: Units whose instructions see what earlier ones of their own will write: an array adds onto the sums that it forms.
FORWARDS = np.array([unit == Unit.MATRIX for unit in Unit])


@dataclass(frozen=True, slots=True)
class Queues:
    """Instructions by unit.

    Parameters
    ----------
    unit, index, previous
        Unit of each instruction, its number within the unit, and the instruction before it on the unit or -1;
        int64, shape (n,).
    first_of_unit, by_unit
        The j-th instruction of unit u is by_unit[first_of_unit[u] + j].
    """

    unit: Int64
    index: Int64
    previous: Int64
    first_of_unit: Int64
    by_unit: Int64

    @classmethod
    def of(cls, instructions: NDArray[np.void]) -> Queues:
        """Queues of a program whose opcodes are valid."""
        unit = opcodes.UNIT_OF[instructions["opcode"]].astype(np.int64)
        by_unit = np.argsort(unit.astype(np.int8), kind="stable")  # of bytes it sorts by radix
        first = np.concatenate(([0], np.cumsum(np.bincount(unit, minlength=UNITS))))
        index = np.empty_like(unit)
        index[by_unit] = np.arange(len(unit)) - first[unit[by_unit]]
        previous = np.full_like(unit, -1)
        later = by_unit[1:][unit[by_unit[1:]] == unit[by_unit[:-1]]]
        previous[later] = by_unit[:-1][unit[by_unit[1:]] == unit[by_unit[:-1]]]
        return cls(unit, index, previous, first, by_unit)


@dataclass(frozen=True, slots=True)
class Hazards:
    """What must have happened before each instruction starts.

    Parameters
    ----------
    need
        int32, shape (n, units, moments): 1 + the index of the last instruction of a unit whose moment must have
        passed, 0 for none.
    undefined
        Number of the first access that reads bytes that nothing wrote, or -1; `need` is whole only up to there.
    """

    need: NDArray[np.int32]
    undefined: int


def find(queues: Queues, found: accesses.Accesses, image_bytes: int, machine: Machine) -> Hazards:
    """Find the hazards of a program whose addresses are valid and whose rows do not overlap."""
    need = np.zeros((len(queues.unit), UNITS, MOMENTS), np.int32)
    if not len(found.regions):
        return Hazards(need, -1)
    bases = np.concatenate(([0], np.cumsum([accesses.capacity_bytes(machine, m) for m in Memory])))
    memory, address, stride, rows, row_bytes = found.regions.T
    touching = stride == row_bytes
    ranges = np.empty((len(memory), strides.FIELDS), np.int64)
    ranges[:, strides.ADDRESS] = address + bases[memory]
    ranges[:, strides.ROWS] = np.where(touching, 1, rows)
    ranges[:, strides.STRIDE] = np.where(ranges[:, strides.ROWS] == 1, 0, stride)
    ranges[:, strides.ROW_BYTES] = np.where(touching, rows * row_bytes, row_bytes)
    ranges[:, strides.END] = found.ends() + bases[memory]
    bucket, span, buckets = _buckets(memory, ranges)
    undefined = kernel.find(
        queues.unit,
        queues.index,
        found.instruction,
        found.number,
        found.write,
        found.until,
        ranges,
        np.stack([rows, stride, row_bytes], axis=1),
        bases[memory] + np.where(np.isin(memory, (Memory.DRAM, Memory.HOST)), image_bytes, 0),
        bucket,
        span,
        np.cumsum(span) - span,
        np.repeat(np.arange(len(span), dtype=np.int32), span),
        buckets,
        FORWARDS,
        need,
    )
    return Hazards(need, int(undefined))


def _buckets(memory: Int64, ranges: Int64) -> tuple[Int64, Int64, int]:
    """Cut each memory into buckets about as long as its regions are, so that most regions lie in few and share few.

    Returns
    -------
    First bucket of each region and how many it lies in, shape (regions,); buckets of all memories.
    """
    bucket, last, buckets = np.empty_like(memory), np.empty_like(memory), 0
    for m in np.unique(memory).tolist():
        own = memory == m
        low, high = ranges[own, strides.ADDRESS], ranges[own, strides.END]
        shift = int(np.median(high - low)).bit_length()
        bottom, top = int(low.min()), int(high.max())
        while top - bottom >> shift > MAX_BUCKETS:
            shift += 1
        bucket[own] = buckets + (low - bottom >> shift)
        last[own] = buckets + (high - 1 - bottom >> shift)
        buckets = int(last[own].max()) + 1
    return bucket, last - bucket + 1, buckets
