"""Byte classes and hazards: the analysis under `verify` and under the compiler's synchronize pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import accesses, opcodes
from accelsim.isa.opcodes import MOMENTS, UNITS, Memory, Unit
from accelsim.kernels import hazards as kernel

Int64 = NDArray[np.int64]

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
        by_unit = np.argsort(unit, kind="stable")
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
    """Find the hazards of a program whose addresses are valid; time grows as n log n with rows and instructions."""
    region, first_class, classes, image = byte_classes(found, image_bytes, machine)
    count = int(classes.max(initial=-1)) + 1
    last_writer = np.full(count, -1, np.int64)
    last_writer[image] = -2
    need = np.zeros((len(queues.unit), UNITS, MOMENTS), np.int32)
    undefined = kernel.find(
        queues.unit,
        queues.index,
        found.instruction,
        region,
        found.write,
        found.until,
        first_class,
        classes,
        last_writer,
        np.zeros(count, np.int64),
        FORWARDS,
        np.zeros((count, UNITS, MOMENTS), np.int64),
        need,
    )
    return Hazards(need, int(undefined))


def byte_classes(
    found: accesses.Accesses, image_bytes: int, machine: Machine
) -> tuple[Int64, Int64, Int64, NDArray[np.bool_]]:
    """Partition the bytes of all memories into classes that every access takes wholly or not at all.

    Tiles repeat, so the distinct regions are few. All bytes that the same set of regions covers form one class; the
    set is told by the exclusive or of a random 64-bit word for each of its regions. A strided tile is one or few
    classes, however many rows it has.

    Returns
    -------
    region
        Region number of each access.
    first_class, classes
        Classes of region r: classes[first_class[r] : first_class[r + 1]].
    image
        Whether a class lies in the DRAM image.
    """
    bases = np.concatenate(([0], np.cumsum([accesses.capacity_bytes(machine, m) for m in Memory])))
    address = found.address + bases[found.memory]
    touching = found.stride == found.row_bytes
    row_bytes = np.where(touching, found.rows * found.row_bytes, found.row_bytes)
    rows = np.where(touching, 1, found.rows)
    stride = np.where(rows == 1, 0, found.stride)
    shapes = np.column_stack((address, stride, rows, row_bytes))
    shapes, region = np.unique(shapes, axis=0, return_inverse=True)
    if image_bytes:
        shapes = np.vstack((shapes, [[bases[Memory.DRAM], 0, 1, image_bytes]]))

    owner, row = _expand(shapes[:, 2])
    starts = shapes[owner, 0] + row * shapes[owner, 1]
    ends = starts + shapes[owner, 3]
    edges = np.unique(np.concatenate((starts, ends)))
    words = np.random.default_rng(0).integers(2**64, size=len(shapes), dtype=np.uint64)
    cover = np.zeros(len(edges), np.uint64)
    low, high = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    np.bitwise_xor.at(cover, low, words[owner])
    np.bitwise_xor.at(cover, high, words[owner])
    _, class_of = np.unique(np.bitwise_xor.accumulate(cover), return_inverse=True)

    run, step = _expand(high - low)
    pairs = np.unique(np.column_stack((owner[run], class_of[low[run] + step])), axis=0)
    first_class = np.searchsorted(pairs[:, 0], np.arange(len(shapes) + 1))
    classes = np.ascontiguousarray(pairs[:, 1])
    image = np.zeros(int(class_of.max(initial=-1)) + 1, bool)
    if image_bytes:
        image[classes[first_class[-2] :]] = True
    return region.reshape(-1), first_class, classes, image[: int(classes.max(initial=-1)) + 1]


def _expand(counts: Int64) -> tuple[Int64, Int64]:
    """Owner and running number of each of `counts[i]` parts of every owner i."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
