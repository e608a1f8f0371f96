"""Hazards: the analysis under `verify` and under the compiler's synchronize pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import accesses, opcodes
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import UNITS, Memory, Unit
from accelsim.kernels import classes, strides
from accelsim.kernels import hazards as kernel
from accelsim.kernels.clocks import WORDS

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]

#: Buckets of a memory, at most.
MAX_BUCKETS = 4096
#: Instructions of a stretch: what they need stays in the processor's cache.
TOGETHER = 1 << 12
#: Units whose instructions see what earlier ones of their own will write: an array adds onto the sums that it forms.
FORWARDS = np.array([unit == Unit.MATRIX for unit in Unit])


@dataclass(frozen=True, slots=True)
class Queues:
    """Instructions by unit.

    Parameters
    ----------
    unit
        Unit of each instruction; int8, shape (n,).
    first_of_unit, by_unit
        The j-th instruction of unit u is by_unit[first_of_unit[u] + j]; int64, shape (units + 1,), and int32, shape
        (n,).
    """

    unit: Int8
    first_of_unit: Int64
    by_unit: Int32

    @classmethod
    def of(cls, instructions: NDArray[np.void], kinds: Kinds | None = None) -> Queues:
        """Queues of a program whose opcodes are valid; `kinds` says which instructions differ, if that is known."""
        kinds = kinds or Kinds.of(instructions)
        unit = opcodes.UNIT_OF[instructions["opcode"][kinds.first]][kinds.number]
        first, by_unit = np.zeros(UNITS + 1, np.int64), np.empty(len(unit), np.int32)
        classes.in_order(unit, first, by_unit)
        return cls(unit, first, by_unit)


class Stretch(NamedTuple):
    """What must have happened before each of some instructions that follow each other starts.

    Parameters
    ----------
    low, high
        Number of the first one, and of the one after the last.
    need
        int32, shape (high - low, `kernels.clocks.WORDS`): 1 + the index of the last instruction of a unit whose moment
        must have passed, 0 for none; for unit u and moment m at u * MOMENTS + m. The next stretch overwrites it.
    undefined
        Instruction and access that read bytes that nothing wrote, or None; `need` is whole only up to there, and no
        stretch comes after it.
    """

    low: int
    high: int
    need: Int32
    undefined: tuple[int, int] | None


def find(unit: Int8, found: accesses.Accesses, image_bytes: int, machine: Machine) -> Iterator[Stretch]:
    """Find the hazards of a program whose addresses are valid and whose rows do not overlap, stretch by stretch."""
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
    touched = kernel.Touched(
        unit=unit,
        kind=found.kinds.number,
        own=found.first,
        number=found.number,
        write=found.write,
        until=found.until,
        ranges=ranges,
        shapes=np.stack([rows, stride, row_bytes], axis=1),
        image=bases[memory] + np.where((memory == Memory.DRAM) | (memory == Memory.HOST), image_bytes, 0),
        bucket=bucket,
        span=span,
        first=np.cumsum(span) - span,
        owner=np.repeat(np.arange(len(span), dtype=np.int32), span),
        forwards=FORWARDS,
    )
    last = kernel.nobody(len(ranges), buckets, len(touched.owner), UNITS)
    need = np.empty((min(TOGETHER, len(unit)), WORDS), np.int32)
    for low in range(0, len(unit), TOGETHER):
        high = min(low + TOGETHER, len(unit))
        i, access = kernel.find(low, high, touched, last, need)
        yield Stretch(low, high, need[: high - low], (i, access) if i >= 0 else None)
        if i >= 0:
            return


def _buckets(memory: Int64, ranges: Int64) -> tuple[Int64, Int64, int]:
    """Cut each memory into buckets about as long as its regions are, so that most regions lie in few and share few.

    Returns
    -------
    First bucket of each region and how many it lies in, shape (regions,); buckets of all memories.
    """
    bucket, last, buckets = np.empty_like(memory), np.empty_like(memory), 0
    for m in Memory:
        own = np.flatnonzero(memory == m)
        if not len(own):
            continue
        low, high = ranges[own, strides.ADDRESS], ranges[own, strides.END]
        size = np.sort(high - low)
        shift = int(size[(len(size) - 1) // 2] + size[len(size) // 2] >> 1).bit_length()  # of the median
        bottom, top = int(low.min()), int(high.max())
        while top - bottom >> shift > MAX_BUCKETS:
            shift += 1
        bucket[own] = buckets + (low - bottom >> shift)
        last[own] = buckets + (high - 1 - bottom >> shift)
        buckets = int(last[own].max()) + 1
    return bucket, last - bucket + 1, buckets
