"""How a product reads images: a window for each of its rows, a pixel and channel of the window for each input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.boxes import Box, boxes, within
from accelsim.compiler.tiles import Cuts, Place, Span, oriented
from accelsim.graph.ops.window import Window
from accelsim.isa import descriptors
from accelsim.isa.descriptors import Descriptor
from accelsim.units import Count, ceil_div

Int64 = NDArray[np.int64]

#: Runs of a window that one instruction moves, at most.
MOST_RUNS = 2**16
#: Lines of results that say what the others take.
SAMPLED = 4


@dataclass(slots=True)
class Descriptors:
    """Windows that a program's instructions name by number, each once."""

    numbers: dict[Descriptor, int] = field(default_factory=dict)

    def number(self, descriptor: Descriptor) -> int:
        """Number of a descriptor, a new one if it is not there yet."""
        return self.numbers.setdefault(descriptor, len(self.numbers))

    @property
    def table(self) -> Int64:
        """The program's table."""
        return descriptors.table(*self.numbers)


class Padding(NamedTuple):
    """A part of a tile that is padding alone: bytes from the tile's first, and how its rows lie."""

    address: int
    rows: int
    row_bytes: int


class Gather(NamedTuple):
    """Operands of a gather, addresses relative to the image and to the tile."""

    dram: int
    descriptor: Descriptor
    address: int
    row: int
    column: int


def whole_channels(channels: int, bits: int) -> int:
    """Channels of a pixel, with those that are over in its last byte: in memory every pixel begins at a byte."""
    return ceil_div(channels * bits, 8) * 8 // bits


def fill_byte(value: int, bits: int) -> int:
    """Byte of integers of so many bits that all have a value; 0 for those of several bytes."""
    return sum((value & (1 << bits) - 1) << shift for shift in range(0, 8, bits)) if bits <= 8 else 0


@dataclass(frozen=True, slots=True)
class Image:
    """Images that a window slides over.

    Parameters
    ----------
    samples, height, width, channels
        Shape of the batch; channels as `whole_channels` has them.
    fill
        Byte that stands for zero, around the images.
    """

    samples: int
    height: int
    width: int
    channels: int
    window: Window
    fill: int

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of what is formed (pixels)."""
        return self.window.output(self.height, self.width)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Rows of the product: samples, rows and columns that are formed."""
        return (self.samples, *self.output)

    @property
    def inputs(self) -> tuple[int, int, int]:
        """Inputs of the product: rows and columns of the kernel, channels."""
        return (*self.window.kernel, self.channels)

    def pixels(self, rows: Cuts) -> Cuts:
        """Pixels of the batch, from the first to the last one in whole lines, that rows of the product need."""
        lines = np.array(
            [self._lines(low, low + size) for low, size in zip(rows.low.tolist(), rows.size.tolist(), strict=True)]
        ).reshape(-1, 2)
        return Cuts(lines[:, 0] * self.width, (lines[:, 1] - lines[:, 0]) * self.width)

    def bursts_a_row(self, pixel_bytes: int, burst_bytes: int) -> float:
        """DRAM bursts of a row of the product, on average over some lines of results; one that goes on counts once."""
        rows, columns = self.output
        (down, across), (top, left, _, _) = self.window.stride, self.window.padding
        lines = np.unique(np.linspace(0, rows - 1, SAMPLED).astype(np.int64))
        row = lines[:, None, None] * down - top + np.arange(self.window.kernel[0]) * self.window.dilation[0]
        column = (np.arange(columns) * across - left)[:, None]
        first = np.maximum(column, 0)
        last = np.minimum(column + self.window.reach[1], self.width) - 1
        inside = (row >= 0) & (row < self.height) & (first <= last)
        begins, ends = (row * self.width + first) * pixel_bytes, (row * self.width + last + 1) * pixel_bytes - 1
        begins, ends = begins[inside] // burst_bytes, ends[inside] // burst_bytes
        goes_on = np.count_nonzero(begins[1:] == ends[:-1])
        return float((ends - begins + 1).sum() - goes_on) / (len(lines) * columns)

    def lines(self, rows: Count) -> Count:
        """Padded lines of one image that rows of the product need, from the first of a line on."""
        lines: Count = (ceil_div(rows, self.output[1]) - 1) * self.window.stride[0] + self.window.reach[0]
        return lines

    def _lines(self, low: int, high: int) -> tuple[int, int]:
        """First line of the batch that rows of the product need, and the one behind the last; at least one."""
        rows, columns = self.output
        ends = []
        for place, reach in ((low, 0), (high - 1, self.window.reach[0] - 1)):
            sample, row = place // (rows * columns), place // columns % rows
            line = row * self.window.stride[0] - self.window.padding[0] + reach
            ends.append(sample * self.height + min(max(line, 0), self.height - 1))
        return ends[0], ends[1] + 1

    def gathers(
        self, rows: tuple[int, int], inputs: tuple[int, int], source: Place, tile: Place
    ) -> Iterator[Gather | Padding]:
        """What brings a tile of the product's rows and inputs, as a matrix, from the images, or fills it with padding.

        Parameters
        ----------
        rows, inputs
            From the first to below the last.
        source, tile
            Where the images lie in DRAM, a pixel a sample, and how the tile lies on chip; of both from address 0 on.
        """
        for whole in boxes(*rows, self.grid):
            for part in boxes(*inputs, self.inputs):
                for box, piece in self._pieces(whole, part, source):
                    if self._reads(box, piece):
                        yield self._gather(box, piece, rows[0], inputs[0], source, tile)
                    else:
                        yield self._padding(box, piece, rows[0], inputs[0], tile)

    def _reads(self, box: Box, part: Box) -> bool:
        """Whether a part of a tile holds any pixel of the images."""
        if not any(self.window.padding):
            return True
        sizes, starts = (self.height, self.width), self.window.padding[:2]
        for places, kernel, size, start, step, apart in zip(
            box[1:], part[:2], sizes, starts, self.window.stride, self.window.dilation, strict=True
        ):
            at = np.arange(*places)[:, None] * step - start + np.arange(*kernel) * apart
            if not ((at >= 0) & (at < size)).any():
                return False
        return True

    def _padding(self, box: Box, part: Box, row0: int, input0: int, tile: Place) -> Padding:
        """A part of a tile that holds none."""
        m, k = self._first(box, part)
        samples, features = (int(np.prod([span.size for span in spans])) for spans in (box, part))
        rows, elements = oriented(samples, features, feature_major=tile.feature_major)
        address = (m - row0) * tile.sample_bytes + tile.features_bytes(k - input0)
        return Padding(address, rows, elements * tile.bits // 8)

    def _first(self, box: Box, part: Box) -> tuple[int, int]:
        """Number of a box's first row of the product, and of a part's first input."""
        rows, columns = self.output
        (n, oh, ow), (i, j, c) = box, part
        m = (n.low * rows + oh.low) * columns + ow.low
        return m, (i.low * self.window.kernel[1] + j.low) * self.channels + c.low

    def _pieces(self, box: Box, part: Box, source: Place) -> Iterator[tuple[Box, Box]]:
        """Boxes of rows and of inputs that one descriptor holds each, with at most `MOST_RUNS` runs."""
        lines, columns, channels = part
        if not source.feature_major:
            yield from ((rows, part) for rows in within(box, MOST_RUNS // (lines.size * columns.size)))
            return
        # a dimension for channels, samples, rows and columns each leaves one for the kernel's columns
        for rows in within(box, MOST_RUNS // columns.size):
            step = max(1, MOST_RUNS // (math.prod(span.size for span in rows) * columns.size))
            for line in range(lines.low, lines.high):
                for low in range(channels.low, channels.high, step):
                    yield rows, (Span(line, line + 1), columns, Span(low, min(low + step, channels.high)))

    def _gather(self, box: Box, part: Box, row0: int, input0: int, source: Place, tile: Place) -> Gather:
        """One descriptor and the addresses of its first run."""
        (n, oh, ow), (i, j, c) = box, part
        (down, across), (top, left, _, _) = self.window.stride, self.window.padding
        (apart_down, apart_across), (rows, columns) = self.window.dilation, self.output
        row = oh.low * down - top + i.low * apart_down
        column = ow.low * across - left + j.low * apart_across
        last_row = (oh.high - 1) * down - top + (i.high - 1) * apart_down
        last_column = (ow.high - 1) * across - left + (j.high - 1) * apart_across
        inside_rows, inside_columns = row >= 0 and last_row < self.height, column >= 0 and last_column < self.width
        pixel, tile_row = source.sample_bytes, tile.sample_bytes
        line, image = self.width * pixel, self.height * self.width * pixel
        bounds_rows, bounds_columns = int(not inside_rows), int(not inside_columns)
        columns_of_kernel = tile.features_bytes(self.channels)
        samples = [
            (n.size, image, rows * columns * tile_row, 0, 0),
            (oh.size, down * line, columns * tile_row, bounds_rows * down, 0),
            (ow.size, across * pixel, tile_row, 0, bounds_columns * across),
        ]
        kernel = [(j.size, apart_across * pixel, columns_of_kernel, 0, bounds_columns * apart_across)]
        # what follows each other in DRAM comes last, so that it is one run
        if source.feature_major:
            kernel.insert(0, (c.size, source.features_bytes(1), tile.features_bytes(1), 0, 0))
            dimensions, run_bytes = [*kernel, *samples], tile.bits // 8
        else:
            lines_of_kernel = self.window.kernel[1] * columns_of_kernel
            kernel.insert(0, (i.size, apart_down * line, lines_of_kernel, bounds_rows * apart_down, 0))
            dimensions, run_bytes = [*samples, *kernel], tile.features_bytes(c.size)
        descriptor = Descriptor.of(
            *(d if d[0] > 1 else (1, 0, 0, *d[3:]) for d in dimensions),
            run_bytes=run_bytes,
            height=self.height if bounds_rows else 1,
            width=self.width if bounds_columns else 1,
            fill=self.fill if bounds_rows or bounds_columns else 0,
        )
        m, k = self._first(box, part)
        return Gather(
            n.low * image + row * line + column * pixel + source.features_bytes(c.low),
            descriptor,
            (m - row0) * tile_row + tile.features_bytes(k - input0),
            bounds_rows * row,
            bounds_columns * column,
        )
