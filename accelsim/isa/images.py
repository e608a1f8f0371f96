"""Pixels of images on chip that a reduction reads and writes, from the instruction's addresses on."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.isa.descriptors import MAX_REGIONS
from accelsim.memory.region import Region, Runs

Int64 = NDArray[np.int64]


class Image(NamedTuple):
    """Bytes of pixels.

    Parameters
    ----------
    runs
        Pixels in the order in which they are accessed: of a window after the other.
    regions
        Regions that hold them, none twice.
    exact
        Whether these hold no other bytes.
    """

    runs: Runs
    regions: tuple[Region, ...]
    exact: bool


@lru_cache(maxsize=1024)
def read(
    stride: int, line_stride: int, height: int, width: int, row_bytes: int, window_rows: int, window_columns: int,
    row_step: int, column_step: int,
) -> Image:  # fmt: skip
    """Pixels of windows, each row by row; `row_bytes` of a pixel."""
    shape = (height, width, window_rows, window_columns)
    strides = (row_step * line_stride, column_step * stride, line_stride, stride)
    rows, columns = (
        np.unique(step * np.arange(n)[:, None] + np.arange(size))
        for step, n, size in ((row_step, height, window_rows), (column_step, width, window_columns))
    )
    pixels = (rows[:, None] * line_stride + columns * stride).reshape(-1)
    regions, exact = Runs(pixels, np.full_like(pixels, row_bytes)).regions(MAX_REGIONS)
    return Image(_grid(shape, strides, row_bytes), regions, exact)


@lru_cache(maxsize=1024)
def written(stride: int, line_stride: int, height: int, width: int, row_bytes: int) -> Image:
    """Results, row by row."""
    runs = _grid((height, width), (line_stride, stride), row_bytes)
    return Image(runs, *runs.regions(MAX_REGIONS))


def _grid(shape: tuple[int, ...], strides: tuple[int, ...], row_bytes: int) -> Runs:
    place = np.zeros(1, np.int64)
    for n, stride in zip(shape, strides, strict=True):
        place = (place[:, None] + stride * np.arange(n, dtype=np.int64)).reshape(-1)
    return Runs(place, np.full_like(place, row_bytes))
