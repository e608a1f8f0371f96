"""Two-dimensional strided byte ranges, and runs of bytes of any order, as DMA, array and vector unit address them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class Region(NamedTuple):
    """`rows` runs of `row_bytes` bytes, the first at `address`, each `stride` bytes after the one before."""

    address: int
    stride: int
    rows: int
    row_bytes: int

    @property
    def end(self) -> int:
        """One past the last byte; strides are not negative."""
        return self.address + (self.rows - 1) * self.stride + self.row_bytes

    def merged(self) -> Region:
        """The same bytes as one run, if the rows touch."""
        if self.rows > 1 and self.stride == self.row_bytes:
            return Region(self.address, 0, 1, self.rows * self.row_bytes)
        return self

    def runs(self) -> Runs:
        """The rows, in order; those that touch are one."""
        address, stride, rows, row_bytes = self.merged()
        return Runs(address + stride * np.arange(rows, dtype=np.int64), np.full(rows, row_bytes, np.int64))


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of bytes in the order in which they are accessed; they may overlap.

    Parameters
    ----------
    address, size
        First byte and bytes of each run; int64, shape (runs,).
    """

    address: Int64
    size: Int64

    @classmethod
    def joined(cls, address: Int64, size: Int64) -> Runs:
        """Runs of which those that follow each other without a gap become one."""
        begins = np.ones(len(address), np.bool_)
        begins[1:] = address[1:] != address[:-1] + size[:-1]
        first = np.flatnonzero(begins)
        return cls(address[first], np.add.reduceat(size, first) if len(first) else size)

    @classmethod
    def of_rows(cls, address: int, stride: int, rows: int, row_bytes: int, inner: int, outer_stride: int) -> Runs:
        """Rows of two levels: row r stands at address + (r // inner) outer_stride + (r % inner) stride."""
        outer, within = np.divmod(np.arange(rows, dtype=np.int64), inner)
        return cls(address + outer * outer_stride + within * stride, np.full(rows, row_bytes, np.int64))

    def runs(self) -> Runs:
        """The runs themselves."""
        return self

    def moved(self, bytes_on: int) -> Runs:
        """The runs, so many bytes further on."""
        return Runs(self.address + bytes_on, self.size)

    @property
    def bytes(self) -> int:
        """Bytes that are accessed; those of two runs twice."""
        return int(self.size.sum())

    def within(self, word_bytes: int) -> tuple[Int64, Int64]:
        """First and last word of each run that are accessed; no word is where the run before ends in the only one."""
        first, last = self.address // word_bytes, (self.address + self.size - 1) // word_bytes
        first[1:] += last[:-1] == first[1:]
        return first, last

    def regions(self, most: int) -> tuple[tuple[Region, ...], bool]:
        """Regions of at most `most` that hold the bytes, none twice, in ascending order.

        Returns
        -------
        The regions, and whether they hold these bytes alone. If that takes more of them, the smallest gaps are held
        too.
        """
        order = np.argsort(self.address, kind="stable")
        begin = self.address[order]
        end = np.maximum.accumulate(begin + self.size[order])
        gaps = begin[1:] - end[:-1]  # 0 or less where the bytes go on
        found = _regions(begin, end, gaps > 0, most)
        if found is not None:
            return found, True
        for gap in np.unique(gaps[gaps > 0]).tolist():
            found = _regions(begin, end, gaps > gap, most)
            if found is not None:
                return found, False
        raise AssertionError("one region without a gap holds all bytes")


def _regions(begin: Int64, end: Int64, apart: NDArray[np.bool_], most: int) -> tuple[Region, ...] | None:
    """Regions of sorted runs that are one where they are not apart, unless it takes more than `most`."""
    first = np.append(True, apart)
    begin, end = begin[first], end[np.append(apart, True)]
    size, step = end - begin, np.diff(begin)
    # where a run does not go on as the two before it do
    odd = np.append(np.flatnonzero((step[1:] != step[:-1]) | (size[2:] != size[1:-1])) + 2, len(begin))
    found: list[Region] = []
    i = 0
    while i < len(begin):
        if len(found) == most:
            return None
        if i + 1 < len(begin) and size[i] == size[i + 1]:
            until = int(odd[np.searchsorted(odd, i + 2)])
            found.append(Region(int(begin[i]), int(step[i]), until - i, int(size[i])))
        else:
            until = i + 1
            found.append(Region(int(begin[i]), 0, 1, int(size[i])))
        i = until
    return tuple(found)


def view(memory: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """Writable window of shape (rows, row_bytes) onto a memory's bytes.

    Raises
    ------
    IndexError
        If the region leaves the memory.
    """
    if region.address < 0 or region.end > memory.size or region.stride < 0:
        raise IndexError(f"{region} leaves a memory of {memory.size} bytes")
    return np.lib.stride_tricks.as_strided(
        memory[region.address :], (region.rows, region.row_bytes), (region.stride, 1), writeable=True
    )


def words(region: Region | Runs, word_bytes: int) -> int:
    """Accesses of aligned words that reading a region takes, row by row.

    A word that the last byte of one row and the first of the next share is accessed once, because the port holds
    the word; any other is accessed for each row that touches it.
    """
    if isinstance(region, Region):
        return _words(region, word_bytes)
    first, last = region.within(word_bytes)
    return int((last - first + 1).sum())


@lru_cache(maxsize=65536)
def _words(region: Region, word_bytes: int) -> int:
    address, _, rows, row_bytes = region.merged()
    if rows == 1:
        return (address + row_bytes - 1) // word_bytes - address // word_bytes + 1
    return words(region.runs(), word_bytes)


def lines(region: Region | Runs, line_bytes: int) -> Int64:
    """Numbers of the aligned lines that `words` counts, in the order of the accesses; shape (accesses,)."""
    first, last = region.runs().within(line_bytes)
    counts = last - first + 1
    before = np.cumsum(counts) - counts
    found: Int64 = np.repeat(first - before, counts) + np.arange(counts.sum())
    return found


def whole(region: Region | Runs, line_bytes: int) -> NDArray[np.bool_]:
    """Whether the row for which each line that `lines` lists is accessed covers all its bytes; shape (accesses,)."""
    runs = region.runs()
    first, last = runs.within(line_bytes)
    counts, begin = last - first + 1, lines(runs, line_bytes) * line_bytes
    start, size = np.repeat(runs.address, counts), np.repeat(runs.size, counts)
    covered: NDArray[np.bool_] = (start <= begin) & (begin + line_bytes <= start + size)
    return covered


@lru_cache(maxsize=65536)
def banks(region: Region, bank_bytes: int) -> tuple[int, ...]:
    """Numbers of the contiguous banks that a region touches, ascending."""
    address, stride, rows, row_bytes = region.merged()
    if stride <= bank_bytes:
        return tuple(range(address // bank_bytes, (region.end - 1) // bank_bytes + 1))
    starts = address + stride * np.arange(rows, dtype=np.int64)
    touched = {
        bank
        for first, last in zip(starts // bank_bytes, (starts + row_bytes - 1) // bank_bytes, strict=True)
        for bank in range(int(first), int(last) + 1)
    }
    return tuple(sorted(touched))


@lru_cache(maxsize=65536)
def interleaved_banks(region: Region, word_bytes: int, count: int) -> tuple[int, ...]:
    """Numbers of the banks that a region touches where words are dealt out to `count` banks in turn, ascending."""
    address, stride, rows, row_bytes = region.merged()
    starts = address + stride * np.arange(rows, dtype=np.int64)
    first, last = starts // word_bytes, (starts + row_bytes - 1) // word_bytes
    touched = np.minimum(last - first + 1, count)
    step = np.arange(touched.sum()) - np.repeat(np.cumsum(touched) - touched, touched)
    return tuple(np.unique((np.repeat(first, touched) + step) % count).tolist())


def overlap(a: Region, b: Region) -> bool:
    """Whether two regions share a byte."""
    a, b = a.merged(), b.merged()
    if a.end <= b.address or b.end <= a.address:
        return False
    if a.rows == 1 and b.rows == 1:
        return True
    starts = a.address + a.stride * np.arange(a.rows, dtype=np.int64)
    if b.rows == 1:
        return bool(((starts < b.end) & (starts + a.row_bytes > b.address)).any())
    # the last row of b that starts before a row of a ends is the one that reaches furthest
    behind = np.minimum((starts + a.row_bytes - 1 - b.address) // b.stride, b.rows - 1)
    reach = b.address + b.stride * behind + b.row_bytes
    return bool(((behind >= 0) & (reach > starts)).any())
