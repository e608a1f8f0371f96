"""Two-dimensional strided byte ranges, as DMA, array and vector unit address them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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


@lru_cache(maxsize=65536)
def words(region: Region, word_bytes: int) -> int:
    """Accesses of aligned words that reading a region takes, row by row.

    A word that the last byte of one row and the first of the next share is accessed once, because the port holds
    the word; any other is accessed for each row that touches it.
    """
    address, stride, rows, row_bytes = region.merged()
    if rows == 1:
        return (address + row_bytes - 1) // word_bytes - address // word_bytes + 1
    starts = address + stride * np.arange(rows, dtype=np.int64)
    first = starts // word_bytes
    last = (starts + row_bytes - 1) // word_bytes
    return int((last - first + 1).sum() - (last[:-1] == first[1:]).sum())


def lines(region: Region, line_bytes: int) -> NDArray[np.int64]:
    """Numbers of the aligned lines that `words` counts, in the order of the accesses; int64, shape (accesses,)."""
    address, stride, rows, row_bytes = region.merged()
    starts = address + stride * np.arange(rows, dtype=np.int64)
    first, last = starts // line_bytes, (starts + row_bytes - 1) // line_bytes
    first[1:] += last[:-1] == first[1:]
    counts = last - first + 1
    before = np.cumsum(counts) - counts
    return np.repeat(first - before, counts) + np.arange(counts.sum())


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
