"""Windows that DMAs move: up to five dimensions of runs, with steps, overlap and padding, in a table of the program.

A descriptor says how a window lies; an instruction says where: `gather` and `scatter` name it by its number. Run i of a
window, of indices i[0] to i[4], the last one fastest, has `run_bytes` bytes. In DRAM they stand at the instruction's
`dram` plus the sum of i[d] x dram_strides[d], on chip at its `address` plus the sum of i[d] x strides[d].

Two axes of an image, rows and columns, may be bounded: the run lies at the instruction's `row` plus the sum of
i[d] x row_steps[d], and at its `column` plus the sum of i[d] x column_steps[d]. If that is outside 0 to `height` - 1 or
0 to `width` - 1, a gather does not read the run; all its bytes on chip become `fill`. So padding, im2col, transposes
and broadcasts are addresses. An axis without steps is not bounded: `height` or `width` is 1 then, and `row` or `column`
0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.isa.opcodes import COMPUTE, GATHER, SCATTER
from accelsim.memory import requests
from accelsim.memory.region import Region, Runs
from accelsim.memory.requests import Channel

Int64 = NDArray[np.int64]

#: Dimensions of a window.
DIMENSIONS = 5
#: Fields of a dimension each, side by side in a record, then those that are single.
VECTORS = ("counts", "dram_strides", "strides", "row_steps", "column_steps")
SCALARS = ("height", "width", "run_bytes", "fill")
#: Words of a record.
FIELDS = len(VECTORS) * DIMENSIONS + len(SCALARS)
#: Runs of a window, at most, and regions that hold its bytes in a memory, none more than once.
MAX_RUNS, MAX_REGIONS = 2**20, 64

_S31, _N24 = 2**31 - 1, 2**24 - 1
_HIGH = {"counts": _N24, "dram_strides": _S31, "strides": _S31, "row_steps": _N24, "column_steps": _N24}
_RANGES = {"height": (1, _N24), "width": (1, _N24), "run_bytes": (1, _S31), "fill": (0, 255)}


class Descriptor(NamedTuple):
    """How a window lies; five numbers a dimension, the outermost first.

    Parameters
    ----------
    counts
        Indices of each dimension; 1 for those that are not used.
    dram_strides, strides
        Bytes from index to index in DRAM, 0 to read the same again, and on chip.
    row_steps, column_steps
        Rows and columns of the image from index to index.
    height, width
        Rows and columns that the image has.
    run_bytes
        Bytes of a run.
    fill
        Byte that stands on chip where there is no image.
    """

    counts: tuple[int, ...]
    dram_strides: tuple[int, ...]
    strides: tuple[int, ...]
    row_steps: tuple[int, ...] = (0,) * DIMENSIONS
    column_steps: tuple[int, ...] = (0,) * DIMENSIONS
    height: int = 1
    width: int = 1
    run_bytes: int = 1
    fill: int = 0

    @classmethod
    def of(
        cls,
        *dimensions: tuple[int, ...],
        run_bytes: int,
        height: int = 1,
        width: int = 1,
        fill: int = 0,
    ) -> Descriptor:
        """Window of at most five dimensions, each of count, DRAM stride, stride, and row and column step or none."""
        whole: list[tuple[int, ...]] = [(1, 0, 0, 0, 0)] * (DIMENSIONS - len(dimensions))
        whole += [(*given, *(0,) * (DIMENSIONS - len(given))) for given in dimensions]
        counts, far, near, rows, columns = zip(*whole, strict=True)
        return cls(counts, far, near, rows, columns, height, width, run_bytes, fill)

    @classmethod
    def read(cls, record: Int64) -> Descriptor:
        """Descriptor that a record of a program's table holds."""
        words = record.tolist()
        counts, far, near, rows, columns = (
            tuple(words[i : i + DIMENSIONS]) for i in range(0, 5 * DIMENSIONS, DIMENSIONS)
        )
        return cls(counts, far, near, rows, columns, *words[5 * DIMENSIONS :])

    @property
    def record(self) -> Int64:
        """Words of the program's table; int64, shape (FIELDS,)."""
        vectors = (self.counts, self.dram_strides, self.strides, self.row_steps, self.column_steps)
        single = (self.height, self.width, self.run_bytes, self.fill)
        return np.array([*(word for vector in vectors for word in vector), *single], np.int64)

    @property
    def runs(self) -> int:
        """Runs of the window."""
        return int(np.prod([float(count) for count in self.counts]))

    @property
    def bounded(self) -> bool:
        """Whether an axis has steps."""
        return any((*self.row_steps, *self.column_steps))


def table(*descriptors: Descriptor) -> Int64:
    """A program's table of descriptors; int64, shape (descriptors, FIELDS)."""
    return np.array([descriptor.record for descriptor in descriptors], np.int64).reshape(-1, FIELDS)


def faults(records: Int64) -> Iterator[tuple[int, str]]:
    """Descriptors that are none, and what is wrong with them."""
    for number, record in enumerate(records):
        descriptor = Descriptor.read(record)
        bad = [
            f"{name} must be {int(name == 'counts')} to {high}, not {value}"
            for name, high in _HIGH.items()
            for value in getattr(descriptor, name)
            if not int(name == "counts") <= value <= high
        ]
        for name, (low, high) in _RANGES.items():
            value = getattr(descriptor, name)
            if not low <= value <= high:
                bad.append(f"{name} must be {low} to {high}, not {value}")
        if not bad and descriptor.runs > MAX_RUNS:
            bad.append(f"counts must be of at most {MAX_RUNS} runs, not {descriptor.runs}")
        for axis, steps in (("height", descriptor.row_steps), ("width", descriptor.column_steps)):
            if not any(steps) and getattr(descriptor, axis) != 1:
                bad.append(f"{axis} must be 1 without steps, not {getattr(descriptor, axis)}")
        yield from ((number, text) for text in bad)


class Window(NamedTuple):
    """Bytes of a window, from the instruction's addresses on.

    Parameters
    ----------
    outside, inside
        What is moved in DRAM and written or read on chip, in order.
    in_dram, on_chip
        Regions that hold these bytes, none twice; those of DRAM may hold others too.
    exact_in_dram, exact_on_chip
        Whether they hold no other bytes.
    """

    outside: Runs
    inside: Runs
    in_dram: tuple[Region, ...]
    on_chip: tuple[Region, ...]
    exact_in_dram: bool
    exact_on_chip: bool


def window(descriptor: Descriptor, row: int = 0, column: int = 0) -> Window:
    """Bytes of the window of an instruction whose first coordinates are these."""
    return _window(descriptor._replace(height=1, width=1, fill=0), *_window_bounds(descriptor, row, column))


def _window_bounds(descriptor: Descriptor, row: int, column: int) -> tuple[int, int, int, int]:
    """Offsets from the first coordinates that are inside the image: of rows, then of columns."""
    return (
        *_bounds(row, descriptor.height, descriptor.row_steps, descriptor.counts),
        *_bounds(column, descriptor.width, descriptor.column_steps, descriptor.counts),
    )


def _bounds(first: int, size: int, steps: tuple[int, ...], counts: tuple[int, ...]) -> tuple[int, int]:
    """Offsets from the first coordinate that are inside an axis: from one on, and below the other; few differ."""
    if not any(steps):
        return 0, 1
    span = sum(step * (count - 1) for step, count in zip(steps, counts, strict=True))
    return min(max(-first, 0), span + 1), min(max(size - first, 0), span + 1)


class Places(NamedTuple):
    """Where each run lies, from the instruction's addresses on, and whether it is read; shape (runs,)."""

    dram: Int64
    chip: Int64
    there: NDArray[np.bool_]


def places(descriptor: Descriptor, row: int = 0, column: int = 0) -> Places:
    """Places of the runs of an instruction whose first coordinates are these."""
    return _places(descriptor, *_window_bounds(descriptor, row, column))


def _places(d: Descriptor, top: int, bottom: int, left: int, right: int) -> Places:
    dram, chip, row, column = (
        _sum(d.counts, strides) for strides in (d.dram_strides, d.strides, d.row_steps, d.column_steps)
    )
    return Places(dram, chip, (row >= top) & (row < bottom) & (column >= left) & (column < right))


def _sum(counts: tuple[int, ...], strides: tuple[int, ...]) -> Int64:
    """Sum of the strides of each run's indices, shape (runs,)."""
    total = np.zeros(1, np.int64)
    for count, stride in zip(counts, strides, strict=True):
        total = (total[:, None] + stride * np.arange(count, dtype=np.int64)).reshape(-1)
    return total


@lru_cache(maxsize=1024)
def _window(d: Descriptor, top: int, bottom: int, left: int, right: int) -> Window:
    found = _places(d, top, bottom, left, right)
    dram = found.dram[found.there]
    outside = Runs.joined(dram, np.full(len(dram), d.run_bytes, np.int64))
    inside = Runs.joined(found.chip, np.full(len(found.chip), d.run_bytes, np.int64))
    in_dram, exact_in_dram = outside.regions(MAX_REGIONS) if len(dram) else ((), True)
    on_chip, exact_on_chip = inside.regions(MAX_REGIONS)
    return Window(outside, inside, in_dram, on_chip, exact_in_dram, exact_on_chip)


def overlaps(runs: Runs, regions: tuple[Region, ...]) -> bool:
    """Whether runs have a byte in common, if the regions hold their bytes alone."""
    return sum(region.rows * region.row_bytes for region in regions) < runs.bytes


def requested(descriptor: Descriptor, row: int, column: int, dram: int, channel: Channel) -> Runs:
    """Whole bursts that a DMA requests for a gather: addresses from `dram` on, as those of a window are."""
    bounds = _window_bounds(descriptor, row, column)
    return _requested(descriptor._replace(height=1, width=1, fill=0), bounds, dram % channel.burst_bytes, channel)


@lru_cache(maxsize=65536)
def _requested(d: Descriptor, bounds: tuple[int, int, int, int], beyond: int, channel: Channel) -> Runs:
    return requests.requested(_window(d, *bounds).outside.moved(beyond), *channel).moved(-beyond)


def moved_in_dram(opcode: int, operands: Int64, records: Int64, channel: Channel) -> Region | Runs:
    """Bytes of DRAM that an instruction of a DMA moves, of a gather whole bursts; none of them if the host computes.

    Parameters
    ----------
    operands
        int64, shape (OPERANDS,).
    records
        The program's table of descriptors.
    """
    if opcode in {GATHER, SCATTER}:
        dram, number, _, _, row, column = operands[:6].tolist()
        descriptor = Descriptor.read(records[number])
        if opcode == GATHER:
            return requested(descriptor, row, column, dram, channel).moved(dram)
        return window(descriptor, row, column).outside.moved(dram)
    if opcode == COMPUTE:
        return Region(0, 0, 0, 0)
    return Region(*operands[:4].tolist())
